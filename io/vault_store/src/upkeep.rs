//! What concerns the whole vault: collections, expiry, figures.
use crate::apply::{Change, Step, Work};
use crate::audit::{Action, Entry};
use crate::collection::{Collection, options_row, totals_row};
use crate::commit::{Staged, Writer};
use crate::digest::Digest;
use crate::engine::{Id, Space, key};
use crate::entropy::ThreadEntropy;
use crate::row::read_row;
use crate::store::{Head, Store, hour_of, mark};
use crate::{CollectionInfo, CollectionOptions, Durability, Error, Health, Stats};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use terachat_vault::{
    BoxedCounter, CounterError, CounterKind, OPENING_CHECKPOINTS, RollbackError, Secret, VaultId, settle,
};

/// Records that expire in one commit.
const EXPIRE_STEPS: usize = 256;

impl Store {
    /// An entry for what concerns the whole vault.
    pub(crate) fn vault_entry(&self, actor: &Arc<str>, action: Action, version: u64) -> Entry {
        let (collection, record) = ([0; 16], [0; 16]);
        Entry {
            time_ms: self.time.now_ms(),
            actor: actor.clone(),
            action,
            collection,
            record,
            version,
            note: Vec::new(),
        }
    }

    /// Commits one entry and nothing else.
    pub(crate) fn record(&self, actor: &Arc<str>, action: Action, version: u64) -> Result<(), Error> {
        let mut staged = Staged::default();
        staged.entries.push(self.vault_entry(actor, action, version));
        self.commit(&mut self.writer(), staged, true)?;
        Ok(())
    }

    /// Writes a checkpoint and advances the counter to it, where there is one: the checkpoint first, so that a crash in between
    /// leaves a vault that is newer than its counter by one, and never older.
    pub(crate) fn checkpoint(&self) -> Result<(), Error> {
        let mut counter = self.counter.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(counter) = counter.as_mut() else { return Ok(()) };
        // One that failed half way is finished first: the counter is never two behind.
        settle(self.writer().counter, counter.as_mut())?;
        let value = {
            let mut writer = self.writer();
            self.check_writable()?;
            writer.counter += 1;
            self.commit(&mut writer, Staged::default(), true)?;
            writer.counter
        };
        settle(value, counter.as_mut())?;
        let _ = self.due.fetch_update(Ordering::AcqRel, Ordering::Acquire, |due| due.checked_sub(1));
        Ok(())
    }

