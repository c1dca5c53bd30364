mod beside;

use crate::LocalStore;
use crate::query::search_index::Query;
use crate::store::storage::MemoryStorage;
use crate::store::{Error as StoreError, Storage};
use crate::testing::{Counter, Device, store_key};

fn check(storage: MemoryStorage) -> super::CheckReport {
    LocalStore::check(Box::new(storage), &store_key(), Box::new(Counter::default())).unwrap()
}

/// The files of a store with some of everything: a rewritten segment, a snapshot with texts and hashes, a tail.
fn files() -> MemoryStorage {
    let mut a = Device::new(1);
    let space = a.found();
    let log = a.create_channel(space, "general");
    for n in 0..1_050 {
        a.say(log, &format!("message {n}"));
    }
    a.store.compact().unwrap();
    assert!(a.store.times_compacted() > 0, "or a part of this tests nothing");
    a.store.state_hash(&log).unwrap();
    a.store.search(&log, &Query::parse("message"), 1, |_| true).unwrap();
    a.store.snapshot().unwrap();
    a.say(log, "behind the snapshot");
    copy(&*a.store.into_storage())
}

fn copy(storage: &dyn Storage) -> MemoryStorage {
    let mut copy = MemoryStorage::new();
    for file in storage.list().unwrap() {
        let len = storage.size(&file).unwrap().unwrap();
        let bytes = storage.read(&file, 0, usize::try_from(len).unwrap()).unwrap();
        copy.replace(&file, &bytes).unwrap();
    }
    copy
}

#[test]
fn a_whole_store_is_sound() {
    let report = check(files());
    assert_eq!(report.findings, []);
    assert!(report.blocks > 3 && report.snapshot_parts >= 5 && report.bytes > 1_000, "{report:?}");
    assert_eq!(report.audit.unwrap().events, 1_053);
    let other = terachat_vault::Secret::take(&mut [8; 32]);
    let wrong = LocalStore::check(Box::new(files()), &other, Box::new(Counter::default()));
    assert_eq!(wrong, Err(StoreError::WrongKey.into()));
}

/// Some byte in every stretch of every file: nothing that changes goes unnoticed, and what can be made anew is not called
/// lost.
#[test]
fn every_changed_byte_is_found() {
    let whole = files();
    for file in whole.list().unwrap() {
        let len = usize::try_from(whole.size(&file).unwrap().unwrap()).unwrap();
        let bytes = whole.read(&file, 0, len).unwrap();
        for at in (0..len).step_by((len / 40).max(1)).chain([len - 1]) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            let mut storage = whole.clone();
            storage.replace(&file, &changed).unwrap();
            let result = LocalStore::check(Box::new(storage), &store_key(), Box::new(Counter::default()));
            // A changed version looks like a newer program's, a changed key check like another key.
            let Ok(report) = result else {
                assert!(at < 96, "{file} byte {at}: {result:?}");
                continue;
            };
            assert!(!report.is_sound(), "{file} byte {at}");
            let is_loss = report.findings.iter().any(|finding| finding.is_loss);
            // Of the secrets there are two files, and each is made anew from the other.
            let is_made_anew = file == "snapshot" || file.starts_with("keys");
            assert_eq!(is_loss, !is_made_anew, "{file} byte {at}: {:?}", report.findings);
        }
    }
}

#[test]
fn all_damage_is_told_not_the_first_alone() {
    let mut a = Device::new(1);
    let space = a.found();
    let log = a.create_channel(space, "general");
    for n in 0..40 {
        a.say(log, &format!("message {n}"));
    }
    let mut storage = copy(&*a.store.into_storage());
    let file = storage.list().unwrap().into_iter().find(|file| file.ends_with(".seg")).unwrap();
    let len = usize::try_from(storage.size(&file).unwrap().unwrap()).unwrap();
    let mut bytes = storage.read(&file, 0, len).unwrap();
    // Two payloads, far apart: inside frames, so that the way from block to block is not lost.
    let mut found = 0;
    for at in [len / 2, len - len / 4] {
        for shift in 0..400 {
            let mut changed = bytes.clone();
            changed[at + shift] ^= 1;
            let mut one = storage.clone();
            one.replace(&file, &changed).unwrap();
            let report = LocalStore::check(Box::new(one), &store_key(), Box::new(Counter::default()));
            if report.is_ok_and(|report| report.findings.len() == found + 1 && report.blocks > 40) {
                bytes = changed;
                found += 1;
                break;
            }
        }
    }
    assert_eq!(found, 2);
    storage.replace(&file, &bytes).unwrap();
    let report = check(storage);
    assert_eq!(report.findings.len(), 2, "{:?}", report.findings);
    assert!(report.findings.iter().all(|finding| finding.what.contains("damaged at block")));
    assert_eq!(report.audit, None);
}
