//! One commit: rows, their audit event and the state after it, in one atomic batch of the database.
use crate::audit::{Entry, Event, Head, SIGN_EVERY, Totals};
use crate::collection::totals_row;
use crate::digest::Digest;
use crate::disk::{self, Kind};
use crate::engine::{Id, Row, Space, key};
use crate::erasure::Erasure;
use crate::order;
use crate::pages::{self, Page};
use crate::store::Store;
use crate::{ErasureId, Error};
use fjall::{PersistMode, Slice};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use terachat_event::SignedHead;

/// What only one thread at a time changes.
pub(crate) struct Writer {
    pub(crate) head: Head,
    /// Number of the newest event under a signature.
    pub(crate) signed: u64,
    pub(crate) digest: Digest,
    pub(crate) totals: Totals,
    pub(crate) collections: BTreeMap<Id, Totals>,
    pub(crate) next_erasure: u64,
    /// What the rollback counter has to say once the next event is on the disk.
    pub(crate) counter: u64,
    /// Whether something was acknowledged that the disk may not have yet.
    pub(crate) unsynced: bool,
}

impl Writer {
    pub(crate) fn next_erasure(&mut self) -> ErasureId {
        let id = ErasureId(self.next_erasure);
        self.next_erasure += 1;
        id
    }
}

/// Changes that are to happen together.
#[derive(Default)]
pub(crate) struct Staged {
    rows: Vec<Row>,
    digest: Digest,
    totals: BTreeMap<Id, Totals>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) erasures: Vec<Erasure>,
    pages: Vec<Arc<Page>>,
    /// Records whose newest version is another now, for the galleries.
    pub(crate) touched: Vec<(Id, Id)>,
    /// Whether it is the vault's own work: nobody reads these records soon because of it.
    unasked: bool,
}

impl Staged {
    /// For the vault's own work.
    pub(crate) fn unasked() -> Self {
        Self { unasked: true, ..Self::default() }
    }

    pub(crate) fn put(&mut self, space: Space, key: &[u8], value: impl Into<Slice>) {
        self.rows.push((space, order::stored(space, key), Some(value.into())));
    }

    pub(crate) fn remove(&mut self, space: Space, key: &[u8]) {
        self.rows.push((space, order::stored(space, key), None));
    }

    /// Takes back what was staged for a row, and gives its value.
    pub(crate) fn unput(&mut self, space: Space, key: &[u8]) -> Option<Slice> {
        let key = order::stored(space, key);
        let at = self.rows.iter().rposition(|row| row.0 == space && row.1 == key && row.2.is_some())?;
        self.rows.remove(at).2
    }

    /// Takes back that a row is removed.
    pub(crate) fn unremove(&mut self, space: Space, key: &[u8]) {
        let key = order::stored(space, key);
        self.rows.retain(|row| row.0 != space || row.1 != key || row.2.is_some());
    }

    pub(crate) fn plus(&mut self, part: Digest) {
        self.digest.add(part);
    }

    pub(crate) fn minus(&mut self, part: Digest) {
        self.digest.subtract(part);
    }

    /// Counts records, versions and bytes that came or went.
    pub(crate) fn count(&mut self, collection: &Id, records: i64, versions: i64, sealed_bytes: i64) {
        let change = Totals {
            records: records.cast_unsigned(),
            versions: versions.cast_unsigned(),
            sealed_bytes: sealed_bytes.cast_unsigned(),
        };
        self.totals.entry(*collection).or_default().add(&change);
    }

