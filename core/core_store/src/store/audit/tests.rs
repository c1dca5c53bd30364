use crate::Error;
use crate::model::{ChannelOp, ChannelState, Rank};
use crate::store::space_logs::StateHashes;
use crate::store::storage::CrashStorage;
use crate::testing::{Device, text};
use terachat_event::LogId;

fn written(storage: &CrashStorage, messages: usize) -> (Device, LogId) {
    let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
    let space = a.found();
    let log = a.create_channel(space, "general");
    for n in 0..messages {
        a.say(log, &format!("message {n}"));
    }
    (a, log)
}

/// Audits in slices, writing between them.
fn in_slices(a: &mut Device, log: LogId, len: usize, mut writes: usize) -> (super::Report, usize) {
    let mut audit = a.store.begin_audit().unwrap();
    for slices in 1.. {
        if let Some(report) = a.store.go_on_auditing(&mut audit, len).unwrap() {
            return (report, slices);
        }
        if writes > 0 {
            a.say(log, "meanwhile");
            writes -= 1;
        }
    }
    unreachable!("it comes to an end")
}

#[test]
fn slices_find_what_the_whole_finds() {
    let (mut a, log) = written(&CrashStorage::new(1), 60);
    let whole = a.store.audit_state_integrity().unwrap();
    assert_eq!(whole.alarm, Vec::<String>::new());
    let (report, slices) = in_slices(&mut a, log, 300, 0);
    assert_eq!(report, whole);
    assert!(slices > 5, "{slices} slices");
    let (report, _) = in_slices(&mut a, log, 300, 10);
    assert_eq!(report.events, whole.events + 10, "what came meanwhile is replayed too");
    assert_eq!(report.alarm, Vec::<String>::new());
}

#[test]
fn a_compaction_meanwhile_makes_it_begin_again() {
    let (mut a, log) = written(&CrashStorage::new(2), 1_100);
    let mut audit = a.store.begin_audit().unwrap();
    assert_eq!(a.store.go_on_auditing(&mut audit, 1_000).unwrap(), None);
    a.store.compact().unwrap();
    assert!(a.store.times_compacted() > 0, "or this tests nothing");
    let report = a.store.go_on_auditing(&mut audit, usize::MAX).unwrap().unwrap();
    assert_eq!((report.alarm, report.events), (Vec::new(), 1_102));
    a.say(log, "and on");
}

#[test]
fn an_alarm_stops_writing_until_the_store_is_opened_anew() {
    let storage = CrashStorage::new(3);
    let (mut a, log) = written(&storage, 20);
    let frontier = a.store.frontier(&log);
    let id = log.channel.unwrap();
    // A state that does not follow from the events, as a bug would leave it.
    let channel = a.store.spaces.get_mut(&log.space).unwrap().channels.get_mut(&id).unwrap();
    (channel.state, channel.hashes) = (ChannelState::default(), StateHashes::default());
    let report = a.store.audit_state_integrity().unwrap();
    assert!(report.alarm[0].contains("differs from its replay"), "{:?}", report.alarm);
    for refused in [
        a.post(log, &[text("no more")]).unwrap_err(),
        a.store.snapshot().unwrap_err(),
        a.store.compact().unwrap_err(),
        a.store.write_records(vec![(b"name".to_vec(), None)]).unwrap_err(),
    ] {
        assert!(matches!(refused, Error::Halted(_)), "{refused}");
    }
    assert_eq!(a.store.frontier(&log), frontier, "nothing of what was refused is visible");
    a.store.snapshot_if_due().unwrap();
    drop(a);
    let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
    assert_eq!(a.bodies(log).len(), 20);
    assert_eq!(a.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
    a.say(log, "and on");
}

#[test]
fn hashes_that_are_not_the_states_raise_the_alarm() {
    let (mut a, log) = written(&CrashStorage::new(4), 20);
    a.store.state_hash(&log).unwrap();
    let id = log.channel.unwrap();
    let index = a.store.index(&log).unwrap();
    let (first, second) = (index.stamp(3), index.event_ref(4));
    let channel = a.store.spaces.get_mut(&log.space).unwrap().channels.get_mut(&id).unwrap();
    let at = channel.index.find(&second).unwrap();
    // A pin that nobody notes.
    let void = |_: u32| false;
    let log_ = Nowhere { at, void: &void };
    channel.state.apply(0, &first, ChannelOp::Pin { target: second }, &log_);
    let alarm = a.store.audit_state_integrity().unwrap().alarm;
    assert!(alarm.iter().any(|line| line.contains("not those of its state")), "{alarm:?}");
}

struct Nowhere<'a> {
    at: u32,
    void: &'a dyn Fn(u32) -> bool,
}

impl crate::model::Surroundings for Nowhere<'_> {
    fn find(&self, _: &terachat_event::EventRef) -> Option<u32> {
        Some(self.at)
    }

    fn order(&self, a: u32, b: u32) -> std::cmp::Ordering {
        a.cmp(&b)
    }

    fn same_user(&self, _: &terachat_event::EventRef, _: &terachat_event::EventRef) -> bool {
        true
    }

    fn is_void(&self, at: u32) -> bool {
        (self.void)(at)
    }
}

#[test]
fn news_are_checked_against_the_state_in_use() {
    let (mut a, log) = written(&CrashStorage::new(5), 20);
    let (report, end) = a.store.audit_news(None).unwrap();
    assert_eq!((report.alarm, report.events, report.signatures), (Vec::new(), 22, 22));
    let (report, end) = a.store.audit_news(end).unwrap();
    assert_eq!((report.alarm, report.events), (Vec::new(), 0));
    a.say(log, "one more");
    let (report, end) = a.store.audit_news(end).unwrap();
    assert_eq!((report.alarm, report.events, report.signatures), (Vec::new(), 1, 1));
    a.say(log, "and one that the index has otherwise");
    let id = log.channel.unwrap();
    let index = &mut a.store.spaces.get_mut(&log.space).unwrap().channels.get_mut(&id).unwrap().index;
    index.hashes.last_mut().unwrap().0[0] ^= 1;
    let (report, _) = a.store.audit_news(end).unwrap();
    assert_eq!(report.alarm.len(), 1, "{report:?}");
    assert!(a.store.halted().is_some());
}

#[test]
fn hashes_kept_are_those_of_the_state_through_snapshots() {
    let storage = CrashStorage::new(6);
    let (mut a, log) = written(&storage, 150);
    let mut b = Device::new(2);
    a.admit(log.space, &b, Rank::MODERATOR);
    b.learn_epoch(log.space);
    b.pull(&mut a).unwrap();
    let target = a.store.find_events(&log, &format!("{}-5", a.id()))[0];
    for round in 0..4u32 {
        // Once with hashes that are fresh, once with stale ones, once with none.
        if round != 2 {
            a.store.state_hash(&log).unwrap();
        }
        a.post(log, &[ChannelOp::Edit { target, body: &format!("edit {round}") }]).unwrap();
        a.store.snapshot().unwrap();
        drop(a);
        a = Device::over(1, Box::new(storage.clone())).unwrap();
        a.say(log, "after the snapshot");
        assert_eq!(a.store.state_hash(&log), a.store.state_hash_anew(&log), "round {round}");
        b.pull(&mut a).unwrap();
        assert_eq!(a.store.space_hash(&log.space), b.store.space_hash(&log.space));
    }
}
