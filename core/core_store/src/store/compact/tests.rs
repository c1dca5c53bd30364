use super::*;
use crate::model::{ChannelOp, ControlOp, Post, Rank, Style};
use crate::store::Storage;
use crate::store::storage::{CrashStorage, Fault, MemoryStorage};
use crate::sync::{Bundle, Frontier, Outcome};
use crate::testing::{Device, copy, disk, gossip, text};
use terachat_event::EventRef;

/// Two devices that talk in turn, in two channels, each message a commit of its own, with all that can happen between.
fn conversation(storage: Box<dyn Storage>) -> (Device, Device, [LogId; 2]) {
    let (mut a, mut b) = (Device::over(1, storage).unwrap(), Device::new(2));
    let space = a.found();
    a.admit(space, &b, Rank::MODERATOR);
    let logs = [a.create_channel(space, "one"), a.create_channel(space, "two")];
    b.learn_epoch(space);
    b.pull(&mut a).unwrap();
    talk(&mut a, &mut b, logs, 0..700);
    (a, b, logs)
}

fn talk(a: &mut Device, b: &mut Device, logs: [LogId; 2], rounds: std::ops::Range<usize>) {
    let mut last: Option<EventRef> = None;
    for n in rounds {
        let log = logs[n / 7 % 2];
        let body = format!("message {n} of a conversation in which everybody says one thing at a time");
        let reply_to = last.filter(|_| n % 7 == 3);
        let post = Post { style: Style::Message, body: &body, reply_to, imported: None };
        last = Some(a.post(log, &[ChannelOp::Post(post)]).unwrap()[0]);
        match n % 100 {
            20 => drop(a.post(log, &[text("two"), text("at once")]).unwrap()),
            40 => {
                assert!(a.create_channel(log.space, &format!("c{n}")).channel.is_some())
            }
            60 => drop(a.post(log, &[ChannelOp::Edit { target: last.unwrap(), body: "better" }]).unwrap()),
            80 => a
                .store
                .write_records(vec![(vec![7], Some(SecretBytes::take(vec![(n / 100) as u8])))])
                .unwrap(),
            90 => a
                .store
                .write_records(vec![(vec![(n / 100) as u8, 8], Some(SecretBytes::take(vec![1])))])
                .unwrap(),
            91 => a.store.write_records(vec![(vec![(n / 100) as u8, 8], None)]).unwrap(),
            _ => {}
        }
        b.pull(a).unwrap();
        b.say(log, &format!("answer to {n}"));
        if n % 100 == 50 {
            // A bundle that repeats what came before it.
            let first = b.bundles_for(a, log).remove(0);
            b.say(log, "more");
            let both = b.bundles_for(a, log).remove(0);
            assert!(matches!(a.take(&first), Ok(Outcome::Applied { known: 0, .. })));
            assert!(matches!(a.take(&both), Ok(Outcome::Applied { known: 1, .. })));
        }
        a.pull(b).unwrap();
    }
}

type Seen = (Vec<[u8; 32]>, Vec<Option<Frontier>>, Vec<Vec<u8>>);

fn seen(device: &Device) -> Seen {
    let logs = device.store.logs();
    let records = device.store.records(&[]).map(|(name, value)| [name, value].concat()).collect();
    let hashes = logs.iter().map(|log| device.store.state_hash(log).unwrap()).collect();
    (hashes, logs.iter().map(|log| device.store.frontier(log)).collect(), records)
}

