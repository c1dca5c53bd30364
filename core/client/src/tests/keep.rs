//! Devices that keep some channels only: a naive model says who can have what.
use super::*;
use crate::api::Selection;
use crate::protocol::Frame;
use std::collections::VecDeque;
use terachat_event::{ChannelId, DeviceId, SpaceId};

fn at(channel: &str) -> Place {
    Place { space: None, channel: Some(channel.into()) }
}

fn keep(change: Selection) -> Request {
    Request::ChannelsKeep { space: None, change }
}

fn leave_out(channel: &str) -> Request {
    keep(Selection::LeaveOut { channels: vec![channel.into()] })
}

fn also(channel: &str) -> Request {
    keep(Selection::Also { channels: vec![channel.into()] })
}

fn drop_of(channel: &str, last_copy: bool) -> Request {
    Request::ChannelDrop { space: None, channel: channel.into(), last_copy }
}

fn send(channel: &str, body: &str) -> Request {
    Request::Send { place: at(channel), body: body.into(), reply_to: None }
}

/// The club with a second channel.
fn two_channels(names: &[&'static str]) -> World {
    let mut world = club(names);
    world.ask(
        names[0],
        Request::ChannelCreate { space: None, name: "side".into(), forum: false, since_join: false },
    );
    world
}

impl World {
    fn log(&mut self, channel: &str) -> LogId {
        let name = *self.devices.keys().next().unwrap();
        self.of(name).place(&at(channel)).unwrap()
    }

    /// What a device has of a channel, whether it keeps it or not.
    fn has(&mut self, name: &str, channel: &str) -> BTreeSet<String> {
        let log = self.log(channel);
        let page =
            self.of(name).store.page(&log, terachat_core_store::query::PageStart::Newest, 10_000).unwrap();
        page.into_iter().map(|message| message.body).collect()
    }

    fn is_in_sync(&mut self, name: &str, with: &str) -> bool {
        let with = DeviceId(self.id(with));
        self.of(name).peers[&with].in_sync
    }

    /// Two devices that have nothing new for each other say so, both, once they meet anew.
    #[track_caller]
    fn meet_in_sync(&mut self, one: &'static str, other: &'static str) {
        self.cut(one, other);
        self.connect(one, other);
        assert!(self.is_in_sync(one, other), "{one} with {other}");
        assert!(self.is_in_sync(other, one), "{other} with {one}");
    }

    fn kept(&mut self, name: &str) -> Vec<String> {
        let channels = self.status(name).spaces[0].channels.clone();
        channels.into_iter().filter(|channel| channel.kept).map(|channel| channel.name).collect()
    }
}

fn set(bodies: &[&str]) -> BTreeSet<String> {
    bodies.iter().map(|body| (*body).to_owned()).collect()
}

#[test]
fn what_is_left_out_is_neither_asked_for_nor_answered() {
    for plain_max in [crate::heads::PLAIN_MAX, 0] {
        let mut world = two_channels(&["ada", "bob"]);
        for name in ["ada", "bob"] {
            world.of(name).plain_max = plain_max;
        }
        world.ask("ada", send("side", "before"));
        world.ask("bob", leave_out("side"));
        assert_eq!(world.kept("bob"), ["general"]);
        world.ask("ada", send("side", "behind"));
        world.ask("ada", send("general", "to all"));
        assert_eq!(world.has("bob", "side"), set(&["before"]));
        assert_eq!(world.has("bob", "general"), set(&["to all"]));
        world.meet_in_sync("ada", "bob");
        // What was kept before stays, and is not written in.
        let read = |channel| Request::Forum { place: at(channel), tags: vec![], after: None, limit: 9 };
        world.ask("bob", read("side"));
        assert!(matches!(world.try_ask("bob", send("side", "to nobody")), Err(Error::NotKept(_))));
        // On a new connection it is the same, whoever begins.
        world.cut("ada", "bob");
        world.ask("ada", send("side", "and on"));
        world.ask("bob", send("general", "here too"));
        world.connect("bob", "ada");
        assert_eq!(world.has("ada", "general"), set(&["to all", "here too"]));
        assert_eq!(world.has("bob", "side"), set(&["before"]));
        world.meet_in_sync("ada", "bob");
        // A channel that comes later is left out, unless this device made it.
        world.ask(
            "ada",
            Request::ChannelCreate { space: None, name: "new".into(), forum: false, since_join: false },
        );
        world.ask(
            "bob",
            Request::ChannelCreate { space: None, name: "own".into(), forum: false, since_join: false },
        );
        assert_eq!(world.kept("bob"), ["general", "own"]);
        world.ask("ada", send("new", "hidden"));
        world.ask("ada", send("own", "seen"));
        assert_eq!((world.has("bob", "new"), world.has("bob", "own")), (set(&[]), set(&["seen"])));
        world.meet_in_sync("ada", "bob");
        world.ask("bob", keep(Selection::All));
        assert_eq!(world.has("bob", "side"), set(&["before", "behind", "and on"]));
        world.same(&["ada", "bob"]);
        world.sound("bob");
    }
}

#[test]
fn whoever_does_not_keep_a_channel_does_not_pass_it_on() {
    let mut world = two_channels(&["ada", "bob", "eve"]);
    world.cut("ada", "eve");
    world.connect("bob", "eve");
    world.ask("bob", keep(Selection::Only { channels: vec!["general".into()] }));
    world.ask("ada", send("side", "from ada"));
    world.ask("eve", send("side", "from eve"));
    world.ask("ada", send("general", "to all"));
    assert_eq!(world.has("eve", "general"), set(&["to all"]));
    assert_eq!(world.has("eve", "side"), set(&["from eve"]));
    assert_eq!(world.has("ada", "side"), set(&["from ada"]));
    world.meet_in_sync("ada", "bob");
    world.meet_in_sync("bob", "eve");
    world.connect("ada", "eve");
    assert_eq!(world.has("eve", "side"), set(&["from ada", "from eve"]));
    world.same(&["ada", "eve"]);
    world.cut("ada", "eve");
    world.ask("ada", send("side", "later"));
    // Both sides of the middle left it out for a while, in either order.
    world.ask("eve", leave_out("side"));
    world.ask("bob", also("side"));
    assert_eq!(world.has("bob", "side").len(), 3);
    assert_eq!(world.has("eve", "side").len(), 2);
    world.ask("eve", also("side"));
    world.same(&["ada", "bob", "eve"]);
}

#[test]
fn both_leave_a_channel_out_and_both_take_it_back() {
    for first in ["ada", "bob"] {
        let mut world = two_channels(&["ada", "bob"]);
        world.cut("ada", "bob");
        world.ask("ada", send("side", "one"));
        world.ask("bob", send("side", "two"));
        world.ask("ada", leave_out("side"));
        world.ask("bob", leave_out("side"));
        world.connect("ada", "bob");
        let second = if first == "ada" { "bob" } else { "ada" };
        world.ask(first, also("side"));
        world.ask(second, also("side"));
        assert_eq!(world.has("ada", "side"), set(&["one", "two"]));
        world.same(&["ada", "bob"]);
    }
}

#[test]
fn what_was_dropped_comes_back_from_whoever_has_it() {
    let mut world = two_channels(&["ada", "bob", "eve"]);
    for n in 0..40 {
        world.ask("bob", send("side", &format!("bob {n}")));
        world.ask("ada", send("side", &format!("ada {n}")));
    }
    assert!(matches!(world.try_ask("bob", drop_of("side", true)), Err(Error::Input(_))), "it is kept");
    world.ask("bob", leave_out("side"));
    let Answer::Dropped { events: 80, before, after } = world.ask("bob", drop_of("side", false)) else {
        panic!()
    };
    assert!(after < before, "{before} to {after}");
    let read = || Request::Forum { place: at("side"), tags: vec![], after: None, limit: 9 };
    assert!(matches!(world.try_ask("bob", read()), Err(Error::NotKept(_))));
    world.sound("bob");
    assert!(matches!(world.ask("bob", drop_of("side", false)), Answer::Dropped { events: 0, .. }));
    world.cut("ada", "bob");
    world.ask("bob", also("side"));
    let refused = world.try_ask("bob", send("side", "a number used twice"));
    assert!(matches!(refused, Err(Error::Store(terachat_core_store::Error::Forbidden(_)))));
    world.connect("eve", "bob");
    assert_eq!(world.has("bob", "side").len(), 80);
    world.ask("bob", send("side", "and on"));
    world.connect("ada", "bob");
    world.same(&["ada", "bob", "eve"]);
    for name in ["ada", "bob", "eve"] {
        assert_eq!(world.of(name).store.equivocations().count(), 0);
        world.sound(name);
    }
}

#[test]
fn what_nobody_else_has_is_dropped_by_an_own_word_only() {
    let mut world = two_channels(&["ada", "bob"]);
    world.ask("ada", send("side", "known"));
    world.cut("ada", "bob");
    world.ask("bob", send("side", "unsent"));
    world.ask("bob", leave_out("side"));
    assert!(matches!(world.try_ask("bob", drop_of("side", false)), Err(Error::Input(_))));
    world.connect("ada", "bob");
    assert!(matches!(world.try_ask("bob", drop_of("side", false)), Err(Error::Input(_))));
    // Kept again, it is sent, and once it is left out the other says that it has it.
    world.ask("bob", also("side"));
    world.ask("bob", leave_out("side"));
    world.ask("bob", drop_of("side", false));
    assert_eq!(world.has("ada", "side"), set(&["known", "unsent"]));
    world.ask("bob", also("side"));
    world.cut("ada", "bob");
    world.ask("bob", send("side", "lost"));
    world.ask("bob", leave_out("side"));
    world.ask("bob", drop_of("side", true));
    world.ask("bob", also("side"));
    world.connect("ada", "bob");
    assert_eq!(world.has("bob", "side"), set(&["known", "unsent"]));
    let refused = world.try_ask("bob", send("side", "a number used twice"));
    assert!(matches!(refused, Err(Error::Store(terachat_core_store::Error::Forbidden(_)))));
    world.same(&["ada", "bob"]);
}

/// A removal says where the removed member's messages end in every channel. Whoever lacks one would void all of them there.
#[test]
fn nobody_is_removed_by_a_device_that_lacks_channels() {
    let mut world = two_channels(&["ada", "bob", "eve"]);
    world.ask("eve", send("side", "it counts"));
    world.ask("ada", leave_out("side"));
    let remove = || Request::MemberRemove { space: None, member: "eve".into() };
    assert!(matches!(world.try_ask("ada", remove()), Err(Error::NotWhole(_))));
    let demote = Request::RoleSet { space: None, member: "eve".into(), rank: 1 };
    assert!(matches!(world.try_ask("ada", demote), Err(Error::NotWhole(_))));
    world.ask("ada", drop_of("side", false));
    world.cut("ada", "bob");
    world.cut("ada", "eve");
    world.ask("ada", keep(Selection::All));
    assert!(matches!(world.try_ask("ada", remove()), Err(Error::NotWhole(_))), "nothing is back yet");
    world.connect("ada", "bob");
    world.connect("ada", "eve");
    world.ask("ada", remove());
    for name in ["ada", "bob"] {
        assert_eq!(world.has(name, "side"), set(&["it counts"]));
    }
    world.same(&["ada", "bob"]);
}

#[test]
fn states_are_compared_in_the_channels_that_both_keep() {
    let mut world = two_channels(&["ada", "bob"]);
    world.ask("bob", leave_out("side"));
    world.ask("ada", send("side", "hidden"));
    world.ask("ada", send("general", "seen"));
    let compare = |world: &mut World, one: &str, other: &str| {
        let Answer::StateMap { bytes } = world.ask(one, Request::StateMap { space: None }) else { panic!() };
        match world.ask(other, Request::CompareStates { bytes }) {
            Answer::Compared { channels, left_out, count, .. } => (channels, left_out, count),
            other => panic!("{other:?}"),
        }
    };
    let names = |name: &str| vec![name.to_owned()];
    assert_eq!(compare(&mut world, "ada", "bob"), (names("general"), names("side"), 0));
    assert_eq!(compare(&mut world, "bob", "ada"), (names("general"), names("side"), 0));
    let hash = |world: &mut World, name: &str| world.status(name).spaces[0].state_hash.clone();
    assert_ne!(hash(&mut world, "ada"), hash(&mut world, "bob"));
    world.ask("ada", leave_out("side"));
    assert_eq!(hash(&mut world, "ada"), hash(&mut world, "bob"), "over the same channels");
    world.cut("ada", "bob");
    world.ask("ada", send("general", "only here"));
    assert_eq!(compare(&mut world, "bob", "ada"), (names("general"), names("side"), 1));
}

/// What a peer says of itself binds it, and is all there is to remember.
#[test]
fn a_peer_that_lies_about_what_it_keeps_is_sent_away() {
    let mut world = two_channels(&["ada", "bob", "eve"]);
    let (ada, bob) = (world.id("ada"), world.id("bob"));
    let side = world.log("side");
    world.cut("ada", "bob");
    world.ask("bob", send("side", "one"));
    let bundle = {
        let store = &mut world.of("bob").store;
        let nothing = terachat_core_store::sync::Frontier { log: side, chains: vec![] };
        store.bundles_since(&nothing, terachat_core_store::sync::Limits::PEER).unwrap().remove(0)
    };
    let bundle = || Frame::Bundle { more: false, bytes: bundle.encode() }.encode();
    world.connect("ada", "bob");
    assert_eq!(world.has("ada", "side"), set(&["one"]));
    // Says that it does not keep it, and sends it all the same: one by one or many at once.
    let without = Frame::Without { log: side }.encode();
    let ack = Frame::Ack { log: side, root: [7; 32] }.encode();
    let symbols = |world: &mut World| {
        let at_ada = world.of("ada").peers[&DeviceId(bob)].nonce;
        let at_bob = world.of("bob").peers[&DeviceId(ada)].nonce;
        let session = crate::protocol::session_key((&DeviceId(ada), &at_ada), (&DeviceId(bob), &at_bob));
        let log = crate::protocol::log_tag(&session, &side);
        Frame::Symbols { log, root: [7; 32], chains: 9, bytes: vec![1; 20] }.encode()
    };
    let symbols = symbols(&mut world);
    for frame in [without.clone(), ack, symbols] {
        world.of("ada").receive(bob, frame, 1).unwrap();
        assert!(world.is_in_sync("ada", "bob"), "it is out of what is compared");
    }
    assert!(world.of("ada").receive(bob, bundle(), 1).is_err());
    let refused = world.of("ada").receive_all([(bob, without), (bob, bundle())], 1);
    assert_eq!(refused.len(), 1);
    // Not one that says so of the control log, either.
    let control = Frame::Without { log: LogId::control(side.space) }.encode();
    assert!(world.of("ada").receive(bob, control, 1).is_err());
    // Nor does a lie about where it stands bring more than its own silence: a true word is answered as the first.
    let frontier = world.of("bob").store.frontier(&side).unwrap();
    std::iter::from_fn(|| world.of("ada").poll_frame()).count();
    world.of("ada").receive(bob, Frame::Frontier(frontier).encode(), 1).unwrap();
    let answers: Vec<_> = std::iter::from_fn(|| world.of("ada").poll_frame()).collect();
    assert!(answers.iter().any(|(to, frame)| *to == bob
        && matches!(Frame::decode(frame), Ok(Frame::Frontier(told)) if told.log == side)));
    // What this device does not keep it passes over, and eve is not harmed.
    world.ask("ada", leave_out("side"));
    let before = world.of("ada").store.len(&side);
    world.ask("bob", send("side", "unwanted"));
    let news = {
        let store = &mut world.of("bob").store;
        let nothing = terachat_core_store::sync::Frontier { log: side, chains: vec![] };
        store.bundles_since(&nothing, terachat_core_store::sync::Limits::PEER).unwrap().remove(0)
    };
    let news = Frame::Bundle { more: false, bytes: news.encode() }.encode();
    world.of("ada").receive(bob, news.clone(), 1).unwrap();
    assert!(world.of("ada").receive_all([(bob, news)], 1).is_empty());
    assert_eq!(world.of("ada").store.len(&side), before);
    assert!(world.is_in_sync("ada", "eve"));
}

#[test]
fn floods_of_without_leave_nothing_behind() {
    let mut world = two_channels(&["ada", "bob"]);
    let (bob, side) = (world.id("bob"), world.log("side"));
    let disk_len = world.of("ada").store.disk_len();
    let flood = |n: u32| {
        let id = *blake3::hash(&n.to_le_bytes()).as_bytes();
        match n % 3 {
            0 => LogId::channel(side.space, ChannelId(id)),
            1 => LogId::channel(SpaceId(id), ChannelId(id)),
            _ => side,
        }
    };
    for n in 0..3_000 {
        let frame = Frame::Without { log: flood(n) }.encode();
        world.of("ada").receive(bob, frame, 1).unwrap();
    }
    let frames = (0..3_000).map(|n| (bob, Frame::Without { log: flood(n) }.encode()));
    assert!(world.of("ada").receive_all(frames, 1).is_empty());
    let ada = world.of("ada");
    assert_eq!(ada.peers[&DeviceId(bob)].without, [side].into());
    assert!(ada.peers[&DeviceId(bob)].left_out.is_empty());
    assert_eq!(std::iter::from_fn(|| ada.poll_frame()).count(), 1, "the last word, once");
    assert_eq!(ada.store.disk_len(), disk_len);
    // Asking for what is not kept is answered each time, frame for frame, and nothing is noted of it.
    world.ask("ada", leave_out("side"));
    for _ in 0..100 {
        let nothing = terachat_core_store::sync::Frontier { log: side, chains: vec![] };
        world.of("ada").receive(bob, Frame::Frontier(nothing).encode(), 1).unwrap();
    }
    let ada = world.of("ada");
    assert!(!ada.peers[&DeviceId(bob)].roots.contains_key(&side));
    assert_eq!(std::iter::from_fn(|| ada.poll_frame()).count(), 100);
}

#[test]
fn a_file_brings_what_is_kept() {
    let mut world = two_channels(&["ada", "bob"]);
    world.cut("ada", "bob");
    world.ask("ada", send("side", "hidden"));
    world.ask("ada", send("general", "seen"));
    let Answer::Bundle { bytes, .. } = world.ask("ada", Request::BundleExport { space: None }) else {
        panic!()
    };
    world.ask("bob", leave_out("side"));
    let Answer::BundleApplied { added: 1, refused, .. } = world.ask("bob", Request::BundleImport { bytes })
    else {
        panic!()
    };
    assert_eq!(refused, [Error::NotKept("side".into()).to_string()]);
    assert_eq!((world.has("bob", "general"), world.has("bob", "side")), (set(&["seen"]), set(&[])));
}

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 += 1;
        let hash = blake3::hash(&self.0.to_le_bytes());
        usize::from_le_bytes(*hash.as_bytes().first_chunk().unwrap()) % end
    }
}

