use super::*;
use crate::model::{ChannelOp, Rank};
use crate::store::LocalStore as Store;
use crate::store::Storage;
use crate::store::local_store::META;
use crate::store::storage::{CrashStorage, Fault, MemoryStorage};
use crate::sync::{Limits, Outcome, decode_batch};
use crate::testing::{Counter, Device, Dice, seeds, store_key, text};
use std::ops::Range;

const SEEDS: Range<u64> = 0..60;

/// Two devices that talk in two channels; both have all of it.
fn pair(storage: &CrashStorage) -> (Device, Device, [LogId; 2]) {
    let (mut a, mut b) = (Device::over(1, Box::new(storage.clone())).unwrap(), Device::new(2));
    let space = b.found();
    b.admit(space, &a, Rank::MODERATOR);
    let logs = [b.create_channel(space, "one"), b.create_channel(space, "two")];
    a.learn_epoch(space);
    a.pull(&mut b).unwrap();
    talk(&mut a, &mut b, logs, 30);
    (a, b, logs)
}

fn talk(a: &mut Device, b: &mut Device, logs: [LogId; 2], count: usize) {
    for n in 0..count {
        let log = logs[n % 2];
        a.say(log, &format!("message {n}"));
        b.pull(a).unwrap();
        b.post(log, &[text("an answer"), text("and another one")]).unwrap();
        a.pull(b).unwrap();
    }
}

/// Batches of a log that the disk holds.
fn on_disk(device: &Device, log: &LogId) -> usize {
    let blocks = device.store.log.blocks(None).unwrap().map(Result::unwrap);
    let metas = blocks.filter(|block| block.kind == META);
    let limits = Limits { events: 1 << 22, payload_len: 1 << 30 };
    metas.filter(|block| decode_batch(&block.body, limits).unwrap().log == *log).count()
}

