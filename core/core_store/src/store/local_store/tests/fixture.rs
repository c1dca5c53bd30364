//! A small store that was written once and is kept beside the code: what is on people's disks must open, or be refused in
//! words. Whoever changes a format on purpose raises its version, and writes the files anew by
//! `TERACHAT_WRITE_FIXTURE=1 cargo test -p terachat-core-store fixture`.
use crate::LocalStore;
use crate::model::{ChannelOp, Rank};
use crate::query::search_index::Query;
use crate::store::storage::MemoryStorage;
use crate::store::{Error as StoreError, Storage};
use crate::testing::{Counter, Device, store_key, text};
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// Some of everything: two channels, two members, edits, reactions, pins, a removal, records, a snapshot with texts and
/// hashes, and a tail behind it.
fn write() -> Box<dyn Storage> {
    let (mut a, mut b) = (Device::new(1), Device::new(2));
    let space = a.found();
    a.admit(space, &b, Rank::MODERATOR);
    let log = a.create_channel(space, "general");
    let other = a.create_channel(space, "other");
    let first = a.say(log, "the first message");
    b.learn_epoch(space);
    b.pull(&mut a).unwrap();
    for n in 0..40 {
        b.say(log, &format!("message {n}"));
    }
    a.pull(&mut b).unwrap();
    a.post(
        log,
        &[
            ChannelOp::Edit { target: first, body: "the first message, edited" },
            ChannelOp::React { target: first, emoji: "👍" },
            ChannelOp::Pin { target: first },
        ],
    )
    .unwrap();
    a.say(other, "elsewhere");
    a.store.state_hash(&log).unwrap();
    a.store.snapshot().unwrap();
    a.post(log, &[text("behind the snapshot")]).unwrap();
    a.store.into_storage()
}

/// History in long chunks, as a newcomer takes it in, with short ones behind it.
fn write_long() -> Box<dyn Storage> {
    let (mut a, mut b) = (Device::new(1), Device::new(2));
    let space = b.found();
    b.admit(space, &a, Rank::MODERATOR);
    let log = b.create_channel(space, "general");
    for n in 0..200 {
        b.say(log, &format!("message {n} {}", "goes on ".repeat(100)));
    }
    a.learn_epoch(space);
    a.pull(&mut b).unwrap();
    a.say(log, "behind it");
    a.store.snapshot().unwrap();
    a.store.into_storage()
}

const ROOT_BEFORE: &str = "ce51825f48d5ff61abb818b5eeb27da9a7df4f57d2bfea156714c3257a879818";

fn files(storage: &dyn Storage) -> Vec<(String, Vec<u8>)> {
    let read = |file: String| {
        let len = usize::try_from(storage.size(&file).unwrap().unwrap()).unwrap();
        let bytes = storage.read(&file, 0, len).unwrap();
        (file, bytes)
    };
    storage.list().unwrap().into_iter().map(read).collect()
}

fn kept() -> MemoryStorage {
    kept_as("store-3-snapshot-13", write)
}

fn kept_as(name: &str, write: fn() -> Box<dyn Storage>) -> MemoryStorage {
    let folder = folder(name);
    if std::env::var_os("TERACHAT_WRITE_FIXTURE").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for (file, bytes) in files(&*write()) {
            std::fs::write(folder.join(file), bytes).unwrap();
        }
    }
    read(name)
}

fn read(name: &str) -> MemoryStorage {
    let mut storage = MemoryStorage::new();
    for entry in std::fs::read_dir(folder(name)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        storage.replace(&name, &std::fs::read(path).unwrap()).unwrap();
    }
    storage
}

