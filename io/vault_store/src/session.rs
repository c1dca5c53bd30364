use crate::apply::{Change, Once, Step, Work};
use crate::audit::{Action, Entry};
use crate::bytes::Malformed;
use crate::collection::Collection;
use crate::engine::{Id, Space, key};
use crate::plain::Encoded;
use crate::record::check_text;
use crate::store::Opened;
use crate::{
    ACTOR_LEN_MAX, Access, Applied, BATCH_LEN_MAX, Batch, Content, ErasureReceipt, Error, Expect, ID_LEN_MAX,
    ListOptions, Match, Operation, Outcome, Page, PutOptions, Record, RecordInfo, TemplateVault, Verb,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use terachat_template::{Comparison, Probe, Threshold};

/// Most bytes of content in one batch.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// What one caller does with records. Cheap to make and to clone; every access is audited under the caller's name.
///
/// A collection that does not exist, and one for which the session's [`Access`] lacks the verb, look the same: reads
/// answer [`Error::NotFound`], lists are empty, writes answer [`Error::NotFound`].
#[derive(Clone)]
pub struct Session {
    pub(crate) vault: TemplateVault,
    pub(crate) actor: Arc<str>,
    pub(crate) access: Arc<Access>,
}

impl Session {
    /// Stores a new version of a record and gives its number. [`Verb::Write`](crate::Verb::Write). Durable.
    ///
    /// # Errors
    /// [`Error::Conflict`], [`Error::NotFound`], [`Error::TooLarge`], [`Error::ExpiredAlready`], [`Error::Name`],
    /// [`Error::ReadOnly`].
    pub fn put(
        &self,
        collection: &str,
        id: &str,
        content: Content,
        options: &PutOptions,
    ) -> Result<u64, Error> {
        let operation = Operation::Put { id: id.to_owned(), content, options: options.clone() };
        self.one_version(collection, operation)
    }

    /// Does a batch. The verbs are those of its operations.
    ///
    /// # Errors
    /// As the single operations, the first that fails: then none of them happened. [`Error::Batch`],
    /// [`Error::IdempotencyReused`].
    pub fn apply(&self, collection: &str, batch: Batch) -> Result<Applied, Error> {
        let erase_later = batch.erase_later;
        let applied = self.submit(collection, batch)?;
        if let Some(erasure) = applied.erasure.filter(|_| !erase_later) {
            self.vault.store.sweep_until(erasure)?;
        }
        Ok(applied)
    }

    /// The newest version of a record. [`Verb::Read`](crate::Verb::Read).
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Damaged`].
    pub fn get(&self, collection: &str, id: &str) -> Result<Record, Error> {
        self.read(collection, id, None, Opened::into_record)
    }

    /// One version of a record. [`Verb::Read`](crate::Verb::Read).
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Damaged`].
    pub fn get_version(&self, collection: &str, id: &str, version: u64) -> Result<Record, Error> {
        self.read(collection, id, Some(version), Opened::into_record)
    }

    /// What is known of a record's newest version. [`Verb::Read`](crate::Verb::Read).
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Damaged`].
    pub fn info(&self, collection: &str, id: &str) -> Result<RecordInfo, Error> {
        self.read(collection, id, None, |opened| opened.plain().info(opened.version))
    }

    /// The versions of a record that are kept, newest first. [`Verb::Read`](crate::Verb::Read).
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Damaged`].
    pub fn versions(&self, collection: &str, id: &str) -> Result<Vec<RecordInfo>, Error> {
        let found = self.found(collection, id, Verb::Read)?;
        let store = &self.vault.store;
        let newest = self.newest(&found)?;
        let now_ms = store.time.now_ms();
        let info = |opened: &Opened| opened.plain().info(opened.version);
        let mut versions = vec![self.shown(&found, newest.version, info(&newest))?];
        let prefix = key::record(&found.collection.id, &found.record);
        for row in store.engine.rows(Space::Versions, &prefix, &prefix).rev() {
            let (row, sealed) = row?;
            let Some((_, _, version)) =
                key::read_version(&row).filter(|(_, _, version)| *version < newest.version)
            else {
                continue;
            };
            let opened = store.open_scanned(&found.collection.id, &found.record, version, &sealed)?;
            if let Some(opened) = opened.filter(|opened| !opened.plain().expired(now_ms)) {
                versions.push(self.shown(&found, version, info(&opened))?);
            }
        }
        self.note(&found.collection.id, Action::Read, found.record, newest.version);
        Ok(versions)
    }

    /// One page of a collection's records. [`Verb::List`](crate::Verb::List).
    ///
    /// # Errors
    /// [`Error::Cursor`]; [`Error::Damaged`].
    pub fn list(&self, collection: &str, options: &ListOptions) -> Result<Page, Error> {
        let store = &self.vault.store;
        store.check_open()?;
        let collection = store.collections.resolve(collection, self.access.allows(collection, Verb::List));
        let page = store.list(&collection, options)?;
        self.note(&collection.id, Action::List, [0; 16], page.records.len() as u64);
        Ok(page)
    }

    /// Stores an older version's content as a new version, and gives its number. [`Verb::Write`](crate::Verb::Write).
    ///
    /// # Errors
    /// As [`Session::put`].
    pub fn restore(&self, collection: &str, id: &str, version: u64) -> Result<u64, Error> {
        let expect = Expect::Any;
        self.one_version(collection, Operation::Restore { id: id.to_owned(), version, expect })
    }

    /// Erases a record: all its versions are unlisted at once, and their keys are destroyed before it returns.
    /// [`Verb::Delete`](crate::Verb::Delete). Many callers' erasures share one sweep.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::ReadOnly`], [`Error::File`]: the record may be unlisted, and its keys are destroyed
    /// when the vault is opened again.
    pub fn delete(&self, collection: &str, id: &str) -> Result<ErasureReceipt, Error> {
        self.erase(collection, Operation::Delete { id: id.to_owned(), expect: Expect::Any })
    }

    /// Erases one version of a record, as [`Session::delete`].
    ///
    /// # Errors
    /// As [`Session::delete`].
    pub fn delete_version(&self, collection: &str, id: &str, version: u64) -> Result<ErasureReceipt, Error> {
        self.erase(collection, Operation::DeleteVersion { id: id.to_owned(), version })
    }

    /// Compares a probe with one template (1:1), inside the process. [`Verb::Match`](crate::Verb::Match).
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotATemplate`], [`Error::Template`] when the two cannot be compared;
    /// [`Error::Damaged`].
    pub fn verify(
        &self,
        collection: &str,
        id: &str,
        probe: &Probe,
        threshold: Threshold,
    ) -> Result<Comparison, Error> {
        let found = self.found(collection, id, Verb::Match)?;
        let newest = self.newest(&found)?;
        let template = self.shown(&found, newest.version, newest.plain().template())?;
        let template = template.ok_or(Error::NotATemplate)?;
        self.vault.store.counters.verifications.fetch_add(1, Ordering::Relaxed);
        self.note(&found.collection.id, Action::Verify, found.record, newest.version);
        Ok(terachat_template::verify(probe, &template, threshold)?)
    }

    /// The templates of the probe's type that are most like it (1:N), best first: at most `count` (1 to
    /// [`CANDIDATES_MAX`](terachat_template::CANDIDATES_MAX)) that reach the threshold. [`Verb::Match`](crate::Verb::Match).
    ///
    /// The first call for a collection and type opens all its templates and keeps what is compared in memory, wiped when
    /// the vault is closed; later ones follow the writes. Expired templates are left out.
    ///
    /// # Errors
    /// [`Error::Template`] when the probe cannot be compared.
    pub fn identify(
        &self,
        collection: &str,
        probe: &Probe,
        threshold: Threshold,
        count: usize,
    ) -> Result<Vec<Match>, Error> {
        let store = &self.vault.store;
        store.check_open()?;
        let collection = store.collections.resolve(collection, self.access.allows(collection, Verb::Match));
        let found = store.identify(&collection, probe, threshold, count)?;
        store.counters.identifications.fetch_add(1, Ordering::Relaxed);
        self.note(&collection.id, Action::Identify, [0; 16], found.len() as u64);
        Ok(found)
    }

    fn found(&self, collection: &str, id: &str, verb: Verb) -> Result<Found, Error> {
        let store = &self.vault.store;
        store.check_open()?;
        check_text("record id", id, ID_LEN_MAX)?;
        let collection = store.collections.resolve(collection, self.access.allows(collection, verb));
        let record = store.record_id(&collection.id, id);
        Ok(Found { collection, record })
    }

    fn newest(&self, found: &Found) -> Result<Opened, Error> {
        let opened = self.vault.store.open_newest(&found.collection.id, &found.record)?;
        self.living(found, opened)
    }

    /// An opened version that is not expired.
    fn living(&self, found: &Found, opened: Option<Opened>) -> Result<Opened, Error> {
        let store = &self.vault.store;
        let living = |opened: &Opened| {
            let plain = opened.plain();
            plain.keep_until_ms.is_none() || !plain.expired(store.time.now_ms())
        };
        opened.filter(living).ok_or_else(|| {
            store.counters.misses.fetch_add(1, Ordering::Relaxed);
            self.note(&found.collection.id, Action::Miss, found.record, 0);
            Error::NotFound
        })
    }

    fn read<T>(
        &self,
        collection: &str,
        id: &str,
        version: Option<u64>,
        show: impl FnOnce(Opened) -> Result<T, Malformed>,
    ) -> Result<T, Error> {
        let found = self.found(collection, id, Verb::Read)?;
        let newest = self.newest(&found)?;
        let opened = match version.filter(|version| *version != newest.version) {
            None => newest,
            // Of an expired record the older versions are gone too.
            Some(version) => {
                let opened = self.vault.store.open_version(&found.collection.id, &found.record, version)?;
                self.living(&found, opened)?
            }
        };
        let version = opened.version;
        let shown = self.shown(&found, version, show(opened))?;
        self.vault.store.counters.reads.fetch_add(1, Ordering::Relaxed);
        self.note(&found.collection.id, Action::Read, found.record, version);
        Ok(shown)
    }

    fn shown<T>(&self, found: &Found, version: u64, shown: Result<T, Malformed>) -> Result<T, Error> {
        shown.map_err(|Malformed| {
            let reason = "it opens and is not a record of this version";
            self.vault.store.damaged(&found.collection.id, &found.record, version, reason)
        })
    }

    fn note(&self, collection: &Id, action: Action, record: Id, version: u64) {
        self.vault.store.reads.push(Entry {
            time_ms: self.vault.store.time.now_ms(),
            actor: self.actor.clone(),
            action,
            collection: *collection,
            record,
            version,
            note: Vec::new(),
        });
    }

    fn one_version(&self, collection: &str, operation: Operation) -> Result<u64, Error> {
        let batch = Batch { operations: vec![operation], ..Batch::default() };
        match self.submit(collection, batch)?.outcomes[..] {
            [Outcome::Stored { version }] => Ok(version),
            _ => unreachable!("a put or restore stores one version"),
        }
    }

    fn erase(&self, collection: &str, operation: Operation) -> Result<ErasureReceipt, Error> {
        let batch = Batch { operations: vec![operation], ..Batch::default() };
        let erasure = self.submit(collection, batch)?.erasure.ok_or(Error::NotFound)?;
        self.vault.store.sweep_until(erasure)
    }

    /// Makes a batch ready and has it committed.
    fn submit(&self, collection: &str, batch: Batch) -> Result<Applied, Error> {
        let store = &self.vault.store;
        store.check_writable()?;
        let Batch { operations, durability, idempotency_key, erase_later: _ } = batch;
        if operations.is_empty() {
            return Err(Error::Batch("is empty"));
        }
        if operations.len() > BATCH_LEN_MAX {
            return Err(Error::Batch("has more than 1,000 operations"));
        }
        let allowed = operations.iter().all(|operation| self.access.allows(collection, verb_of(operation)));
        let collection = store.collections.resolve(collection, allowed);
        let now_ms = store.time.now_ms();
        let mut request = idempotency_key.is_some().then(|| {
            let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 vault request");
            hasher.update(&collection.id);
            hasher
        });
        let (mut steps, mut len) = (Vec::with_capacity(operations.len()), 0);
        for operation in operations {
            let (step, bytes) = self.step(&collection, operation, now_ms, request.as_mut())?;
            len += bytes;
            steps.push(step);
        }
        if len > BATCH_BYTES_MAX {
            return Err(Error::Batch("has more than 16 MiB of content"));
        }
        let once = match (idempotency_key, request) {
            (Some(key), Some(request)) => {
                check_text("idempotency key", &key, ACTOR_LEN_MAX)?;
                let id = store.keyring().blind(b"idempotency", format!("{}\0{key}", self.actor).as_bytes());
                Some(Once { id, request: *request.finalize().as_bytes() })
            }
            _ => None,
        };
        let since = store.make_ready(&collection, &mut steps)?;
        store.submit(Work { actor: self.actor.clone(), collection, steps, len, durability, once, since })
    }

    /// One operation, made ready, and how many bytes of content it has.
    fn step(
        &self,
        collection: &Arc<Collection>,
        operation: Operation,
        now_ms: u64,
        mut request: Option<&mut blake3::Hasher>,
    ) -> Result<(Step, usize), Error> {
        let store = &self.vault.store;
        let mut hash = |kind: u8, id: &str, number: u64, content: &[u8]| {
            if let Some(hasher) = request.as_mut() {
                for part in [&[kind], id.as_bytes(), &number.to_le_bytes(), content] {
                    hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
                }
            }
        };
        let (id, change, len) = match operation {
            Operation::Put { id, content, options } => {
                let keep_until_ms =
                    [options.keep_until_ms, content.template().and_then(|t| t.metadata().keep_until_ms)]
                        .into_iter()
                        .flatten()
                        .min();
                if keep_until_ms.is_some_and(|until| until <= now_ms) {
                    return Err(Error::ExpiredAlready);
                }
                let encoded = Encoded::of(&content)?;
                hash(0, &id, number_of(options.expect), encoded.bytes());
                hash(0, &id, options.keep_until_ms.unwrap_or(u64::MAX), &[u8::from(options.compress)]);
                let len = encoded.bytes().len();
                drop(encoded);
                let (expect, compress) = (options.expect, options.compress);
                let put =
                    Change::Put { expect, keep_until_ms, stored_ms: now_ms, content, compress, sealed: None };
                (id, put, len)
            }
            Operation::Delete { id, expect } => {
                hash(1, &id, number_of(expect), &[]);
                (id, Change::Delete { expect }, 0)
            }
            Operation::DeleteVersion { id, version } => {
                hash(2, &id, version, &[]);
                (id, Change::DeleteVersion { version }, 0)
            }
            Operation::Restore { id, version, expect } => {
                hash(3, &id, version, &number_of(expect).to_le_bytes());
                (id, Change::Restore { version, expect }, 0)
            }
        };
        check_text("record id", &id, ID_LEN_MAX)?;
        Ok((Step { record: store.record_id(&collection.id, &id), id, change, seen: None }, len))
    }
}

/// A record of a collection, be there one or not.
struct Found {
    collection: Arc<Collection>,
    record: Id,
}

fn verb_of(operation: &Operation) -> Verb {
    match operation {
        Operation::Put { .. } | Operation::Restore { .. } => Verb::Write,
        Operation::Delete { .. } | Operation::DeleteVersion { .. } => Verb::Delete,
    }
}

/// An expectation as a number: no version is near the largest.
fn number_of(expect: Expect) -> u64 {
    match expect {
        Expect::Any => u64::MAX,
        Expect::Absent => 0,
        Expect::Present => u64::MAX - 1,
        Expect::Version(version) => version,
    }
}