#[track_caller]
fn sound(device: &mut Device) {
    assert_eq!(device.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
}

/// A copy of what is on the disk.
fn copy_of(storage: &CrashStorage) -> MemoryStorage {
    let mut copy = MemoryStorage::new();
    for file in storage.list().unwrap() {
        let len = usize::try_from(storage.size(&file).unwrap().unwrap()).unwrap();
        copy.replace(&file, &storage.read(&file, 0, len).unwrap()).unwrap();
    }
    copy
}

#[track_caller]
fn checks(storage: &CrashStorage) {
    let (copy, entropy) = (Box::new(copy_of(storage)), Box::new(Counter::default()));
    assert_eq!(Store::check(copy, &store_key(), entropy).unwrap().findings, []);
}

#[test]
fn a_dropped_log_is_off_the_disk_and_the_rest_is_as_it_was() {
    let storage = CrashStorage::new(1);
    let (mut a, mut b, [one, two]) = pair(&storage);
    let (other, len) = (a.store.state_hash(&two).unwrap(), a.store.disk_len());
    assert!(on_disk(&a, &one) > 0);
    a.store.drop_channel(&one, &a.key.id()).unwrap();
    assert_eq!((on_disk(&a, &one), a.store.len(&one), a.bodies(one).len()), (0, 0, 0));
    assert!(a.store.disk_len() < len * 3 / 4, "{len} to {} bytes", a.store.disk_len());
    assert!(a.store.lacks_dropped(&one) && !a.store.lacks_dropped(&two));
    sound(&mut a);
    checks(&storage);
    for snapshot in [true, false] {
        let mut storage = copy_of(&storage);
        if !snapshot {
            storage.remove("snapshot").unwrap();
        }
        let mut again = Device::over(1, Box::new(storage)).unwrap();
        assert_eq!(again.store.len(&one), 0);
        assert_eq!(again.store.state_hash(&two).unwrap(), other);
        assert!(again.post(one, &[text("a number used twice")]).is_err());
        assert!(matches!(again.say(two, "here it goes on").seq, 16));
        sound(&mut again);
    }
    // What is dropped twice, and in between taken back by half, still knows where its own chain stood.
    let first =
        b.store.bundles_since(&a.store.frontier(&one).unwrap(), Limits { events: 4, payload_len: 1 << 20 });
    assert!(matches!(a.store.apply_remote(&first.unwrap()[0]), Ok(Outcome::Applied { .. })));
    a.store.drop_channel(&one, &a.key.id()).unwrap();
    assert!(a.post(one, &[text("a number used twice")]).is_err());
    a.pull(&mut b).unwrap();
    assert!(!a.store.lacks_dropped(&one));
    assert_eq!(a.store.state_hash(&one).unwrap(), b.store.state_hash(&one).unwrap());
    assert_eq!(a.say(one, "back again").seq, 16);
    b.pull(&mut a).unwrap();
    assert_eq!(a.store.space_hash(&one.space), b.store.space_hash(&one.space));
    sound(&mut a);
    checks(&storage);
}

#[test]
fn a_device_goes_on_only_where_its_own_chain_is_as_it_was() {
    let storage = CrashStorage::new(2);
    let (mut a, mut b, [one, two]) = pair(&storage);
    // Nobody ever got this one.
    a.say(one, "unsent");
    a.store.drop_channel(&one, &a.key.id()).unwrap();
    a.pull(&mut b).unwrap();
    assert!(matches!(a.post(one, &[text("a number used twice")]), Err(Error::Forbidden(_))));
    assert!(a.store.lacks_dropped(&one));
    a.say(two, "elsewhere it may");
    // A copy of it that was set back signed something else in that place.
    let (mut a, mut b, [one, _]) = pair(&CrashStorage::new(3));
    let mut copy = Device::new(1);
    copy.learn_epoch(one.space);
    copy.pull(&mut b).unwrap();
    a.say(one, "this");
    a.store.drop_channel(&one, &a.key.id()).unwrap();
    copy.say(one, "that");
    b.pull(&mut copy).unwrap();
    a.pull(&mut b).unwrap();
    assert!(matches!(a.post(one, &[text("a third one")]), Err(Error::Forbidden(_))));
}

#[test]
fn control_logs_and_unknown_channels_are_not_dropped() {
    let (mut a, b, [one, _]) = pair(&CrashStorage::new(4));
    let len = a.store.disk_len();
    for log in [LogId::control(one.space), LogId::channel(one.space, terachat_event::ChannelId([7; 32]))] {
        assert!(matches!(a.store.drop_channel(&log, &b.key.id()), Err(Error::Unknown(_))));
    }
    assert_eq!(a.store.disk_len(), len);
}

/// Drops and takes back, with the power cut at any operation: a log is there whole or not at all, what a device signed it
/// knows, and what was dropped is off the disk with the next snapshot.
#[test]
fn power_cuts_leave_a_log_whole_or_dropped() {
    let (mut cut, mut kept, mut done) = (0, 0, 0);
    for seed in seeds("TERACHAT_DROP_SEEDS", SEEDS) {
        let mut dice = Dice(seed << 32);
        let mut storage = CrashStorage::new(seed);
        let (mut a, mut b, logs) = pair(&storage);
        for _ in 0..4 {
            let log = logs[dice.below(2) as usize];
            let whole: Vec<_> = logs.iter().map(|log| a.store.frontier(log).unwrap()).collect();
            let own = |device: &Device| device.store.frontier(&log).unwrap().chain(&device.key.id()).copied();
            if dice.below(3) == 0 {
                a.store.log.roll().unwrap();
            }
            storage.fail_at(storage.operations() + dice.below(24), Fault::PowerCut);
            let dropped = a.store.drop_channel(&log, &a.key.id());
            drop(a);
            storage = storage.crash();
            a = Device::over(1, Box::new(storage.clone())).unwrap();
            if dropped.is_ok() {
                done += 1;
                assert_eq!((a.store.len(&log), on_disk(&a, &log)), (0, 0), "seed {seed}");
            } else {
                cut += 1;
            }
            sound(&mut a);
            for (log, whole) in logs.iter().zip(&whole) {
                let now = a.store.frontier(log).unwrap();
                assert!(now == *whole || now.chains.is_empty() && a.store.lacks_dropped(log), "seed {seed}");
            }
            kept += usize::from(a.store.len(&log) > 0);
            checks(&storage);
            if a.store.len(&log) == 0 {
                assert!(a.post(log, &[text("a number used twice")]).is_err(), "seed {seed}");
            }
            if dice.below(2) == 0 {
                a.store.snapshot_if_due().unwrap();
                assert!(a.store.len(&log) > 0 || on_disk(&a, &log) == 0, "seed {seed}");
            }
            if dice.below(2) == 0 {
                a.pull(&mut b).unwrap();
                let at_b = b.store.frontier(&log).unwrap().chain(&a.key.id()).copied();
                assert_eq!(own(&a), at_b, "seed {seed}");
                a.post(log, &[ChannelOp::Pin { target: EventRef { author: b.key.id(), seq: 1 } }]).unwrap();
                talk(&mut a, &mut b, logs, 3);
            }
        }
        a.pull(&mut b).unwrap();
        assert_eq!(a.store.space_hash(&logs[0].space), b.store.space_hash(&logs[0].space), "seed {seed}");
        a.store.snapshot().unwrap();
        checks(&storage);
        sound(&mut a);
    }
    assert!(cut > 20 && kept > 10 && done > 20, "{cut} cuts, {kept} kept, {done} done");
}
