//! Making a vault, opening it, and finishing what a crash interrupted.
use crate::audit::{Action, AuditKeys, Totals, broken, read_from};
use crate::bytes::Reader;
use crate::collection::{Collections, totals_row};
use crate::commit::{Staged, Writer, decode_head, signed_head_row};
use crate::digest::{Digest, DigestKey};
use crate::engine::{Engine, Id, Space, after, key};
use crate::entropy::ThreadEntropy;
use crate::gallery::Galleries;
use crate::group::Queue;
use crate::helpers::Helpers;
use crate::keyring_file::{self, KeyringFile, sync_folder};
use crate::pages::Pages;
use crate::reads::Reads;
use crate::rotation::Rotations;
use crate::small::SmallKey;
use crate::stats::Counters;
use crate::store::Store;
use crate::time::Time;
use crate::{Config, Error};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, RwLock};
use terachat_vault::{BoxedCounter, Keyring, MasterKeySource, OPENING_CHECKPOINTS, derive_key, settle};

/// Rows that are removed in one commit while cleaning up.
const CLEAN_ROWS: usize = 4096;

/// Refuses a folder in which there is something but what may be `left` there.
pub(crate) fn check_empty(path: &Path, left: &[&str]) -> Result<(), Error> {
    let Ok(mut entries) = std::fs::read_dir(path) else { return Ok(()) };
    // A creation that was cut off left no more than the first two.
    let own = [".lock", keyring_file::NEW];
    let foreign = |name: &std::ffi::OsStr| !own.iter().chain(left).any(|known| name == *known);
    if entries.any(|entry| entry.is_ok_and(|entry| foreign(&entry.file_name()))) {
        return Err(Error::Folder {
            path: path.to_owned(),
            problem: "it is not empty; a vault needs a folder of its own",
        });
    }
    Ok(())
}

/// Makes the keyring of a new vault. Once its file is there, the vault is.
pub(crate) fn create(config: &Config, sources: &mut [&mut dyn MasterKeySource]) -> Result<Keyring, Error> {
    ThreadEntropy::check()?;
    let mut keyring = Keyring::generate("vault", &mut ThreadEntropy);
    for source in sources {
        keyring.guard(*source, &mut ThreadEntropy)?;
    }
    let bytes = keyring.seal(&mut ThreadEntropy).map_err(terachat_vault::KeyringError::from)?;
    KeyringFile::new(&config.path).replace(&bytes)?;
    Ok(keyring)
}

/// Opens the database of an opened keyring.
pub(crate) fn open(
    config: &Config,
    keyring: Keyring,
    counter: Option<BoxedCounter>,
    lock: crate::lock::Lock,
) -> Result<Store, Error> {
    ThreadEntropy::check()?;
    // Only a vault that was never opened has no database yet.
    if keyring.epoch() > 1 && !Engine::folder(&config.path).exists() {
        let problem = "the vault's database is missing; restore it from a backup";
        return Err(Error::Folder { path: config.path.clone(), problem });
    }
    let engine = Engine::open(config, &config.path)?;
    sync_folder(&config.path)?;
    let seed = keyring.audit_seed();
    let audit = AuditKeys::new(&keyring.vault(), seed);
    let small = SmallKey::new(seed);
    let digest_key = DigestKey(derive_key("terachat 2026-11 vault digest key", seed, &[]));
    let (writer, watermark_ms) = writer(&engine, &audit, &keyring)?;
    let mut counter = counter;
    if let Some(counter) = &mut counter {
        settle(writer.counter, counter.as_mut())?;
    }
    let collections = Collections::load(&engine, &small, &keyring)?;
    let store = Store {
        config: config.clone(),
        keyring_file: KeyringFile::new(&config.path),
        blinder: keyring.blinder(),
        keyring: RwLock::new(keyring),
        audit,
        small,
        digest_key,
        pages: Pages::new(config),
        collections,
        time: Time::new(config.clock.clone(), config.clock_step_max, watermark_ms),
        writer: Mutex::new(writer),
        queue: Queue::default(),
        helpers: Helpers::default(),
        reads: Reads::default(),
        galleries: Galleries::default(),
        rotations: Rotations::new(config.reencrypt_per_s),
        due: AtomicU64::new(if counter.is_some() { OPENING_CHECKPOINTS } else { 0 }),
        counter: Mutex::new(counter),
        sweeping: Mutex::new(()),
        read_only: OnceLock::new(),
        closed: AtomicBool::new(false),
        counters: Counters::default(),
        engine,
        _lock: lock,
    };
    store.clean()?;
    store.count_pending()?;
    store.resume_rotations()?;
    store.record(&"vault".into(), Action::Open, 0)?;
    Ok(store)
}