    /// The page under which something in here is sealed.
    pub(crate) fn under(&mut self, page: Arc<Page>) {
        if !page.stored.load(Ordering::Acquire) && !self.pages.iter().any(|known| Arc::ptr_eq(known, &page)) {
            self.pages.push(page);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.entries.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn into_rows(self) -> Vec<Row> {
        self.rows
    }

    /// Adds what another request staged.
    pub(crate) fn join(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.digest.add(other.digest);
        for (collection, change) in &other.totals {
            self.totals.entry(*collection).or_default().add(change);
        }
        self.entries.extend(other.entries);
        self.erasures.extend(other.erasures);
        other.pages.into_iter().for_each(|page| self.under(page));
        self.touched.extend(other.touched);
    }
}

/// Where the newest signature on the log stands.
pub(crate) fn signed_head_row() -> Vec<u8> {
    key::meta(b"signed head")
}

impl Store {
    /// Commits, and gives the number of the audit event. With `sync` it is on the disk afterwards, and all before it.
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; nothing more is written from then on.
    pub(crate) fn commit(&self, writer: &mut Writer, staged: Staged, sync: bool) -> Result<u64, Error> {
        self.check_writable()?;
        let Staged { rows, digest, totals, mut entries, erasures, pages, touched, unasked } = staged;
        let changes = !rows.is_empty() || !erasures.is_empty();
        debug_assert!(!changes || self.due.load(Ordering::Acquire) == 0, "checkpoints come before changes");
        entries.extend(self.reads.take());
        let mut after = writer.digest;
        after.add(digest);
        let mut sum = writer.totals;
        totals.values().for_each(|change| sum.add(change));
        let time_ms = self.time.now_ms();
        // The rows, and of each few pages, erasures and totals, the audit event and its signature.
        let mut batch = self.engine.batch(rows.len() + pages.len() + erasures.len() + totals.len() + 2);
        {
            let keyring = self.keyring();
            for page in &pages {
                let keys = keyring.collection(&page.collection);
                // A page of a collection or generation that was destroyed meanwhile has no records either.
                if let Some(keys) = keys
                    && let Some(dek) = keys.dek(page.generation)
                {
                    let (row, value) = pages::new_row(page, keys.algorithm(), dek);
                    batch.insert(self.engine.space(Space::Index), row, value);
                }
            }
        }
        let event = Event {
            time_ms,
            keyring_epoch: self.keyring().epoch(),
            counter: writer.counter,
            digest: after,
            totals: sum,
            entries,
        };
        let (row, head) = self.audit.append(&writer.head, &event);
        batch.insert(self.engine.space(Space::Audit), head.seq.to_be_bytes(), row);
        let signs = head.seq - writer.signed >= SIGN_EVERY;
        if signs {
            batch.insert(
                self.engine.space(Space::Index),
                signed_head_row(),
                encode_head(&self.audit.sign(&head)),
            );
        }
        for erasure in &erasures {
            let (row, value) = erasure.row(&self.small, head.seq, time_ms);
            batch.insert(self.engine.space(Space::Index), row, value);
        }
        let mut collections = Vec::with_capacity(totals.len());
        for (collection, change) in &totals {
            let mut total = writer.collections.get(collection).copied().unwrap_or_default();
            total.add(change);
            batch.insert(self.engine.space(Space::Index), totals_row(collection), total.bytes());
            collections.push((*collection, total));
        }
        let (mode, kind) =
            if sync { (PersistMode::SyncData, Kind::Sync) } else { (PersistMode::Buffer, Kind::Append) };
        disk::write(&self.config.path, kind, || self.engine.write(batch, rows, mode, !unasked))
            .map_err(|error| self.stop_writing(&error))?;

        writer.head = head;
        writer.digest = after;
        writer.totals = sum;
        writer.collections.extend(collections);
        writer.unsynced = !sync;
        if signs {
            writer.signed = head.seq;
        }
        pages.iter().for_each(|page| page.stored.store(true, Ordering::Release));
        let pending: u64 = erasures.iter().map(Erasure::versions).sum();
        self.counters.pending_erasures.fetch_add(pending, Ordering::Relaxed);
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        self.counters.syncs.fetch_add(u64::from(sync), Ordering::Relaxed);
        for (collection, record) in &touched {
            self.galleries.touch(collection, record);
        }
        Ok(head.seq)
    }

    /// Writes the reads that wait, signs the log, and puts everything on the disk.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        let mut writer = self.writer();
        while !self.reads.is_empty() {
            self.commit(&mut writer, Staged::default(), false)?;
        }
        if writer.signed < writer.head.seq {
            self.check_writable()?;
            let mut batch = self.engine.db.batch();
            let head = writer.head;
            batch.insert(
                self.engine.space(Space::Index),
                signed_head_row(),
                encode_head(&self.audit.sign(&head)),
            );
            let batch = batch.durability(Some(PersistMode::Buffer));
            disk::write(&self.config.path, Kind::Append, || batch.commit())
                .map_err(|error| self.stop_writing(&error))?;
            writer.signed = head.seq;
            writer.unsynced = true;
        }
        if writer.unsynced {
            self.check_writable()?;
            disk::write(&self.config.path, Kind::Sync, || self.engine.db.persist(PersistMode::SyncData))
                .map_err(|error| self.stop_writing(&error))?;
            writer.unsynced = false;
        }
        Ok(())
    }
}

pub(crate) fn encode_head(head: &SignedHead) -> Vec<u8> {
    let mut out = head.seq.to_le_bytes().to_vec();
    out.extend_from_slice(&head.hash.0);
    out.extend_from_slice(&head.signature);
    out
}

pub(crate) fn decode_head(bytes: &[u8]) -> Option<SignedHead> {
    let mut reader = crate::bytes::Reader(bytes);
    let seq = reader.u64().ok()?;
    let hash = terachat_event::EventHash(reader.array().ok()?);
    let signature = reader.array().ok()?;
    reader.end().ok()?;
    Some(SignedHead { seq, hash, signature })
}