#[track_caller]
fn holds_all(device: &mut Device) {
    let logs = device.store.logs();
    let channels: Vec<_> = logs.into_iter().filter(|log| log.channel.is_some()).collect();
    let with = |count: usize| *channels.iter().find(|log| device.store.message_count(log) == count).unwrap();
    let (log, other) = (with(42), with(1));
    let bodies = device.bodies(log);
    assert_eq!(
        (bodies[0].as_str(), bodies[41].as_str()),
        ("the first message, edited", "behind the snapshot")
    );
    assert_eq!(device.bodies(other), ["elsewhere"]);
    assert_eq!(device.store.pinned(&log, 9).unwrap()[0].reactions.len(), 1);
    assert_eq!(device.store.search(&log, &Query::parse("message 39"), 9, |_| true).unwrap().len(), 1);
    assert_eq!(device.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
    device.say(log, "and on");
}

#[test]
fn what_was_written_opens() {
    let mut device = Device::over(1, Box::new(kept())).unwrap();
    assert!(device.store.snapshot.is_some(), "its snapshot is of this version");
    holds_all(&mut device);
    let report = LocalStore::check(Box::new(kept()), &store_key(), Box::new(Counter::default())).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
}

#[test]
fn history_in_long_chunks_opens() {
    let kept = || kept_as("store-2-batch-2", write_long);
    let mut device = Device::over(1, Box::new(kept())).unwrap();
    let log = *device.store.logs().iter().find(|log| log.channel.is_some()).unwrap();
    let index = device.store.index(&log).unwrap();
    let versions: Vec<u8> = index.metas.iter().map(|meta| device.store.chunk(*meta).unwrap()[0]).collect();
    assert_eq!(versions, [2, 1]);
    assert!(device.store.chunk(index.chunks[0]).unwrap().len() > 64 << 10);
    let bodies = device.bodies(log);
    assert_eq!((bodies.len(), bodies[200].as_str()), (201, "behind it"));
    assert!(bodies[199].starts_with("message 199 goes on"));
    let report = LocalStore::check(Box::new(kept()), &store_key(), Box::new(Counter::default())).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    device.store.snapshot = None;
    assert_eq!(device.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
    device.say(log, "and on");
}

/// A store of before there were erasable payloads and secrets of segments. It goes on; what was said in it stays on disk
/// when it is deleted, since no hash says what could be left of it.
#[test]
fn a_store_of_before_there_was_erasure_opens() {
    let report =
        LocalStore::check(Box::new(read("store-2-snapshot-8")), &store_key(), Box::new(Counter::default()));
    assert!(report.unwrap().is_sound());
    let mut device = Device::over(1, Box::new(read("store-2-snapshot-8"))).unwrap();
    assert!(device.store.snapshot.is_none(), "it is of another version");
    holds_all(&mut device);
    let log = *device.store.logs().iter().find(|log| device.store.message_count(log) == 43).unwrap();
    let page = device.store.page(&log, crate::query::PageStart::Newest, 99).unwrap();
    let delete = |target| ChannelOp::Delete { target, moderates: true };
    device.post(log, &[delete(page[41].event), delete(page[42].event)]).unwrap();
    let erased = device.store.compact().unwrap();
    assert_eq!((erased.erased, erased.pending), (1, 0), "what was said today is erased");
    let again = device.store.compact().unwrap();
    assert_eq!((again.erased, again.pending), (0, 0));
    assert_eq!(device.store.audit_state_integrity().unwrap().alarm, Vec::<String>::new());
    let again = Device::over(1, device.store.into_storage()).unwrap();
    let deleted = again.store.page(&log, crate::query::PageStart::Newest, 99).unwrap();
    assert!(deleted[41].deleted && deleted[42].deleted && !deleted[40].deleted);
}

/// A store of before roles had permissions: its snapshot is made anew, and its state is the one it was, to the last bit.
#[test]
fn a_store_of_before_there_were_permissions_is_what_it_was() {
    let mut device = Device::over(1, Box::new(read("store-3-snapshot-9"))).unwrap();
    assert!(device.store.snapshot.is_none(), "it is of another version");
    let space = device.store.spaces().next().unwrap();
    let state = device.store.space(&space).unwrap();
    assert!(state.roles().is_plain());
    assert_eq!(blake3::Hash::from(state.root()).to_hex().as_str(), ROOT_BEFORE);
    holds_all(&mut device);
}

/// A snapshot is made anew from the log, so one of another version is passed over: that is its migration.
#[test]
fn a_snapshot_of_another_version_is_passed_over() {
    let mut device = Device::over(1, Box::new(kept())).unwrap();
    for version in [11, 12, 14, 0xff] {
        device.store.log.replace_snapshot(&[vec![version, 0, 0]]).unwrap();
        let storage = device.store.into_storage();
        device = Device::over(1, storage).unwrap();
        assert!(device.store.snapshot.is_none());
    }
    holds_all(&mut device);
    device.store.snapshot().unwrap();
    let again = Device::over(1, device.store.into_storage()).unwrap();
    assert!(again.store.snapshot.is_some());
}

/// A log is never made anew from anything, so a newer one is refused, and nothing is changed.
#[test]
fn a_log_of_a_newer_version_is_refused_as_it_is() {
    let mut storage = kept();
    let file = storage.list().unwrap().into_iter().find(|file| file.ends_with(".seg")).unwrap();
    let len = usize::try_from(storage.size(&file).unwrap().unwrap()).unwrap();
    let mut bytes = storage.read(&file, 0, len).unwrap();
    bytes[6] = 99;
    storage.replace(&file, &bytes).unwrap();
    let result = LocalStore::open(Box::new(storage.clone()), &store_key(), Box::new(Counter::default()));
    let error = result.err().unwrap();
    assert!(matches!(error, crate::Error::Store(StoreError::NewerVersion { found: 99, .. })), "{error}");
    assert!(error.to_string().contains("use a newer terachat"));
}
