//! A profile that was set back is refused before it signs, wherever the power was cut.
use super::*;
use crate::{NewCounter, adopt_profile_counter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use terachat_core_store::store::storage::MemoryStorage;
use terachat_vault::{CounterError, CounterKind, RollbackCounter, RollbackError, Secret};

/// A chip whose counters begin somewhere.
#[derive(Clone)]
struct Chip(Arc<AtomicU64>);

impl RollbackCounter for Chip {
    fn read(&mut self) -> Result<u64, CounterError> {
        Ok(self.0.load(Ordering::Relaxed))
    }

    fn advance(&mut self) -> Result<u64, CounterError> {
        Ok(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

fn chip() -> Chip {
    Chip(Arc::new(AtomicU64::new(500)))
}

fn create(storage: Box<dyn Storage>, chip: &Chip) -> Client {
    let mut make = |_, _: &Secret<32>| Ok(Box::new(chip.clone()) as terachat_vault::BoxedCounter);
    let counter = NewCounter { kind: CounterKind::Tpm, make: &mut make };
    Client::create(storage, "ada", &mut passphrase("secret"), Box::new(Counter(1 << 32)), 0, Some(counter))
        .unwrap()
}

fn open(storage: Box<dyn Storage>, chip: &Chip) -> Result<Client, Error> {
    let source = &mut passphrase("secret");
    Client::open_guarded(storage, source, Box::new(Counter(2 << 32)), |_, _, _| Ok(Box::new(chip.clone())))
}

fn copy(from: &dyn Storage) -> Box<MemoryStorage> {
    let mut to = MemoryStorage::new();
    for file in from.list().unwrap() {
        let len = from.size(&file).unwrap().unwrap() as usize;
        to.append(&file, &from.read(&file, 0, len).unwrap()).unwrap();
    }
    Box::new(to)
}

fn say(client: &mut Client, body: &str) -> Result<Answer, Error> {
    client.execute(Request::Send { place: place(), body: body.into(), reply_to: None }, 7)
}

fn found(client: &mut Client) {
    client.execute(Request::SpaceCreate { name: "crew".into(), post_quantum: false }, 5).unwrap();
    client
        .execute(
            Request::ChannelCreate { space: None, name: "general".into(), forum: false, since_join: false },
            6,
        )
        .unwrap();
}

#[track_caller]
fn set_back(opened: Result<Client, Error>) {
    assert!(matches!(opened.map(drop), Err(Error::Rollback(RollbackError::RolledBack { .. }))));
}

#[test]
fn an_older_copy_of_the_folder_is_refused_and_the_newest_is_not() {
    let (storage, chip) = (CrashStorage::new(1), chip());
    let mut client = create(Box::new(storage.clone()), &chip);
    found(&mut client);
    let older = copy(&storage);
    say(&mut client, "after the copy").unwrap();
    client.close().unwrap();
    set_back(open(older, &chip));
    let unguarded = Client::open(copy(&storage), &mut passphrase("secret"), Box::new(Counter(3 << 32)));
    assert!(matches!(unguarded.map(drop), Err(Error::Guarded("tpm"))), "the counter cannot be forgotten");
    let mut client = open(Box::new(storage), &chip).unwrap();
    say(&mut client, "the newest goes on").unwrap();
}

/// Between a checkpoint on the disk and the counter, between two writes, in the middle of one, or where a sync fails: the newest
/// disk opens and signs, and no copy from before does any more.
#[test]
fn whatever_write_fails_or_the_power_is_cut_at() {
    for (at, fault) in (0..).flat_map(|at| [(at, Fault::Full), (at, Fault::PowerCut)]) {
        let (storage, chip) = (CrashStorage::new(2), chip());
        drop(create(Box::new(storage.clone()), &chip));
        let mut client = open(Box::new(storage.clone()), &chip).unwrap();
        found(&mut client);
        client.close().unwrap();
        let mut client = open(Box::new(storage.clone()), &chip).unwrap();
        storage.fail_at(storage.operations() + at, fault);
        let mut copies = vec![copy(&storage)];
        let mut story = || {
            for body in ["one", "two", "three"] {
                // Two at once, as when several commands wait: they share a sync, which the checkpoints must not.
                let request = Request::Send { place: place(), body: body.into(), reply_to: None };
                client
                    .execute_all(vec![request.clone(), request], 7)?
                    .into_iter()
                    .collect::<Result<Vec<_>, _>>()?;
                client.checkpoint()?;
                copies.push(copy(&storage));
            }
            Ok::<(), Error>(())
        };
        let survived = story().is_ok();
        drop(client);
        // The newest copy may be the disk itself.
        copies.pop();
        let disk = storage.crash();
        let mut client = open(Box::new(disk), &chip).unwrap();
        say(&mut client, "after the cut").unwrap();
        for copy in copies {
            set_back(open(copy, &chip));
        }
        if survived && fault == Fault::PowerCut {
            return;
        }
    }
}

#[test]
fn a_moved_profile_adopts_another_counter_that_its_old_copies_do_not_know() {
    let (storage, lost, new) = (CrashStorage::new(3), chip(), chip());
    let mut client = create(Box::new(storage.clone()), &lost);
    found(&mut client);
    client.close().unwrap();
    let mut secrets = Vec::new();
    let mut make = |_, secret: &Secret<32>| {
        secrets.push(*secret.expose_secret());
        Ok(Box::new(new.clone()) as terachat_vault::BoxedCounter)
    };
    let counter = NewCounter { kind: CounterKind::File, make: &mut make };
    let (mut keys, store, source) = (storage.clone(), Box::new(storage.clone()), &mut passphrase("secret"));
    adopt_profile_counter(&mut keys, store, source, Box::new(Counter(4 << 32)), counter).unwrap();
    let source = &mut passphrase("secret");
    let opened =
        Client::open_guarded(Box::new(storage), source, Box::new(Counter(5 << 32)), |kind, _, secret| {
            assert_eq!((kind, &[*secret.expose_secret()][..]), (CounterKind::File, &secrets[..]));
            Ok(Box::new(new.clone()))
        });
    say(&mut opened.unwrap(), "here").unwrap();
}

/// A device that stays connected is guarded while it is: a copy from before the last checkpoint is refused although nobody
/// closed the profile.
#[test]
fn checkpoints_come_by_themselves_while_a_device_is_connected() {
    let (storage, chip) = (CrashStorage::new(5), chip());
    let mut client = create(Box::new(storage.clone()), &chip);
    client.watch(1_000).unwrap();
    found(&mut client);
    let (older, at) = (copy(&storage), chip.0.load(Ordering::Relaxed));
    client.watch(600_999).unwrap();
    assert_eq!(chip.0.load(Ordering::Relaxed), at, "not yet");
    client.watch(601_000).unwrap();
    assert_eq!(chip.0.load(Ordering::Relaxed), at + 1);
    drop(client);
    set_back(open(older, &chip));
    open(Box::new(storage.crash()), &chip).unwrap();
}

/// Reading needs no checkpoint, so it goes on where none can be written.
#[test]
fn a_full_disk_can_be_read_and_signs_nothing() {
    let (storage, chip) = (CrashStorage::new(4), chip());
    let mut client = create(Box::new(storage.clone()), &chip);
    found(&mut client);
    say(&mut client, "hello").unwrap();
    client.close().unwrap();
    let mut client = open(Box::new(storage.clone()), &chip).unwrap();
    (0..64).for_each(|n| storage.fail_at(storage.operations() + n, Fault::Full));
    assert!(say(&mut client, "no room").is_err());
    let read = Request::Read {
        place: place(),
        limit: 5,
        before: None,
        after: None,
        around: None,
        thread: None,
        pinned: false,
        filter: Box::default(),
    };
    let Answer::Messages { messages } = client.execute(read, 9).unwrap() else { panic!("not messages") };
    assert_eq!(messages.len(), 1);
}
