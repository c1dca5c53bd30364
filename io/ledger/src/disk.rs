//! A node's ledger on its disk: vote, log and snapshot over [`Storage`]. See `docs/format/ledger-log.md`.
mod error;
mod frame;
mod manifest;
mod open;
mod snapshot;
#[cfg(test)]
mod tests;

pub use error::DiskError;
pub(crate) use open::Found;
pub(crate) use snapshot::SnapshotMeta;

use crate::DiskCounters;
use crate::raft::types::{Ballot, Id, LogEntry};
use frame::{Key, Record, SEGMENT_HEAD_LEN, frames, segment_head, segment_name};
use manifest::{Manifest, SegmentRecord};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use terachat_storage::Storage;

/// The files, and the end of the log. After an error everything but reading fails with the same one: what is on the disk
/// is known again once it was opened anew.
pub(crate) struct Disk {
    storage: Box<dyn Storage>,
    manifest: Manifest,
    /// Highest index in each segment of the manifest.
    highest: Vec<u64>,
    key: Key,
    /// Length of the open segment.
    len: u64,
    /// Bytes from which on a segment is closed.
    segment_len: u64,
    /// Number of the next frame.
    next: u64,
    /// What is committed, to be written along with the next entries.
    committed: Option<Id>,
    broken: Option<DiskError>,
    counters: Arc<Counters>,
}

/// What a [`Disk`] did since it was opened.
#[derive(Default)]
pub(crate) struct Counters {
    entries: AtomicU64,
    syncs: AtomicU64,
    votes: AtomicU64,
    snapshots: AtomicU64,
    /// Why the disk is not used any more.
    broken: Mutex<Option<String>>,
}

impl Counters {
    pub(crate) fn read(&self) -> DiskCounters {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DiskCounters {
            entries: value(&self.entries),
            syncs: value(&self.syncs),
            votes: value(&self.votes),
            snapshots: value(&self.snapshots),
        }
    }

    pub(crate) fn broken(&self) -> Option<String> {
        self.broken.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl Disk {
    pub(crate) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Makes `entries` durable behind the last one.
    pub(crate) fn append(&mut self, entries: Vec<LogEntry>) -> Result<(), DiskError> {
        let ledger_entries: usize = entries.iter().map(LogEntry::entries).sum();
        let highest = entries.last().map(|entry| entry.id.index);
        let mut records: Vec<Record> = self.committed.take().map(Record::Committed).into_iter().collect();
        records.extend(entries.into_iter().map(Record::Entry));
        self.write(&records, highest)?;
        self.counters.entries.fetch_add(ledger_entries as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Gives up the entries from `from` on, durably.
    pub(crate) fn cut(&mut self, from: u64) -> Result<(), DiskError> {
        self.write(&[Record::Cut(from)], None)
    }

    /// Remembers what is committed, without haste: with the next entries.
    pub(crate) fn committed(&mut self, id: Id) {
        self.committed = Some(id);
    }

    /// Makes the vote durable.
    pub(crate) fn save_ballot(&mut self, ballot: Ballot) -> Result<(), DiskError> {
        let manifest = Manifest { ballot: Some(ballot), ..self.manifest.clone() };
        self.replace(manifest)?;
        self.counters.votes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Gives up the entries up to `id`, which a snapshot has.
    pub(crate) fn purge(&mut self, id: Id) -> Result<(), DiskError> {
        let mut manifest = Manifest { purged: Some(id), ..self.manifest.clone() };
        let open = manifest.segments.len().saturating_sub(1);
        let gone = self.highest.iter().take(open).take_while(|&&highest| highest <= id.index).count();
        let names: Vec<String> = manifest.segments.drain(..gone).map(|s| segment_name(s.number)).collect();
        self.replace(manifest)?;
        self.highest.drain(..gone);
        self.guarded(|disk| names.iter().try_for_each(|name| Ok(disk.storage.remove(name)?)))
    }

    fn write(&mut self, records: &[Record], highest: Option<u64>) -> Result<(), DiskError> {
        if self.len >= self.segment_len {
            self.guarded(|disk| disk.start_segment(disk.len, &[]))?;
        }
        self.guarded(|disk| {
            let frames = frames(&disk.key, disk.next, records);
            let name = disk.open_name();
            let bytes = frames.concat();
            disk.storage.append(&name, &bytes)?;
            disk.storage.sync(&name)?;
            disk.len += bytes.len() as u64;
            disk.next += frames.len() as u64;
            Ok(())
        })?;
        self.counters.syncs.fetch_add(1, Ordering::Relaxed);
        if let (Some(own), Some(highest)) = (self.highest.last_mut(), highest) {
            *own = highest.max(*own);
        }
        Ok(())
    }

    fn open_name(&self) -> String {
        segment_name(self.manifest.segments.last().expect("one is always open").number)
    }

    /// Closes the open segment, if there is one, at `len` and opens one that begins with `records`, the first of
    /// number `next`.
    fn start_segment(&mut self, len: u64, records: &[Record]) -> Result<(), DiskError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)
            .expect("the system has random numbers, the node's key came from there too");
        let segment = SegmentRecord { number: self.manifest.next, salt, first: self.next, len: None };
        let name = segment_name(segment.number);
        let key = Key::new(&segment);
        let mut bytes = segment_head(&segment);
        let mut next = self.next;
        if !records.is_empty() {
            let frames = frames(&key, self.next, records);
            next += frames.len() as u64;
            bytes.extend(frames.concat());
        }
        // A first try that was cut off may have left one.
        self.storage.remove(&name)?;
        self.storage.append(&name, &bytes)?;
        self.storage.sync(&name)?;
        let mut manifest = self.manifest.clone();
        let mut highest = self.highest.clone();
        let mut empty = None;
        if let Some(last) = manifest.segments.last_mut() {
            last.len = Some(len);
            if len <= SEGMENT_HEAD_LEN as u64 {
                empty = manifest.segments.pop().map(|segment| segment_name(segment.number));
                highest.pop();
            }
        }
        manifest.segments.push(segment);
        highest.push(records.iter().filter_map(Record::index).max().unwrap_or(0));
        manifest.next += 1;
        manifest.write(self.storage.as_mut())?;
        if let Some(name) = empty {
            self.storage.remove(&name)?;
        }
        (self.manifest, self.highest, self.key) = (manifest, highest, key);
        (self.len, self.next) = (bytes.len() as u64, next);
        Ok(())
    }

    fn replace(&mut self, manifest: Manifest) -> Result<(), DiskError> {
        self.guarded(|disk| {
            manifest.write(disk.storage.as_mut())?;
            disk.manifest = manifest;
            Ok(())
        })
    }

    /// Does `what`, and nothing ever again once that failed.
    fn guarded<T>(&mut self, what: impl FnOnce(&mut Self) -> Result<T, DiskError>) -> Result<T, DiskError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let result = what(self);
        if let Err(error) = &result {
            self.broken = Some(error.clone());
            let mut broken = self.counters.broken.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *broken = Some(error.to_string());
        }
        result
    }
}
