//! Readers, writers, erasures, rotation, backup and compaction all at once; every value that is read is checked.
use super::world::*;
use crate::{Batch, Durability, Error, ListOptions, Operation, PutOptions, Session, TemplateVault};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many seconds the writers work, for a long run.
const SECONDS: &str = "TERACHAT_TEST_VAULT_SOAK_S";
const IDS: u64 = 200;

fn value(id: u64, salt: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&id.to_le_bytes());
    bytes.extend_from_slice(&salt.to_le_bytes());
    let len = salt % 3000;
    bytes.extend((0..len).map(|n| (id ^ salt ^ n) as u8));
    bytes
}

fn checked(session: &Session, id: u64) {
    match session.get("door", &id.to_string()) {
        Ok(record) => {
            let bytes = record.content.bytes().unwrap();
            let salt = u64::from_le_bytes(bytes[8..16].try_into().unwrap());
            assert_eq!(bytes, value(id, salt));
        }
        Err(error) => assert_eq!(error, Error::NotFound),
    }
}

/// A backup from the middle of everything makes a vault elsewhere of which every value holds.
fn restored(backup: &[u8]) {
    let world = World::new();
    let (source, new) = (&mut passphrase("recovery"), &mut passphrase("correct horse"));
    let report = TemplateVault::restore_backup(&world.config, &mut &backup[..], source, &mut [new]).unwrap();
    let vault = world.open();
    let session = session(&vault);
    (0..IDS).for_each(|id| checked(&session, id));
    assert_eq!(report.records, vault.stats().records);
    whole(&vault);
}

#[test]
fn everything_at_once() {
    let mut world = World::new();
    world.config.background = true;
    world.config.flush_interval = Duration::from_millis(10);
    world.config.sweep_interval = Duration::from_millis(20);
    world.config.expiry_interval = Duration::from_millis(20);
    world.config.page_cache = 16;
    world.config.reencrypt_per_s = 1_000_000;
    let vault = world.create();
    vault
        .create_collection("op", "door", &crate::CollectionOptions { versions_max: 2, ..Default::default() })
        .unwrap();
    let end = std::env::var(SECONDS)
        .ok()
        .and_then(|s| s.parse().ok())
        .map(|s| Instant::now() + Duration::from_secs(s));
    let (done, writes, rotations) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let (vault, done, writes, rotations) = (&vault, &done, &writes, &rotations);
        let writers: Vec<_> = (0..3u64)
            .map(|writer| {
                scope.spawn(move || {
                    let session = session(vault);
                    let mut seed = writer + 1;
                    let goes_on = |n: u64| end.map_or(n < 400, |end| Instant::now() < end);
                    for n in (0..).take_while(|n| goes_on(*n)) {
                        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let id = (seed >> 33) % IDS;
                        let content = secret(&value(id, seed >> 20));
                        let outcome = match n % 8 {
                            7 => session.delete("door", &id.to_string()).map(drop),
                            6 => session.delete_version("door", &id.to_string(), 1).map(drop),
                            5 => session.restore("door", &id.to_string(), 1).map(drop),
                            4 => {
                                let operations = vec![Operation::Put {
                                    id: id.to_string(),
                                    content,
                                    options: PutOptions::default(),
                                }];
                                let batch =
                                    Batch { operations, durability: Durability::Relaxed, ..Batch::default() };
                                session.apply("door", batch).map(drop)
                            }
                            _ => session
                                .put("door", &id.to_string(), content, &PutOptions::default())
                                .map(drop),
                        };
                        assert!(matches!(outcome, Ok(()) | Err(Error::NotFound)), "{outcome:?}");
                        writes.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let until_done = move |work: &dyn Fn()| {
            while !done.load(Ordering::Relaxed) {
                work()
            }
        };
        for reader in 0..2 {
            scope.spawn(move || {
                let session = session(vault);
                let n = std::cell::Cell::new(reader);
                until_done(&|| {
                    n.set(n.get() + 7);
                    checked(&session, n.get() % IDS)
                });
            });
        }
        scope.spawn(move || {
            let session = session(vault);
            until_done(&|| assert_eq!(session.list("door", &ListOptions::default()).unwrap().damaged, 0));
        });
        scope.spawn(move || {
            until_done(&|| {
                let keys = vault.keys("op").unwrap();
                keys.rotate_dek("door").unwrap();
                keys.wait("door").unwrap();
                rotations.fetch_add(1, Ordering::Relaxed);
            })
        });
        scope.spawn(move || {
            until_done(&|| {
                let mut backup = Vec::new();
                vault.backup("op", &mut passphrase("recovery"), &mut backup).unwrap();
                restored(&backup);
                let report = vault.check().unwrap();
                assert!(report.complete && report.damaged.is_empty(), "{report:?}");
                vault.compact().unwrap();
                vault.audit().unwrap();
            })
        });
        let ended: Vec<_> = writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok));
    });
    assert!(writes.load(Ordering::Relaxed) >= 100 && rotations.load(Ordering::Relaxed) > 0);
    vault.sweep().unwrap();
    whole(&vault);
    assert_eq!(vault.stats().damaged, 0);
    vault.close().unwrap();
    whole(&world.open());
}
