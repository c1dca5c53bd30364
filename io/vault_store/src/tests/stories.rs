//! One story for each promise.
use super::world::*;
use crate::engine::{LOOK_UPS, Space};
use crate::{
    Access, Action, Batch, CollectionOptions, Content, ErasedRecord, ErasureReceipt, Error, Expect,
    ListOptions, Operation, Outcome, PutOptions, TemplateVault, Verb,
};
use std::sync::atomic::Ordering;
use std::time::Duration;
use terachat_template::{Body, Embedding, Probe, TemplateType, Threshold};
use terachat_vault::{KeyringError, SecretBytes};

const HOUR: Duration = Duration::from_secs(3600);

fn probe(vector: &[f32]) -> Probe {
    Probe::new(TemplateType::Face, Body::Vector(Embedding::take(vector.to_vec()).unwrap())).unwrap()
}

#[test]
fn what_was_stored_is_there_after_reopening() {
    let world = World::new();
    let vault = world.create();
    assert_eq!(put(&session(&vault), "a", b"one"), 1);
    assert_eq!(put(&session(&vault), "a", b"two"), 2);
    let (id, key) = (vault.id(), vault.audit_key());
    assert!(matches!(world.try_open(), Err(Error::Host(_))), "one process at a time");
    vault.close().unwrap();
    assert!(matches!(
        TemplateVault::open(&world.config, &mut passphrase("wrong")),
        Err(Error::Keyring(KeyringError::Source(_)))
    ));
    let vault = world.open();
    assert_eq!((vault.id(), vault.audit_key()), (id, key));
    let record = session(&vault).get("door", "a").unwrap();
    assert_eq!((record.info.version, record.info.stored_ms, record.info.len), (2, NOW_MS, 3));
    assert_eq!(record.content.bytes(), Some(&b"two"[..]));
    whole(&vault);
    assert!(matches!(
        TemplateVault::create(&world.config, &mut [&mut passphrase("x")]),
        Err(Error::Folder { .. })
    ));
}

#[test]
fn absent_forbidden_and_erased_look_the_same() {
    let world = World::new();
    let vault = world.create();
    put(&session(&vault), "a", b"one");
    put(&session(&vault), "b", b"one");
    session(&vault).delete("door", "b").unwrap();
    let outside = vault.session("eve", Access::none().grant("gate", &Verb::ALL)).unwrap();
    let inside = session(&vault);
    for (session, collection, id) in [
        (&outside, "door", "a"),
        (&inside, "door", "b"),
        (&inside, "door", "c"),
        (&inside, "gone", "a"),
        (&outside, "gate", "a"),
    ] {
        assert_eq!(session.get(collection, id).err(), Some(Error::NotFound));
        assert_eq!(session.versions(collection, id).err(), Some(Error::NotFound));
        assert_eq!(session.delete(collection, id).err(), Some(Error::NotFound));
        assert_eq!(session.restore(collection, id, 1).err(), Some(Error::NotFound));
        let threshold = Threshold::new(0.5).unwrap();
        assert_eq!(session.verify(collection, id, &probe(&[1.0]), threshold).err(), Some(Error::NotFound));
    }
    for (session, collection) in [(&outside, "door"), (&inside, "gone"), (&outside, "gate")] {
        assert_eq!(session.put(collection, "x", secret(b""), &PutOptions::default()), Err(Error::NotFound));
        assert_eq!(session.list(collection, &ListOptions::default()).unwrap().records, []);
        assert_eq!(session.identify(collection, &probe(&[1.0]), Threshold::new(0.5).unwrap(), 3), Ok(vec![]));
    }
}

