//! Every point of a sweep, a rotation and a change of keys at which a process can end, and SIGKILL at any other.
use super::world::*;
use crate::{ErasureId, Error, TemplateVault, fail};

/// What has to be there whatever happened.
fn holds(vault: &TemplateVault, erased: bool) {
    let session = session(vault);
    for n in 1..40 {
        assert_eq!(get(&session, &format!("{n}")), Some(vec![n; 50]), "record {n}");
    }
    assert_eq!(get(&session, "0").is_none(), erased);
    whole(vault);
}

#[test]
fn a_sweep_is_finished_wherever_it_was_cut_off() {
    for point in [
        "sweep: before the pages are written",
        "sweep: before the keyring is replaced",
        "keyring: before the file is replaced",
        "sweep: after the keyring was replaced",
    ] {
        let world = World::new();
        let vault = world.create();
        (0..40).for_each(|n| {
            put(&session(&vault), &format!("{n}"), &[n; 50]);
        });
        let (collection, record) = vault.blinded("door", "0");
        let sealed = vault.store.head(&collection, &record).unwrap().unwrap();
        fail::die_at(world.path(), point, 0);
        assert!(matches!(session(&vault).delete("door", "0"), Err(Error::ReadOnly(_))), "{point}");
        drop(vault);
        assert!(fail::revive(world.path()), "{point}");

        let vault = world.open();
        assert_eq!(vault.receipt(ErasureId(1)), Ok(None));
        holds(&vault, true);
        assert_eq!(vault.sweep(), Ok(1));
        let receipt = vault.receipt(ErasureId(1)).unwrap().unwrap();
        receipt.verify(&vault.audit_key()).unwrap();
        assert!(vault.store.try_open(&collection, &record, 1, sealed.sealed()).unwrap().is_none());
        holds(&vault, true);
        vault.close().unwrap();
        let vault = world.open();
        assert!(vault.store.try_open(&collection, &record, 1, sealed.sealed()).unwrap().is_none());
        holds(&vault, true);
    }
}

#[test]
fn a_rotation_goes_on_wherever_it_was_cut_off() {
    for (point, passes) in [
        ("keyring: before the file is replaced", 0),
        ("rotate: after the generation was made", 0),
        ("rotate: before a step is written", 0),
        ("rotate: before a step is written", 1),
        ("rotate: after the proof", 0),
        ("keyring: before the file is replaced", 1),
        ("rotate: after the old generation was destroyed", 0),
    ] {
        let world = World::new();
        let vault = world.create();
        (0..40).for_each(|n| {
            put(&session(&vault), &format!("{n}"), &[n; 50]);
        });
        fail::die_at(world.path(), point, passes);
        let keys = vault.keys("op").unwrap();
        let cut = keys.rotate_dek("door").and_then(|_| keys.wait("door"));
        assert!(matches!(cut, Err(Error::ReadOnly(_))), "{point}: {cut:?}");
        drop(vault);
        assert!(fail::revive(world.path()));

        let vault = world.open();
        holds(&vault, false);
        put(&session(&vault), "x", b"written meanwhile");
        vault.keys("op").unwrap().wait("door").unwrap();
        let (collection, _) = vault.blinded("door", "");
        assert_eq!(
            vault.store.keyring().collection(&collection).unwrap().generations().count(),
            1,
            "{point}"
        );
        holds(&vault, false);
        vault.close().unwrap();
        holds(&world.open(), false);
    }
}

#[test]
fn a_dropped_collection_stays_dropped_or_listed_but_never_half() {
    let world = World::new();
    let vault = world.create();
    put(&session(&vault), "a", b"x");
    fail::die_at(world.path(), "drop: before the keyring is replaced", 0);
    assert!(matches!(vault.drop_collection("op", "door"), Err(Error::ReadOnly(_))));
    drop(vault);
    assert!(fail::revive(world.path()));
    let vault = world.open();
    assert_eq!(get(&session(&vault), "a"), None);
    whole(&vault);
    vault.drop_collection("op", "door").unwrap();
    whole(&vault);
}

#[test]
fn after_a_failed_write_reading_goes_on() {
    let world = World::new();
    let vault = world.create();
    put(&session(&vault), "a", b"x");
    vault.store.stop_writing(&"disk full");
    assert!(matches!(
        session(&vault).put("door", "b", secret(b"y"), &crate::PutOptions::default()),
        Err(Error::ReadOnly(_))
    ));
    assert_eq!(get(&session(&vault), "a"), Some(b"x".to_vec()));
    assert!(!vault.health().writable);
    drop(vault);
    let vault = world.open();
    assert!(vault.health().writable);
    assert_eq!(get(&session(&vault), "a"), Some(b"x".to_vec()));
}

/// A power cut can leave the end of the last append on the disk and not its middle.
#[test]
fn a_torn_last_write_costs_nothing_that_was_acknowledged() {
    let world = World::new();
    let vault = world.create();
    put(&session(&vault), "acknowledged", &[7; 5000]);
    let journal = world.path().join("db").join("0.jnl");
    let whole = std::fs::read(&journal).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    put(&session(&vault), "torn", &[8; 5000]);
    let later = std::fs::read(&journal).unwrap();
    let later_end = later.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    vault.store.closed.store(true, std::sync::atomic::Ordering::Release);
    drop(vault);
    // Blocks of the last append that never reached the disk, each in turn.
    for at in (end..later_end - 16).step_by(512) {
        let mut torn = later[..later_end].to_vec();
        let to = (at + 512).min(later_end - 16);
        torn[at..to].fill(0);
        std::fs::write(&journal, torn).unwrap();
        let vault = world.open();
        let session = session(&vault);
        assert_eq!(get(&session, "acknowledged"), Some(vec![7; 5000]), "at {at}");
        assert_eq!(get(&session, "torn"), None);
        super::world::whole(&vault);
        vault.store.closed.store(true, std::sync::atomic::Ordering::Release);
    }
    // And every length that the file can have been cut to.
    for len in (end..later_end).step_by(211) {
        std::fs::write(&journal, &later[..len]).unwrap();
        let vault = world.open();
        assert_eq!(get(&session(&vault), "acknowledged"), Some(vec![7; 5000]), "cut to {len}");
        assert_eq!(get(&session(&vault), "torn"), None);
        vault.store.closed.store(true, std::sync::atomic::Ordering::Release);
    }
}
