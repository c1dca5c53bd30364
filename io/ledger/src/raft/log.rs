use super::types::{Body, Entry, Id, LogEntry, LogId, Types, Vote};
use crate::disk::{Disk, DiskError, Found};
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{AnyError, LogState, OptionalSend, RaftLogReader, StorageError, StorageIOError};
use std::collections::VecDeque;
use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Bytes of entries that are read, and sent, at once; a longer entry goes by itself.
pub(crate) const READ_LEN_MAX: usize = 1 << 20;

/// openraft's log: all of it in memory, which snapshots keep short, and on the disk before anybody is told.
#[derive(Clone)]
pub(crate) struct Log {
    memory: Arc<Mutex<Memory>>,
    disk: Arc<Mutex<Disk>>,
    snapshot: watch::Receiver<Durable>,
}

/// The last entry of the snapshot that is durable, or that one could not be made so.
pub(crate) type Durable = Result<Option<Id>, ()>;

struct Memory {
    ballot: Option<super::types::Ballot>,
    purged: Option<Id>,
    entries: VecDeque<Kept>,
    committed: Option<Id>,
}

struct Kept {
    entry: LogEntry,
    /// Bytes of all entries up to this one, about, counted from some time on.
    bytes: usize,
}

impl Memory {
    /// Index of the first entry there is or will be.
    fn begin(&self) -> u64 {
        let next = || self.purged.map_or(0, |purged| purged.index + 1);
        self.entries.front().map_or_else(next, |first| first.entry.id.index)
    }

    fn position(&self, index: u64) -> usize {
        usize::try_from(index.saturating_sub(self.begin())).unwrap_or(usize::MAX).min(self.entries.len())
    }

    fn extend(&mut self, entries: impl IntoIterator<Item = LogEntry>) {
        let mut bytes = self.entries.back().map_or(0, |last| last.bytes);
        for entry in entries {
            bytes += entry.len();
            self.entries.push_back(Kept { entry, bytes });
        }
    }

    /// Bytes of the entries before this position, counted as [`Kept::bytes`] is.
    fn bytes_before(&self, position: usize) -> usize {
        match position.checked_sub(1) {
            Some(last) => self.entries.get(last).map_or(0, |last| last.bytes),
            None => self.entries.front().map_or(0, |first| first.bytes - first.entry.len()),
        }
    }

    fn last(&self) -> Option<Id> {
        self.entries.back().map(|last| last.entry.id).or(self.purged)
    }
}

impl Log {
    /// `snapshot` is told by whoever writes snapshots.
    pub(crate) fn new(disk: Arc<Mutex<Disk>>, found: Found, snapshot: watch::Receiver<Durable>) -> Self {
        let Found { ballot, purged, entries, committed, snapshot: _ } = found;
        let mut memory = Memory { ballot, purged, entries: VecDeque::new(), committed };
        memory.extend(entries);
        Self { memory: Arc::new(Mutex::new(memory)), disk, snapshot }
    }

    /// Bytes of the entries from `first` to `last`, about.
    pub(crate) fn bytes_between(&self, first: u64, last: u64) -> usize {
        let memory = self.memory();
        let (start, end) = (memory.position(first), memory.position(last + 1));
        memory.bytes_before(end).saturating_sub(memory.bytes_before(start))
    }

    /// The index up to which entries, the last being `upto`, may be given up so that about `keep` bytes of them stay.
    pub(crate) fn purgeable(&self, upto: u64, keep: usize) -> Option<u64> {
        let memory = self.memory();
        let end = memory.bytes_before(memory.position(upto + 1));
        let gone = memory.entries.partition_point(|kept| kept.bytes + keep < end);
        let last = memory.entries.get(gone.checked_sub(1)?)?;
        Some(last.entry.id.index)
    }