/// Nobody learns from the time of an answer what they may not see: the same is looked up on the disk for each of them.
#[test]
fn absent_and_forbidden_cost_the_same_look_ups() {
    let world = World::new();
    let vault = world.create();
    let inside = session(&vault);
    (0..200).for_each(|n| {
        put(&inside, &format!("{n}"), &[n as u8; 2000]);
    });
    let outside = vault.session("eve", Access::none().grant("gate", &Verb::ALL)).unwrap();
    let threshold = Threshold::new(0.5).unwrap();
    type Ask<'a> = &'a dyn Fn(&crate::Session, &str, &str) -> Error;
    let asks: [(&str, Ask<'_>); 5] = [
        ("get", &|session, collection, id| session.get(collection, id).err().unwrap()),
        ("versions", &|session, collection, id| session.versions(collection, id).err().unwrap()),
        ("delete", &|session, collection, id| session.delete(collection, id).err().unwrap()),
        ("restore", &|session, collection, id| session.restore(collection, id, 1).err().unwrap()),
        ("verify", &|session, collection, id| {
            session.verify(collection, id, &probe(&[1.0]), threshold).err().unwrap()
        }),
    ];
    // Forbidden and there; forbidden and absent; allowed and absent; a collection that is not there.
    let cases =
        [(&outside, "door", "7"), (&outside, "door", "x"), (&inside, "door", "x"), (&inside, "none", "7")];
    for (name, ask) in asks {
        let look_ups = cases.map(|(session, collection, id)| {
            let before = LOOK_UPS.get();
            assert_eq!(ask(session, collection, id), Error::NotFound);
            LOOK_UPS.get() - before
        });
        assert!(look_ups.iter().all(|count| *count == look_ups[2] && *count > 0), "{name}: {look_ups:?}");
    }
}

#[test]
fn bad_input_is_told_what_is_wrong_with_it() {
    let world = World::new();
    let vault = world.create();
    let session = session(&vault);
    let name = |result: Result<u64, Error>| assert!(matches!(result, Err(Error::Name { .. })), "{result:?}");
    for id in ["", "a\nb", &"x".repeat(257)] {
        name(session.put("door", id, secret(b"x"), &PutOptions::default()));
        assert!(matches!(session.get("door", id), Err(Error::Name { .. })));
    }
    assert!(matches!(vault.session("", Access::full()), Err(Error::Name { .. })));
    let huge = Content::Bytes(SecretBytes::take(vec![0; crate::CONTENT_LEN_MAX + 1]));
    assert!(matches!(session.put("door", "a", huge, &PutOptions::default()), Err(Error::TooLarge { .. })));
    let full = Content::Bytes(SecretBytes::take(vec![7; crate::CONTENT_LEN_MAX]));
    session.put("door", "full", full, &PutOptions { compress: true, ..PutOptions::default() }).unwrap();
    assert_eq!(session.get("door", "full").unwrap().info.len, crate::CONTENT_LEN_MAX);
    assert_eq!(put(&session, "empty", b""), 1);
    assert_eq!(get(&session, "empty"), Some(vec![]));
    assert!(matches!(session.apply("door", Batch::default()), Err(Error::Batch(_))));
    let twice = || Operation::Delete { id: "full".into(), expect: Expect::Any };
    let batch = Batch { operations: vec![twice(), twice()], ..Batch::default() };
    assert!(matches!(session.apply("door", batch), Err(Error::Batch(_))));
    let past = PutOptions { keep_until_ms: Some(NOW_MS), ..PutOptions::default() };
    assert_eq!(session.put("door", "a", secret(b"x"), &past), Err(Error::ExpiredAlready));
    let chacha =
        CollectionOptions { algorithm: terachat_vault::Algorithm::ChaCha20Poly1305, ..Default::default() };
    assert_eq!(vault.create_collection("op", "door", &chacha), Err(Error::CollectionExists));
    vault.create_collection("op", "slow", &chacha).unwrap();
    session.put("slow", "a", secret(b"x"), &PutOptions::default()).unwrap();
    assert_eq!(session.get("slow", "a").unwrap().content.bytes(), Some(&b"x"[..]));
}

#[test]
fn a_repeated_request_is_done_once() {
    let world = World::new();
    let vault = world.create();
    let session = session(&vault);
    let batch = |bytes: &[u8]| Batch {
        operations: vec![Operation::Put {
            id: "a".into(),
            content: secret(bytes),
            options: PutOptions::default(),
        }],
        idempotency_key: Some("k".into()),
        ..Batch::default()
    };
    let first = session.apply("door", batch(b"one")).unwrap();
    assert_eq!((&first.outcomes[..], first.repeated), (&[Outcome::Stored { version: 1 }][..], false));
    let second = session.apply("door", batch(b"one")).unwrap();
    assert_eq!((&second.outcomes[..], second.repeated), (&[Outcome::Stored { version: 1 }][..], true));
    assert_eq!(session.apply("door", batch(b"two")), Err(Error::IdempotencyReused));
    let other = vault.session("bob", Access::full()).unwrap();
    assert!(!other.apply("door", batch(b"two")).unwrap().repeated, "another caller's key is another key");
    world.pass(HOUR * 24);
    vault.tick().unwrap();
    assert!(!session.apply("door", batch(b"two")).unwrap().repeated, "it is forgotten after a day");
    world.pass(HOUR * 25);
    vault.tick().unwrap();
    let left = [crate::engine::key::IDEMPOTENT, crate::engine::key::IDEMPOTENT_TIME];
    let left =
        left.map(|kind| vault.store.engine.rows(crate::engine::Space::Index, &[kind], &[kind]).count());
    assert_eq!(left, [0, 0]);
}

#[test]
fn an_erased_record_does_not_open_any_more_and_the_receipt_proves_it() {
    let world = World::new();
    let vault = world.create();
    let session = session(&vault);
    for id in ["a", "b", "c"] {
        put(&session, id, id.as_bytes());
        put(&session, id, b"newer");
    }
    let (collection, record) = vault.blinded("door", "a");
    let sealed = vault.store.head(&collection, &record).unwrap().unwrap();
    let receipt = session.delete("door", "a").unwrap();
    receipt.verify(&vault.audit_key()).unwrap();
    assert_eq!(ErasureReceipt::decode(&receipt.encode()), Ok(receipt.clone()));
    assert_eq!((receipt.collection, receipt.epochs.clone()), (collection, vec![(1, 1, 2)]));
    let [erased] = &receipt.records[..] else { panic!("one record") };
    assert_eq!((erased.record, erased.id_hash), (record, ErasedRecord::hash_of(&vault.id(), "door", "a")));
    assert_eq!(erased.versions.iter().map(|version| version.0).collect::<Vec<_>>(), [1, 2]);
    // The sealed bytes alone, had somebody kept them, open with no key that is left.
    let opened = vault.store.try_open(&collection, &record, sealed.version, sealed.sealed()).unwrap();
    assert!(opened.is_none());
    assert_eq!(get(&session, "b"), Some(b"newer".to_vec()));
    assert_eq!(vault.receipt(receipt.erasure), Ok(Some(receipt)));
    assert_eq!(put(&session, "a", b"again"), 3, "no version is used twice");
    whole(&vault);
    drop(session);
    vault.close().unwrap();
    whole(&world.open());
}

#[test]
fn expired_records_are_gone_at_once_and_their_keys_soon() {
    let world = World::new();
    let vault = world.create();
    let session = session(&vault);
    let until = NOW_MS + 2 * 3_600_000;
    session.put("door", "a", face("ann", &[1.0, 0.0], Some(until)), &PutOptions::default()).unwrap();
    put(&session, "b", b"stays");
    assert_eq!(session.info("door", "a").unwrap().keep_until_ms, Some(until));
    let threshold = Threshold::new(0.5).unwrap();
    assert_eq!(session.identify("door", &probe(&[1.0, 0.1]), threshold, 3).unwrap().len(), 1);
    world.pass(HOUR * 2);
    assert_eq!(session.get("door", "a").err(), Some(Error::NotFound));
    assert_eq!(session.identify("door", &probe(&[1.0, 0.1]), threshold, 3), Ok(vec![]));
    assert_eq!(session.list("door", &ListOptions::default()).unwrap().records.len(), 1);
    world.clock.store(NOW_MS, Ordering::Relaxed);
    assert_eq!(session.get("door", "a").err(), Some(Error::NotFound), "a clock set back resurrects nothing");
    assert_eq!(vault.expire(), Ok(1));
    assert_eq!(vault.stats().pending_erasures, 1);
    assert_eq!(vault.sweep(), Ok(1));
    assert_eq!(put_face(&session, "a"), 2);
    whole(&vault);
    drop(session);
    vault.close().unwrap();
    let vault = world.open();
    assert!(vault.now_ms() >= until, "time does not go back across a restart");
    whole(&vault);
}

#[test]
fn a_new_record_in_the_place_of_an_expired_one_starts_anew() {
    let world = World::new();
    let vault = world.create();
    let session = session(&vault);
    put(&session, "a", b"kept for ever, but older");
    let soon = PutOptions { keep_until_ms: Some(NOW_MS + 1000), ..PutOptions::default() };
    session.put("door", "a", secret(b"x"), &soon).unwrap();
    world.pass(HOUR * 3);
    let absent = PutOptions { expect: Expect::Absent, ..PutOptions::default() };
    assert_eq!(session.put("door", "a", secret(b"new"), &absent), Ok(3));
    let versions = session.versions("door", "a").unwrap();
    assert_eq!(versions.iter().map(|info| info.version).collect::<Vec<_>>(), [3]);
    assert_eq!(get(&session, "a"), Some(b"new".to_vec()));
    whole(&vault);
    assert_eq!((vault.expire(), vault.sweep()), (Ok(0), Ok(2)));
    whole(&vault);
    drop(session);
    vault.close().unwrap();
    let vault = world.open();
    assert_eq!(get(&super::world::session(&vault), "a"), Some(b"new".to_vec()));
    whole(&vault);
}

fn put_face(session: &crate::Session, id: &str) -> u64 {
    session.put("door", id, face("ann", &[1.0, 0.0], None), &PutOptions::default()).unwrap()
}

#[test]
fn a_clock_that_jumps_far_ahead_erases_nothing_until_it_is_confirmed() {
    let world = World::new();
    let vault = world.create();
    let session = session(&vault);
    let until = NOW_MS + 3_600_000;
    session.put("door", "a", face("ann", &[1.0, 0.0], Some(until)), &PutOptions::default()).unwrap();
    world.pass(HOUR * 24 * 365);
    assert_eq!(vault.expire(), Ok(0));
    assert!(vault.health().clock_doubted && session.get("door", "a").is_ok());
    vault.confirm_clock("op").unwrap();
    assert!(!vault.health().clock_doubted);
    assert_eq!(session.get("door", "a").err(), Some(Error::NotFound));
    assert_eq!(vault.expire(), Ok(1));
}

#[test]
fn templates_are_verified_and_identified_as_they_are_now() {
    let world = World::new();
    let vault = world.create();
    let session = session(&vault);
    let vectors = [("ann", [1.0, 0.0]), ("bob", [0.0, 1.0]), ("eve", [0.7, 0.7])];
    for (id, vector) in vectors {
        session.put("door", id, face(id, &vector, None), &PutOptions::default()).unwrap();
    }
    put(&session, "key", b"no template");
    let threshold = Threshold::new(0.9).unwrap();
    assert!(session.verify("door", "ann", &probe(&[0.9, 0.1]), threshold).unwrap().matched);
    assert!(!session.verify("door", "bob", &probe(&[0.9, 0.1]), threshold).unwrap().matched);
    assert_eq!(session.verify("door", "key", &probe(&[0.9, 0.1]), threshold), Err(Error::NotATemplate));
    let who = |vector: &[f32]| -> Vec<(String, u64)> {
        let found = session.identify("door", &probe(vector), threshold, 2).unwrap();
        found.into_iter().map(|found| (found.id, found.version)).collect()
    };
    assert_eq!(who(&[1.0, 0.1]), [("ann".to_owned(), 1)]);
    session.put("door", "ann", face("ann", &[0.0, 1.0], None), &PutOptions::default()).unwrap();
    assert_eq!(who(&[1.0, 0.1]), []);
    assert_eq!(who(&[0.0, 1.0]).len(), 2);
    session.delete("door", "bob").unwrap();
    assert_eq!(who(&[0.0, 1.0]), [("ann".to_owned(), 2)]);
    assert!(matches!(session.identify("door", &probe(&[0.0, 1.0]), threshold, 0), Err(Error::Template(_))));
    assert!(session.identify("door", &probe(&[0.0, 1.0, 0.0]), threshold, 1).unwrap().is_empty());
    let faces = ListOptions { template_type: Some(TemplateType::Face), ..ListOptions::default() };
    assert_eq!(session.list("door", &faces).unwrap().records.len(), 2);
    let irises = ListOptions { template_type: Some(TemplateType::Iris), ..ListOptions::default() };
    assert_eq!(session.list("door", &irises).unwrap().records.len(), 0);
}

#[test]
fn pages_of_a_list_show_everything_once_whatever_is_written_meanwhile() {
    let world = World::new();
    let vault = world.create();
    let session = session(&vault);
    (0..50).for_each(|n| {
        put(&session, &format!("stays {n}"), b"x");
    });
    let (mut seen, mut options) = (Vec::new(), ListOptions { limit: 7, ..ListOptions::default() });
    for round in 0.. {
        let page = session.list("door", &options).unwrap();
        seen.extend(page.records.into_iter().map(|info| info.id).filter(|id| id.starts_with("stays")));
        put(&session, &format!("new {round}"), b"x");
        put(&session, &format!("stays {round}"), b"changed");
        let Some(next) = page.next else { break };
        options.cursor = Some(next.to_string().parse().unwrap());
    }
    seen.sort();
    let mut expected: Vec<_> = (0..50).map(|n| format!("stays {n}")).collect();
    expected.sort();
    assert_eq!(seen, expected);
    options.cursor = Some("00".repeat(32).parse().unwrap());
    assert_eq!(session.list("door", &options).err(), Some(Error::Cursor));
    let first = session.list("door", &ListOptions { limit: 1, ..ListOptions::default() }).unwrap();
    vault.create_collection("op", "gate", &CollectionOptions::default()).unwrap();
    options.cursor = first.next;
    assert_eq!(session.list("gate", &options).err(), Some(Error::Cursor), "a cursor is its list's own");
}

#[test]
fn everything_stands_in_the_audit_log() {
    let world = World::new();
    let vault = world.create();
    let session = session(&vault);
    put(&session, "a", b"one");
    session.get("door", "a").unwrap();
    assert!(session.get("door", "b").is_err());
    session.delete("door", "a").unwrap();
    vault.keys("op").unwrap().rotate_kek().unwrap();
    vault.flush().unwrap();
    let entries = vault.audit_entries(1, 100).unwrap();
    let (collection, record) = vault.blinded("door", "a");
    let of_a = entries.iter().filter(|entry| entry.record == record);
    let mut of_a: Vec<_> = of_a.map(|entry| (entry.action, entry.actor.as_str(), entry.version)).collect();
    of_a.sort();
    assert_eq!(of_a, [(Action::Read, "ann", 1), (Action::Put, "ann", 1), (Action::Delete, "ann", 1)]);
    assert!(
        entries.iter().filter(|entry| entry.record == record).all(|entry| entry.collection == collection)
    );
    let has = |action| entries.iter().any(|entry| entry.action == action);
    for action in [Action::Open, Action::CreateCollection, Action::Miss, Action::Sweep, Action::RotateKek] {
        assert!(has(action), "{action:?}");
    }
    let report = vault.audit().unwrap();
    assert_eq!(report.entries, entries.len() as u64);
    let mut paged = Vec::new();
    while let Ok(page) =
        vault.audit_entries(paged.last().map_or(1, |entry: &crate::AuditEntry| entry.seq + 1), 1)
    {
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, entries);
}

#[test]
fn a_rotation_ends_with_nothing_under_the_old_key() {
    let world = World::new();
    let vault = world.create();
    let session = session(&vault);
    (0..300).for_each(|n| {
        put(&session, &format!("{n}"), &[n as u8; 100]);
    });
    (0..20).for_each(|n| {
        put(&session, &format!("{n}"), &[n as u8 + 1; 100]);
    });
    let (collection, record) = vault.blinded("door", "5");
    let sealed = vault.store.head(&collection, &record).unwrap().unwrap();
    let keys = vault.keys("op").unwrap();
    assert_eq!(keys.rotate_dek("door"), Ok(2));
    put(&session, "new", b"x");
    let progress = keys.rotations();
    assert_eq!((progress[0].generation, &progress[0].older[..], progress[0].total), (2, &[1][..], 320));
    keys.wait("door").unwrap();
    assert!(keys.rotations().is_empty());
    assert!(vault.store.keyring().collection(&collection).unwrap().dek(1).is_none());
    let file = std::fs::read(world.path().join("keyring")).unwrap();
    let on_disk = terachat_vault::Keyring::open(&file, &mut passphrase("correct horse")).unwrap();
    let left = on_disk.collection(&collection).unwrap().generations();
    assert_eq!(left.map(|(generation, _)| generation).collect::<Vec<_>>(), [2]);
    // The sealed bytes of before, had somebody kept them, open with no key that is left.
    assert!(vault.store.try_open(&collection, &record, sealed.version, sealed.sealed()).unwrap().is_none());
    // First the proof, which looked at every version, then the end of the key.
    let entries = vault.audit_entries(1, 10_000).unwrap();
    let of_it = entries.iter().filter(|entry| entry.collection == collection);
    let told: Vec<_> = of_it
        .filter(|entry| {
            [Action::RotateDek, Action::RotationProved, Action::DestroyDek].contains(&entry.action)
        })
        .map(|entry| (entry.action, entry.version, entry.note.len()))
        .collect();
    assert_eq!(
        told,
        [(Action::RotateDek, 2, 0), (Action::RotationProved, 321, 32), (Action::DestroyDek, 1, 0)]
    );
    assert_eq!(vault.stats().reencrypted, 320);
    let old = crate::engine::key::pages(&collection, 1, 1);
    assert_eq!(vault.store.engine.rows(crate::engine::Space::Index, &old, &old).count(), 0);
    (20..300).for_each(|n| assert_eq!(get(&session, &format!("{n}")), Some(vec![n as u8; 100])));
    assert_eq!(session.get_version("door", "3", 1).unwrap().content.bytes(), Some(&[3; 100][..]));
    whole(&vault);
    assert_eq!(keys.rotate_dek("nowhere"), Err(Error::NoCollection));
}

/// What does not open cannot be sealed anew, and the key that may open it yet is not destroyed over it.
#[test]
fn a_damaged_record_keeps_the_old_key_until_it_is_gone() {
    let world = World::new();
    let vault = world.create();
    let session = session(&vault);
    (0..100).for_each(|n| {
        put(&session, &format!("{n}"), &[n as u8; 100]);
    });
    let (collection, record) = vault.blinded("door", "7");
    let place = crate::engine::key::record(&collection, &record);
    let mut row = vault.store.engine.get(Space::Records, &place).unwrap().unwrap().to_vec();
    *row.last_mut().unwrap() ^= 1;
    vault
        .store
        .engine
        .space(Space::Records)
        .insert(crate::order::stored(Space::Records, &place), row)
        .unwrap();
    vault.store.engine.forget(&collection, &record);
    let keys = vault.keys("op").unwrap();
    keys.rotate_dek("door").unwrap();
    let generations = || vault.store.keyring().collection(&collection).unwrap().generations().count();
    for _ in 0..2 {
        assert!(matches!(keys.wait("door"), Err(Error::Damaged { record: found, .. }) if found == record));
        assert_eq!((generations(), keys.rotations().len()), (2, 1));
    }
    (0..100)
        .filter(|n| *n != 7)
        .for_each(|n| assert_eq!(get(&session, &format!("{n}")), Some(vec![n as u8; 100])));
    session.delete("door", "7").unwrap();
    keys.wait("door").unwrap();
    assert_eq!((generations(), keys.rotations().len()), (1, 0));
    (0..100).for_each(|n| assert_eq!(get(&session, &format!("{n}")), (n != 7).then(|| vec![n as u8; 100])));
}

#[test]
fn who_opens_the_vault_can_be_changed() {
    let world = World::new();
    let vault = world.create();
    put(&session(&vault), "a", b"one");
    let keys = vault.keys("op").unwrap();
    keys.rotate_master(&mut [&mut passphrase("new words")]).unwrap();
    assert!(matches!(keys.rotate_master(&mut []), Err(Error::Keyring(KeyringError::LastSource(_)))));
    assert!(matches!(
        keys.remove_source(terachat_vault::SourceKind::Passphrase),
        Err(Error::Keyring(KeyringError::LastSource(_)))
    ));
    assert_eq!(keys.kek_version(), 2);
    vault.close().unwrap();
    assert!(matches!(world.try_open(), Err(Error::Keyring(_))));
    let vault = TemplateVault::open(&world.config, &mut passphrase("new words")).unwrap();
    assert_eq!(get(&session(&vault), "a"), Some(b"one".to_vec()));
    whole(&vault);
}

#[test]
fn a_dropped_collection_is_gone_with_its_keys() {
    let world = World::new();
    let vault = world.create();
    let session = session(&vault);
    vault.create_collection("op", "gate", &CollectionOptions::default()).unwrap();
    session.put("gate", "g", secret(b"stays"), &PutOptions::default()).unwrap();
    (0..10).for_each(|n| {
        put(&session, &format!("{n}"), b"x");
    });
    put(&session, "0", b"y");
    session.delete("door", "1").unwrap();
    assert_eq!(vault.drop_collection("op", "door"), Ok(9));
    assert_eq!(get(&session, "2"), None);
    assert_eq!(vault.drop_collection("op", "door"), Err(Error::NoCollection));
    whole(&vault);
    vault.create_collection("op", "door", &CollectionOptions::default()).unwrap();
    assert_eq!(put(&session, "2", b"new"), 1);
    whole(&vault);
    drop(session);
    vault.close().unwrap();
    let vault = world.open();
    assert_eq!(vault.stats().records, 2);
    whole(&vault);
}

#[test]
fn a_backup_opens_on_another_machine_and_a_changed_one_is_refused() {
    let world = World::new();
    let vault = world.create();
    let session = session(&vault);
    (0..300).for_each(|n| {
        put(&session, &format!("{n}"), &[n as u8; 500]);
    });
    session.delete("door", "7").unwrap();
    let mut backup = Vec::new();
    let report = vault.backup("op", &mut passphrase("recovery"), &mut backup).unwrap();
    assert_eq!((report.bytes, report.records), (backup.len() as u64, 299));
    put(&session, "later", b"not in it");

    let other = World::new();
    let restore = |bytes: &[u8], words: &str| {
        TemplateVault::restore_backup(
            &other.config,
            &mut &bytes[..],
            &mut passphrase(words),
            &mut [&mut passphrase("correct horse")],
        )
    };
    assert!(matches!(restore(&backup, "wrong"), Err(Error::Keyring(_))));
    for at in [0, 9, 60, backup.len() / 2, backup.len() - 1] {
        let mut changed = backup.clone();
        changed[at] ^= 1;
        assert!(restore(&changed, "recovery").is_err(), "a flipped bit at {at}");
        assert!(restore(&backup[..at], "recovery").is_err(), "cut at {at}");
        assert!(!other.path().join("keyring").exists() && !other.path().join("db").exists());
    }
    assert_eq!(restore(&backup, "recovery"), Ok(report));
    let restored = other.open();
    let there = super::world::session(&restored);
    assert_eq!((restored.id(), restored.audit_key()), (vault.id(), vault.audit_key()));
    (0..300).for_each(|n| assert_eq!(get(&there, &format!("{n}")), (n != 7).then(|| vec![n as u8; 500])));
    assert_eq!(get(&there, "later"), None);
    put(&there, "later", b"goes on");
    whole(&restored);
    assert!(
        matches!(restore(&backup, "recovery"), Err(Error::Folder { .. })),
        "not over a vault that is there"
    );
}

#[test]
fn compaction_changes_nothing_but_the_space() {
    let world = World::new();
    let vault = world.create();
    let session = session(&vault);
    for round in 0..3 {
        (0..200).for_each(|n| {
            put(&session, &format!("{n}"), &[round; 1000]);
        });
    }
    let (before, after) = vault.compact().unwrap();
    assert!(before > 0 && after > 0);
    (0..200).for_each(|n| assert_eq!(get(&session, &format!("{n}")), Some(vec![2; 1000])));
    whole(&vault);
}

/// What is not written out by then, whoever opens the vault next reads from the journal.
#[test]
fn closing_leaves_the_journal_nothing_to_tell() {
    let world = World::new();
    let vault = world.create();
    let session_before = session(&vault);
    (0..6).for_each(|n| {
        put(&session_before, &format!("{n}"), &vec![n; 1 << 20]);
    });
    let in_journal = |vault: &TemplateVault| vault.store.engine.db.write_buffer_size();
    assert!(in_journal(&vault) > 6 << 20);
    drop(session_before);
    vault.close().unwrap();
    let vault = world.open();
    assert!(in_journal(&vault) < 1 << 16, "{} bytes were read back", in_journal(&vault));
    (0..6).for_each(|n| assert_eq!(get(&session(&vault), &format!("{n}")), Some(vec![n; 1 << 20])));
}

#[test]
fn many_callers_share_commits() {
    let mut world = World::new();
    world.config.background = true;
    let vault = world.create();
    let session = session(&vault);
    let before = vault.stats();
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let session = &session;
            scope.spawn(move || {
                (0..50).for_each(|n| {
                    put(session, &format!("{thread} {n}"), b"x");
                })
            });
        }
    });
    let stats = vault.stats();
    assert_eq!(stats.records, 800);
    assert!(stats.syncs - before.syncs < 700, "{} commits for 800 puts", stats.syncs - before.syncs);
    whole(&vault);
}

