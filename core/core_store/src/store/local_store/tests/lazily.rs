//! What is read of a snapshot when it is asked for (ADR 0025) is what it would be had all been read at once.
use super::posts::{answer, mentioning, titled};
use super::{club, same};
use crate::LocalStore;
use crate::model::ChannelOp;
use crate::model::{Heading, Mention, Rank};
use crate::query::search_index::Query;
use crate::query::{Filter, MessageKind, PageStart};
use crate::store::storage::MemoryStorage;
use crate::sync::Limits;
use crate::testing::{Device, Dice, copy, disk, gossip, text};
use proptest::prelude::*;
use std::collections::BTreeSet;
use terachat_event::{EventRef, LogId, UserId};

/// The device again, opened from copies of its files, with and without their snapshot.
fn opened_again(device: &mut Device, n: u8) -> [Device; 2] {
    let storage = std::mem::replace(&mut device.store, Device::new(99).store).into_storage();
    let files = copy(&*storage);
    device.store =
        LocalStore::open(storage, &crate::testing::store_key(), Box::new(crate::testing::Counter::default()))
            .unwrap();
    let bare: Vec<_> = files.iter().filter(|(name, _)| name != "snapshot").cloned().collect();
    assert!(bare.len() < files.len());
    [files, bare].map(|files| {
        let mut again = Device::over(n, Box::new(disk(&files, 1))).unwrap();
        again.clock = device.clock;
        again
    })
}

/// One question of many, and its answer as text.
fn answer_to(device: &mut Device, log: LogId, users: &[UserId], dice: &mut Dice) -> String {
    let index = device.store.index(&log).unwrap();
    let events: Vec<EventRef> = (0..index.len()).map(|at| index.event_ref(at)).collect();
    question(device, log, users, &events, dice)
}

fn question(
    device: &mut Device,
    log: LogId,
    users: &[UserId],
    events: &[EventRef],
    dice: &mut Dice,
) -> String {
    let event = *dice.pick(events).unwrap();
    let user = *dice.pick(users).unwrap();
    let start = match dice.below(4) {
        0 => PageStart::Newest,
        1 => PageStart::Before(event),
        2 => PageStart::After(event),
        _ => PageStart::Around(event),
    };
    let limit = 1 + dice.below(30) as usize;
    let store = &mut device.store;
    match dice.below(14) {
        0..=3 => format!("{start:?} {:?}", store.page(&log, start, limit)),
        4 => format!("{:?}", store.unread(&log, &user, None)),
        5 => format!("{event} {:?}", store.thread(&log, &event, limit)),
        6 => format!("{:?}", store.posts(&log, &[], None, limit)),
        7 => format!("{:?}", store.pinned(&log, limit).unwrap()),
        8 => {
            let filter = Filter {
                authors: (dice.below(2) == 0).then(|| [event.author].into()),
                mentions: (dice.below(3) == 0).then(|| BTreeSet::from([Mention::User(user)])),
                kind: (dice.below(3) == 0).then_some(MessageKind::Answer),
                ..Filter::default()
            };
            format!("{filter:?} {:?}", store.page_where(&log, start, limit, &filter))
        }
        9 => format!("{event} {:?} {:?}", store.message(&log, &event), store.concerns(&log, &event)),
        10 => format!("{:?}", store.reaction_dots(&log, &event, "👍", &event.author)),
        11 => format!("{:?} {:?}", store.frontier(&log), store.event(&log, &event)),
        12 => {
            let hits = store.search(&log, &Query::parse("talk"), limit, |_| true).unwrap();
            format!("{:?}", hits.into_iter().map(|hit| hit.message).collect::<Vec<_>>())
        }
        _ => {
            let mut theirs = store.frontier(&log).unwrap();
            theirs.chains.retain(|_| dice.below(2) == 0);
            let bundles = store.bundles_since(&theirs, Limits::PEER).unwrap();
            format!("{:?}", bundles.iter().map(|bundle| bundle.batch.clone()).collect::<Vec<_>>())
        }
    }
}