/// Newcomers and those who stopped anywhere get the rest, with every signature it takes.
#[track_caller]
fn serves_everybody(a: &mut Device, logs: [LogId; 2]) {
    assert_eq!(a.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
    let limits = Limits { events: EVENTS_MAX, payload_len: 4 << 10 };
    let mut late = Device::new(3);
    late.learn_epoch(logs[0].space);
    late.pull_control(a, logs[0].space);
    for log in logs {
        loop {
            let theirs = late.store.frontier(&log).unwrap();
            let bundles = a.store.bundles_since(&theirs, limits).unwrap();
            if bundles.is_empty() {
                break;
            }
            for bundle in bundles {
                let bundle = Bundle::decode(&bundle.encode(), Limits::PEER).unwrap();
                assert!(matches!(late.store.apply_remote(&bundle).unwrap(), Outcome::Applied { .. }));
            }
        }
        assert_eq!(late.store.state_hash(&log).unwrap(), a.store.state_hash(&log).unwrap());
    }
}

#[test]
fn small_commits_are_put_together_and_nothing_is_lost() {
    let storage = CrashStorage::new(4);
    let (mut a, mut b, logs) = conversation(Box::new(storage.clone()));
    let mut half = Device::new(4);
    half.learn_epoch(logs[0].space);
    half.pull(&mut a).unwrap();
    let mut storage = storage;
    for round in 1..3 {
        talk(&mut a, &mut b, logs, 700 * round..700 * (round + 1));
        let (before, len, payloads) = (seen(&a), a.store.disk_len(), payloads_len(&a));
        a.store.compact().unwrap();
        assert_eq!(a.store.log.closed_segments() as usize, round);
        assert_eq!(seen(&a), before);
        let now = a.store.disk_len();
        assert!(now < len / 2 && now < payloads * 3 / 2, "{len} to {now} bytes for {payloads}");
        a.store.compact().unwrap();
        assert_eq!(
            (a.store.log.closed_segments() as usize, a.store.disk_len()),
            (round, now),
            "nothing to do"
        );
        serves_everybody(&mut a, logs);
        half.pull(&mut a).unwrap();
        assert_eq!(half.store.space_hash(&logs[0].space), a.store.space_hash(&logs[0].space));
        drop(a);
        storage = storage.crash();
        a = Device::over(1, Box::new(storage.clone())).unwrap();
        assert!(a.store.snapshot.is_some(), "the snapshot fits what was rewritten");
        assert_eq!(seen(&a), before);
        serves_everybody(&mut a, logs);
        a.say(logs[0], "and on");
    }
    // Without its snapshot it is the same.
    storage.remove("snapshot").unwrap();
    let before = seen(&a);
    drop(a);
    let mut a = Device::over(1, Box::new(storage.crash())).unwrap();
    assert_eq!(seen(&a), before);
    serves_everybody(&mut a, logs);
}

/// A batch that is large enough as it came is not compressed anew: its blocks have the lengths they had.
#[test]
fn what_stays_as_it_came_stays_as_small_as_it_was() {
    let (mut a, _, logs) = conversation(Box::new(MemoryStorage::new()));
    let bodies: Vec<String> = (0..600).map(|n: u32| format!("{} and {}", n * 7919, n * n % 977)).collect();
    let large: Vec<ChannelOp<'_>> = bodies.iter().map(|body| text(body)).collect();
    let first = a.post(logs[0], &large).unwrap()[0];
    let second = a.post(logs[0], &large).unwrap()[0];
    // From the first batch's payloads to the description of the second, which stands right behind them.
    let len = |a: &Device| {
        let index = a.store.index(&logs[0]).unwrap();
        let [first, second] = [first, second].map(|event| index.find(&event).unwrap());
        let chunk = index.chunks[index.event(first).chunk as usize];
        let meta = index.metas[index.batch_of(second)];
        assert_eq!(chunk.segment(), meta.segment());
        meta.fields()[1] - chunk.fields()[1]
    };
    let before = len(&a);
    a.store.compact().unwrap();
    assert!(a.store.log.is_rewritten(1));
    assert_eq!(len(&a), before);
}

fn payloads_len(device: &Device) -> u64 {
    let indexes = device.store.logs().into_iter().map(|log| device.store.index(&log).unwrap());
    indexes.flat_map(|index| (0..index.len()).map(|at| u64::from(index.event(at).len))).sum()
}

/// A fork is kept as it came: what stands beside it needs its proofs and stubs.
#[test]
fn a_log_with_a_fork_is_compacted_too() {
    let (mut a, mut b, logs) = conversation(Box::new(MemoryStorage::new()));
    let (mut c, mut twin) = (Device::new(5), Device::new(5));
    a.admit(logs[0].space, &c, Rank::MEMBER);
    for other in [&mut c, &mut twin] {
        other.learn_epoch(logs[0].space);
        other.pull(&mut a).unwrap();
    }
    c.say(logs[0], "pay Ann");
    twin.say(logs[0], "pay Bob");
    a.pull(&mut c).unwrap();
    a.say(logs[0], "Ann answers");
    let bundle = twin.bundles_for(&a, logs[0]).remove(0);
    assert!(matches!(a.take(&bundle), Ok(Outcome::Equivocated { .. })));
    a.say(logs[0], "well");
    let before = seen(&a);
    a.store.compact().unwrap();
    assert_eq!(a.store.log.closed_segments(), 1);
    assert_eq!(seen(&a), before);
    assert_eq!(a.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
    b.pull_control(&mut a, logs[0].space);
    for proof in a.store.proofs(&logs[0].space) {
        b.store.apply_proof(&proof).unwrap();
    }
    b.pull(&mut a).unwrap();
    assert_eq!(b.store.space_hash(&logs[0].space), a.store.space_hash(&logs[0].space));
}

/// What others built on the branch of a forked control chain that is not here rests on skeletons. The channels' batches are
/// put together and lose theirs; the records keep them.
#[test]
fn a_forked_control_log_survives_compaction() {
    for keeps_snapshot in [true, false] {
        let storage = CrashStorage::new(8);
        let (mut a, mut b, logs) = conversation(Box::new(storage.clone()));
        let space = logs[0].space;
        let (mut x, mut twin, mut c) = (Device::new(5), Device::new(5), Device::new(6));
        a.admit(space, &x, Rank::ADMIN);
        a.admit(space, &c, Rank::MEMBER);
        for other in [&mut x, &mut twin, &mut c] {
            other.learn_epoch(space);
            other.pull(&mut a).unwrap();
        }
        b.pull(&mut a).unwrap();
        let rank = |user, rank| ControlOp::SetRank { user, rank, pins: Vec::new() };
        x.control(space, vec![ControlOp::CreateChannel { name: "one branch".into() }]).unwrap();
        twin.control(space, vec![rank(c.user_id(), Rank::MODERATOR)]).unwrap();
        a.pull(&mut x).unwrap();
        for other in [&mut b, &mut c] {
            other.pull(&mut twin).unwrap();
        }
        let target = b.say(logs[0], "what B says on top of the other branch");
        b.post(logs[0], &[ChannelOp::Pin { target }]).unwrap();
        b.control(space, vec![ControlOp::CreateChannel { name: "built on it".into() }]).unwrap();
        c.pull(&mut b).unwrap();
        c.post(logs[0], &[ChannelOp::Pin { target }, text("what C says by a right that is void")]).unwrap();
        gossip(&mut [&mut a, &mut b, &mut c], space);
        let before = seen(&a);
        assert_eq!(seen(&b).1, before.1);
        assert!(a.store.records(b"skeleton/").next().is_some(), "or this tests nothing");
        a.store.compact().unwrap();
        assert_eq!(a.store.log.closed_segments(), 1);
        assert_eq!(seen(&a), before);
        drop(a);
        let mut files = copy(&storage.crash());
        files.retain(|(name, _)| keeps_snapshot || name != "snapshot");
        let mut a = Device::over(1, Box::new(disk(&files, 9))).unwrap();
        assert_eq!(a.store.snapshot.is_some(), keeps_snapshot);
        assert_eq!(seen(&a), before);
        assert_eq!(a.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
        let mut late = Device::new(7);
        late.learn_epoch(space);
        gossip(&mut [&mut late, &mut a], space);
        assert_eq!((seen(&late).0, seen(&late).1), (before.0, before.1));
    }
}

/// The matrix: each write of a compaction fails in each way, and then the power goes as well.
#[test]
fn whatever_write_of_it_fails_nothing_is_lost() {
    let first = CrashStorage::new(6);
    let (mut a, _, logs) = conversation(Box::new(first.clone()));
    // There is a snapshot, which speaks of what is rewritten.
    a.store.snapshot().unwrap();
    a.say(logs[0], "behind it");
    let before = seen(&a);
    let files = copy(&first);
    let mut passed_over = 0;
    for fault in [Fault::PowerCut, Fault::Full, Fault::Io] {
        for write in 0.. {
            let storage = disk(&files, write);
            let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
            let operations = storage.operations();
            storage.fail_at(operations + write, fault);
            let result = a.store.compact();
            let done = storage.operations() <= operations + write;
            assert_eq!(result.is_ok(), done, "{fault:?} at write {write}: {result:?}");
            drop(a);
            let storage = storage.crash();
            let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
            assert_eq!(seen(&a), before, "{fault:?} at write {write}");
            passed_over += usize::from(a.store.snapshot.is_none());
            a.say(logs[1], "and on");
            a.store.compact().unwrap();
            assert_eq!(a.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
            let before = seen(&a);
            drop(a);
            assert_eq!(seen(&Device::over(1, Box::new(storage.crash())).unwrap()), before);
            if done {
                assert!(write >= 3, "or this tests nothing");
                break;
            }
        }
    }
    // A power cut may come when the snapshot has been replaced already; the other faults leave the old one.
    assert!(passed_over >= 2, "faults came between the rewriting and its snapshot");
}

#[test]
fn a_segment_that_was_put_back_is_noticed() {
    let storage = CrashStorage::new(6);
    let (mut a, _, _) = conversation(Box::new(storage.clone()));
    let old = copy(&storage);
    a.store.compact().unwrap();
    drop(a);
    let new = copy(&storage);
    // Of the two files of secrets the other one has it all.
    for (name, bytes) in old.iter().filter(|(name, _)| !name.starts_with("keys")) {
        let mut mixed = disk(&new, 1);
        mixed.replace(name, bytes).unwrap();
        assert!(Device::over(1, Box::new(mixed)).is_err(), "{name}");
    }
    for cut in [1, 50] {
        let mut shorter = disk(&new, 1);
        let (name, bytes) = new.iter().find(|(name, _)| name.ends_with(".seg")).unwrap();
        shorter.truncate(name, (bytes.len() - cut) as u64).unwrap();
        assert!(Device::over(1, Box::new(shorter)).is_err());
    }
}

/// A key to single messages that was used is nowhere in a segment that was rewritten, and all other records are.
#[test]
fn spent_keys_are_not_kept() {
    let storage = CrashStorage::new(8);
    let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
    let space = a.found();
    let log = a.create_channel(space, "one");
    let key = [crate::store::MESSAGE_KEYS, b"one"].concat();
    let write = |a: &mut Device, name: &[u8], value: u8| {
        a.store.write_records(vec![(name.to_vec(), Some(SecretBytes::take(vec![value; 32])))]).unwrap();
    };
    write(&mut a, &key, 1);
    write(&mut a, b"other", 11);
    for n in 0..SMALL_MIN {
        a.say(log, &n.to_string());
    }
    let holds = |a: &Device, value: u8| {
        let blocks = a.store.log.blocks(None).unwrap();
        blocks.map(Result::unwrap).any(|block| block.body.windows(32).any(|bytes| bytes == [value; 32]))
    };
    // The segment is closed with the key in it, which is used up then.
    a.store.log.roll().unwrap();
    write(&mut a, &key, 2);
    write(&mut a, b"other", 12);
    assert!(holds(&a, 1));
    a.store.compact().unwrap();
    assert!(!holds(&a, 1), "a spent key is still there");
    assert!(holds(&a, 2) && holds(&a, 11) && holds(&a, 12));
    assert_eq!(a.store.record(&key), Some(&[2; 32][..]));
    drop(a);
    let a = Device::over(1, Box::new(storage.crash())).unwrap();
    assert_eq!(a.store.record(&key), Some(&[2; 32][..]));
}

/// The state of a large group is megabytes, and many of them stand in one segment.
#[test]
fn records_that_do_not_fit_one_block_are_kept_in_several() {
    let storage = CrashStorage::new(8);
    let mut a = Device::over(1, Box::new(storage.clone())).unwrap();
    let space = a.found();
    let log = a.create_channel(space, "one");
    for n in 0..5u8 {
        let mut value = vec![0; 5 << 20];
        blake3::Hasher::new().update(&[n]).finalize_xof().fill(&mut value);
        a.store.write_records(vec![(vec![n], Some(SecretBytes::take(value)))]).unwrap();
    }
    for n in 0..SMALL_MIN {
        a.say(log, &n.to_string());
    }
    let before = seen(&a);
    a.store.compact().unwrap();
    assert_eq!((a.store.log.closed_segments(), seen(&a)), (1, before.clone()));
    drop(a);
    let mut storage = storage.crash();
    storage.remove("snapshot").unwrap();
    assert_eq!(seen(&Device::over(1, Box::new(storage.crash())).unwrap()), before);
}
