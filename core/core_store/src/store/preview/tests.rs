//! Pages ahead of the past, against a replica that has everything; and every lie that a sender of pages can tell.
use super::*;
use crate::model::{ChannelOp, ControlOp, Post, Rank, Style};
use crate::query::{MessageView, PageStart};
use crate::store::storage::CrashStorage;
use crate::sync::newest::span;
use crate::testing::{Device, Dice, key_of, seeds, text};
use std::ops::Range;

const SEEDS: Range<u64> = 0..120;
const END: u64 = NewestPage::end_of_time();

mod questions;

/// Ann's club with Bob and Cid, who write, and a device of Dan's that has the control log only.
struct Club {
    writers: Vec<Device>,
    dan: Device,
    log: LogId,
    storage: CrashStorage,
}

fn club() -> Club {
    let storage = CrashStorage::new(9);
    let mut ann = Device::new(1);
    let (mut bob, mut cid) = (Device::new(2), Device::new(3));
    let mut dan = Device::over(9, Box::new(storage.clone())).unwrap();
    let space = ann.found();
    ann.admit(space, &bob, Rank::MODERATOR);
    ann.admit(space, &cid, Rank::MEMBER);
    ann.admit(space, &dan, Rank::MEMBER);
    let log = ann.create_channel(space, "general");
    for other in [&mut bob, &mut cid] {
        other.learn_epoch(space);
        other.pull(&mut ann).unwrap();
    }
    dan.learn_epoch(space);
    dan.pull_control(&mut ann, space);
    Club { writers: vec![ann, bob, cid], dan, log, storage }
}

impl Club {
    fn ann(&mut self) -> &mut Device {
        &mut self.writers[0]
    }

    /// Somebody does something, and tells somebody now and then.
    fn act(&mut self, dice: &mut Dice, count: u64) {
        let log = self.log;
        for n in 0..count {
            let who = dice.below(3) as usize;
            let device = &mut self.writers[who];
            let known = device.store.page(&log, PageStart::Newest, 40).unwrap();
            let own: Vec<_> = known.iter().filter(|m| m.event.author == device.id() && !m.deleted).collect();
            let target = dice.pick(&known).map(|m| m.event);
            let body = format!("{n} of {who}");
            let op = match (dice.below(12), target) {
                (0, Some(target)) => ChannelOp::React { target, emoji: "+1" },
                (1, Some(target)) if who < 2 => ChannelOp::Pin { target },
                (2, Some(target)) => ChannelOp::Read { target },
                (3, Some(target)) => ChannelOp::Post(Post {
                    style: Style::Message,
                    body: &body,
                    reply_to: Some(target),
                    imported: None,
                }),
                (4, Some(target)) if who < 2 => ChannelOp::Delete { target, moderates: true },
                (5, Some(target)) => {
                    let seen = device.store.reaction_dots(&log, &target, "+1", &device.id());
                    ChannelOp::Unreact { target, emoji: "+1", seen }
                }
                (6 | 7, _) if !own.is_empty() => {
                    ChannelOp::Edit { target: dice.pick(&own).unwrap().event, body: &body }
                }
                _ => text(&body),
            };
            device.post(log, &[op]).unwrap();
            if dice.below(3) == 0 {
                let (from, to) = (dice.below(3) as usize, dice.below(3) as usize);
                self.tell(from, to);
            }
        }
        for (from, to) in [(1, 0), (2, 0), (0, 1), (0, 2)] {
            self.tell(from, to);
        }
    }

    fn tell(&mut self, from: usize, to: usize) {
        if from != to {
            let [from, to] = self.writers.get_disjoint_mut([from, to]).unwrap();
            to.pull(from).unwrap();
        }
    }

    /// Dan asks one of the writers, and takes what comes over the wire.
    fn ask(&mut self, who: usize, want: &Want) -> Result<Taken, Error> {
        let page = self.writers[who].store.newest(&self.log, want)?.expect("there is a page");
        self.dan.store.take_newest(want, NewestPage::decode(&page.encode())?, false)
    }

    fn first(&mut self, messages: u16) {
        let taken = self.ask(0, &Want::First { messages }).unwrap();
        assert!(matches!(taken, Taken::Read(_)), "{taken:?}");
    }

    fn ahead(&self) -> Vec<MessageView> {
        self.dan.store.preview_page(&self.log, PageStart::Newest, usize::MAX).unwrap()
    }

