//! What somebody with a hand in the database can do, and that it is noticed.
use super::world::*;
use crate::engine::{Space, key};
use crate::{Error, TemplateVault, order};
use terachat_vault::CounterKind;

/// Writes a row behind the vault's back, who has it no longer in memory when it is asked for.
fn forge(vault: &TemplateVault, space: Space, key: &[u8], value: &[u8]) {
    vault.store.engine.space(space).insert(order::stored(space, key), value).unwrap();
    if let Some((collection, record)) = key::read_record(key) {
        vault.store.engine.forget(&collection, &record);
    }
}

fn row(vault: &TemplateVault, space: Space, key: &[u8]) -> Vec<u8> {
    vault.store.engine.get(space, key).unwrap().unwrap().to_vec()
}

fn damaged(result: Result<crate::Record, Error>) -> &'static str {
    match result {
        Err(Error::Damaged { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn swapped_flipped_and_cut_records_are_noticed_on_reading() {
    let world = World::new();
    let vault = world.create();
    let session = session(&vault);
    put(&session, "a", b"one");
    put(&session, "b", b"two");
    let place = |id| {
        let (collection, record) = vault.blinded("door", id);
        key::record(&collection, &record)
    };
    let (a, b) = (row(&vault, Space::Records, &place("a")), row(&vault, Space::Records, &place("b")));
    forge(&vault, Space::Records, &place("a"), &b);
    assert_eq!(damaged(session.get("door", "a")), "it does not open at its address");
    for at in 0..a.len() {
        let mut flipped = a.clone();
        flipped[at] ^= 0x10;
        forge(&vault, Space::Records, &place("a"), &flipped);
        // In the clear stand the version, the largest version, the hour of expiry.
        match (at, session.get("door", "a")) {
            (8..20, Ok(record)) => assert_eq!(record.content.bytes(), Some(&b"one"[..])),
            (_, Err(Error::Damaged { .. })) => {}
            (at, other) => panic!("byte {at}: {other:?}"),
        }
        let report = vault.check().unwrap();
        assert!(!report.complete || !report.damaged.is_empty(), "byte {at}");
    }
    for cut in [0, 10, 30, a.len() - 1] {
        forge(&vault, Space::Records, &place("a"), &a[..cut]);
        damaged(session.get("door", "a"));
    }
    assert_eq!(get(&session, "b"), Some(b"two".to_vec()));
    let page = session.list("door", &crate::ListOptions::default()).unwrap();
    assert_eq!((page.records.len(), page.damaged), (1, 1));
    assert!(!vault.health().problems.is_empty() && vault.stats().damaged > 0);
    vault.flush().unwrap();
    let entries = vault.audit_entries(1, 10_000).unwrap();
    assert!(entries.iter().any(|entry| entry.action == crate::Action::Damaged));
    vault.store.engine.space(Space::Records).insert(order::stored(Space::Records, &place("a")), &a).unwrap();
    assert_eq!(get(&session, "a"), Some(b"one".to_vec()), "what did not open is read from the disk again");
    whole(&vault);
}

#[test]
fn an_old_version_played_again_a_lost_and_an_added_row_are_noticed_by_the_check() {
    let world = World::new();
    let vault = world.create();
    let session = session(&vault);
    put(&session, "a", b"one");
    let (collection, record) = vault.blinded("door", "a");
    let place = key::record(&collection, &record);
    let old = row(&vault, Space::Records, &place);
    put(&session, "a", b"two");
    put(&session, "b", b"x");
    session.delete("door", "b").unwrap();
    let new = row(&vault, Space::Records, &place);
    forge(&vault, Space::Records, &place, &old);
    assert!(!vault.check().unwrap().complete);
    // Old and new version having changed places: each opens, the whole does not hold.
    forge(&vault, Space::Records, &place, &new);
    whole(&vault);
    let second = key::version(&collection, &record, 1);
    let older = row(&vault, Space::Versions, &second);
    vault.store.engine.space(Space::Versions).remove(order::stored(Space::Versions, &second)).unwrap();
    assert!(!vault.check().unwrap().complete);
    forge(&vault, Space::Versions, &second, &older);
    whole(&vault);
    let (_, gone) = vault.blinded("door", "b");
    vault.store.engine.space(Space::Index).remove(key::gone(&collection, &gone)).unwrap();
    assert!(!vault.check().unwrap().complete);
}

#[test]
fn a_changed_audit_log_is_noticed() {
    let world = World::new();
    let vault = world.create();
    (0..5).for_each(|n| {
        put(&session(&vault), &format!("{n}"), b"x");
    });
    vault.flush().unwrap();
    let seq = 3u64;
    let good = row(&vault, Space::Audit, &seq.to_be_bytes());
    for at in [0, 33, 40, 70, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        forge(&vault, Space::Audit, &seq.to_be_bytes(), &bad);
        assert!(matches!(vault.audit(), Err(Error::AuditBroken { seq: 3, .. })), "byte {at}");
    }
    let other = row(&vault, Space::Audit, &4u64.to_be_bytes());
    forge(&vault, Space::Audit, &seq.to_be_bytes(), &other);
    assert!(matches!(vault.audit(), Err(Error::AuditBroken { seq: 3, .. })));
    vault.store.engine.space(Space::Audit).remove(seq.to_be_bytes()).unwrap();
    assert!(matches!(vault.audit(), Err(Error::AuditBroken { seq: 3, .. })));
    forge(&vault, Space::Audit, &seq.to_be_bytes(), &good);
    vault.audit().unwrap();
    // The newest events cut off: the vault does not open.
    let head = vault.stats().audit_seq;
    vault.store.engine.space(Space::Audit).remove(head.to_be_bytes()).unwrap();
    vault.store.closed.store(true, std::sync::atomic::Ordering::Release);
    drop(vault);
    assert!(matches!(world.try_open(), Err(Error::AuditBroken { .. })));
}

#[test]
fn a_keyring_or_a_database_of_another_time_is_noticed() {
    let world = World::new();
    let vault = world.create();
    put(&session(&vault), "a", b"one");
    let old = std::fs::read(world.path().join("keyring")).unwrap();
    let keys = vault.keys("op").unwrap();
    keys.rotate_kek().unwrap();
    keys.rotate_kek().unwrap();
    let new = std::fs::read(world.path().join("keyring")).unwrap();
    vault.close().unwrap();
    std::fs::write(world.path().join("keyring"), old).unwrap();
    assert!(matches!(world.try_open(), Err(Error::RolledBack { .. })));
    let mut flipped = new.clone();
    *flipped.last_mut().unwrap() ^= 1;
    std::fs::write(world.path().join("keyring"), flipped).unwrap();
    assert!(matches!(world.try_open(), Err(Error::Keyring(_))));
    std::fs::write(world.path().join("keyring"), new).unwrap();
    whole(&world.open());
}

/// A counter in memory: what a test has of a chip.
#[derive(Clone, Default)]
struct Chip(std::sync::Arc<std::sync::atomic::AtomicU64>);

impl terachat_vault::RollbackCounter for Chip {
    fn read(&mut self) -> Result<u64, terachat_vault::CounterError> {
        Ok(self.0.load(std::sync::atomic::Ordering::Relaxed))
    }

    fn advance(&mut self) -> Result<u64, terachat_vault::CounterError> {
        Ok(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1)
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[test]
fn a_vault_that_was_set_back_as_a_whole_is_noticed_by_the_counter() {
    let world = World::new();
    let chip = Chip::default();
    // A chip's counters begin above those it had before.
    chip.0.store(77, std::sync::atomic::Ordering::Relaxed);
    let vault = world.create();
    vault.adopt_counter("ops", CounterKind::Tpm, |_, _| Ok(Box::new(chip.clone()))).unwrap();
    vault.close().unwrap();
    assert_eq!(world.try_open().err(), Some(Error::Guarded("tpm")), "it cannot be forgotten");
    let open = || {
        let source = &mut passphrase("correct horse");
        TemplateVault::open_guarded(&world.config, source, |_, _, _| Ok(Box::new(chip.clone())))
    };
    open().unwrap().close().unwrap();
    let aside = world.path().with_extension("copy");
    copy(world.path(), &aside);
    let vault = open().unwrap();
    put(&session(&vault), "a", b"one");
    vault.checkpoint().unwrap();
    vault.close().unwrap();
    let newest = world.path().with_extension("newest");
    std::fs::rename(world.path(), &newest).unwrap();
    copy(&aside, world.path());
    let error = open().err().unwrap();
    assert!(matches!(error, Error::Counter(terachat_vault::RollbackError::RolledBack { .. })), "{error}");
    std::fs::remove_dir_all(world.path()).unwrap();
    std::fs::rename(&newest, world.path()).unwrap();
    whole(&open().unwrap());
}

/// A command line opens a vault for each thing it is asked. When each of them advanced the counter three times, looking at a vault
/// once a minute was the end of a chip within a month.
#[test]
fn whoever_only_reads_wears_no_counter_out() {
    let world = World::new();
    let chip = Chip::default();
    let vault = world.create();
    vault.adopt_counter("ops", CounterKind::Tpm, |_, _| Ok(Box::new(chip.clone()))).unwrap();
    put(&session(&vault), "a", b"one");
    vault.close().unwrap();
    let count = || chip.0.load(std::sync::atomic::Ordering::Relaxed);
    let open = || {
        let source = &mut passphrase("correct horse");
        TemplateVault::open_guarded(&world.config, source, |_, _, _| Ok(Box::new(chip.clone()))).unwrap()
    };
    let before = count();
    for _ in 0..5 {
        let vault = open();
        assert_eq!(get(&session(&vault), "a"), Some(b"one".to_vec()));
        vault.tick().unwrap();
        whole(&vault);
        vault.close().unwrap();
    }
    assert_eq!(count(), before);
    type Change = fn(&TemplateVault);
    let changes: [Change; 8] = [
        |vault| assert_eq!(put(&session(vault), "b", b"two"), 1),
        |vault| drop(session(vault).delete("door", "b").unwrap()),
        |vault| vault.create_collection("op", "gate", &crate::CollectionOptions::default()).unwrap(),
        |vault| assert_eq!(vault.drop_collection("op", "gate"), Ok(0)),
        |vault| assert_eq!(vault.keys("op").unwrap().rotate_kek(), Ok(2)),
        |vault| vault.keys("op").unwrap().rotate_dek("door").map(drop).unwrap(),
        // The rotation that goes on.
        |vault| vault.tick().unwrap(),
        |vault| vault.confirm_clock("op").unwrap(),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let before = count();
        let vault = open();
        change(&vault);
        assert_eq!(
            count(),
            before + 2,
            "change {at}: both checkpoints are complete before it is acknowledged"
        );
        vault.close().unwrap();
        assert_eq!(count(), before + 3, "change {at}");
    }
    whole(&open());
}

#[test]
fn whoever_lost_the_counter_can_adopt_another_and_old_copies_do_not_know_it() {
    let world = World::new();
    let (lost, found) = (Chip::default(), Chip::default());
    let vault = world.create();
    vault.adopt_counter("ops", CounterKind::File, |_, _| Ok(Box::new(lost))).unwrap();
    vault.close().unwrap();
    let mut secrets = Vec::new();
    let vault = TemplateVault::open_to_adopt(&world.config, &mut passphrase("correct horse")).unwrap();
    vault
        .adopt_counter("ops", CounterKind::Tpm, |_, secret| {
            secrets.push(*secret.expose_secret());
            Ok(Box::new(found.clone()))
        })
        .unwrap();
    let failing = |_, _: &_| Err(terachat_vault::CounterError { reason: "no chip".to_owned() });
    assert!(matches!(vault.adopt_counter("ops", CounterKind::File, failing), Err(Error::Counter(_))));
    vault.close().unwrap();
    let source = &mut passphrase("correct horse");
    let vault = TemplateVault::open_guarded(&world.config, source, |kind, vault, secret| {
        assert_eq!((kind, vault.0), (CounterKind::Tpm, TemplateVault::id_of(world.path()).unwrap()));
        assert_eq!(secrets, [*secret.expose_secret()]);
        Ok(Box::new(found))
    });
    whole(&vault.unwrap());
}

/// Each adoption that failed wrote the keyring anew and told the log nothing of it: after two of them and a crash the vault took
/// itself for one that was set back.
#[test]
fn adoptions_that_fail_do_not_pile_up() {
    let world = World::new();
    let vault = world.create();
    let failing = |_, _: &_| Err(terachat_vault::CounterError { reason: "no chip".to_owned() });
    for _ in 0..3 {
        assert!(matches!(vault.adopt_counter("ops", CounterKind::Tpm, failing), Err(Error::Counter(_))));
    }
    // The process ends.
    vault.store.closed.store(true, std::sync::atomic::Ordering::Release);
    drop(vault);
    whole(&world.open());
}

/// A chip that is busy for a while cost the vault its next opening: each try wrote a checkpoint, and two were one too many.
#[test]
fn checkpoints_that_the_counter_does_not_answer_do_not_pile_up() {
    #[derive(Clone)]
    struct Busy(Chip, std::sync::Arc<std::sync::atomic::AtomicBool>);

    impl terachat_vault::RollbackCounter for Busy {
        fn read(&mut self) -> Result<u64, terachat_vault::CounterError> {
            match self.1.load(std::sync::atomic::Ordering::Relaxed) {
                true => Err(terachat_vault::CounterError { reason: "busy".to_owned() }),
                false => self.0.read(),
            }
        }

        fn advance(&mut self) -> Result<u64, terachat_vault::CounterError> {
            self.0.advance()
        }
    }

    let world = World::new();
    let busy = Busy(Chip::default(), std::sync::Arc::default());
    let vault = world.create();
    vault.adopt_counter("ops", CounterKind::Tpm, |_, _| Ok(Box::new(busy.clone()))).unwrap();
    busy.1.store(true, std::sync::atomic::Ordering::Relaxed);
    for _ in 0..3 {
        assert!(matches!(vault.checkpoint(), Err(Error::Counter(_))));
    }
    busy.1.store(false, std::sync::atomic::Ordering::Relaxed);
    vault.checkpoint().unwrap();
    vault.close().unwrap();
    let source = &mut passphrase("correct horse");
    whole(&TemplateVault::open_guarded(&world.config, source, |_, _, _| Ok(Box::new(busy))).unwrap());
}

#[test]
fn a_vault_without_its_database_is_not_an_empty_vault() {
    let world = World::new();
    world.create().close().unwrap();
    let aside = world.path().with_extension("db");
    std::fs::rename(world.path().join("db"), &aside).unwrap();
    assert!(matches!(world.try_open(), Err(Error::Folder { .. })));
    std::fs::create_dir(world.path().join("db")).unwrap();
    assert!(matches!(world.try_open(), Err(Error::AuditBroken { seq: 1, .. })));
    std::fs::remove_dir_all(world.path().join("db")).unwrap();
    std::fs::rename(&aside, world.path().join("db")).unwrap();
    whole(&world.open());
}
