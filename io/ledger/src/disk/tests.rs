mod forged;

use super::frame::SEGMENT_HEAD_LEN;
use super::*;
use crate::raft::batch::Batch;
use crate::raft::types::{Body, StoredMembers};
use crate::suite::node;
use std::collections::BTreeMap;
use terachat_storage::{CrashStorage, Fault, MemoryStorage};

fn entry(index: u64, bytes: &[u8]) -> LogEntry {
    LogEntry { id: Id { term: 1, node: 1, index }, body: Body::Batch(Batch::new([bytes])) }
}

fn open(storage: &CrashStorage, segment_len: u64) -> Result<(Disk, Found), DiskError> {
    Disk::open(Box::new(storage.clone()), node(1), segment_len)
}

fn indices(found: &Found) -> Vec<u64> {
    found.entries.iter().map(|entry| entry.id.index).collect()
}

fn meta(index: u64) -> SnapshotMeta {
    SnapshotMeta { last: Some(Id { term: 1, node: 1, index }), members: StoredMembers::default() }
}

/// What a disk must have: everything that was acknowledged, and of what was not whatever it likes.
#[derive(Default, Clone)]
struct Model {
    entries: BTreeMap<u64, Vec<u8>>,
    ballot: u64,
    purged: Option<u64>,
    snapshot: Option<u64>,
}

/// One change, on the disk and in the model once the disk said that it is done.
fn change(disk: &Mutex<Disk>, model: &mut Model, doubt: &mut Model, draw: u64) -> Result<(), DiskError> {
    let next = model.entries.keys().next_back().copied().or(model.purged).map_or(0, |index| index + 1);
    let mut wanted = model.clone();
    *doubt = model.clone();
    match draw % 8 {
        0 => {
            wanted.ballot += 1;
            *doubt = wanted.clone();
            disk.lock().unwrap().save_ballot(Ballot { term: wanted.ballot, node: 1, leads: false })?;
        }
        // What a snapshot has is committed, and not given up for other entries.
        1 if next > 3 + model.snapshot.unwrap_or(0) => {
            let from = next - 2;
            wanted.entries.split_off(&from);
            *doubt = wanted.clone();
            disk.lock().unwrap().cut(from)?;
        }
        2 if next > model.purged.max(model.snapshot).unwrap_or(0) + 8 => {
            let upto = next - 4;
            wanted.snapshot = Some(upto);
            *doubt = wanted.clone();
            Disk::save_snapshot(disk, &meta(upto), &upto.to_le_bytes())?;
            *model = wanted.clone();
            wanted.purged = Some(upto);
            wanted.entries = wanted.entries.split_off(&(upto + 1));
            *doubt = wanted.clone();
            disk.lock().unwrap().purge(Id { term: 1, node: 1, index: upto })?;
        }
        _ => {
            let count = 1 + draw / 8 % 3;
            let bytes = vec![0xa5; usize::try_from(draw / 32 % 900).unwrap()];
            let entries: Vec<_> = (next..next + count).map(|index| entry(index, &bytes)).collect();
            wanted.entries.extend((next..next + count).map(|index| (index, bytes.clone())));
            *doubt = wanted.clone();
            disk.lock().unwrap().append(entries)?;
        }
    }
    *model = wanted;
    Ok(())
}

fn agrees(found: &Found, model: &Model) -> bool {
    let entries: BTreeMap<u64, Vec<u8>> = found
        .entries
        .iter()
        .map(|entry| match &entry.body {
            Body::Batch(batch) => (entry.id.index, batch.entries().next().unwrap().to_vec()),
            body => panic!("{body:?} was never written"),
        })
        .collect();
    let content = |index: u64| (meta(index), index.to_le_bytes().to_vec());
    entries == model.entries
        && found.ballot.map_or(0, |ballot| ballot.term) == model.ballot
        && found.purged.map(|id| id.index) == model.purged
        && found.snapshot == model.snapshot.map(content)
}

/// A prefix of an append that was cut off may be there as well.
fn agrees_in_part(found: &Found, before: &Model, doubt: &Model) -> bool {
    (before.entries.len()..=doubt.entries.len()).any(|len| {
        let entries = doubt.entries.iter().take(len).map(|(&index, bytes)| (index, bytes.clone())).collect();
        agrees(found, &Model { entries, ..doubt.clone() })
    })
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_any_operation() {
    for seed in 0..400u64 {
        let mut storage = CrashStorage::new(seed);
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random >> 8
        };
        let mut model = Model::default();
        for _ in 0..4 {
            let fault = [Fault::PowerCut, Fault::PowerCut, Fault::Io, Fault::Full]
                [usize::try_from(draw() % 4).unwrap()];
            storage.fail_at(storage.operations() + draw() % 60, fault);
            let mut doubt = model.clone();
            if let Ok((disk, found)) = open(&storage, 4000) {
                assert!(agrees(&found, &model), "seed {seed}");
                let disk = Mutex::new(disk);
                while change(&disk, &mut model, &mut doubt, draw()).is_ok() {}
                let ballot = Ballot::default();
                disk.lock().unwrap().save_ballot(ballot).expect_err("a disk that failed is not written to");
            }
            // A program that stops and is started again sees what it wrote, be it on the disk or not.
            if draw() % 2 == 0 || fault == Fault::PowerCut {
                storage = storage.crash();
            }
            let (_, found) = open(&storage, 4000).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let sound = [&model, &doubt].into_iter().any(|model| agrees(&found, model));
            assert!(sound || agrees_in_part(&found, &model, &doubt), "seed {seed}");
            // From here on it is known which.
            model.entries = found
                .entries
                .iter()
                .map(|entry| match &entry.body {
                    Body::Batch(batch) => (entry.id.index, batch.entries().next().unwrap().to_vec()),
                    body => panic!("{body:?}"),
                })
                .collect();
            model.ballot = found.ballot.map_or(0, |ballot| ballot.term);
            model.purged = found.purged.map(|id| id.index);
            model.snapshot = found.snapshot.and_then(|(meta, _)| Some(meta.last?.index));
        }
    }
}