/// What the newest audit event says of the state. Follows the chain from the last signature on.
fn writer(engine: &Engine, audit: &AuditKeys, keyring: &Keyring) -> Result<(Writer, u64), Error> {
    let stored = engine.get(Space::Index, &signed_head_row())?;
    let mut head = audit.start();
    let mut event = None;
    if let Some(stored) = stored {
        let signed = decode_head(&stored).ok_or(broken(0, "the signed head is cut short or changed"))?;
        audit.verify(&signed)?;
        let row = engine.get(Space::Audit, &signed.seq.to_be_bytes())?;
        let row = row.ok_or(broken(signed.seq, "the signed event is not there"))?;
        let (signed_event, found) = audit.open(signed.seq, &row)?;
        if found.hash != signed.hash {
            return Err(broken(signed.seq, "it is not the one that was signed"));
        }
        (head, event) = (found, Some(signed_event));
    }
    let signed = head.seq;
    for row in read_from(engine, head.seq + 1) {
        let (seq, row) = row?;
        if seq != head.seq + 1 {
            return Err(broken(head.seq + 1, "it is missing"));
        }
        let (next_event, next) = audit.follow(&head, &row)?;
        (head, event) = (next, Some(next_event));
    }
    if event.is_none() && keyring.epoch() > 1 {
        return Err(broken(1, "the whole log is missing"));
    }
    let (digest, totals, time_ms, keyring_epoch, counter) = match &event {
        Some(event) => (event.digest, event.totals, event.time_ms, event.keyring_epoch, event.counter),
        None => (Digest::default(), Totals::default(), 0, keyring.epoch(), 0),
    };
    // A crash lies between a new keyring and the event that tells of it at most once.
    if !(keyring_epoch..=keyring_epoch + 1).contains(&keyring.epoch()) {
        return Err(Error::RolledBack { keyring: keyring.epoch(), database: keyring_epoch });
    }
    let mut collections = BTreeMap::new();
    for (id, _) in keyring.collections() {
        if let Some(row) = engine.get(Space::Index, &totals_row(id))?
            && let Ok(totals) = Totals::read(&mut Reader(&row))
        {
            collections.insert(*id, totals);
        }
    }
    let last = |kind: u8| -> Result<Option<u64>, Error> {
        let row = engine.last(Space::Index, &[kind])?;
        Ok(row.and_then(|(row, _)| row.get(1..)?.try_into().ok()).map(u64::from_be_bytes))
    };
    let next_erasure = last(key::PENDING)?.max(last(key::RECEIPT)?).map_or(1, |last| last + 1);
    let writer = Writer { head, signed, digest, totals, collections, next_erasure, counter, unsynced: true };
    Ok((writer, time_ms))
}

impl Store {
    /// Removes the pages that the keyring does not name: of sweeps that did not come to their end, before or after the
    /// keyring was replaced, and of generations and collections that were destroyed.
    fn clean(&self) -> Result<(), Error> {
        for kind in [key::PAGE, key::SLOTS] {
            let mut from = vec![kind];
            loop {
                let row = self.engine.rows(Space::Index, &[kind], &from).next().transpose()?;
                let Some((row, _)) = row else { break };
                let group = self.group_of(kind, &row);
                if group.known {
                    // Nothing in a known group is garbage; one look at it is enough.
                    match after(&group.prefix) {
                        Some(next) if next.starts_with(&[kind]) => from = next,
                        _ => break,
                    }
                } else {
                    self.remove_all(&group.prefix)?;
                    from = vec![kind];
                }
            }
        }
        Ok(())
    }

    fn group_of(&self, kind: u8, row: &[u8]) -> Group {
        let generation = row
            .get(1..17)
            .and_then(|id| id.try_into().ok())
            .zip(row.get(17..21).and_then(|number| number.try_into().ok()).map(u32::from_be_bytes));
        let Some((collection, generation)): Option<(Id, u32)> = generation else {
            return Group { prefix: row.to_vec(), known: false };
        };
        let keyring = self.keyring();
        let dek = keyring.collection(&collection).and_then(|keys| keys.dek(generation));
        if kind == key::SLOTS {
            return Group { prefix: row[..21].to_vec(), known: dek.is_some() };
        }
        let epoch = row.get(21..29).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes);
        let known = dek.zip(epoch).is_some_and(|(dek, epoch)| dek.epoch == epoch);
        Group { prefix: row[..row.len().min(29)].to_vec(), known }
    }

    fn remove_all(&self, prefix: &[u8]) -> Result<(), Error> {
        loop {
            let rows: Vec<_> = self
                .engine
                .rows(Space::Index, prefix, prefix)
                .take(CLEAN_ROWS)
                .map(|row| row.map(|(row, _)| row))
                .collect::<Result<_, _>>()?;
            if rows.is_empty() {
                return Ok(());
            }
            let mut staged = Staged::default();
            rows.iter().for_each(|row| staged.remove(Space::Index, row));
            self.write_rows(&mut self.writer(), staged)?;
        }
    }

    /// Counts what waits for a sweep, up to a bound that is enough to start one.
    fn count_pending(&self) -> Result<(), Error> {
        let rows = self.engine.rows(Space::Index, &[key::PENDING], &[key::PENDING]).take(1000);
        let mut pending = 0;
        for row in rows {
            row?;
            pending += 1;
        }
        self.counters.pending_erasures.store(pending, Ordering::Relaxed);
        Ok(())
    }
}

/// Rows that belong together, and whether the keyring names them.
struct Group {
    prefix: Vec<u8>,
    known: bool,
}