const DEVICES: [&str; 4] = ["ada", "bob", "cyd", "dan"];
const CHANNELS: [&str; 3] = ["general", "side", "yard"];

/// Who can have what, in the plainest words: what one has of a channel, everybody has who keeps it and is connected to
/// somebody who has and keeps it.
#[derive(Default)]
struct Naive {
    left_out: BTreeSet<(usize, usize)>,
    links: BTreeSet<(usize, usize)>,
    has: BTreeMap<(usize, usize), BTreeSet<String>>,
    /// The newest message each device ever wrote in a channel.
    newest: BTreeMap<(usize, usize), String>,
}

impl Naive {
    fn spread(&mut self) {
        for channel in 0..CHANNELS.len() {
            for _ in DEVICES {
                for (one, other) in self.links.clone() {
                    if self.left_out.contains(&(one, channel)) || self.left_out.contains(&(other, channel)) {
                        continue;
                    }
                    let more = self.has.get(&(one, channel)).cloned().unwrap_or_default();
                    self.has.entry((other, channel)).or_default().extend(more);
                }
            }
        }
    }

    /// Whether a device has its own newest message, or never wrote.
    fn may_write(&self, at: (usize, usize)) -> bool {
        let newest = self.newest.get(&at);
        !self.left_out.contains(&at)
            && newest.is_none_or(|body| self.has.get(&at).is_some_and(|has| has.contains(body)))
    }
}

