//! A store that is checked while it is used.
use super::*;
use crate::store::{CheckProgress, CheckReport, Checking};
use crate::testing::{Dice, disk};
use terachat_event::LogId;

/// Goes on to the end, by slices of so many bytes, with nothing between them.
fn to_the_end(store: &mut LocalStore, mut checking: Checking, len: usize) -> CheckReport {
    let mut slices = 0;
    loop {
        slices += 1;
        if let Some(report) = store.go_on_checking(&mut checking, len).unwrap() {
            assert!(len > 1 || !report.is_sound() || slices > report.blocks, "each block is a slice");
            return report;
        }
    }
}

/// Somebody works on while it is checked: writes, puts together, writes a snapshot, drops a channel, says something in the middle of a replay.
#[test]
fn what_is_written_meanwhile_is_checked_too() {
    for seed in 0..12 {
        let mut dice = Dice(seed << 32);
        let mut a = Device::new(1);
        let space = a.found();
        let logs: Vec<LogId> = (0..3).map(|n| a.create_channel(space, &format!("channel {n}"))).collect();
        let say = |a: &mut Device, dice: &mut Dice, many: u64| {
            for n in 0..many {
                a.say(*dice.pick(&logs).unwrap(), &format!("message {n} of many"));
            }
        };
        say(&mut a, &mut dice, 300);
        let mut checking = a.store.begin_check(None);
        let (mut did, mut before) = (0, a.store.check_progress(&checking));
        assert!(matches!(before, CheckProgress::Blocks { done: 0, .. }));
        let report = loop {
            if let Some(report) = a.store.go_on_checking(&mut checking, 2_000).unwrap() {
                break report;
            }
            let progress = a.store.check_progress(&checking);
            match (before, progress) {
                (CheckProgress::Blocks { done, .. }, CheckProgress::Blocks { done: now, of }) => {
                    assert!(now <= of && (now > done || did > 0), "{before:?} {progress:?}");
                }
                (CheckProgress::Replay { done, .. }, CheckProgress::Replay { done: now, of }) => {
                    assert!(now <= of && (now >= done || did > 0), "{before:?} {progress:?}");
                }
                _ => {}
            }
            before = progress;
            // It comes to an end while less is written than is read.
            if did < 25 && dice.below(3) == 0 {
                did += 1;
                match dice.below(8) {
                    0 => _ = a.store.compact().unwrap(),
                    1 => a.store.snapshot().unwrap(),
                    2 => drop(a.store.search(&logs[0], &Query::parse("many"), 1, |_| true).unwrap()),
                    3 => drop(a.store.state_hash(&logs[1]).unwrap()),
                    _ => say(&mut a, &mut dice, 3),
                }
            }
        };
        assert!(did > 3, "or this tests nothing");
        assert_eq!(report.findings, [], "seed {seed}");
        assert!(a.store.halted().is_none());
        let events = a.store.logs().iter().map(|log| a.store.len(log)).sum::<usize>();
        assert_eq!(report.audit.as_ref().unwrap().events, events);
        // Nothing else is told than of a profile that nobody uses.
        let again = a.store.begin_check(None);
        let again = to_the_end(&mut a.store, again, usize::MAX);
        let closed = check(copy(&*a.store.into_storage()));
        assert_eq!((again.blocks, again.bytes), (closed.blocks, closed.bytes));
        assert_eq!(again.snapshot_parts, closed.snapshot_parts);
        assert_eq!(again.audit.unwrap().logs, closed.audit.unwrap().logs);
    }
}

/// Bytes change below an open store. All of that is told that is told of a closed one, each once, and nothing is written any more.
#[test]
fn damage_below_an_open_store_is_told_once_and_stops_it() {
    let files: Vec<(String, Vec<u8>)> = crate::testing::copy(&files());
    let (name, bytes) = files.iter().find(|(name, _)| name.ends_with(".seg")).unwrap();
    let mut found = 0;
    for at in (bytes.len() / 3..bytes.len()).step_by(bytes.len() / 23) {
        let mut disk = disk(&files, 3);
        let mut store =
            LocalStore::open(Box::new(disk.clone()), &store_key(), Box::new(Counter::default())).unwrap();
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        changed[at - bytes.len() / 4] ^= 1;
        disk.replace(name, &changed).unwrap();
        let losses = |report: CheckReport| {
            report
                .findings
                .into_iter()
                .filter(|finding| finding.is_loss)
                .map(|finding| finding.what)
                .collect::<Vec<_>>()
        };
        let checking = store.begin_check(None);
        let told = losses(to_the_end(&mut store, checking, 1));
        let mut whole = MemoryStorage::new();
        crate::testing::copy(&disk).iter().for_each(|(name, bytes)| whole.replace(name, bytes).unwrap());
        let closed = losses(check(whole));
        assert!(!told.is_empty() && store.halted() == Some(told[0].as_str()), "byte {at}: {told:?}");
        // Of a closed one that does not open at all no more is told than why.
        if closed.len() > 1 {
            assert_eq!(told, closed, "byte {at}");
            found += 1;
        }
    }
    assert!(found > 3, "or this tests little");
}

/// An audit that is under way is not begun a second time.
#[test]
fn an_audit_under_way_is_gone_on_with() {
    let mut store = LocalStore::open(Box::new(files()), &store_key(), Box::new(Counter::default())).unwrap();
    let mut audit = store.begin_audit().unwrap();
    while audit.events() < 200 {
        assert!(store.go_on_auditing(&mut audit, 1).unwrap().is_none());
    }
    let done = audit.events();
    let mut checking = store.begin_check(Some(audit));
    while matches!(store.check_progress(&checking), CheckProgress::Blocks { .. }) {
        assert!(store.go_on_checking(&mut checking, 4_096).unwrap().is_none());
    }
    assert_eq!(store.check_progress(&checking), CheckProgress::Replay { done, of: 1_053 });
    let report = to_the_end(&mut store, checking, 64 << 10);
    assert!(report.is_sound() && report.audit.unwrap().events == 1_053);
}