    /// The last entry, on the disk as well.
    pub(crate) fn last(&self) -> Option<Id> {
        self.memory().last()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn disk<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut Disk) -> Result<T, DiskError> + Send + 'static,
    ) -> Result<T, AnyError> {
        on_disk(&self.disk, |disk| what(&mut disk.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}

/// Does `what` where it may wait for the disk.
pub(crate) async fn on_disk<T: Send + 'static>(
    disk: &Arc<Mutex<Disk>>,
    what: impl FnOnce(&Mutex<Disk>) -> Result<T, DiskError> + Send + 'static,
) -> Result<T, AnyError> {
    let disk = Arc::clone(disk);
    match tokio::task::spawn_blocking(move || what(&disk)).await {
        Ok(result) => result.map_err(|error| AnyError::new(&error)),
        Err(error) => Err(AnyError::new(&error)),
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError<u64>> {
        let start = match range.start_bound() {
            Bound::Included(&index) => index,
            Bound::Excluded(&index) => index + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&index) => index + 1,
            Bound::Excluded(&index) => index,
            Bound::Unbounded => u64::MAX,
        };
        let memory = self.memory();
        let (start, end) = (memory.position(start), memory.position(end));
        Ok(memory.entries.range(start..end.max(start)).map(|kept| Entry::from(kept.entry.clone())).collect())
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, StorageError<u64>> {
        let memory = self.memory();
        let (start, end) = (memory.position(start), memory.position(end));
        let mut bytes = 0;
        let fitting = memory.entries.range(start..end.max(start)).enumerate().take_while(|(number, kept)| {
            bytes += kept.entry.len();
            *number == 0 || bytes <= READ_LEN_MAX
        });
        Ok(fitting.map(|(_, kept)| Entry::from(kept.entry.clone())).collect())
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError<u64>> {
        let memory = self.memory();
        Ok(LogState {
            last_purged_log_id: memory.purged.map(LogId::from),
            last_log_id: memory.last().map(LogId::from),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError<u64>> {
        let ballot = (*vote).into();
        self.disk(move |disk| disk.save_ballot(ballot)).await.map_err(StorageIOError::write_vote)?;
        self.memory().ballot = Some(ballot);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError<u64>> {
        Ok(self.memory().ballot.map(Vote::from))
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError<u64>> {
        let Some(id) = committed.map(Id::from) else { return Ok(()) };
        self.memory().committed = Some(id);
        self.disk.lock().unwrap_or_else(PoisonError::into_inner).committed(id);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError<u64>> {
        Ok(self.memory().committed.map(LogId::from))
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError<u64>>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<LogEntry> = entries.into_iter().map(LogEntry::from).collect();
        for entry in &entries {
            if let Body::Batch(batch) = &entry.body {
                batch.taken().set();
            }
        }
        let copies = entries.clone();
        self.disk(move |disk| disk.append(copies)).await.map_err(StorageIOError::write_logs)?;
        self.memory().extend(entries);
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, id: LogId) -> Result<(), StorageError<u64>> {
        self.disk(move |disk| disk.cut(id.index)).await.map_err(StorageIOError::write_logs)?;
        let mut memory = self.memory();
        let keep = memory.position(id.index);
        memory.entries.truncate(keep);
        Ok(())
    }

    async fn purge(&mut self, id: LogId) -> Result<(), StorageError<u64>> {
        // openraft 0.9 gives up entries as soon as it has asked for a leader's snapshot to be installed. A power cut
        // between the two would leave neither, and entries that were then appended behind a gap.
        let covered = self.snapshot.wait_for(|durable| match durable {
            Ok(last) => *last >= Some(id.into()),
            Err(()) => true,
        });
        if !matches!(covered.await.as_deref(), Ok(Ok(_))) {
            let error = AnyError::error("the snapshot in place of the log's entries was not written");
            return Err(StorageIOError::write_logs(error).into());
        }
        self.disk(move |disk| disk.purge(id.into())).await.map_err(StorageIOError::write_logs)?;
        let mut memory = self.memory();
        let end = memory.position(id.index + 1);
        memory.entries.drain(..end);
        memory.purged = Some(id.into());
        Ok(())
    }
}
