//! A kept channel whose newest is here waits for its past, and nobody makes it wait for longer than it does.
use super::newest::{keep, mark, newest, read, texts, words};
use super::*;
use crate::api::Selection;
use crate::past_wait::PAST_WAIT_MS;
use crate::protocol::Frame;
use terachat_core_store::sync::{Bundle, Frontier, Limits};
use terachat_event::DeviceId;

fn say(body: &str) -> Request {
    Request::Send { place: place(), body: body.into(), reply_to: None }
}

fn is_past(frame: &[u8]) -> bool {
    let Ok(Frame::Bundle { bytes, .. }) = Frame::decode(frame) else { return false };
    Bundle::decode(&bytes, Limits::PEER).unwrap().batch.log.channel.is_some()
}

impl World {
    /// Delivers frames until nobody has anything to say. Nothing of a channel's log reaches Eve; pages do.
    fn settle_without_past(&mut self) {
        let names: Vec<&'static str> = self.devices.keys().copied().collect();
        let by_id: BTreeMap<[u8; 32], &'static str> =
            names.iter().map(|name| (self.id(name), *name)).collect();
        let mut quiet = false;
        while !std::mem::replace(&mut quiet, true) {
            for name in &names {
                while let Some((to, frame)) = self.of(name).poll_frame() {
                    quiet = false;
                    let (to, from, now) = (by_id[&to], self.id(name), self.now);
                    if self.links.contains(&(*name, to)) && !(to == "eve" && is_past(&frame)) {
                        self.of(to).receive(from, frame, now).unwrap();
                    }
                }
            }
        }
    }

    /// A peer that gives pages and no past connects to Eve.
    fn meet_withholding(&mut self, peer: &'static str) {
        let (eve, other) = (self.id("eve"), self.id(peer));
        self.links.extend([(peer, "eve"), ("eve", peer)]);
        self.of(peer).connected(eve);
        self.of("eve").connected(other);
        self.settle_without_past();
    }

    /// What Eve asks for at a time, with all that follows from it but the past.
    fn at(&mut self, now: u64, request: Request) -> Result<Answer, Error> {
        self.now = now;
        let answer = self.of("eve").execute(request, now);
        self.settle_without_past();
        answer
    }

