use super::*;
use crate::model::{ChannelOp, Post, Rank, Style};
use crate::query::PageStart;
use crate::testing::{Device, text};
use proptest::prelude::*;

const WORDS: [&str; 5] = ["anchor", "bow", "capstan", "deck", "ebb"];

/// An answer as its reader holds it.
#[derive(Default)]
struct Reader(Vec<MessageView>);

impl Reader {
    #[track_caller]
    fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            let place = |event: &EventRef| self.0.iter().position(|message| message.event == *event);
            match change {
                Change::Insert { after, message } => {
                    assert_eq!(place(&message.event), None, "inserted twice");
                    let at =
                        after.map_or(0, |after| place(&after).expect("it stands behind what is there") + 1);
                    self.0.insert(at, message);
                }
                Change::Update(message) => {
                    let at = place(&message.event).expect("only what is there is updated");
                    assert_ne!(self.0[at], message, "updated for nothing");
                    self.0[at] = message;
                }
                Change::Remove(event) => {
                    let at = place(&event).expect("only what is there is removed");
                    self.0.remove(at);
                }
            }
        }
    }
}

/// The question asked anew, by other means than the live one.
fn anew(device: &mut Device, log: LogId, query: &LiveQuery) -> Vec<MessageView> {
    let store = &mut device.store;
    let all = store.page(&log, PageStart::Newest, usize::MAX).unwrap();
    let place = |event: &EventRef| all.iter().position(|message| message.event == *event);
    match query {
        LiveQuery::Channel { from } => all[from.and_then(|from| place(&from)).unwrap_or(0)..].to_vec(),
        LiveQuery::Thread(root) => {
            let thread = store.thread(&log, root, usize::MAX).unwrap_or_default();
            let events: BTreeSet<EventRef> = thread.into_iter().map(|(_, message)| message.event).collect();
            all.into_iter().filter(|message| events.contains(&message.event)).collect()
        }
        LiveQuery::Unread { read, own } => {
            let from = read.and_then(|read| place(&read)).map_or(0, |at| at + 1);
            all[from..].iter().filter(|message| !own.contains(&message.event.author)).cloned().collect()
        }
        LiveQuery::Search(query) => {
            let hits = store.search(&log, query, usize::MAX >> 1, |_| true).unwrap();
            let events: BTreeSet<EventRef> = hits.into_iter().map(|hit| hit.message.event).collect();
            all.into_iter().filter(|message| events.contains(&message.event)).collect()
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Say {
        who: usize,
        word: usize,
    },
    Reply {
        who: usize,
        to: prop::sample::Index,
        word: usize,
    },
    Edit {
        who: usize,
        message: prop::sample::Index,
        word: usize,
    },
    React {
        who: usize,
        message: prop::sample::Index,
    },
    Pin {
        message: prop::sample::Index,
    },
    Pull {
        to: usize,
        from: usize,
    },
    /// The third is removed where the first stands: what it wrote beyond becomes void.
    Remove,
    Look,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (0..3usize, 0..5usize).prop_map(|(who, word)| Step::Say { who, word }),
        3 => (0..3usize, index(), 0..5usize).prop_map(|(who, to, word)| Step::Reply { who, to, word }),
        3 => (0..3usize, index(), 0..5usize).prop_map(|(who, message, word)| Step::Edit { who, message, word }),
        2 => (0..3usize, index()).prop_map(|(who, message)| Step::React { who, message }),
        1 => index().prop_map(|message| Step::Pin { message }),
        6 => (0..3usize, 0..3usize).prop_map(|(to, from)| Step::Pull { to, from }),
        1 => Just(Step::Remove),
        4 => Just(Step::Look),
    ]
}

struct Play {
    devices: Vec<Device>,
    log: LogId,
    live: Vec<(Live, LiveQuery, Reader)>,
    removed: bool,
}

impl Play {
    fn begin() -> Self {
        let mut devices: Vec<Device> = (1..4).map(Device::new).collect();
        let space = devices[0].found();
        let (others, ranks) = ([1, 2], [Rank::MODERATOR, Rank::MEMBER]);
        for (other, rank) in others.into_iter().zip(ranks) {
            let (low, high) = devices.split_at_mut(other);
            low[0].admit(space, &high[0], rank);
        }
        let log = devices[0].create_channel(space, "general");
        let first = devices[0].say(log, "deck");
        let second = devices[0].say(log, "anchor");
        for other in others {
            let (low, high) = devices.split_at_mut(other);
            high[0].learn_epoch(space);
            high[0].pull(&mut low[0]).unwrap();
        }
        let own = BTreeSet::from([devices[0].id()]);
        let queries = [
            LiveQuery::Channel { from: None },
            LiveQuery::Channel { from: Some(second) },
            LiveQuery::Thread(first),
            LiveQuery::Unread { read: Some(second), own },
            LiveQuery::Search(Query::parse("deck -bow")),
            LiveQuery::Search(Query::parse("\"anchor deck\"")),
            LiveQuery::Search(Query::parse("cap*")),
        ];
        let live = queries.map(|query| (Live::new(log, query.clone()), query, Reader::default())).into();
        Self { devices, log, live, removed: false }
    }

    fn look(&mut self) {
        for (live, query, reader) in &mut self.live {
            let changes = self.devices[0].store.changes(live, |_| true).unwrap();
            reader.apply(changes);
            assert_eq!(reader.0, anew(&mut self.devices[0], self.log, query), "{query:?}");
            assert_eq!(live.len(), reader.0.len());
            assert_eq!(self.devices[0].store.changes(live, |_| true).unwrap(), [], "told once");
        }
    }

    fn act(&mut self, step: Step) {
        let log = self.log;
        let pick = |devices: &[Device], who: usize, index: prop::sample::Index| {
            let all = devices[who].store.page(&log, PageStart::Newest, usize::MAX).unwrap();
            all[index.index(all.len())].event
        };
        match step {
            Step::Say { who, word } => _ = self.devices[who].post(log, &[text(WORDS[word])]),
            Step::Reply { who, to, word } => {
                let to = pick(&self.devices, who, to);
                let body = format!("anchor {}", WORDS[word]);
                let post = Post { style: Style::Message, body: &body, reply_to: Some(to), imported: None };
                _ = self.devices[who].post(log, &[ChannelOp::Post(post)]);
            }
            Step::Edit { who, message, word } => {
                let target = pick(&self.devices, who, message);
                let body = format!("{} deck", WORDS[word]);
                _ = self.devices[who].post(log, &[ChannelOp::Edit { target, body: &body }]);
            }
            Step::React { who, message } => {
                let target = pick(&self.devices, who, message);
                _ = self.devices[who].post(log, &[ChannelOp::React { target, emoji: "+" }]);
            }
            Step::Pin { message } => {
                let target = pick(&self.devices, 1, message);
                _ = self.devices[1].post(log, &[ChannelOp::Pin { target }]);
            }
            Step::Pull { to, from } if to != from => {
                let (low, high) = self.devices.split_at_mut(to.max(from));
                let pair =
                    if to < from { (&mut low[to], &mut high[0]) } else { (&mut high[0], &mut low[from]) };
                pair.0.pull(pair.1).unwrap();
            }
            Step::Remove if !self.removed => {
                self.removed = true;
                let (user, device) = (self.devices[2].user_id(), self.devices[2].id());
                let pins = self.devices[0].pins(log.space, device);
                let remove = crate::model::ControlOp::Remove { user, pins };
                self.devices[0].control(log.space, vec![remove]).unwrap();
            }
            Step::Look => self.look(),
            Step::Pull { .. } | Step::Remove => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn changes_lead_to_the_answer_asked_anew(steps in prop::collection::vec(step(), 1..60)) {
        let mut play = Play::begin();
        play.look();
        steps.into_iter().for_each(|step| play.act(step));
        // What the others still have comes late.
        play.act(Step::Pull { to: 0, from: 1 });
        play.act(Step::Pull { to: 0, from: 2 });
        play.look();
    }
}

/// More changes than are remembered between two looks.
#[test]
fn whoever_looks_rarely_misses_nothing() {
    let mut play = Play::begin();
    play.look();
    let log = play.log;
    for n in 0..5 {
        let bodies: Vec<String> = (0..1_000).map(|at| format!("capstan {n} {at}")).collect();
        let ops: Vec<ChannelOp<'_>> = bodies.iter().map(|body| text(body)).collect();
        play.devices[1].post(log, &ops).unwrap();
    }
    let (low, high) = play.devices.split_at_mut(1);
    low[0].pull(&mut high[0]).unwrap();
    play.look();
}
