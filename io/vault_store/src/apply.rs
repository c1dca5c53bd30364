//! What a batch of operations changes.
use crate::audit::{Action, Entry};
use crate::bytes::{Malformed, Reader, count};
use crate::collection::Collection;
use crate::commit::{Staged, Writer};
use crate::engine::{Id, Space, key};
use crate::erasure::Erasure;
use crate::plain::{self, Encoded};
use crate::store::{Head, NEVER, Opened, Sealed, Source, Store, hour_of, mark};
use crate::{Applied, Content, Durability, ErasedRecord, ErasureId, Error, Expect, Outcome};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use terachat_vault::RecordHeader;

/// One caller's batch, made ready outside of the writer's lock.
pub(crate) struct Work {
    pub(crate) actor: Arc<str>,
    pub(crate) collection: Arc<Collection>,
    pub(crate) steps: Vec<Step>,
    /// Bytes of content.
    pub(crate) len: usize,
    pub(crate) durability: Durability,
    pub(crate) once: Option<Once>,
    /// How many writes there were before its records were looked up ([`Recent::now`](crate::recent::Recent::now)).
    pub(crate) since: u64,
}

/// A batch that is done once.
pub(crate) struct Once {
    /// Blinded actor and key.
    pub(crate) id: Id,
    /// Hash of all that was asked.
    pub(crate) request: [u8; 32],
}

/// One operation.
pub(crate) struct Step {
    pub(crate) record: Id,
    pub(crate) id: String,
    pub(crate) change: Change,
    /// What was found when it was looked up before the writer's lock, if it was.
    pub(crate) seen: Option<Option<Head>>,
}

pub(crate) enum Change {
    Put {
        expect: Expect,
        keep_until_ms: Option<u64>,
        stored_ms: u64,
        /// For the case that it has to be sealed under another version than the one it is sealed under already.
        content: Content,
        compress: bool,
        sealed: Option<Sealed>,
    },
    Delete {
        expect: Expect,
    },
    DeleteVersion {
        version: u64,
    },
    Restore {
        version: u64,
        expect: Expect,
    },
    /// The record's newest version is expired: the whole record goes. Otherwise its expired older ones.
    Expire,
}

impl Work {
    /// What no other work in one group may touch.
    pub(crate) fn names(&self) -> impl Iterator<Item = Id> + '_ {
        self.steps.iter().map(|step| step.record).chain(self.once.iter().map(|once| once.id))
    }

    pub(crate) fn durable(&self) -> bool {
        let erases =
            |step: &Step| matches!(step.change, Change::Delete { .. } | Change::DeleteVersion { .. });
        self.durability == Durability::Durable || self.steps.iter().any(erases)
    }
}

/// The changes of one work so far.
struct Stage<'a> {
    store: &'a Store,
    collection: &'a Collection,
    staged: Staged,
    erased: Vec<ErasedRecord>,
    now_ms: u64,
    since: u64,
    /// Whether the record of this step was there, expired, and is staged as gone.
    cleared: bool,
}

impl Store {
    /// Stages all changes of a batch, or none.
    pub(crate) fn stage(&self, writer: &mut Writer, work: &mut Work) -> Result<(Staged, Applied), Error> {
        self.check_writable()?;
        let now_ms = self.time.now_ms();
        if let Some(once) = &work.once
            && let Some(applied) = self.answered(once, now_ms)?
        {
            return Ok((Staged::default(), applied));
        }
        let collection = work.collection.clone();
        let mut stage = Stage {
            store: self,
            collection: &collection,
            staged: Staged::default(),
            erased: Vec::new(),
            now_ms,
            since: work.since,
            cleared: false,
        };
        let mut outcomes = Vec::with_capacity(work.steps.len());
        for step in &mut work.steps {
            outcomes.push(stage.step(&work.actor, step)?);
        }
        let Stage { mut staged, erased, .. } = stage;
        let mut erasure = None;
        if !erased.is_empty() {
            let id = writer.next_erasure();
            staged.entries.iter_mut().for_each(|entry| entry.note = id.0.to_le_bytes().to_vec());
            staged.erasures.push(Erasure { id, collection: collection.id, records: erased });
            erasure = Some(id);
        }
        let applied = Applied { outcomes, erasure, repeated: false };
        if let Some(once) = &work.once {
            let until_ms = now_ms.saturating_add(crate::time::millis(self.config.idempotency_ttl));
            let row = key::idempotent(&once.id);
            let answer = write_answer(once, until_ms, &applied);
            staged.put(Space::Index, &row, self.small.seal(&row, &answer));
            staged.put(Space::Index, &key::idempotent_time(until_ms, &once.id), Vec::new());
        }
        Ok((staged, applied))
    }