fn crowd() -> World {
    let mut world = club(&DEVICES);
    for name in &CHANNELS[1..] {
        world.ask(
            "ada",
            Request::ChannelCreate { space: None, name: (*name).into(), forum: false, since_join: false },
        );
    }
    for name in &DEVICES[1..] {
        world.cut("ada", name);
    }
    world
}

#[test]
fn everybody_has_what_they_can_have() {
    let (mut refused, mut dropped) = (0, 0);
    for seed in 0..20 {
        let (mut world, mut model, mut dice) = (crowd(), Naive::default(), Dice(seed << 32));
        for name in DEVICES {
            world.of(name).plain_max = if dice.below(2) == 0 { 0 } else { crate::heads::PLAIN_MAX };
        }
        for step in 0..60 {
            let (device, other, channel) = (dice.below(4), dice.below(4), dice.below(3));
            let (name, place, key) = (DEVICES[device], CHANNELS[channel], (device, channel));
            match dice.below(10) {
                0..=3 => {
                    let body = format!("{name} {step}");
                    let sent = world.try_ask(name, send(place, &body));
                    world.settle();
                    assert_eq!(sent.is_ok(), model.may_write(key), "seed {seed}, step {step}: {sent:?}");
                    if sent.is_ok() {
                        model.has.entry(key).or_default().insert(body.clone());
                        model.newest.insert(key, body);
                    } else {
                        refused += 1;
                    }
                }
                4 | 5 if device != other => {
                    let (low, high) = (device.min(other), device.max(other));
                    if model.links.contains(&(low, high)) {
                        world.cut(DEVICES[low], DEVICES[high]);
                        model.links.retain(|link| *link != (low, high) && *link != (high, low));
                    } else {
                        world.connect(DEVICES[low], DEVICES[high]);
                        model.links.extend([(low, high), (high, low)]);
                    }
                }
                6 | 7 => {
                    world.ask(name, leave_out(place));
                    model.left_out.insert(key);
                }
                8 if model.left_out.contains(&key) => {
                    world.ask(name, drop_of(place, true));
                    dropped += model.has.insert(key, BTreeSet::new()).map_or(0, |had| had.len());
                }
                _ => {
                    world.ask(name, also(place));
                    model.left_out.remove(&key);
                }
            }
            model.spread();
            for (at, name) in DEVICES.iter().enumerate() {
                for (n, channel) in CHANNELS.iter().enumerate() {
                    let can = model.has.get(&(at, n)).cloned().unwrap_or_default();
                    assert_eq!(
                        world.has(name, channel),
                        can,
                        "seed {seed}, step {step}: {name} in {channel}"
                    );
                }
            }
        }
        for (one, other) in model.links.clone() {
            world.meet_in_sync(DEVICES[one], DEVICES[other]);
        }
        for name in DEVICES {
            assert_eq!(world.of(name).store.equivocations().count(), 0, "seed {seed}");
            world.sound(name);
        }
    }
    assert!(refused > 20 && dropped > 20, "{refused} refused, {dropped} dropped");
}