/// A disk's files: twelve entries in three segments, a snapshot and a vote.
fn written() -> BTreeMap<String, Vec<u8>> {
    let storage = CrashStorage::new(0);
    let (disk, _) = open(&storage, 600).unwrap();
    let disk = Mutex::new(disk);
    for index in 0..12 {
        disk.lock().unwrap().append(vec![entry(index, &[0xa5; 100])]).unwrap();
    }
    disk.lock().unwrap().save_ballot(Ballot { term: 3, node: 1, leads: false }).unwrap();
    Disk::save_snapshot(&disk, &meta(2), b"state").unwrap();
    let content = |name: &String| {
        let len = usize::try_from(storage.size(name).unwrap().unwrap()).unwrap();
        storage.read(name, 0, len).unwrap()
    };
    storage.list().unwrap().into_iter().map(|name| (name.clone(), content(&name))).collect()
}

fn open_files(files: &BTreeMap<String, Vec<u8>>, own: u32) -> Result<Found, DiskError> {
    let mut storage = MemoryStorage::new();
    for (name, bytes) in files {
        storage.append(name, bytes).unwrap();
    }
    Disk::open(Box::new(storage), node(own), 600).map(|(_, found)| found)
}

#[test]
fn rot_is_an_error_and_never_a_shorter_log() {
    let files = written();
    let segments = files.keys().filter(|name| name.starts_with("ledger-log-")).count();
    assert_eq!(segments, 3, "{:?}", files.keys());
    assert_eq!(indices(&open_files(&files, 1).unwrap()), (0..12).collect::<Vec<_>>());
    let mut places = std::collections::BTreeSet::new();
    for (name, bytes) in &files {
        for at in 0..bytes.len() {
            let mut rotten = files.clone();
            rotten.get_mut(name).unwrap()[at] ^= 0x5a;
            match open_files(&rotten, 1) {
                Err(DiskError::Rot { file, at, .. }) => {
                    assert_eq!(&file, name);
                    places.insert((file, at));
                }
                Err(DiskError::Version { file, .. }) => assert_eq!((&file, at), (name, 0)),
                Err(error) => panic!("{name} at {at}: {error}"),
                Ok(found) => panic!("{name} at {at} was read as {:?}", indices(&found)),
            }
        }
    }
    assert_eq!(places.len(), 12 + 3 + 2, "each frame, and each segment's head, is told apart: {places:?}");
}

#[test]
fn files_that_are_missing_or_of_others_are_errors() {
    let files = written();
    for name in files.keys() {
        let mut without = files.clone();
        without.remove(name);
        let error = open_files(&without, 1).map(drop).unwrap_err();
        assert_eq!(error, DiskError::Lost { file: name.clone() });
    }
    let error = open_files(&files, 2).map(drop).unwrap_err();
    assert_eq!(error, DiskError::OtherNode(node(1)));
    assert!(error.to_string().contains("give this node its own"));
}

#[test]
fn a_torn_end_is_left_out() {
    let files = written();
    let name = files.keys().rfind(|name| name.starts_with("ledger-log-")).unwrap();
    for cut in SEGMENT_HEAD_LEN..files[name].len() {
        let mut torn = files.clone();
        torn.get_mut(name).unwrap().truncate(cut);
        let kept = indices(&open_files(&torn, 1).unwrap());
        assert!((8..12).contains(&kept.len()) && kept.is_sorted(), "cut at {cut}: {kept:?}");
    }
}

#[test]
fn a_segment_goes_once_a_snapshot_has_all_of_it() {
    let storage = CrashStorage::new(0);
    let (disk, _) = open(&storage, 600).unwrap();
    let disk = Mutex::new(disk);
    for index in 0..100 {
        disk.lock().unwrap().append(vec![entry(index, &[7; 100])]).unwrap();
    }
    let logs = |storage: &CrashStorage| {
        storage.list().unwrap().iter().filter(|name| name.starts_with("ledger-log-")).count()
    };
    let before = logs(&storage);
    assert!(before > 20);
    disk.lock().unwrap().purge(Id { term: 1, node: 1, index: 89 }).unwrap();
    assert!(logs(&storage) < 5);
    drop(disk);
    let (_, found) = open(&storage, 600).unwrap();
    assert_eq!(indices(&found), (90..100).collect::<Vec<_>>());
    assert_eq!(found.purged, Some(Id { term: 1, node: 1, index: 89 }));
}

#[test]
fn entries_of_one_append_share_a_sync() {
    let storage = CrashStorage::new(0);
    let (mut disk, _) = open(&storage, 1 << 20).unwrap();
    let before = storage.syncs();
    disk.append((0..50).map(|index| entry(index, b"x")).collect()).unwrap();
    assert_eq!(storage.syncs() - before, 1);
    let counters = disk.counters().read();
    assert_eq!((counters.entries, counters.syncs), (50, 1));
}