    /// The answer that this request got before.
    fn answered(&self, once: &Once, now_ms: u64) -> Result<Option<Applied>, Error> {
        let row = key::idempotent(&once.id);
        let Some(sealed) = self.engine.get(Space::Index, &row)? else { return Ok(None) };
        let Some(plain) = self.small.open(&row, &sealed) else { return Ok(None) };
        let Ok((request, until_ms, applied)) = read_answer(plain.expose_secret()) else { return Ok(None) };
        if until_ms <= now_ms {
            return Ok(None);
        }
        if request == once.request { Ok(Some(applied)) } else { Err(Error::IdempotencyReused) }
    }
}

impl Stage<'_> {
    fn step(&mut self, actor: &Arc<str>, step: &mut Step) -> Result<Outcome, Error> {
        self.cleared = false;
        let head = match step.seen.take() {
            Some(head) if !self.store.engine.changed(self.since, &self.collection.id, &step.record) => head,
            _ => self.store.head_to_change(&self.collection.id, &step.record)?,
        };
        let live = match &head {
            Some(head) if !matches!(step.change, Change::Expire) => !self.expired(&step.record, head)?,
            other => other.is_some(),
        };
        let current = head.as_ref().filter(|_| live).map_or(0, |head| head.version);
        if !self.collection.exists {
            return Err(Error::NotFound);
        }
        let (action, outcome) = match &mut step.change {
            Change::Put { expect, keep_until_ms, stored_ms, content, compress, sealed } => {
                check(*expect, current)?;
                let head = self.clear_expired(head, live, &step.record, &step.id)?;
                let (stored_ms, keep_until_ms) = (*stored_ms, *keep_until_ms);
                let plain = plain::Head { id: &step.id, stored_ms, keep_until_ms, restored_from: None };
                let version =
                    self.put(&step.record, head, &plain, || Encoded::of(content), *compress, sealed.take())?;
                (Action::Put, Outcome::Stored { version })
            }
            Change::Restore { version, expect } => {
                if current == 0 {
                    return Err(Error::NotFound);
                }
                check(*expect, current)?;
                let opened = self.older(&step.record, *version)?;
                let old = opened.plain();
                let plain = plain::Head {
                    id: old.id,
                    stored_ms: self.now_ms,
                    keep_until_ms: old.keep_until_ms,
                    restored_from: Some(*version),
                };
                let version = self.put(&step.record, head, &plain, || Ok(old.encoded()), false, None)?;
                (Action::Restore, Outcome::Stored { version })
            }
            Change::Delete { expect } => {
                let head = head.filter(|_| live).ok_or(Error::NotFound)?;
                check(*expect, current)?;
                (Action::Delete, self.erase_all(&step.record, &step.id, &head)?)
            }
            Change::DeleteVersion { version } => {
                let head = head.filter(|_| live).ok_or(Error::NotFound)?;
                (Action::DeleteVersion, self.erase_one(&step.record, &step.id, &head, *version)?)
            }
            Change::Expire => (Action::Expire, self.expire(&step.record, &step.id, head)?),
        };
        let version = match (outcome, &step.change) {
            (Outcome::Stored { version }, _) => version,
            (_, Change::DeleteVersion { version }) => *version,
            _ => current,
        };
        if outcome != (Outcome::Erased { versions: 0 }) {
            self.staged.entries.push(Entry {
                time_ms: self.now_ms,
                actor: actor.clone(),
                action,
                collection: self.collection.id,
                record: step.record,
                version,
                note: Vec::new(),
            });
            self.staged.touched.push((self.collection.id, step.record));
        }
        Ok(outcome)
    }

    /// Whether the newest version is expired. Only in the very hour does it have to be opened.
    fn expired(&self, record: &Id, head: &Head) -> Result<bool, Error> {
        if head.hour == NEVER {
            return Ok(false);
        }
        let now = hour_of(Some(self.now_ms));
        if head.hour != now {
            return Ok(head.hour < now);
        }
        let opened = self.store.open_newest(&self.collection.id, record)?;
        Ok(opened.is_none_or(|opened| opened.plain().expired(self.now_ms)))
    }

    /// What an expired record leaves when a new one takes its place: nothing but its version numbers.
    fn clear_expired(
        &mut self,
        head: Option<Head>,
        live: bool,
        record: &Id,
        id: &str,
    ) -> Result<Option<Head>, Error> {
        let Some(expired) = head.as_ref().filter(|_| !live) else { return Ok(head) };
        self.erase_all(record, id, expired)?;
        self.cleared = true;
        // The new version takes the row: one batch changes a key once.
        self.staged.unremove(Space::Records, &key::record(&self.collection.id, record));
        Ok(None)
    }

    fn put<'c>(
        &mut self,
        record: &Id,
        head: Option<Head>,
        plain: &plain::Head<'_>,
        content: impl FnOnce() -> Result<Encoded<'c>, Error>,
        compress: bool,
        sealed: Option<Sealed>,
    ) -> Result<u64, Error> {
        let (store, collection) = (self.store, &self.collection.id);
        let last = match &head {
            Some(head) => head.last,
            None => self.forget_gone(record)?,
        };
        let version = last + 1;
        let current = store.keyring().collection(collection).ok_or(Error::NotFound)?.current();
        let fits = |sealed: &Sealed| sealed.version == version && sealed.key.generation == current;
        let sealed = match sealed.filter(fits) {
            Some(sealed) => sealed,
            None => {
                let content = content()?;
                store.seal(self.collection, record, version, &Source::Parts(plain, &content), compress)?
            }
        };
        let hour = hour_of(plain.keep_until_ms);
        if let Some(head) = &head {
            self.demote(record, head);
            self.prune(record, plain.id, head.version, version)?;
        }
        if hour != NEVER {
            self.staged.put(Space::Index, &key::expiry(u64::from(hour), collection, record), Vec::new());
        }
        let part = store.digest_key.version(collection, record, version, mark(version, hour), sealed.bytes());
        self.staged.plus(part);
        self.staged.count(collection, i64::from(head.is_none()), 1, len(sealed.bytes()));
        let (row, page) = sealed.into_row(version, hour);
        self.staged.put(Space::Records, &key::record(collection, record), row);
        self.staged.under(page);
        store.counters.puts.fetch_add(1, Ordering::Relaxed);
        Ok(version)
    }

    /// The largest version that a record which is gone ever had; it is on record again with the next version.
    fn forget_gone(&mut self, record: &Id) -> Result<u64, Error> {
        let collection = &self.collection.id;
        let row = key::gone(collection, record);
        if self.cleared
            && let Some(last) = self.staged_gone(record)
        {
            return Ok(last);
        }
        // Most collections have never erased anything.
        let found = match self.collection.erased.load(Ordering::Relaxed) {
            true => self.store.engine.get(Space::Index, &row)?,
            false => None,
        };
        let Some(value) = found else { return Ok(0) };
        let last = value[..].try_into().map_or(0, u64::from_le_bytes);
        self.staged.minus(self.store.digest_key.gone(collection, record, last));
        self.staged.remove(Space::Index, &row);
        Ok(last)
    }

    /// The same for a record that was found expired in this very step.
    fn staged_gone(&mut self, record: &Id) -> Option<u64> {
        let row = key::gone(&self.collection.id, record);
        let value = self.staged.unput(Space::Index, &row)?;
        let last = value[..].try_into().map_or(0, u64::from_le_bytes);
        self.staged.minus(self.store.digest_key.gone(&self.collection.id, record, last));
        Some(last)
    }

    /// Makes the newest version an older one.
    fn demote(&mut self, record: &Id, head: &Head) {
        let collection = &self.collection.id;
        self.staged.minus(self.store.newest_digest(collection, record, head));
        self.staged.plus(self.store.digest_key.version(collection, record, head.version, 0, head.sealed()));
        let row = key::version(collection, record, head.version);
        self.staged.put(Space::Versions, &row, head.sealed().to_vec());
    }

    /// Erases the versions that are too many once `newest` is stored after `before`.
    fn prune(&mut self, record: &Id, id: &str, before: u64, newest: u64) -> Result<(), Error> {
        let max = u64::from(self.collection.versions_max.load(Ordering::Relaxed));
        let Some(limit) = newest.checked_sub(max).filter(|limit| *limit > 0) else { return Ok(()) };
        let prefix = key::record(&self.collection.id, record);
        let mut erased = Vec::new();
        for row in self.store.engine.rows(Space::Versions, &prefix, &prefix) {
            let (row, sealed) = row?;
            let Some((_, _, version)) = key::read_version(&row) else { continue };
            if version > limit {
                break;
            }
            self.erase_older(record, version, &sealed, &mut erased);
        }
        // The version that was the newest until now is in `Staged` only.
        if before <= limit {
            let row = key::version(&self.collection.id, record, before);
            if let Some(sealed) = self.staged.unput(Space::Versions, &row) {
                self.erase_older(record, before, &sealed, &mut erased);
            }
        }
        self.note(record, id, erased);
        Ok(())
    }

    /// Stages the removal of an older version.
    fn erase_older(
        &mut self,
        record: &Id,
        version: u64,
        sealed: &[u8],
        erased: &mut Vec<(u64, u32, u32, u16)>,
    ) {
        let collection = &self.collection.id;
        self.staged.minus(self.store.digest_key.version(collection, record, version, 0, sealed));
        self.staged.remove(Space::Versions, &key::version(collection, record, version));
        self.staged.count(collection, 0, -1, -len(sealed));
        erased.extend(key_of(version, sealed));
    }

    fn erase_all(&mut self, record: &Id, id: &str, head: &Head) -> Result<Outcome, Error> {
        let (store, collection) = (self.store, self.collection.id);
        let mut erased = Vec::new();
        let prefix = key::record(&collection, record);
        for row in store.engine.rows(Space::Versions, &prefix, &prefix) {
            let (row, sealed) = row?;
            let Some((_, _, version)) = key::read_version(&row) else { continue };
            self.erase_older(record, version, &sealed, &mut erased);
        }
        self.erase_newest(record, head, &mut erased);
        self.collection.erased.store(true, Ordering::Relaxed);
        self.staged.put(Space::Index, &key::gone(&collection, record), head.last.to_le_bytes().to_vec());
        self.staged.plus(store.digest_key.gone(&collection, record, head.last));
        self.staged.remove(Space::Records, &prefix);
        let versions = erased.len() as u64;
        self.note(record, id, erased);
        Ok(Outcome::Erased { versions })
    }

    /// Stages the end of the newest version but not what stands in its row then.
    fn erase_newest(&mut self, record: &Id, head: &Head, erased: &mut Vec<(u64, u32, u32, u16)>) {
        let collection = &self.collection.id;
        self.staged.minus(self.store.newest_digest(collection, record, head));
        self.staged.count(collection, -1, -1, -len(head.sealed()));
        erased.extend(key_of(head.version, head.sealed()));
    }

    fn erase_one(&mut self, record: &Id, id: &str, head: &Head, version: u64) -> Result<Outcome, Error> {
        let (store, collection) = (self.store, self.collection.id);
        let mut erased = Vec::new();
        if version != head.version {
            let sealed = store.version_row(&collection, record, version)?.ok_or(Error::NotFound)?;
            self.erase_older(record, version, &sealed, &mut erased);
            self.note(record, id, erased);
            return Ok(Outcome::Erased { versions: 1 });
        }
        let prefix = key::record(&collection, record);
        let Some((row, sealed)) = store.engine.last(Space::Versions, &prefix)? else {
            return self.erase_all(record, id, head);
        };
        let (_, _, before) = key::read_version(&row).ok_or(Error::NotFound)?;
        self.erase_newest(record, head, &mut erased);
        // The one before becomes the newest.
        let opened = store.open_version(&collection, record, before)?.ok_or(Error::NotFound)?;
        let hour = hour_of(opened.plain().keep_until_ms);
        self.staged.minus(store.digest_key.version(&collection, record, before, 0, &sealed));
        self.staged.plus(store.digest_key.version(
            &collection,
            record,
            before,
            mark(head.last, hour),
            &sealed,
        ));
        self.staged.count(&collection, 1, 0, 0);
        self.staged.put(Space::Records, &prefix, Head::write(before, head.last, hour, &sealed));
        // In this order: whoever reads meanwhile finds it in one of the two places.
        self.staged.remove(Space::Versions, &row);
        if hour != NEVER {
            self.staged.put(Space::Index, &key::expiry(u64::from(hour), &collection, record), Vec::new());
        }
        self.note(record, id, erased);
        Ok(Outcome::Erased { versions: 1 })
    }

    /// The older version that a restored one takes its content from.
    fn older(&self, record: &Id, version: u64) -> Result<Opened, Error> {
        let opened = self.store.open_version(&self.collection.id, record, version)?.ok_or(Error::NotFound)?;
        if opened.plain().expired(self.now_ms) { Err(Error::NotFound) } else { Ok(opened) }
    }

    fn expire(&mut self, record: &Id, id: &str, head: Option<Head>) -> Result<Outcome, Error> {
        let Some(head) = head else { return Ok(Outcome::Erased { versions: 0 }) };
        if self.expired(record, &head)? {
            return self.erase_all(record, id, &head);
        }
        let collection = self.collection.id;
        let prefix = key::record(&collection, record);
        let mut erased = Vec::new();
        for row in self.store.engine.rows(Space::Versions, &prefix, &prefix) {
            let (row, sealed) = row?;
            let Some((_, _, version)) = key::read_version(&row) else { continue };
            let opened = self.store.open_version(&collection, record, version)?;
            if opened.is_some_and(|opened| opened.plain().expired(self.now_ms)) {
                self.erase_older(record, version, &sealed, &mut erased);
            }
        }
        let versions = erased.len() as u64;
        self.note(record, id, erased);
        Ok(Outcome::Erased { versions })
    }

    /// Notes what was erased for the sweep and its receipt.
    fn note(&mut self, record: &Id, id: &str, versions: Vec<(u64, u32, u32, u16)>) {
        if versions.is_empty() {
            return;
        }
        self.store.counters.erased.fetch_add(versions.len() as u64, Ordering::Relaxed);
        let vault = self.store.keyring().vault();
        let id_hash = ErasedRecord::hash_of(&vault, &self.collection.name, id);
        self.erased.push(ErasedRecord { record: *record, id_hash, versions });
    }
}