    /// What is ahead is the end of the whole, to the last mark.
    #[track_caller]
    fn same(&mut self) {
        let (log, ahead) = (self.log, self.ahead());
        let whole = self.ann().store.page(&log, PageStart::Newest, usize::MAX).unwrap();
        let end = &whole[whole.len() - ahead.len()..];
        for (mine, theirs) in ahead.iter().zip(end) {
            let mut theirs = theirs.clone();
            if theirs.reply_to.is_none() {
                theirs.reply_to = mine.reply_to.filter(|older| !ahead.iter().any(|m| m.event == *older));
            }
            assert_eq!(*mine, theirs);
        }
        if self.dan.store.is_preview_whole(&log) {
            assert_eq!(ahead.len(), whole.len());
        }
        self.answer_alike();
    }

    fn reopen(&mut self) {
        let dan = std::mem::replace(&mut self.dan, Device::new(200));
        drop(dan);
        self.storage = self.storage.crash();
        self.dan = Device::over(9, Box::new(self.storage.clone())).unwrap();
    }
}

/// Random talk with forked times, edits, deletions and read marks; pages in random order from random members; a power cut
/// somewhere; then the whole, which comes to the same state.
#[test]
fn pages_read_as_the_end_of_the_whole() {
    let (mut olders, mut newers) = (0, 0);
    for seed in seeds("TERACHAT_PREVIEW_SEEDS", SEEDS) {
        let (mut club, mut dice) = (club(), Dice(seed << 32));
        let long = 20 + dice.below(120);
        club.act(&mut dice, long);
        let count = 1 + dice.below(20) as u16;
        club.first(count);
        club.same();
        assert!(club.ahead().len() >= usize::from(count).min(club.writers[0].store.message_count(&club.log)));
        for _ in 0..dice.below(8) {
            let log = club.log;
            match dice.below(4) {
                0 => {
                    club.reopen();
                    assert!(club.dan.store.has_preview(&log), "it was durable");
                    let more = club.dan.store.want_newest(&log, 10);
                    assert!(matches!(club.ask(0, &more).unwrap(), Taken::Read(_)));
                }
                1 => {
                    let busy = 1 + dice.below(20);
                    club.act(&mut dice, busy);
                    let more = club.dan.store.want_newest(&log, 10);
                    assert!(matches!(more, Want::Newer { .. }));
                    let who = dice.below(3) as usize;
                    assert!(matches!(club.ask(who, &more).unwrap(), Taken::Read(_)));
                    newers += 1;
                }
                _ => {
                    let Some(older) = club.dan.store.want_older(&log, 1 + dice.below(30) as u16) else {
                        continue;
                    };
                    let who = dice.below(3) as usize;
                    assert!(matches!(club.ask(who, &older).unwrap(), Taken::Read(_)));
                    olders += 1;
                }
            }
            club.same();
        }
        // The log is as if nothing had come, and so what comes is judged as always.
        let log = club.log;
        assert_eq!((club.dan.store.len(&log), club.dan.store.message_count(&log)), (0, 0));
        let Club { writers, dan, .. } = &mut club;
        dan.pull(&mut writers[0]).unwrap();
        dan.store.settle_preview(&log).unwrap();
        assert!(!dan.store.has_preview(&log));
        assert_eq!(dan.store.space_hash(&log.space), writers[0].store.space_hash(&log.space));
        assert_eq!(dan.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
        assert!(dan.store.records(PREFIX).next().is_none());
    }
    assert!(olders > 30 && newers > 30, "{olders} {newers}");
}

/// A chain of talk in which everybody hears everybody.
fn talked(count: usize) -> Club {
    let mut club = club();
    let log = club.log;
    for n in 0..count {
        let who = n % 3;
        club.writers[who].say(log, &format!("message {n}"));
        for other in [(who + 1) % 3, (who + 2) % 3] {
            club.tell(who, other);
        }
    }
    club
}

/// The newest page as Ann would send it.
fn page(club: &mut Club, messages: u16) -> NewestPage {
    let log = club.log;
    club.ann().store.newest(&log, &Want::First { messages }).unwrap().unwrap()
}

fn refused(club: &mut Club, page: &NewestPage) -> Error {
    let log = club.log;
    // What came over the wire is what was sent.
    let page = NewestPage::decode(&page.encode()).unwrap();
    let error = club.dan.store.take_newest(&Want::First { messages: 9 }, page, false).unwrap_err();
    assert!(!club.dan.store.has_preview(&log) && club.dan.store.records(PREFIX).next().is_none());
    error
}

/// The bundle with other payloads, as a member could seal it.
fn resealed(
    club: &mut Club,
    bundle: &Bundle,
    change: impl Fn(&mut crate::sync::Batch, &mut Vec<u8>),
) -> Bundle {
    let log = club.log;
    let ann = club.ann();
    let key = ann.store.epoch_key(&log, Some(&key_of(log.space))).unwrap();
    let mut batch = bundle.batch.clone();
    let mut bytes = bundle.open_chunks(Some(&key)).unwrap().concat();
    change(&mut batch, &mut bytes);
    Bundle::pack(batch, &[bytes], Some(&key), ann.store.entropy())
}

#[test]
fn words_times_and_places_of_others_cannot_be_changed() {
    let lies: [fn(&mut crate::sync::Batch, &mut Vec<u8>); 5] = [
        |_, bytes| *bytes.last_mut().unwrap() ^= 1,
        |batch, _| batch.events[4].wall_ms += 1,
        |batch, _| batch.authors[0].signature[3] ^= 1,
        |batch, _| batch.authors[0].signature = [0; 64],
        |batch, _| batch.events.swap(1, 2),
    ];
    for (at, lie) in lies.into_iter().enumerate() {
        let mut club = talked(30);
        let mut page = page(&mut club, 9);
        page.bundles[0] = resealed(&mut club, &page.bundles[0], lie);
        let error = refused(&mut club, &page);
        let right = match at {
            4 => matches!(error, Error::Lamport(_) | Error::Malformed(_) | Error::Event(_)),
            _ => matches!(error, Error::Event(terachat_event::Error::Signature(_))),
        };
        assert!(right, "{at}: {error}");
    }
    // Honest words under another author's name.
    let mut club = talked(30);
    let mut page = page(&mut club, 9);
    let names = [club.writers[0].id(), club.writers[1].id()];
    page.bundles[0] = resealed(&mut club, &page.bundles[0], |batch, _| {
        for author in &mut batch.authors {
            author.device = match author.device {
                device if device == names[0] => names[1],
                device if device == names[1] => names[0],
                device => device,
            };
        }
    });
    page.outside.clear();
    assert!(matches!(refused(&mut club, &page), Error::Malformed(_) | Error::Event(_)));
}

/// Lists that no event cites compress to nothing and would take memory for ever.
#[test]
fn a_page_names_nothing_that_its_events_do_not() {
    let mut club = talked(30);
    let mut lie = page(&mut club, 9);
    let many = |batch: &mut crate::sync::Batch, _: &mut Vec<u8>| {
        batch.controls.extend(vec![vec![EventHash([1; 32])]; 20])
    };
    lie.bundles[0] = resealed(&mut club, &lie.bundles[0], many);
    assert!(matches!(NewestPage::decode(&lie.encode()), Err(Error::Malformed(_))));
    let mut lie = page(&mut club, 9);
    let author = lie.bundles[0].batch.authors[0];
    let more = |batch: &mut crate::sync::Batch, _: &mut Vec<u8>| {
        batch.authors.extend((0..200).flat_map(|n| {
            vec![crate::sync::BatchAuthor { device: DeviceId([n; 32]), count: 0, ..author }; 3]
        }));
    };
    lie.bundles[0] = resealed(&mut club, &lie.bundles[0], more);
    assert!(matches!(NewestPage::decode(&lie.encode()), Err(Error::Malformed(_))));
    assert!(NewestPage::decode(&vec![1; (1 << 20) + 1]).is_err());
}

#[test]
fn what_it_builds_on_cannot_be_made_up() {
    let mut club = talked(30);
    let mut lie = page(&mut club, 9);
    lie.outside[0].hash.0[7] ^= 1;
    assert!(matches!(refused(&mut club, &lie), Error::Event(terachat_event::Error::Signature(_))));
    lie.outside.remove(0);
    assert!(matches!(refused(&mut club, &lie), Error::Malformed(_)));
}

/// Bob's words are left out of the middle and said to be older than the page: the times of what builds on them tell.
#[test]
fn what_others_build_on_cannot_be_left_out() {
    let mut club = talked(30);
    let (log, bob) = (club.log, club.writers[1].id());
    let ann = club.ann();
    let mut honest = span(ann.store.channel(&log).unwrap(), &Want::First { messages: 9 }).unwrap();
    let index = ann.store.index(&log).unwrap();
    honest.positions.retain(|at| index.event_ref(*at).author != bob);
    let left_out: Vec<_> = (0..index.len()).filter(|at| index.event_ref(*at).author == bob).collect();
    let mut outside: Vec<_> = left_out
        .iter()
        .map(|at| crate::sync::ChainHead {
            device: bob,
            seq: index.event_ref(*at).seq,
            hash: index.hash(*at).unwrap(),
        })
        .collect();
    let mut lie = ann.store.page_of(&log, &honest).unwrap().unwrap();
    outside.extend(&lie.outside);
    outside.sort_by_key(|head| (head.device, head.seq));
    outside.dedup();
    lie.outside = outside;
    assert!(matches!(refused(&mut club, &lie), Error::Lamport(_)));
}

#[test]
fn a_page_holds_its_own_times_and_answers_what_was_asked() {
    let mut club = talked(30);
    let log = club.log;
    let honest = page(&mut club, 9);
    let from = honest.from;
    for (shift, below) in [(1, END), (0, from + 3)] {
        let lie = NewestPage { from: from + shift, below, ..page(&mut club, 9) };
        let error = refused(&mut club, &lie);
        assert!(matches!(error, Error::Lamport(_) | Error::Malformed(_)), "{error}");
    }
    // It says that nothing is older.
    let lie = NewestPage { from: 1, ..page(&mut club, 9) };
    assert!(matches!(refused(&mut club, &lie), Error::Lamport(_)));
    club.first(9);
    // A hole between an older page and these.
    let ann = club.ann();
    let mut older =
        span(ann.store.channel(&log).unwrap(), &Want::Older { messages: 9, below: from }).unwrap();
    older.positions.pop();
    let lie = ann.store.page_of(&log, &older).unwrap().unwrap();
    let want = Want::Older { messages: 9, below: from };
    let before = club.ahead();
    assert!(club.dan.store.take_newest(&want, lie, false).is_err());
    assert_eq!(club.ahead(), before, "what was good stays");
    // What nobody asked for, or asked for long ago.
    let stale =
        club.ann().store.newest(&log, &Want::Older { messages: 3, below: from - 1 }).unwrap().unwrap();
    assert!(club.dan.store.take_newest(&want, NewestPage::decode(&stale.encode()).unwrap(), false).is_err());
    let stale_want = Want::Older { messages: 3, below: from - 1 };
    assert_eq!(club.dan.store.take_newest(&stale_want, stale, false).unwrap(), Taken::Stale);
    club.same();
}

#[test]
fn strangers_guests_and_the_removed_say_nothing() {
    let mut club = talked(30);
    let log = club.log;
    // A stranger who has the key: whoever does not know of an admission waits.
    let mut eve = Device::new(7);
    eve.learn_epoch(log.space);
    club.ann().admit(log.space, &eve, Rank::MEMBER);
    eve.pull(club.ann()).unwrap();
    eve.say(log, "let me in");
    club.ann().pull(&mut eve).unwrap();
    let theirs = page(&mut club, 9);
    let want = Want::First { messages: 9 };
    assert!(matches!(club.dan.store.take_newest(&want, theirs, false).unwrap(), Taken::Waits(_)));
    assert!(!club.dan.store.has_preview(&log));
    let Club { writers, dan, .. } = &mut club;
    dan.pull_control(&mut writers[0], log.space);
    club.first(9);
    assert_eq!(club.ahead().last().unwrap().body, "let me in");
    // Removed with a pin before it, while it was shown: it is not any more, and comes back with no page.
    let pins = club.ann().pins(log.space, eve.id());
    let pins = pins.into_iter().filter(|pin| pin.channel.is_none()).collect();
    club.ann().control(log.space, vec![ControlOp::Remove { user: eve.user_id(), pins }]).unwrap();
    let Club { writers, dan, .. } = &mut club;
    dan.pull_control(&mut writers[0], log.space);
    dan.store.rejudge_previews(&log.space);
    assert!(club.ahead().iter().all(|message| message.body != "let me in"));
    club.same();
    club.reopen();
    assert!(club.ahead().iter().all(|message| message.body != "let me in"));
    club.first(9);
    club.same();
}

#[test]
fn another_branch_is_refused_and_a_proven_one_counts_for_nothing() {
    let mut club = talked(9);
    let log = club.log;
    let mut twin = Device::new(3);
    twin.learn_epoch(log.space);
    twin.pull(club.ann()).unwrap();
    // Dan has the whole, up to one branch; the page shows the other.
    twin.say(log, "pay Bob");
    club.dan.pull(&mut twin).unwrap();
    club.writers[2].say(log, "pay Ann");
    club.tell(2, 0);
    let theirs = page(&mut club, 9);
    let want = Want::First { messages: 9 };
    assert!(matches!(club.dan.store.take_newest(&want, theirs, false), Err(Error::Replay(_))));
    assert!(!club.dan.store.has_preview(&log));
    // Who knows of the fork makes no page of it, and of a page that is here it does not count.
    let theirs = page(&mut club, 9);
    let mut fay = Device::new(9);
    fay.learn_epoch(log.space);
    fay.pull_control(club.ann(), log.space);
    assert!(matches!(fay.store.take_newest(&want, theirs, false).unwrap(), Taken::Read(_)));
    let shown = |fay: &Device| {
        fay.store.preview_page(&log, PageStart::Newest, 99).unwrap().last().unwrap().body.clone()
    };
    assert_eq!(shown(&fay), "pay Ann");
    let _ = club.ann().pull(&mut twin);
    let proof = club.ann().store.proofs(&log.space).remove(0);
    assert!(club.ann().store.newest(&log, &want).unwrap().is_none());
    // The device has nothing of the log: it knows of the fork once that has come so far.
    fay.pull(&mut club.writers[1]).unwrap();
    fay.store.apply_proof(&proof).unwrap();
    fay.store.rejudge_previews(&log.space);
    assert!(!fay.store.has_preview(&log) || shown(&fay) != "pay Ann");
}

#[test]
fn pages_end_somewhere() {
    // A log of short messages: Dan scrolls up until there is too much.
    let mut club = club();
    let log = club.log;
    for _ in 0..30 {
        let many: Vec<String> = (0..100).map(|n| format!("m{n}")).collect();
        let ops: Vec<_> = many.iter().map(|body| text(body)).collect();
        club.ann().post(log, &ops).unwrap();
    }
    club.first(u16::MAX);
    assert!(club.ahead().len() <= 1024);
    for _ in 0..20 {
        let Some(older) = club.dan.store.want_older(&log, 900) else { break };
        let before = club.ahead().len();
        if club.ask(0, &older).unwrap() == Taken::Full {
            assert_eq!(club.ahead().len(), before, "nothing changed");
            break;
        }
    }
    assert!((1000..=EVENTS_MAX).contains(&club.ahead().len()), "{}", club.ahead().len());
    // What comes behind them: the newest are asked for anew.
    let mut result = Taken::Stale;
    for n in 0..3 {
        let many: Vec<String> = (0..300).map(|m| format!("n{n} {m}")).collect();
        let ops: Vec<_> = many.iter().map(|body| text(body)).collect();
        ops.chunks(100).for_each(|ops| drop(club.ann().post(log, ops).unwrap()));
        let newer = club.dan.store.want_newest(&log, 50);
        if club.writers[0].store.newest(&log, &newer).unwrap().is_none() {
            result = Taken::Full;
            club.dan.store.drop_preview(&log).unwrap();
        } else {
            result = club.ask(0, &newer).unwrap();
        }
        if result == Taken::Full {
            break;
        }
    }
    assert_eq!(result, Taken::Full);
    assert!(!club.dan.store.has_preview(&log));
    assert!(matches!(club.dan.store.want_newest(&log, 50), Want::First { .. }));
}

/// A device that was set back, or came back without its log, sees its own words ahead: it signs none of their numbers again.
#[test]
fn no_number_is_signed_that_is_taken_ahead() {
    let mut club = talked(9);
    let log = club.log;
    let Club { writers, dan, .. } = &mut club;
    dan.pull(&mut writers[0]).unwrap();
    let old = crate::testing::copy(&club.storage);
    club.dan.say(log, "once");
    let Club { writers, dan, .. } = &mut club;
    writers[0].pull(dan).unwrap();
    club.storage = crate::testing::disk(&old, 4);
    club.dan = Device::over(9, Box::new(club.storage.clone())).unwrap();
    club.first(3);
    assert!(matches!(club.dan.post(log, &[text("twice")]), Err(Error::Forbidden(_))));
    // Nor when the pages have gone, also after a restart.
    let me = club.dan.id();
    club.dan.store.belongs_to(me);
    club.dan.store.drop_preview(&log).unwrap();
    assert!(matches!(club.dan.post(log, &[text("twice")]), Err(Error::Forbidden(_))));
    assert!(club.dan.store.lacks_dropped(&log));
    club.reopen();
    assert!(matches!(club.dan.post(log, &[text("twice")]), Err(Error::Forbidden(_))));
    let Club { writers, dan, .. } = &mut club;
    dan.pull(&mut writers[0]).unwrap();
    dan.say(log, "on");
    writers[0].pull(dan).unwrap();
    assert_eq!(writers[0].store.proofs(&log.space).len(), 0);
}

#[test]
fn a_channel_since_joining_and_a_control_log_have_no_pages() {
    let mut club = talked(3);
    let (log, want) = (club.log, Want::First { messages: 9 });
    assert!(club.ann().store.newest(&LogId::control(log.space), &want).unwrap().is_none());
    club.ann()
        .control(log.space, vec![ControlOp::CreateSinceJoin { name: "here".into(), forum: false }])
        .unwrap();
    let other =
        *club.ann().store.logs().iter().find(|other| other.channel.is_some() && **other != log).unwrap();
    assert!(club.ann().store.newest(&other, &want).unwrap().is_none());
    let Club { writers, dan, .. } = &mut club;
    dan.pull_control(&mut writers[0], log.space);
    let lie = NewestPage { log: other, from: 1, below: END, outside: vec![], bundles: vec![], wire_len: 0 };
    assert!(matches!(club.dan.store.take_newest(&want, lie, false), Err(Error::Payload(_))));
}

/// CPU time of this thread in milliseconds, where the system tells.
fn cpu_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) / 1e6
}