/// Records are looked up before the writer's lock: what others stored meanwhile must not be taken for what is newest.
#[test]
fn no_version_is_given_twice_whoever_writes_at_once() {
    let mut world = World::new();
    world.config.background = true;
    let vault = world.create();
    let session = session(&vault);
    let versions: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let writer = |thread: usize| {
            let session = &session;
            scope.spawn(move || {
                let mut given = vec![0u64; 60];
                for round in 0..12 {
                    // Large batches, which helpers share, and small ones.
                    let ids: Vec<usize> =
                        if (thread + round).is_multiple_of(2) { (0..60).collect() } else { vec![thread, 30] };
                    let put = |id: &usize| Operation::Put {
                        id: id.to_string(),
                        content: secret(&[thread as u8, round as u8]),
                        options: PutOptions::default(),
                    };
                    let operations = ids.iter().map(put).collect();
                    let applied = session.apply("door", Batch { operations, ..Batch::default() }).unwrap();
                    for (id, outcome) in ids.iter().zip(applied.outcomes) {
                        let Outcome::Stored { version } = outcome else { panic!("{outcome:?}") };
                        assert!(version > given[*id], "versions of {id} went back");
                        given[*id] = version;
                    }
                }
                given
            })
        };
        let threads: Vec<_> = (0..4).map(writer).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let puts = |id: usize| 4 * 6 + usize::from(id < 4) * 6 + usize::from(id == 30) * 24;
    for id in 0..60 {
        let last = versions.iter().map(|given| given[id]).max().unwrap();
        assert_eq!(last, puts(id) as u64, "as many versions of {id} as were put");
    }
    whole(&vault);
}

#[test]
fn relaxed_writes_do_not_wait_for_the_disk() {
    let world = World::new();
    let vault = world.create();
    let session = session(&vault);
    let before = vault.stats().syncs;
    let batch = Batch {
        operations: vec![Operation::Put {
            id: "a".into(),
            content: secret(b"x"),
            options: PutOptions::default(),
        }],
        durability: crate::Durability::Relaxed,
        ..Batch::default()
    };
    session.apply("door", batch).unwrap();
    assert_eq!(vault.stats().syncs, before);
    vault.flush().unwrap();
    drop(session);
    vault.close().unwrap();
    assert_eq!(get(&super::world::session(&world.open()), "a"), Some(b"x".to_vec()));
}
