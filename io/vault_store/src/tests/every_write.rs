//! A vault's life, ended at every single write of it: the process is killed before and after each, and the power fails before and
//! within each. What was acknowledged is there, what was under way happened or did not, and the vault goes on.
use super::world::*;
use crate::fail::{self, End};
use crate::store::Head;
use crate::{
    Batch, CollectionOptions, Durability, ErasureId, Error, Expect, Operation, PutOptions, TemplateVault,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is there: ids, those of the collection `gate` with it in front, and contents.
type There = BTreeMap<String, Vec<u8>>;

/// One thing that somebody does, and what is there once it is acknowledged.
struct Step {
    name: &'static str,
    act: fn(&World, &TemplateVault) -> Result<(), Error>,
    there: &'static [(&'static str, &'static str)],
}

const LIFE: [Step; 17] = [
    Step { name: "put", act: |_, vault| store(vault, "a", "1"), there: &[("a", "1")] },
    Step { name: "put again", act: |_, vault| store(vault, "a", "2"), there: &[("a", "2")] },
    Step { name: "put another", act: |_, vault| store(vault, "b", "1"), there: &[("a", "2"), ("b", "1")] },
    Step { name: "batch", act: |_, vault| batch(vault), there: &[("a", "2"), ("c", "1")] },
    Step {
        name: "relaxed put",
        act: |_, vault| relaxed(vault),
        there: &[("a", "2"), ("c", "1"), ("r", "1")],
    },
    Step {
        name: "erase a version",
        act: |_, vault| session(vault).delete_version("door", "a", 1).map(drop),
        there: &[("a", "2"), ("c", "1"), ("r", "1")],
    },
    Step {
        name: "put in its place",
        act: |_, vault| store(vault, "c", "2"),
        there: &[("a", "2"), ("c", "2"), ("r", "1")],
    },
    Step {
        name: "restore a version",
        act: |_, vault| session(vault).restore("door", "c", 1).map(drop),
        there: &[("a", "2"), ("c", "1"), ("r", "1")],
    },
    Step { name: "expire", act: expire, there: &[("a", "2"), ("c", "1"), ("r", "1")] },
    Step {
        name: "rotate the KEK",
        act: |_, vault| vault.keys("op")?.rotate_kek().map(drop),
        there: &[("a", "2"), ("c", "1"), ("r", "1")],
    },
    Step {
        name: "rotate the DEK",
        act: |_, vault| {
            vault.keys("op")?.rotate_dek("door")?;
            vault.keys("op")?.wait("door")
        },
        there: &[("a", "2"), ("c", "1"), ("r", "1")],
    },
    Step {
        name: "erase a record",
        act: |_, vault| session(vault).delete("door", "c").map(drop),
        there: &[("a", "2"), ("r", "1")],
    },
    Step {
        name: "make a collection",
        act: |_, vault| {
            vault.create_collection("op", "gate", &CollectionOptions::default())?;
            session(vault).put("gate", "g", secret(b"1"), &PutOptions::default()).map(drop)
        },
        there: &[("a", "2"), ("gate g", "1"), ("r", "1")],
    },
    Step {
        name: "drop a collection",
        act: |_, vault| vault.drop_collection("op", "gate").map(drop),
        there: &[("a", "2"), ("r", "1")],
    },
    Step {
        name: "rotate the master key",
        act: |_, vault| vault.keys("op")?.rotate_master(&mut [&mut passphrase("new words")]),
        there: &[("a", "2"), ("r", "1")],
    },
    Step {
        name: "read and flush",
        act: |_, vault| session(vault).get("door", "a").map(drop).and_then(|()| vault.flush()),
        there: &[("a", "2"), ("r", "1")],
    },
    Step { name: "close", act: |_, vault| vault.clone().close(), there: &[("a", "2"), ("r", "1")] },
];

const RELAXED: usize = 4;
const BATCH: usize = 3;
const ROTATED: usize = 10;
const MASTER: usize = 14;

fn store(vault: &TemplateVault, id: &str, text: &str) -> Result<(), Error> {
    session(vault).put("door", id, secret(text.as_bytes()), &PutOptions::default()).map(drop)
}

/// One record comes, another goes, together or not at all; and its keys are gone before this returns.
fn batch(vault: &TemplateVault) -> Result<(), Error> {
    let operations = vec![
        Operation::Put { id: "c".into(), content: secret(b"1"), options: PutOptions::default() },
        Operation::Delete { id: "b".into(), expect: Expect::Any },
    ];
    session(vault).apply("door", Batch { operations, ..Batch::default() }).map(drop)
}

fn relaxed(vault: &TemplateVault) -> Result<(), Error> {
    let operations =
        vec![Operation::Put { id: "r".into(), content: secret(b"1"), options: PutOptions::default() }];
    let batch = Batch { operations, durability: Durability::Relaxed, ..Batch::default() };
    session(vault).apply("door", batch).map(drop)
}

fn expire(world: &World, vault: &TemplateVault) -> Result<(), Error> {
    let until = vault.now_ms() + 3_600_000;
    let options = PutOptions { keep_until_ms: Some(until), ..PutOptions::default() };
    let put = session(vault).put("door", "x", secret(b"1"), &options);
    world.pass(Duration::from_secs(2 * 3600));
    put.and_then(|_| vault.expire()).and_then(|_| vault.sweep()).map(drop)
}

fn state(step: Option<usize>) -> There {
    let there = step.map_or(&[][..], |step| LIFE[step].there);
    there.iter().map(|(id, text)| ((*id).to_owned(), text.as_bytes().to_vec())).collect()
}

fn found(vault: &TemplateVault) -> There {
    let session = session(vault);
    let mut there = There::new();
    for id in ["a", "b", "c", "r", "x"] {
        there.extend(get(&session, id).map(|content| (id.to_owned(), content)));
    }
    match session.get("gate", "g") {
        Ok(record) => drop(there.insert("gate g".into(), record.content.bytes().unwrap().to_vec())),
        Err(error) => assert_eq!(error, Error::NotFound),
    }
    there
}

/// Lives until it dies at write `number`. Says in which step, and gives the sealed bytes of `b`; `None` for who lived to the end.
fn live(world: &World, number: usize, end: End) -> Option<(usize, Option<Head>)> {
    let vault = world.create();
    fail::die_at_write(world.path(), number, end);
    let mut sealed = None;
    for (at, step) in LIFE.iter().enumerate() {
        if let Err(error) = (step.act)(world, &vault) {
            let ended = matches!(&error, Error::ReadOnly(why) if why.contains("the process ended"));
            assert!(ended, "{}: {error}", step.name);
            drop(vault);
            assert!(fail::revive(world.path()));
            return Some((at, sealed));
        }
        if step.name == "put another" {
            let (collection, record) = vault.blinded("door", "b");
            sealed = vault.store.head(&collection, &record).unwrap();
        }
    }
    drop(vault);
    assert!(!fail::revive(world.path()));
    None
}

fn every_write(end: End) {
    for number in 0.. {
        let world = World::new();
        let Some((died_in, sealed)) = live(&world, number, end) else {
            assert!(number > 60, "a life of {number} writes only");
            return;
        };
        let name = format!("{end:?} at write {number}, {:?}", LIFE[died_in].name);
        let rotated = TemplateVault::open(&world.config, &mut passphrase("new words"));
        let vault = match (rotated, died_in < MASTER) {
            (Ok(vault), false) => vault,
            (_, true) => world.try_open().unwrap_or_else(|error| panic!("{name}: {error}")),
            (Err(_), false) if died_in == MASTER => world.open(),
            (Err(error), _) => panic!("{name}: {error}"),
        };
        let there = found(&vault);
        let possible = [died_in.checked_sub(1), Some(died_in)].map(state);
        let mut fits = possible.contains(&there);
        // What was acknowledged without waiting for the disk may be lost to a power cut until something else waited for it.
        if !fits && matches!(end, End::PowerBefore | End::PowerWithin) && died_in > RELAXED {
            let mut with = there.clone();
            with.insert("r".into(), b"1".to_vec());
            fits = died_in == RELAXED + 1 && possible.contains(&with);
        }
        assert!(fits, "{name}: {there:?}, possible {possible:?}");
        whole(&vault);

        vault.sweep().unwrap();
        vault.keys("op").unwrap().wait("door").unwrap();
        assert_eq!(found(&vault), there, "{name}");
        whole(&vault);
        let (collection, record) = vault.blinded("door", "b");
        if died_in > BATCH {
            vault.receipt(ErasureId(1)).unwrap().unwrap().verify(&vault.audit_key()).unwrap();
        }
        if let Some(sealed) = sealed.filter(|_| !there.contains_key("b")) {
            let opened = vault.store.try_open(&collection, &record, sealed.version, sealed.sealed()).unwrap();
            assert!(opened.is_none(), "{name}: what was erased opens");
        }
        let generations = vault.store.keyring().collection(&collection).unwrap().generations().count();
        assert_eq!(generations, 1, "{name}");
        assert!(
            died_in <= ROTATED || vault.store.keyring().collection(&collection).unwrap().dek(1).is_none()
        );
        put(&session(&vault), "later", b"it goes on");
        vault.create_collection("op", "gate", &CollectionOptions::default()).unwrap();
        whole(&vault);
        vault.drop_collection("op", "gate").unwrap();
        whole(&vault);
        vault.close().unwrap();
    }
}

#[test]
fn killed_before_each_write() {
    every_write(End::KilledBefore);
}

#[test]
fn killed_after_each_write() {
    every_write(End::KilledAfter);
}

#[test]
fn the_power_fails_before_each_write() {
    every_write(End::PowerBefore);
}

#[test]
fn the_power_fails_within_each_write() {
    every_write(End::PowerWithin);
}

/// Making a vault, and its first collection: it is there, or it can be made again.
#[test]
fn a_vault_is_made_wherever_its_making_was_cut_off() {
    for end in [End::KilledBefore, End::KilledAfter, End::PowerBefore, End::PowerWithin] {
        for number in 0.. {
            let world = World::new();
            fail::die_at_write(world.path(), number, end);
            let made = TemplateVault::create(&world.config, &mut [&mut passphrase("correct horse")]);
            let made = made.and_then(|vault| {
                vault.create_collection("op", "door", &CollectionOptions::default()).map(|()| vault)
            });
            // It may be the closing that is cut off.
            drop(made);
            let ended = fail::revive(world.path());
            let there = world.path().join("keyring").exists();
            let vault = match there {
                true => world.try_open(),
                false => TemplateVault::create(&world.config, &mut [&mut passphrase("correct horse")]),
            };
            let vault = vault.unwrap_or_else(|error| panic!("{end:?} at write {number}: {error}"));
            vault.create_collection("op", "door", &CollectionOptions::default()).unwrap();
            put(&session(&vault), "a", b"1");
            whole(&vault);
            if !ended {
                assert!(number > 5, "made with {number} writes");
                break;
            }
        }
    }
}

/// Opening writes, too: it finishes what a crash interrupted, and may be interrupted itself.
#[test]
fn an_opening_is_cut_off_at_each_write() {
    for end in [End::KilledBefore, End::KilledAfter, End::PowerBefore, End::PowerWithin] {
        for number in 0.. {
            let world = World::new();
            let vault = world.create();
            ["a", "b"].into_iter().for_each(|id| store(&vault, id, "1").unwrap());
            vault.keys("op").unwrap().rotate_dek("door").unwrap();
            fail::die_at(world.path(), "sweep: after the keyring was replaced", 0);
            session(&vault).delete("door", "b").unwrap_err();
            drop(vault);
            assert!(fail::revive(world.path()));

            fail::die_at_write(world.path(), number, end);
            // It may be the closing that is cut off.
            drop(world.try_open());
            let ended = fail::revive(world.path());
            let vault = world.try_open().unwrap_or_else(|error| panic!("{end:?} at write {number}: {error}"));
            let there = There::from([("a".to_owned(), b"1".to_vec())]);
            assert_eq!(found(&vault), there);
            whole(&vault);
            vault.sweep().unwrap();
            vault.keys("op").unwrap().wait("door").unwrap();
            vault.receipt(ErasureId(1)).unwrap().unwrap().verify(&vault.audit_key()).unwrap();
            assert_eq!(found(&vault), there);
            whole(&vault);
            if !ended {
                assert!(number > 2, "opened with {number} writes");
                break;
            }
        }
    }
}

/// A restoration that is cut off leaves the vault, or a folder in which it can be begun again.
#[test]
fn a_restoration_is_cut_off_at_each_write() {
    let world = World::new();
    let vault = world.create();
    ["a", "b"].into_iter().for_each(|id| store(&vault, id, "1").unwrap());
    let mut backup = Vec::new();
    vault.backup("op", &mut passphrase("recovery"), &mut backup).unwrap();
    for end in [End::KilledBefore, End::KilledAfter] {
        for number in 0.. {
            let other = World::new();
            let restore = || {
                let (source, new) = (&mut passphrase("recovery"), &mut passphrase("correct horse"));
                TemplateVault::restore_backup(&other.config, &mut &backup[..], source, &mut [new])
            };
            fail::die_at_write(other.path(), number, end);
            let first = restore();
            let ended = fail::revive(other.path());
            assert_eq!(first.is_err(), ended);
            if !other.path().join("keyring").exists() {
                restore().unwrap_or_else(|error| panic!("{end:?} at write {number}: {error}"));
            }
            let vault = other.try_open().unwrap_or_else(|error| panic!("{end:?} at write {number}: {error}"));
            assert_eq!(found(&vault).into_keys().collect::<Vec<_>>(), ["a", "b"]);
            whole(&vault);
            vault.close().unwrap();
            assert!(!other.path().join("restoring").exists(), "nothing is left of it");
            if !ended {
                assert!(number > 2, "restored with {number} writes");
                break;
            }
        }
    }
}