    #[track_caller]
    fn waits(&mut self, now: u64, seconds: u64) {
        let refused = self.at(now, say("too early"));
        let Err(Error::PastComing { left_s, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(left_s, seconds);
    }

    #[track_caller]
    fn reads(&mut self, now: u64) -> Vec<String> {
        match self.at(now, read(None, 1000)) {
            Ok(Answer::Messages { messages }) => texts(&messages),
            other => panic!("{other:?}"),
        }
    }

    fn eves_log(&mut self) -> LogId {
        self.of("eve").place(&place()).unwrap()
    }

    fn is_ahead(&mut self) -> bool {
        let log = self.eves_log();
        self.of("eve").store.has_preview(&log)
    }

    /// Whoever withheld the past does so no more: all come to the same.
    #[track_caller]
    fn make_good(&mut self, said: &[&str]) {
        for peer in ["ada", "bob"] {
            self.cut(peer, "eve");
        }
        self.now += 1_000_000;
        self.connect("ada", "eve");
        let mut bodies = self.bodies("eve");
        for body in said {
            bodies.remove(bodies.iter().position(|other| other == body).unwrap());
        }
        assert_eq!(bodies, words(0..240));
        self.same(&["ada", "bob", "eve"]);
        self.sound("eve");
    }
}

/// Ada and Bob talked while Eve, who keeps everything, was away; one of them gives her the newest, and withholds the past. And when.
fn withheld() -> (World, u64) {
    let mut world = club(&["ada", "bob", "eve"]);
    world.cut("ada", "eve");
    for n in 0..240 {
        world.say(["ada", "bob"][n % 2], &format!("word {n}"));
    }
    world.meet_withholding("ada");
    let (began, log) = (world.now, world.eves_log());
    assert!(world.is_ahead() && world.of("eve").store.len(&log) == 0);
    (world, began)
}

#[test]
fn who_withholds_the_past_shuts_nobody_out_for_longer_than_is_waited() {
    let (mut world, began) = withheld();
    world.waits(began, 30);
    world.waits(began + 1_001, 29);
    assert_eq!(world.reads(began + PAST_WAIT_MS - 1), words(190..240));
    world.waits(began + PAST_WAIT_MS - 1, 1);
    world.at(began + PAST_WAIT_MS, say("at last")).unwrap();
    assert_eq!(world.reads(began + PAST_WAIT_MS), ["at last"]);
    // No page is taken any more, also in another conversation.
    world.cut("ada", "eve");
    world.meet_withholding("ada");
    assert!(!world.is_ahead());
    world.at(began + 2 * PAST_WAIT_MS, say("again")).unwrap();
    world.make_good(&["at last", "again"]);
}

#[test]
fn nobody_is_asked_for_a_page_and_none_is_taken_after_the_wait() {
    let (mut world, began) = withheld();
    // Bob is there too; a page that he is asked for is on its way when the wait ends.
    let (bob, log) = (DeviceId(world.id("bob")), world.eves_log());
    world.meet_withholding("bob");
    let want = terachat_core_store::sync::Want::First { messages: 50 };
    assert!(world.of("eve").want_page(bob, log, want));
    world.now = began + PAST_WAIT_MS;
    world.settle_without_past();
    assert!(!world.is_ahead());
    for peer in ["ada", "bob"] {
        world.cut(peer, "eve");
        world.meet_withholding(peer);
        let peer = DeviceId(world.id(peer));
        assert!(!world.of("eve").peers[&peer].newest.began.contains(&log));
    }
    world.make_good(&[]);
}

#[test]
fn who_lets_the_past_trickle_gains_nothing() {
    let (mut world, began) = withheld();
    let (ada, log) = (world.id("ada"), world.eves_log());
    for second in 1..=150 {
        world.now = began + second * 1_000;
        let one = Limits { events: 1, payload_len: 1 << 20 };
        let here = world.of("eve").store.frontier(&log).unwrap_or(Frontier { log, chains: Vec::new() });
        for bundle in world.of("ada").store.bundles_since(&here, one).unwrap() {
            let frame = Frame::Bundle { more: false, bytes: bundle.encode() }.encode();
            let now = world.now;
            world.of("eve").receive(ada, frame, now).unwrap();
        }
        world.settle_without_past();
        let here = world.of("eve").store.len(&log) as u64;
        assert!(here >= second, "{here} events after {second} s");
        match second {
            1..30 => world.waits(began + second * 1_000, 30 - second),
            30 => {
                world.at(began + 30_000, say("at last")).unwrap();
                let read = world.reads(began + 30_000);
                assert_eq!(
                    (read.first().unwrap().as_str(), read.last().unwrap().as_str()),
                    ("word 0", "at last")
                );
            }
            _ => assert!(!world.is_ahead()),
        }
    }
    world.at(began + 200_000, say("again")).unwrap();
    world.make_good(&["at last", "again"]);
}

#[test]
fn a_clock_that_was_set_back_ends_the_wait() {
    for (later, then) in [(0, -1), (10_000, 9_999), (20_000, 0), (20_000, -1_000_000)] {
        let (mut world, began) = withheld();
        world.waits(began + later, 30 - later / 1000);
        world.at(began.checked_add_signed(then).unwrap(), say("at last")).unwrap();
        assert!(!world.is_ahead());
        // It is over for good, whatever the clock says.
        world.cut("ada", "eve");
        world.now = began + 1_000;
        world.meet_withholding("ada");
        assert!(!world.is_ahead());
        world.make_good(&["at last"]);
    }
}

#[test]
fn several_who_take_turns_gain_nothing() {
    let (mut world, began) = withheld();
    for (second, gone, next) in [(8, "ada", "bob"), (16, "bob", "ada"), (24, "ada", "bob")] {
        world.now = began + second * 1_000;
        world.cut(gone, "eve");
        assert!(!world.is_ahead(), "alone with it");
        world.meet_withholding(next);
        assert!(world.is_ahead());
        world.waits(began + second * 1_000, 30 - second);
    }
    world.meet_withholding("ada");
    world.at(began + PAST_WAIT_MS, say("at last")).unwrap();
    world.cut("bob", "eve");
    world.meet_withholding("bob");
    assert!(!world.is_ahead());
    world.make_good(&["at last"]);
}

#[test]
fn a_past_that_comes_in_time_is_waited_for() {
    let (mut world, began) = withheld();
    world.waits(began + 5_000, 25);
    world.cut("ada", "eve");
    world.now = began + 6_000;
    world.connect("ada", "eve");
    assert!(!world.is_ahead());
    world.say("eve", "behind all");
    assert_eq!(world.bodies("bob").last().unwrap(), "behind all");
    world.make_good(&["behind all"]);
}

/// A watch is all that goes on while nobody says or asks anything.
#[test]
fn the_watch_ends_the_wait_too() {
    let (mut world, began) = withheld();
    world.of("eve").watch(began + PAST_WAIT_MS - 1).unwrap();
    assert!(world.is_ahead());
    world.of("eve").watch(began + PAST_WAIT_MS).unwrap();
    assert!(!world.is_ahead());
}

#[test]
fn what_is_named_ahead_of_its_past_is_told_apart_from_what_is_not_there() {
    let (mut world, began) = withheld();
    let Ok(Answer::Messages { messages }) = world.at(began, read(None, 50)) else { panic!() };
    let react = |message: &str| Request::React {
        place: place(),
        message: message.into(),
        emoji: "+".into(),
        remove: false,
    };
    let refused = world.at(began, react(&messages[3].id)).unwrap_err();
    assert!(matches!(refused, Error::NotReached { .. }), "{refused}");
    assert!(refused.to_string().contains(&messages[3].id) && refused.to_string().contains("terachat sync"));
    assert!(matches!(world.at(began, react("beef")), Err(Error::Unknown { .. })));
    let marked = world.at(began, mark(None));
    assert!(matches!(marked, Err(Error::PastComing { left_s: 30, .. })), "{marked:?}");
    // When the wait is over it is not here at all.
    let gone = world.at(began + PAST_WAIT_MS, react(&messages[3].id));
    assert!(matches!(gone, Err(Error::Unknown { .. })), "{gone:?}");
}

/// Eve read the newest of a channel, on disk, and then keeps it whole.
fn kept_after_newest(is_alone: bool) -> (World, u64) {
    let (mut world, began) = withheld();
    world.at(began, newest()).unwrap();
    world.cut("ada", "eve");
    world.meet_withholding("ada");
    let log = world.eves_log();
    assert!(world.of("eve").store.is_preview_durable(&log));
    if is_alone {
        world.cut("ada", "eve");
    }
    let began = began + 100_000;
    world.at(began, keep()).unwrap();
    assert!(world.is_ahead());
    (world, began)
}

#[test]
fn pages_on_disk_are_waited_behind_as_long_and_go_as_well() {
    let (mut world, began) = kept_after_newest(false);
    world.waits(began + 10_000, 20);
    world.at(began + PAST_WAIT_MS, say("at last")).unwrap();
    assert_eq!(world.of("eve").store.records(b"newest/").count(), 0);
    world.make_good(&["at last"]);
}

#[test]
fn who_keeps_a_channel_while_alone_reads_its_pages_and_waits_for_nobody() {
    let (mut world, began) = kept_after_newest(true);
    assert_eq!(world.reads(began + 10 * PAST_WAIT_MS), words(190..240));
    world.reopen("eve");
    assert_eq!(world.reads(began + 20 * PAST_WAIT_MS), words(190..240));
    world.at(began + 20 * PAST_WAIT_MS, say("alone")).unwrap();
    assert_eq!(world.reads(began + 20 * PAST_WAIT_MS), ["alone"]);
    assert_eq!(world.of("eve").store.records(b"newest/").count(), 0);
    world.make_good(&["alone"]);
}

#[test]
fn who_leaves_a_channel_out_meanwhile_has_nothing_of_it() {
    let (mut world, began) = withheld();
    let change = Selection::LeaveOut { channels: vec!["general".into()] };
    world.at(began, Request::ChannelsKeep { space: None, change }).unwrap();
    assert!(!world.is_ahead());
    assert!(matches!(world.at(began, read(None, 9)), Err(Error::NotKept(_))));
}