/// Bytes and CPU time until the newest 50 messages can be read, ahead of the past and behind it. With
/// `TERACHAT_PREVIEW_EVENTS=100000 cargo test preview -- --nocapture` it tells ADR 0020's figures.
#[test]
fn the_newest_of_a_long_channel_take_what_they_are() {
    let count = std::env::var("TERACHAT_PREVIEW_EVENTS").ok().and_then(|count| count.parse().ok());
    let count: usize = count.unwrap_or(5_000);
    let mut club = club();
    let log = club.log;
    let authors: Vec<Device> = (20..30).map(Device::new).collect();
    for author in &authors {
        club.ann().admit(log.space, author, Rank::MEMBER);
    }
    let ann = &mut club.writers[0];
    for at in (0..count).step_by(5) {
        let bodies: Vec<String> =
            (at..at + 5).map(|n| format!("message {n} of a long talk about {}", n % 89)).collect();
        let ops: Vec<ChannelOp<'_>> = bodies.iter().map(|body| text(body)).collect();
        let key = &authors[at / 5 % 10].key;
        ann.store.post(key, log, key_of(log.space), at as u64, &ops).unwrap();
    }
    ann.store.snapshot().unwrap();
    club.dan.pull_control(&mut club.writers[0], log.space);
    let want = Want::First { messages: 50 };
    let spent = |since: f64| cpu_ms() - since;
    let (mut sent, mut page) = (Vec::new(), Vec::new());
    let (mut serve, mut take) = (0.0, 0.0);
    // Often, for the system counts in steps.
    for _ in 0..100 {
        let start = cpu_ms();
        sent = club.writers[0].store.newest(&log, &want).unwrap().unwrap().encode();
        serve += spent(start) / 100.0;
        let start = cpu_ms();
        club.dan.store.take_newest(&want, NewestPage::decode(&sent).unwrap(), false).unwrap();
        page = club.dan.store.preview_page(&log, PageStart::Newest, 50).unwrap();
        take += spent(start) / 100.0;
    }
    assert_eq!(page.len(), 50);
    let start = cpu_ms();
    let bundles = club.writers[0].bundles_for(&club.dan, log);
    let (serve_whole, start) = (spent(start), cpu_ms());
    bundles.iter().for_each(|bundle| drop(club.dan.take(bundle).unwrap()));
    let whole = club.dan.store.page(&log, PageStart::Newest, 50).unwrap();
    let take_whole = spent(start);
    assert_eq!(page, whole);
    let bytes: usize = bundles.iter().map(Vec::len).sum();
    println!(
        "{count} messages: newest 50: {} bytes, {serve:.2} ms to make, {take:.2} ms to take",
        sent.len()
    );
    println!("{count} messages: all: {bytes} bytes, {serve_whole:.1} ms to make, {take_whole:.1} ms to take");
    assert!(sent.len() < 50 * 200 + 10 * 200, "{} bytes", sent.len());
}