fn tell(devices: &mut [Device], log: LogId, steps: u64, dice: &mut Dice) {
    let users: Vec<UserId> = devices.iter().map(Device::user_id).collect();
    for _ in 0..steps {
        let who = dice.below(devices.len() as u64) as usize;
        let index = devices[who].store.index(&log).unwrap();
        let target = (index.len() > 0).then(|| {
            let at = dice.below(index.len().into()) as u32;
            index.event_ref(at)
        });
        let op = match (dice.below(16), target) {
            (0, _) => titled("a title", &["tag"], "a body"),
            (1, _) => mentioning("hello", vec![Mention::User(*dice.pick(&users).unwrap())]),
            (2 | 3, Some(target)) => answer("an answer", target),
            (4, Some(target)) => ChannelOp::Read { target },
            (5, Some(target)) if dice.below(3) == 0 => ChannelOp::Delete { target, moderates: true },
            (6 | 7, Some(target)) => ChannelOp::Edit { target, body: "another talk" },
            (8, Some(target)) => ChannelOp::React { target, emoji: "👍" },
            (9, Some(target)) => ChannelOp::Pin { target },
            (10, Some(target)) => {
                let dots = devices[who].store.pin_dots(&log, &target);
                ChannelOp::Unpin { target, seen: dots }
            }
            (11, Some(target)) => {
                let heading = Heading { title: "another", tags: vec!["tug"] };
                ChannelOp::SetHeading { target, heading, moderates: true }
            }
            (12, _) => {
                let from = dice.below(devices.len() as u64) as usize;
                if let Ok([from, to]) = devices.get_disjoint_mut([from, who]) {
                    to.pull(from).unwrap();
                }
                continue;
            }
            _ => text("small talk"),
        };
        devices[who].post(log, &[op]).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_lazily_opened_store_answers_as_one_built_anew(seed: u64, snapshots in 1..4u64) {
        let mut dice = Dice(seed);
        let mut a = Device::new(1);
        let space = a.found();
        let others = [Device::new(2), Device::new(3)];
        others.iter().for_each(|other| a.admit(space, other, Rank::MODERATOR));
        let log = a.create_channel(space, "talk");
        let mut devices = vec![a];
        for mut other in others {
            other.learn_epoch(space);
            other.pull(&mut devices[0]).unwrap();
            devices.push(other);
        }
        let users: Vec<UserId> = devices.iter().map(Device::user_id).collect();
        for _ in 0..snapshots {
            tell(&mut devices, log, 60, &mut dice);
            // Opened again, A has read nothing of it: the next snapshot takes over what the story leaves alone.
            devices[0].store.snapshot().unwrap();
            let [again, _] = opened_again(&mut devices[0], 1);
            prop_assert!(again.store.snapshot.is_some());
            devices[0] = again;
        }
        devices[0].post(log, &[text("one more")]).unwrap();
        devices[0].store.snapshot().unwrap();
        let [mut lazy, mut anew] = opened_again(&mut devices[0], 1);
        prop_assert!(lazy.store.snapshot.is_some() && anew.store.snapshot.is_none());
        // What is new comes before anything was asked for, in between, and afterwards.
        tell(&mut devices[1..], log, 30, &mut dice);
        let asked = dice.0;
        for round in 0..3 {
            for question in 0..20 {
                // Few read all there is; most questions meet a store that has read next to nothing.
                let [lazily, plainly] = [&mut lazy, &mut anew].map(|device| {
                    answer_to(device, log, &users, &mut Dice(asked + 1_000 * (20 * round + question)))
                });
                prop_assert_eq!(lazily, plainly);
            }
            let from = &mut devices[1 + round as usize % 2];
            lazy.pull(from).unwrap();
            anew.pull(from).unwrap();
        }
        same(&[&lazy, &anew], log);
        prop_assert_eq!(lazy.store.state_hash_anew(&log).unwrap(), anew.store.state_hash_anew(&log).unwrap());
        prop_assert_eq!(lazy.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
        let [a, b, c] = &mut devices[..] else { unreachable!("three devices") };
        gossip(&mut [&mut lazy, a, b, c], space);
        same(&[&lazy, &devices[0], &devices[1], &devices[2]], log);
    }
}

/// Only messages have a text that can be found or pinned; an edit or a pin of anything else hides none of them.
#[test]
fn edits_and_pins_of_what_is_no_message_do_no_harm() {
    let (mut a, _, _, log) = club();
    let said = a.say(log, "hello");
    let react = a.post(log, &[ChannelOp::React { target: said, emoji: "👍" }]).unwrap()[0];
    let edit = ChannelOp::Edit { target: react, body: "hello again" };
    a.post(log, &[edit, ChannelOp::Pin { target: react }, ChannelOp::Pin { target: said }]).unwrap();
    assert_eq!(a.store.pinned(&log, 9).unwrap().len(), 1);
    let hits = a.store.search(&log, &Query::parse("hello"), 9, |_| true).unwrap();
    assert_eq!(hits.iter().map(|hit| hit.message.event).collect::<Vec<_>>(), [said]);
}

/// Many blocks of each kind, and the store opened again.
fn long_talk() -> (Device, LogId, Vec<EventRef>) {
    let (mut a, mut b, _, log) = club();
    let mut said = Vec::new();
    for n in 0..40 {
        said.push(a.say(log, &format!("{n} from A")));
        b.pull(&mut a).unwrap();
        said.extend(b.post(log, &[text("1"), text("2"), text("3"), text("4"), text("5")]).unwrap());
        let target = *said.last().unwrap();
        b.post(log, &[ChannelOp::React { target, emoji: "👍" }, ChannelOp::Read { target }]).unwrap();
        a.pull(&mut b).unwrap();
    }
    a.store.snapshot().unwrap();
    let storage = a.store.into_storage();
    (Device::over(1, storage).unwrap(), log, said)
}

#[test]
fn opening_reads_no_block_and_a_page_its_own() {
    let (mut a, log, said) = long_talk();
    let index = a.store.index(&log).unwrap();
    assert!(a.store.snapshot.is_some() && index.stored.len() > 15);
    // The control log has a block of its own, and is read whole.
    let opened = a.store.reading.values();
    assert!(opened <= 2, "{opened} blocks were read for nothing");
    assert_eq!(a.store.message_count(&log), 240);
    a.store.frontier_root(&log).unwrap();
    assert_eq!(a.store.reading.values(), opened);
    let page = a.store.page(&log, PageStart::Newest, 5).unwrap();
    assert_eq!(page[4].event, said[239]);
    let paged = a.store.reading.values();
    assert!(paged - opened <= 8, "{} blocks were read for a page", paged - opened);
    a.store.page(&log, PageStart::Newest, 5).unwrap();
    assert_eq!(a.store.reading.values(), paged, "a block is read once");
    // Something new builds on the newest, and is about an old message: that one's block, and none between.
    a.post(log, &[text("new"), ChannelOp::React { target: said[3], emoji: "👍" }]).unwrap();
    let reacted = a.store.message(&log, &said[3]).unwrap();
    assert_eq!(reacted.reactions.len(), 1);
    let written = a.store.reading.values();
    assert!(written - paged <= 6, "{} blocks were read for two events", written - paged);
    // A snapshot reads nothing but what came last before and what it does not take over.
    let before = a.store.state_hash_anew(&log).unwrap();
    let mut again = Device::over(1, a.store.into_storage()).unwrap();
    again.store.snapshot().unwrap();
    let again = Device::over(1, again.store.into_storage()).unwrap();
    assert!(again.store.snapshot.is_some());
    assert_eq!(again.store.state_hash_anew(&log).unwrap(), before);
}

/// A bug wrote a block wrong: what is in it reads as nothing, the store says so and writes nothing, and the next opening
/// makes everything anew from the log.
#[test]
fn a_block_that_was_written_wrong_raises_the_alarm() {
    let (mut a, log, said) = long_talk();
    let whole = a.store.page(&log, PageStart::Newest, 300).unwrap();
    let mut wrong = Device::new(2);
    std::mem::swap(&mut wrong, &mut a);
    let mut storage: Box<dyn crate::store::Storage> = wrong.store.into_storage();
    let files = copy(&*storage);
    storage = Box::new(MemoryStorage::new());
    files.iter().for_each(|(name, bytes)| storage.replace(name, bytes).unwrap());
    let mut a = Device::over(1, storage).unwrap();
    let index = &mut a.store.spaces.get_mut(&log.space).unwrap().channels.values_mut().next().unwrap().index;
    index.stored[2].spoil();
    assert_eq!(a.store.halted(), None);
    // Nothing panics, whatever is asked for.
    let page = a.store.page(&log, PageStart::Newest, 300);
    assert!(page.is_err() || page.unwrap().len() == 240);
    for event in &said {
        let _ = (a.store.message(&log, event), a.store.thread(&log, event, 9), a.store.explain(&log, event));
    }
    assert!(a.store.halted().is_some());
    assert!(matches!(a.post(log, &[text("no")]), Err(crate::Error::Halted(_))));
    let a = Device::over(1, a.store.into_storage()).unwrap();
    assert!(a.store.snapshot.is_none() && a.store.halted().is_none());
    assert_eq!(a.store.page(&log, PageStart::Newest, 300).unwrap(), whole);
}