fn check(expect: Expect, current: u64) -> Result<(), Error> {
    let holds = match expect {
        Expect::Any => true,
        Expect::Absent => current == 0,
        Expect::Present => current != 0,
        Expect::Version(version) => version == current && version != 0,
    };
    if holds { Ok(()) } else { Err(Error::Conflict { current }) }
}

fn key_of(version: u64, sealed: &[u8]) -> Option<(u64, u32, u32, u16)> {
    let key = RecordHeader::read(sealed).ok()?.key;
    Some((version, key.generation, key.page, key.slot))
}

fn len(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).unwrap_or(i64::MAX)
}

fn write_answer(once: &Once, until_ms: u64, applied: &Applied) -> Vec<u8> {
    let mut out = once.request.to_vec();
    out.extend_from_slice(&until_ms.to_le_bytes());
    out.extend_from_slice(&applied.erasure.map_or(u64::MAX, |erasure| erasure.0).to_le_bytes());
    out.extend_from_slice(&count(applied.outcomes.len()));
    for outcome in &applied.outcomes {
        let (kind, number) = match outcome {
            Outcome::Stored { version } => (0, version),
            Outcome::Erased { versions } => (1, versions),
        };
        out.push(kind);
        out.extend_from_slice(&number.to_le_bytes());
    }
    out
}

fn read_answer(bytes: &[u8]) -> Result<([u8; 32], u64, Applied), Malformed> {
    let mut reader = Reader(bytes);
    let (request, until_ms) = (reader.array()?, reader.u64()?);
    let erasure = Some(reader.u64()?).filter(|erasure| *erasure != u64::MAX).map(ErasureId);
    let number = reader.u32()?;
    let outcome = |_| match (reader.u8()?, reader.u64()?) {
        (0, version) => Ok(Outcome::Stored { version }),
        (1, versions) => Ok(Outcome::Erased { versions }),
        _ => Err(Malformed),
    };
    let outcomes = (0..number).map(outcome).collect::<Result<_, _>>()?;
    Ok((request, until_ms, Applied { outcomes, erasure, repeated: true }))
}

/// Until when an answer is repeated; 0 for what is none.
pub(crate) fn answered_until(bytes: &[u8]) -> u64 {
    read_answer(bytes).map_or(0, |(_, until_ms, _)| until_ms)
}
