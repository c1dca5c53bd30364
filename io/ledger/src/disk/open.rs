use super::frame::{self, Frame, Key, Record, SEGMENT_HEAD_LEN, segment_name};
use super::manifest::{self, MANIFEST, Manifest};
use super::snapshot::{self, SnapshotMeta, snapshot_name};
use super::{Counters, Disk, DiskError};
use crate::raft::types::{Ballot, Id, LogEntry};
use std::collections::VecDeque;
use std::sync::Arc;
use terachat_shard::NodeId;
use terachat_storage::Storage;

/// What the disk remembers of a node.
pub(crate) struct Found {
    pub(crate) ballot: Option<Ballot>,
    pub(crate) purged: Option<Id>,
    /// Without gaps behind `purged`.
    pub(crate) entries: VecDeque<LogEntry>,
    pub(crate) committed: Option<Id>,
    pub(crate) snapshot: Option<(SnapshotMeta, Vec<u8>)>,
}

impl Disk {
    /// Opens the ledger of `node`, or makes an empty one. A segment is closed once it has `segment_len` bytes.
    pub(crate) fn open(
        mut storage: Box<dyn Storage>,
        node: NodeId,
        segment_len: u64,
    ) -> Result<(Self, Found), DiskError> {
        let manifest = match Manifest::read(storage.as_ref(), node)? {
            Some(manifest) => manifest,
            None if storage.list()?.iter().any(|name| is_ours(name)) => {
                return Err(DiskError::Lost { file: MANIFEST.to_owned() });
            }
            None => {
                let manifest = Manifest::new(node);
                manifest.write(storage.as_mut())?;
                manifest
            }
        };
        let mut log = Log::read(storage.as_ref(), &manifest)?;
        let snapshot = snapshot::read(storage.as_ref(), &manifest)?;
        remove_leftovers(storage.as_mut(), &manifest)?;

        let mut disk = Self {
            key: Key::new(&manifest::SegmentRecord { number: 0, salt: [0; 16], first: 0, len: None }),
            storage,
            manifest,
            highest: log.highest,
            len: 0,
            segment_len,
            next: log.doubtful_number,
            committed: None,
            broken: None,
            counters: Arc::new(Counters::default()),
        };
        // What the last append wrote may be in the system's memory only, whatever it reads as. It is written anew, and
        // the segment ends before it.
        disk.start_segment(log.doubtful_at, &log.doubtful)?;
        let mut replay = Replay::new(disk.manifest.purged);
        for (file, record) in log.records.drain(..) {
            replay.record(record).map_err(|what| DiskError::Rot { file, at: 0, what })?;
        }
        let committed = replay.committed();
        let found = Found {
            ballot: disk.manifest.ballot,
            purged: disk.manifest.purged,
            entries: replay.entries,
            committed,
            snapshot,
        };
        Ok((disk, found))
    }
}

/// All that is in the segments.
struct Log {
    records: Vec<(String, Record)>,
    highest: Vec<u64>,
    /// What is not known to be durable: number and place of its first frame, and the records.
    doubtful_number: u64,
    doubtful_at: u64,
    doubtful: Vec<Record>,
}

impl Log {
    fn read(storage: &dyn Storage, manifest: &Manifest) -> Result<Self, DiskError> {
        let mut log = Self {
            records: Vec::new(),
            highest: Vec::new(),
            doubtful_number: 0,
            doubtful_at: 0,
            doubtful: Vec::new(),
        };
        for segment in &manifest.segments {
            let file = segment_name(segment.number);
            let Some(len) = storage.size(&file)? else { return Err(DiskError::Lost { file }) };
            let rot = |at, what| DiskError::Rot { file: file.clone(), at, what };
            let used = segment.len.unwrap_or(len);
            if used > len {
                return Err(rot(len, "its end is missing"));
            }
            let used = usize::try_from(used).map_err(|_| rot(0, "too long"))?;
            let bytes = storage.read(&file, 0, used)?;
            if log.doubtful_number != segment.first && !log.highest.is_empty() {
                return Err(rot(0, "the number of its first frame"));
            }
            let frames = frame::read(segment, &bytes, segment.len.is_some())?;
            log.take(segment.first, frames, segment.len.is_some(), &file);
        }
        Ok(log)
    }

    fn take(&mut self, first: u64, frames: Vec<Frame>, closed: bool, file: &str) {
        let end = frames.last().map_or(first, |frame| frame.number + 1);
        let durable =
            if closed { end } else { frames.last().map_or(first, |frame| frame.durable.max(first)) };
        self.doubtful_number = durable;
        self.doubtful_at = frames
            .iter()
            .find(|frame| frame.number >= durable)
            .map_or(SEGMENT_HEAD_LEN as u64, |frame| frame.at as u64);
        let mut highest = 0;
        for frame in frames {
            for record in frame.records {
                highest = record.index().unwrap_or(0).max(highest);
                if frame.number >= durable {
                    self.doubtful.push(record.clone());
                }
                self.records.push((file.to_owned(), record));
            }
        }
        self.highest.push(highest);
    }
}

impl Record {
    /// The entry's, of an entry.
    pub(super) fn index(&self) -> Option<u64> {
        match self {
            Self::Entry(entry) => Some(entry.id.index),
            Self::Cut(_) | Self::Committed(_) => None,
        }
    }
}

/// The log as it comes out of its records.
struct Replay {
    purged: Option<Id>,
    entries: VecDeque<LogEntry>,
    committed: Option<Id>,
}

impl Replay {
    fn new(purged: Option<Id>) -> Self {
        Self { purged, entries: VecDeque::new(), committed: None }
    }

    fn record(&mut self, record: Record) -> Result<(), &'static str> {
        let begin = self.purged.map_or(0, |purged| purged.index.saturating_add(1));
        match record {
            // Nothing could follow it, and so no leader makes it.
            Record::Entry(entry) if entry.id.index == u64::MAX => Err("an entry's number"),
            Record::Entry(entry) if entry.id.index < begin => Ok(()),
            Record::Entry(entry) if entry.id.index == begin.saturating_add(self.entries.len() as u64) => {
                self.entries.push_back(entry);
                Ok(())
            }
            Record::Entry(_) => Err("an entry is missing"),
            Record::Cut(from) => {
                let keep = usize::try_from(from.saturating_sub(begin)).unwrap_or(usize::MAX);
                self.entries.truncate(keep);
                Ok(())
            }
            Record::Committed(id) => {
                self.committed = self.committed.max(Some(id));
                Ok(())
            }
        }
    }

    /// What is committed and known of: never more than is there.
    fn committed(&self) -> Option<Id> {
        let last = self.entries.back().map(|entry| entry.id).or(self.purged);
        self.committed.min(last).max(self.purged)
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with("ledger-")
}

/// Removes what the manifest does not name.
fn remove_leftovers(storage: &mut dyn Storage, manifest: &Manifest) -> Result<(), DiskError> {
    let mut named: Vec<String> =
        manifest.segments.iter().map(|segment| segment_name(segment.number)).collect();
    named.extend(manifest.snapshot.map(|snapshot| snapshot_name(snapshot.number)));
    for name in storage.list()? {
        if is_ours(&name) && !named.contains(&name) {
            storage.remove(&name)?;
        }
    }
    Ok(())
}