/// The same with frames under way while everybody goes on: nobody takes an honest one for a liar, and in the end, when all
/// keep everything again, all have the same.
#[test]
fn changes_cross_on_the_way() {
    for seed in 100..112 {
        let (mut world, mut dice) = (crowd(), Dice(seed << 32));
        for name in DEVICES {
            world.of(name).plain_max = if dice.below(2) == 0 { 0 } else { crate::heads::PLAIN_MAX };
        }
        for (one, other) in [("ada", "bob"), ("bob", "cyd"), ("cyd", "dan"), ("dan", "ada")] {
            world.connect(one, other);
        }
        let mut wire: BTreeMap<(&str, [u8; 32]), VecDeque<Vec<u8>>> = BTreeMap::new();
        for step in 0..300 {
            let (name, place) = (DEVICES[dice.below(4)], CHANNELS[dice.below(3)]);
            let done = match dice.below(12) {
                0 | 1 => world.try_ask(name, send(place, &format!("{name} {step}"))),
                2 => world.try_ask(name, leave_out(place)),
                3 => world.try_ask(name, also(place)),
                4 => world.try_ask(name, drop_of(place, false)),
                _ => Ok(Answer::Done),
            };
            assert!(
                matches!(
                    done,
                    Ok(_)
                        | Err(Error::Input(_) | Error::NotKept(_))
                        | Err(Error::Store(terachat_core_store::Error::Forbidden(_)))
                ),
                "seed {seed}: {done:?}"
            );
            for name in DEVICES {
                while let Some((to, frame)) = world.of(name).poll_frame() {
                    wire.entry((name, to)).or_default().push_back(frame);
                }
            }
            let queues: Vec<_> = wire.keys().copied().collect();
            for _ in 0..dice.below(6).min(queues.len()) {
                let (from, to) = queues[dice.below(queues.len())];
                let Some(frame) = wire.get_mut(&(from, to)).and_then(VecDeque::pop_front) else { continue };
                let (id, name) =
                    (world.id(from), DEVICES.into_iter().find(|name| world.id(name) == to).unwrap());
                world.of(name).receive(id, frame, 1).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            }
        }
        for ((from, to), frames) in wire {
            let (id, name) = (world.id(from), DEVICES.into_iter().find(|name| world.id(name) == to).unwrap());
            let refused = world.of(name).receive_all(frames.into_iter().map(|frame| (id, frame)), 1);
            assert!(refused.is_empty(), "seed {seed}");
        }
        world.settle();
        for name in DEVICES {
            world.ask(name, keep(Selection::All));
        }
        world.same(&DEVICES);
        for name in DEVICES {
            assert_eq!(world.of(name).store.equivocations().count(), 0, "seed {seed}");
            world.sound(name);
        }
        for (one, other) in [("ada", "bob"), ("bob", "cyd"), ("cyd", "dan"), ("dan", "ada")] {
            world.meet_in_sync(one, other);
        }
    }
}