    /// To be called before anything is changed: completes the checkpoints that have to be complete by then (ADR 0011). Not on
    /// opening, so that whoever only reads wears no chip out.
    pub(crate) fn before_changing(&self) -> Result<(), Error> {
        while self.due.load(Ordering::Acquire) > 0 {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Binds another counter; the head says what it said, and the new counter agrees with it.
    pub(crate) fn adopt_counter(
        &self,
        operator: &Arc<str>,
        kind: CounterKind,
        make: impl FnOnce(VaultId, &Secret<32>) -> Result<BoxedCounter, CounterError>,
    ) -> Result<(), Error> {
        {
            let mut counter = self.counter.lock().unwrap_or_else(PoisonError::into_inner);
            let mut writer = self.writer();
            let bound = self.change_keyring(|keyring| {
                let vault = VaultId(keyring.vault());
                keyring.bind_counter(kind, writer.counter, &mut ThreadEntropy, |secret| make(vault, secret))
            })?;
            // The log tells of each keyring before there is another, of one in which nothing is new as well: an opening takes a
            // keyring that is two ahead for one of another time.
            let mut staged = Staged::default();
            if bound.is_ok() {
                staged.entries.push(self.vault_entry(operator, Action::AdoptCounter, 0));
            }
            self.commit(&mut writer, staged, true)?;
            *counter = Some(bound.map_err(RollbackError::from)?);
        }
        for _ in 0..OPENING_CHECKPOINTS {
            self.checkpoint()?;
        }
        Ok(())
    }

    pub(crate) fn create_collection(
        &self,
        operator: &Arc<str>,
        name: &str,
        options: &CollectionOptions,
    ) -> Result<(), Error> {
        self.before_changing()?;
        let mut writer = self.writer();
        self.check_writable()?;
        if let Some(collection) = self.collections.get(name) {
            if collection.algorithm != options.algorithm {
                return Err(Error::CollectionExists);
            }
            if collection.options() != *options {
                self.write_collection(&mut writer, operator, &collection.id, options)?;
                collection.versions_max.store(options.versions_max, Ordering::Relaxed);
            }
            return Ok(());
        }
        let now_ms = self.time.now_ms();
        let id = self.change_keyring(|keyring| {
            keyring.create_collection(name, options.algorithm, now_ms, &mut crate::entropy::ThreadEntropy)
        })?;
        self.write_collection(&mut writer, operator, &id, options)?;
        self.collections.insert(Arc::new(Collection::new(id, name, options)));
        Ok(())
    }

    fn write_collection(
        &self,
        writer: &mut Writer,
        operator: &Arc<str>,
        id: &Id,
        options: &CollectionOptions,
    ) -> Result<(), Error> {
        let mut staged = Staged::default();
        let row = options_row(id);
        staged.put(Space::Index, &row, self.small.seal(&row, &options.versions_max.to_le_bytes()));
        let entry = self.vault_entry(operator, Action::CreateCollection, u64::from(options.versions_max));
        staged.entries.push(Entry { collection: *id, ..entry });
        self.commit(writer, staged, true)?;
        Ok(())
    }

    pub(crate) fn drop_collection(&self, operator: &Arc<str>, name: &str) -> Result<u64, Error> {
        let collection = self.collections.get(name).ok_or(Error::NoCollection)?;
        self.before_changing()?;
        let _one = self.sweeping.lock().unwrap_or_else(PoisonError::into_inner);
        let mut writer = self.writer();
        self.check_writable()?;
        // Unlisted first, so that what is listed always opens.
        self.collections.remove(name);
        self.rotations.end(&collection.id);
        self.galleries.forget(&collection.id);
        let records = writer.collections.get(&collection.id).map_or(0, |totals| totals.records);
        self.drop_rows(&mut writer, &collection.id)?;
        self.point("drop: before the keyring is replaced")?;
        self.change_keyring(|keyring| keyring.destroy_collection(&collection.id))?;
        self.pages.forget(|id, _, _| *id == collection.id);
        let mut staged = Staged::default();
        for kind in [key::PAGE, key::SLOTS] {
            let prefix = [&[kind][..], &collection.id].concat();
            for row in self.engine.rows(Space::Index, &prefix, &prefix) {
                staged.remove(Space::Index, &row?.0);
            }
        }
        let meta = |name: &[u8]| key::meta(&[name, &collection.id[..]].concat());
        staged.remove(Space::Index, &options_row(&collection.id));
        staged.remove(Space::Index, &totals_row(&collection.id));
        staged.remove(Space::Index, &meta(b"rotation "));
        let entry = self.vault_entry(operator, Action::DropCollection, records);
        staged.entries.push(Entry { collection: collection.id, ..entry });
        self.commit(&mut writer, staged, true)?;
        writer.collections.remove(&collection.id);
        Ok(records)
    }

    /// Removes all rows of a collection, some thousands in each commit. On the disk afterwards: rows that came back after their keys
    /// went could be neither opened nor removed.
    fn drop_rows(&self, writer: &mut Writer, collection: &Id) -> Result<(), Error> {
        for space in [Space::Records, Space::Versions] {
            loop {
                let mut staged = Staged::default();
                for row in self.engine.rows(space, collection, collection).take(4096) {
                    let (row, value) = row?;
                    if let Some((record, version, sealed)) = read_row(space, &row, &value) {
                        let head = if space == Space::Records { Head::read(value.clone()) } else { None };
                        let head_mark = head.as_ref().map_or(0, |head| mark(head.last, head.hour));
                        staged
                            .minus(self.digest_key.version(collection, &record, version, head_mark, &sealed));
                        let bytes = i64::try_from(sealed.len()).unwrap_or(i64::MAX);
                        staged.count(collection, -i64::from(head.is_some()), -1, -bytes);
                    }
                    staged.remove(space, &row);
                }
                if staged.is_empty() {
                    break;
                }
                self.commit(writer, staged, true)?;
            }
        }
        let prefix = [&[key::GONE][..], collection].concat();
        loop {
            let mut staged = Staged::default();
            for row in self.engine.rows(Space::Index, &prefix, &prefix).take(4096) {
                let (row, value) = row?;
                staged.minus(self.gone_digest(&row, &value));
                staged.remove(Space::Index, &row);
            }
            if staged.is_empty() {
                return Ok(());
            }
            self.commit(writer, staged, true)?;
        }
    }

    pub(crate) fn gone_digest(&self, row: &[u8], value: &[u8]) -> Digest {
        let ids = row.get(1..).and_then(key::read_record);
        let last = value.try_into().map_or(0, u64::from_le_bytes);
        ids.map_or_else(Digest::default, |(collection, record)| {
            self.digest_key.gone(&collection, &record, last)
        })
    }

    pub(crate) fn collection_infos(&self) -> Vec<CollectionInfo> {
        let totals = self.writer().collections.clone();
        let keyring = self.keyring();
        let info = |collection: Arc<Collection>| {
            let totals = totals.get(&collection.id).copied().unwrap_or_default();
            Some(CollectionInfo {
                name: collection.name.clone(),
                id: collection.id,
                options: collection.options(),
                generation: keyring.collection(&collection.id)?.current(),
                records: totals.records,
                versions: totals.versions,
                sealed_bytes: totals.sealed_bytes,
            })
        };
        self.collections.all().into_iter().filter_map(info).collect()
    }

    /// Erases what is expired, and forgets answers that are not repeated any more.
    pub(crate) fn expire(&self) -> Result<u64, Error> {
        self.check_writable()?;
        let now_ms = self.time.now_ms();
        let hour = hour_of(Some(now_ms));
        let mut due: BTreeMap<Id, Vec<(Vec<u8>, Id, u64)>> = BTreeMap::new();
        for row in self.engine.rows(Space::Index, &[key::EXPIRY], &[key::EXPIRY]) {
            let (row, _) = row?;
            let at = row.get(1..9).and_then(|at| at.try_into().ok()).map_or(0, u64::from_be_bytes);
            if at > u64::from(hour) {
                break;
            }
            if let Some((collection, record)) = row.get(9..).and_then(key::read_record) {
                due.entry(collection).or_default().push((row.to_vec(), record, at));
            }
        }
        let mut expired = 0;
        for (collection, rows) in due {
            let collection = self.collections.by_id(&collection);
            for rows in rows.chunks(EXPIRE_STEPS) {
                if let Some(collection) = &collection {
                    expired += self.expire_some(collection, rows)?;
                }
                let mut staged = Staged::default();
                let over = rows.iter().filter(|(_, _, at)| *at < u64::from(hour) || collection.is_none());
                over.for_each(|(row, _, _)| staged.remove(Space::Index, row));
                self.write_rows(&mut self.writer(), staged)?;
            }
        }
        self.forget_answers(now_ms)?;
        Ok(expired)
    }

    fn expire_some(&self, collection: &Arc<Collection>, rows: &[(Vec<u8>, Id, u64)]) -> Result<u64, Error> {
        let mut steps: BTreeMap<Id, Step> = BTreeMap::new();
        for (_, record, _) in rows {
            let id = match self.open_newest(&collection.id, record) {
                Ok(Some(opened)) => opened.plain().id.to_owned(),
                Ok(None) | Err(Error::Damaged { .. }) => continue,
                Err(error) => return Err(error),
            };
            steps.insert(*record, Step { record: *record, id, change: Change::Expire, seen: None });
        }
        if steps.is_empty() {
            return Ok(0);
        }
        let applied = self.submit(Work {
            actor: "vault: retention".into(),
            collection: collection.clone(),
            steps: steps.into_values().collect(),
            len: 0,
            durability: Durability::Durable,
            once: None,
            since: 0,
        })?;
        let erased = |outcome: &&crate::Outcome| **outcome != crate::Outcome::Erased { versions: 0 };
        Ok(applied.outcomes.iter().filter(erased).count() as u64)
    }

    fn forget_answers(&self, now_ms: u64) -> Result<(), Error> {
        let mut staged = Staged::default();
        for row in
            self.engine.rows(Space::Index, &[key::IDEMPOTENT_TIME], &[key::IDEMPOTENT_TIME]).take(10_000)
        {
            let (row, _) = row?;
            let until = row.get(1..9).and_then(|until| until.try_into().ok()).map_or(0, u64::from_be_bytes);
            if until > now_ms {
                break;
            }
            staged.remove(Space::Index, &row);
            let Some(id) = row.get(9..).and_then(|id| id.try_into().ok()) else { continue };
            let answer = key::idempotent(&id);
            let sealed = self.engine.get(Space::Index, &answer)?;
            let plain = sealed.and_then(|sealed| self.small.open(&answer, &sealed));
            // The key may have been used again, and be remembered for longer.
            if plain.is_none_or(|plain| crate::apply::answered_until(plain.expose_secret()) <= now_ms) {
                staged.remove(Space::Index, &answer);
            }
        }
        if !staged.is_empty() {
            self.write_rows(&mut self.writer(), staged)?;
        }
        Ok(())
    }

    pub(crate) fn stats(&self) -> Stats {
        let (totals, seq) = {
            let writer = self.writer();
            (writer.totals, writer.head.seq)
        };
        let counters = &self.counters;
        let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            records: totals.records,
            versions: totals.versions,
            sealed_bytes: totals.sealed_bytes,
            disk_bytes: self.engine.db.disk_space().unwrap_or(0),
            reads: get(&counters.reads),
            misses: get(&counters.misses),
            puts: get(&counters.puts),
            erased: get(&counters.erased),
            verifications: get(&counters.verifications),
            identifications: get(&counters.identifications),
            commits: get(&counters.commits),
            syncs: get(&counters.syncs),
            sweeps: get(&counters.sweeps),
            pending_erasures: get(&counters.pending_erasures),
            damaged: get(&counters.damaged),
            reencrypted: get(&counters.reencrypted),
            page_hits: get(&self.pages.hits),
            page_misses: get(&self.pages.misses),
            gallery_templates: self.galleries.len(),
            audit_seq: seq,
        }
    }

    pub(crate) fn health(&self) -> Health {
        let mut problems = Vec::new();
        if let Err(error) = self.check_writable() {
            problems.push(error.to_string());
        }
        let clock_doubted = self.time.doubted();
        if clock_doubted {
            problems.push("the clock jumped ahead; nothing expires until an operator confirms it".to_owned());
        }
        let damaged = self.counters.damaged.load(Ordering::Relaxed);
        if damaged > 0 {
            problems.push(format!(
                "{damaged} times a record did not open; check the vault and restore them from a backup"
            ));
        }
        Health {
            writable: self.check_writable().is_ok(),
            problems,
            pending_erasures: self.counters.pending_erasures.load(Ordering::Relaxed),
            clock_doubted,
        }
    }
}
