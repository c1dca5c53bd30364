//! The commit log: append-only segments of compressed, sealed blocks in which nothing acknowledged is lost.
//!
//! A commit is one or more blocks that become durable together or not at all, with one append and one sync.
//! [`CommitLog::append`] and [`CommitLog::sync`] take the two apart, so that many commits share a sync; whoever
//! waits for a commit is answered after it. The bytes are laid out in `docs/format/commit-log.md`.
//!
//! The log does not know what it keeps, keeps no index, and repairs nothing: damage in what was durable is
//! reported, and only a tail that never became durable is cut.
mod block;
mod blocks;
mod frame;
mod keys;
mod recover;
mod rewrite;
mod secrets;
mod segment;
mod segments;
mod snapshot;
#[cfg(test)]
mod tests;

pub use block::{Block, BlockRef, StoredBlock};
pub use blocks::Blocks;
pub use snapshot::{PackedPart, Snapshot};

use super::{Error, Storage};
use frame::{COMMIT, SYNCED};
use keys::{Id, LogKeys, Salts};
use recover::{End, find_end};
use segment::{SegmentHeader, file_name};
use segments::{Place, Segments};
use std::sync::Arc;
use terachat_vault::{Entropy, SealKey, Secret};

/// The longest body a block may have: 16 MiB.
pub const BODY_LEN_MAX: usize = 16 << 20;
/// The longest commit, all its bodies together: 256 MiB.
pub const COMMIT_LEN_MAX: usize = 256 << 20;

/// A segment that nothing is added to any more.
#[derive(Debug, Clone, Copy)]
struct Closed {
    len: u64,
    /// How often it was rewritten.
    rewritten: u32,
}

/// What can be chosen about a log.
#[derive(Debug, Clone, Copy)]
pub struct LogOptions {
    /// A segment that has reached this many bytes is closed and the next begun; at most 1 GiB. Larger segments
    /// are fewer files, smaller ones are quicker to scan after a crash. 64 MiB is good.
    pub segment_len_max: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { segment_len_max: 64 << 20 }
    }
}

/// What [`CommitLog::open`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The last block; `None` in an empty log.
    pub last: Option<BlockRef>,
    /// The last block the snapshot covers, if there is a snapshot that says so.
    pub snapshot: Option<BlockRef>,
    /// Segments in the log.
    pub segments: u32,
    /// Bytes in them.
    pub bytes: u64,
    /// Bytes of an unfinished commit that were cut off the end: a crash came before it was acknowledged.
    pub bytes_cut: u64,
    /// Whether one of the two files of the segments' secrets was missing or damaged, and made anew from the other.
    pub secrets_mended: bool,
}

/// An open log. One process at a time may have it open; whoever hands in the storage sees to that.
///
/// ```
/// use terachat_core_store::store::{Block, CommitLog, storage::MemoryStorage};
/// # struct Fixed;
/// # impl terachat_vault::Entropy for Fixed { fn fill(&mut self, out: &mut [u8]) { out.fill(7) } }
/// # fn main() -> Result<(), terachat_core_store::store::Error> {
/// # let (key, mut entropy) = (terachat_vault::Secret::take(&mut [1; 32]), Fixed);
/// let (mut log, _) = CommitLog::open(Box::new(MemoryStorage::new()), &key, &mut entropy)?;
/// let at = log.commit(&[Block::plain(1, b"hello")])?;
/// assert_eq!(log.read(at[0])?, b"hello");
/// # Ok(()) }
/// ```
pub struct CommitLog {
    segments: Segments,
    store_key: Secret<32>,
    log_id: Id,
    salts: Salts,
    options: LogOptions,
    /// The segments before the current one.
    closed: Vec<Closed>,
    /// Where the next commit goes.
    end: End,
    /// The end as of the last sync.
    synced: End,
    /// The key new blocks are sealed under, once this opening has written its salt.
    session: Option<Arc<SealKey>>,
    /// Whether the file may hold bytes beyond `end` that have to be cut before the next append.
    dirty: bool,
}

impl CommitLog {
    /// Opens the log in `storage`, or begins one if there is none, and cuts an unfinished commit off its end.
    ///
    /// Everything it then holds is durable. The key is checked; `entropy` is drawn from once.
    ///
    /// # Errors
    /// [`Error::WrongKey`], [`Error::Foreign`], [`Error::NewerVersion`], [`Error::Missing`],
    /// [`Error::Shortened`], [`Error::Damaged`] when the log's end or a header is damaged (damage in older blocks
    /// shows when they are read), and [`Error::Storage`].
    pub fn open(
        storage: Box<dyn Storage>,
        key: &Secret<32>,
        entropy: &mut dyn Entropy,
    ) -> Result<(Self, Recovered), Error> {
        Self::open_with(storage, key, entropy, LogOptions::default())
    }

    /// [`CommitLog::open`] with options.
    ///
    /// # Errors
    /// As [`CommitLog::open`].
    pub fn open_with(
        mut storage: Box<dyn Storage>,
        key: &Secret<32>,
        entropy: &mut dyn Entropy,
        options: LogOptions,
    ) -> Result<(Self, Recovered), Error> {
        let mut log_id = Id::default();
        entropy.fill(&mut log_id);
        let mut salts = Salts::new(Secret::generate(|seed| entropy.fill(seed)));
        if count(&*storage)? == 0 {
            let mut keys = LogKeys::new(key, &log_id);
            keys.own.extend([1, secrets::SNAPSHOT].map(|segment| (segment, salts.secret())));
            secrets::write(&mut *storage, &log_id, &salts.next(), (&keys, |_| 0), &[])?;
            let header =
                SegmentHeader { log_id, segment: 1, before_len: 0, before_last: None, rewritten: None };
            storage.replace(&file_name(1), &header.to_bytes(&keys))?;
        }
        let (header, mut keys, closed) = read_headers(&*storage, key)?;
        let (leftover, secrets_mended) = secrets::read(&*storage, &header.log_id, &mut keys, &closed)?;
        let covers = covers(&*storage, key, &header, rewrites(&closed))?;
        let mut segments = Segments::new(storage, keys);
        let (end, len) = recover_end(&segments, &header, covers)?;
        let file = file_name(header.segment);
        if len > end.place.offset {
            segments.storage.truncate(&file, end.place.offset)?;
            segments.forget(header.segment, end.place.offset);
        }
        // What a killed process had not synced yet is read from memory: make it durable before anyone relies on it.
        segments.storage.sync(&file)?;
        if leftover {
            // A crash came between the rewriting of a segment and the end of its former secret.
            let with = (&segments.keys, secrets::times(&closed));
            secrets::write(&mut *segments.storage, &header.log_id, &salts.next(), with, &[])?;
        }
        let recovered = Recovered {
            last: end.last,
            snapshot: covers,
            segments: header.segment,
            bytes: closed.iter().map(|closed| closed.len).sum::<u64>() + end.place.offset,
            bytes_cut: len - end.place.offset,
            secrets_mended,
        };
        let log = Self {
            segments,
            store_key: key.duplicate_secret(),
            log_id: header.log_id,
            salts,
            options,
            closed,
            end,
            synced: end,
            session: None,
            dirty: false,
        };
        Ok((log, recovered))
    }

    /// Makes `blocks` durable, all or none, with one append and one sync, and says where they are.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::TooLarge`]; [`Error::Storage`] when the commit could not be written: it did not
    /// happen and can be tried again; [`Error::Withdrawn`] when the sync failed: see [`CommitLog::sync`].
    pub fn commit(&mut self, blocks: &[Block<'_>]) -> Result<Vec<BlockRef>, Error> {
        let at = self.append(blocks)?;
        self.sync()?;
        Ok(at)
    }

    /// Writes a commit that becomes durable with the next [`CommitLog::sync`]; a crash before it may lose this
    /// commit, together with all after it. It can be read at once.
    ///
    /// # Errors
    /// As [`CommitLog::commit`].
    pub fn append(&mut self, blocks: &[Block<'_>]) -> Result<Vec<BlockRef>, Error> {
        check_len(blocks)?;
        self.cut_back()?;
        if self.is_full() {
            self.roll()?;
        }
        let (bytes, frames, session) = self.seal(blocks);
        let start = self.end.place;
        let file = file_name(start.segment);
        match self.segments.storage.append(&file, &bytes) {
            Ok(offset) if offset == start.offset => {}
            Ok(_) => {
                self.dirty = true;
                return Err(start.damaged("the file is longer than the log: another program writes to it"));
            }
            Err(error) => return Err(self.failed_append(error.into())),
        }
        let places: Vec<BlockRef> = frames.iter().map(Place::reference).collect();
        let last = frames.last().expect("check_len refuses a commit without blocks");
        self.end.last = Some(last.reference());
        self.end.place =
            Place { offset: start.offset + bytes.len() as u64, number: last.number + 1, ..*last };
        if self.session.is_none() {
            let offset = places[0].session;
            self.segments.remember(start.segment, offset, session.clone());
            self.session = Some(session);
        }
        Ok(places)
    }

    /// Makes all appended commits durable. Without any it costs nothing.
    ///
    /// # Errors
    /// [`Error::Withdrawn`] when it fails: every commit since the last successful sync is taken back, as if it
    /// had never been made, because after a failed sync a system may drop what it could not write and report
    /// success the next time. The log stays usable.
    pub fn sync(&mut self) -> Result<(), Error> {
        self.cut_back()?;
        if self.synced != self.end {
            self.sync_file()?;
        }
        Ok(())
    }

    /// The body of the block at `at`.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is not what was written; [`Error::NoSuchBlock`]; [`Error::Storage`].
    pub fn read(&self, at: BlockRef) -> Result<Vec<u8>, Error> {
        let end = self
            .len(at.segment)
            .ok_or(Error::NoSuchBlock { segment: at.segment, offset: at.offset.into() })?;
        self.segments.block(at, end)
    }

    /// The segment that the next commit goes to.
    pub(crate) fn next_segment(&self) -> u32 {
        self.end.place.segment + u32::from(self.is_full())
    }

    fn is_full(&self) -> bool {
        self.end.place.offset >= self.options.segment_len_max.min(1 << 30)
    }

    /// The blocks after `after` in the order they were committed, or all of them.
    ///
    /// # Errors
    /// [`Error::NoSuchBlock`] or [`Error::Damaged`] when there is no readable block at `after`. Each item can
    /// fail: see [`Blocks`].
    pub fn blocks(&self, after: Option<BlockRef>) -> Result<Blocks<'_>, Error> {
        let mut lens = self.closed_lens();
        lens.push(self.end.place.offset);
        let place = match after {
            None => End::empty(1, None).place,
            Some(at) => {
                let none = Error::NoSuchBlock { segment: at.segment, offset: at.offset.into() };
                let place = Place::from(at);
                place.after(&self.segments.header(&place, self.len(at.segment).ok_or(none)?)?.0)
            }
        };
        Ok(Blocks::new(&self.segments, lens, place))
    }

    /// The last block; `None` in an empty log.
    pub fn last(&self) -> Option<BlockRef> {
        self.end.last
    }

    /// Bytes in all segments.
    pub fn bytes(&self) -> u64 {
        self.closed.iter().map(|closed| closed.len).sum::<u64>() + self.end.place.offset
    }

    /// Puts `parts`, which together are the state after everything committed so far, in the place of the last
    /// snapshot: compressed, each sealed by itself, atomic and durable. Commits that were only appended are synced
    /// first. Secrets belong into the first part: of its reading nothing is left in memory but what is given back.
    ///
    /// # Errors
    /// [`Error::Withdrawn`] as [`CommitLog::sync`]; [`Error::Storage`]: the old snapshot is still there.
    pub fn replace_snapshot(&mut self, parts: &[impl AsRef<[u8]>]) -> Result<(), Error> {
        let packed: Vec<PackedPart> = parts.iter().map(|part| PackedPart::new(part.as_ref())).collect();
        self.replace_snapshot_packed(&packed.iter().collect::<Vec<_>>())
    }

    /// The same of parts that were compressed ahead.
    ///
    /// # Errors
    /// As [`CommitLog::replace_snapshot`].
    pub fn replace_snapshot_packed(&mut self, parts: &[&PackedPart]) -> Result<(), Error> {
        self.sync()?;
        let covers = (self.end.last, rewrites(&self.closed));
        let file = snapshot::write(self.log_id, covers, self.salts.next(), parts, &self.segments.keys);
        Ok(self.segments.storage.replace(snapshot::FILE, &file)?)
    }

    /// The last snapshot, if there is one that was written since a segment was last rewritten; its parts are still
    /// to be read.
    ///
    /// # Errors
    /// [`Error::Snapshot`] when it is damaged: the state can be rebuilt from the log; [`Error::Storage`].
    pub fn snapshot(&self) -> Result<Option<Snapshot>, Error> {
        let rewrites = rewrites(&self.closed);
        let keys = &self.segments.keys;
        snapshot::read(&*self.segments.storage, &self.log_id, (&self.store_key, keys), rewrites)
    }

    /// Whether there is a snapshot that a rewriting has made void since: nothing reads it, and it holds what it held.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub(crate) fn has_void_snapshot(&self) -> Result<bool, Error> {
        let said = snapshot::covers(&*self.segments.storage, &self.log_id, &self.store_key)?;
        Ok(said.is_some_and(|(_, then)| then != rewrites(&self.closed)))
    }

    /// A part of a snapshot: what was handed in under this number, from 0.
    ///
    /// # Errors
    /// [`Error::Snapshot`] when it is damaged or not there, or when another snapshot has taken its place since;
    /// [`Error::Storage`].
    pub fn snapshot_part(&self, snapshot: &Snapshot, number: usize) -> Result<Vec<u8>, Error> {
        snapshot.part(&*self.segments.storage, number)
    }

    /// Closes the log. Commits that were appended and not synced may or may not be there when it is opened again.
    pub fn into_storage(self) -> Box<dyn Storage> {
        self.segments.storage
    }

    fn len(&self, segment: u32) -> Option<u64> {
        match (segment as usize).checked_sub(1)? {
            index if index == self.closed.len() => Some(self.end.place.offset),
            index => self.closed.get(index).map(|closed| closed.len),
        }
    }

    /// The bytes of a commit, the places of its blocks, and the key they are sealed under.
    fn seal(&mut self, blocks: &[Block<'_>]) -> (Vec<u8>, Vec<Place>, Arc<SealKey>) {
        let Self { segments, salts, .. } = self;
        let mut place = self.end.place;
        let mut flags = if self.synced == self.end { SYNCED } else { 0 };
        let bodies: usize = blocks.iter().map(|block| block.body.len() + frame::OVERHEAD).sum();
        let mut bytes = Vec::with_capacity(bodies);
        let (segment, start) = (place.segment, place.offset);
        let key = match &self.session {
            Some(key) => key.clone(),
            None => {
                let salt = salts.next();
                let key = Arc::new(segments.keys.session(segment, &salt));
                frame::write_session(
                    &mut bytes,
                    (segment, &segments.keys, &key),
                    (place.number, flags),
                    &salt,
                );
                flags = 0;
                place.session = Some(u32::try_from(start).expect("segments end far below 4 GiB"));
                place.number += 1;
                key
            }
        };
        let mut places = Vec::with_capacity(blocks.len());
        for (i, block) in blocks.iter().enumerate() {
            let end = if i + 1 == blocks.len() { COMMIT } else { 0 };
            place.offset = start + bytes.len() as u64;
            places.push(place);
            let with = (segment, &segments.keys, &*key);
            frame::write_block(&mut bytes, with, (place.number, flags | end), block);
            flags = 0;
            place.number += 1;
        }
        (bytes, places, key)
    }

    fn closed_lens(&self) -> Vec<u64> {
        self.closed.iter().map(|closed| closed.len).collect()
    }

    /// Closes the current segment and begins the next.
    ///
    /// # Errors
    /// As [`CommitLog::sync`]; [`Error::Storage`]: the segment goes on.
    pub(crate) fn roll(&mut self) -> Result<(), Error> {
        self.sync()?;
        let Place { segment, offset, .. } = self.end.place;
        let secret = self.salts.secret();
        self.write_secrets(&[((segment + 1, 0), &secret)])?;
        let header = SegmentHeader {
            log_id: self.log_id,
            segment: segment + 1,
            before_len: u32::try_from(offset).expect("segments end far below 4 GiB"),
            before_last: self.end.last,
            rewritten: None,
        };
        self.segments.storage.replace(&file_name(segment + 1), &header.to_bytes(&self.segments.keys))?;
        self.segments.keys.own.insert(segment + 1, secret);
        self.closed.push(Closed { len: offset, rewritten: 0 });
        self.end = End::empty(segment + 1, self.end.last);
        self.synced = self.end;
        self.session = None;
        Ok(())
    }

    /// Writes the secrets in use and `more` beside them; all others are gone then.
    fn write_secrets(&mut self, more: &[((u32, u32), &Secret<32>)]) -> Result<(), Error> {
        let Self { segments, closed, log_id, salts, .. } = self;
        let with = (&segments.keys, secrets::times(closed));
        secrets::write(&mut *segments.storage, log_id, &salts.next(), with, more)
    }

    /// A part of a commit may be in the file; its block numbers must not be used again under the same key.
    fn failed_append(&mut self, error: Error) -> Error {
        self.dirty = true;
        self.session = None;
        match self.cut_back() {
            Err(withdrawn @ Error::Withdrawn { .. }) => withdrawn,
            // Cut or not, the next append begins with what is left to do.
            Ok(()) | Err(_) => error,
        }
    }

    /// Cuts what a failed append may have left, durably: a later append must not be mistaken for it.
    fn cut_back(&mut self) -> Result<(), Error> {
        if !self.dirty {
            return Ok(());
        }
        let Place { segment, offset, .. } = self.end.place;
        self.segments.storage.truncate(&file_name(segment), offset)?;
        self.segments.forget(segment, offset);
        self.sync_file()?;
        self.dirty = false;
        Ok(())
    }

    fn sync_file(&mut self) -> Result<(), Error> {
        let file = file_name(self.end.place.segment);
        if let Err(source) = self.segments.storage.sync(&file) {
            self.withdraw(&file);
            return Err(Error::Withdrawn { source });
        }
        self.synced = self.end;
        Ok(())
    }

    fn withdraw(&mut self, file: &str) {
        self.end = self.synced;
        self.session = None;
        self.dirty = true;
        let Place { segment, offset, .. } = self.end.place;
        self.segments.forget(segment, offset);
        // A first try, so that a crash does not bring the withdrawn commits back; failing, the next append repeats it.
        let storage = &mut self.segments.storage;
        self.dirty = storage.truncate(file, offset).and_then(|()| storage.sync(file)).is_err();
    }
}

fn check_len(blocks: &[Block<'_>]) -> Result<(), Error> {
    if let Some(block) = blocks.iter().find(|block| block.body.len() > BODY_LEN_MAX) {
        return Err(Error::TooLarge { len: block.body.len(), max: BODY_LEN_MAX });
    }
    let len: usize = blocks.iter().map(|block| block.body.len() + frame::OVERHEAD).sum();
    match len {
        0 => Err(Error::Empty),
        len if len > COMMIT_LEN_MAX => Err(Error::TooLarge { len, max: COMMIT_LEN_MAX }),
        _ => Ok(()),
    }
}

/// The number of segments, which must follow each other without a gap.
fn count(storage: &dyn Storage) -> Result<u32, Error> {
    let files = storage.list()?;
    let mut count = 0;
    for segment in files.iter().filter_map(|file| segment::from_file_name(file)) {
        if segment != count + 1 {
            return Err(Error::Missing { segment: count + 1 });
        }
        count = segment;
    }
    if count == 0 && files.iter().any(|file| file == snapshot::FILE) {
        return Err(Error::Missing { segment: 1 });
    }
    Ok(count)
}

/// The last segment's header, the log's keys, and all segments before with their lengths checked against what their
/// successors say, or they themselves.
fn read_headers(
    storage: &dyn Storage,
    key: &Secret<32>,
) -> Result<(SegmentHeader, LogKeys, Vec<Closed>), Error> {
    let count = count(storage)?;
    let mut closed: Vec<Closed> = Vec::new();
    let mut found: Option<(SegmentHeader, LogKeys, u64)> = None;
    for segment in 1..=count {
        let file = file_name(segment);
        let len = storage.size(&file)?.ok_or(Error::Missing { segment })?;
        let want = usize::try_from(len).unwrap_or(usize::MAX).min(segment::HEADER_LEN);
        let (mut header, keys) = SegmentHeader::parse(&storage.read(&file, 0, want)?, &file, segment, key)?;
        if let Some((before, _, len)) = &found {
            if before.log_id != header.log_id {
                return Err(Error::Foreign { file });
            }
            closed.push(close(before, *len, &mut header)?);
        }
        found = Some((header, keys, len));
    }
    let (header, keys, _) = found.ok_or(Error::Missing { segment: 1 })?;
    Ok((header, keys, closed))
}

/// The segment before `next`, if it is as long as it has to be; tells `next` where it ends now.
fn close(before: &SegmentHeader, len: u64, next: &mut SegmentHeader) -> Result<Closed, Error> {
    if let Some(rewritten) = &before.rewritten {
        (next.before_len, next.before_last) = (rewritten.len, Some(rewritten.last));
    }
    if len != u64::from(next.before_len) {
        let offset = len.min(next.before_len.into());
        let what = "its segment is not as long as it was when it was closed";
        return Err(Error::Damaged { segment: before.segment, block: 0, offset, what });
    }
    Ok(Closed { len, rewritten: before.rewritten.map_or(0, |rewritten| rewritten.times) })
}

/// How often segments were rewritten, all together.
fn rewrites(closed: &[Closed]) -> u32 {
    closed.iter().map(|closed| closed.rewritten).fold(0, u32::saturating_add)
}

/// The last block the snapshot covers, if it says so and still speaks of this log: where a segment was rewritten since,
/// it names places that are gone.
fn covers(
    storage: &dyn Storage,
    key: &Secret<32>,
    last: &SegmentHeader,
    rewrites: u32,
) -> Result<Option<BlockRef>, Error> {
    match snapshot::covers(storage, &last.log_id, key)? {
        Some((_, then)) if then > rewrites => Err(Error::Shortened),
        Some((covers, _)) if covers.segment > last.segment => Err(Error::Shortened),
        Some((covers, then)) if then == rewrites => Ok(Some(covers)),
        _ => Ok(None),
    }
}

/// The log's end and the length of its last file, which is longer after a crash.
fn recover_end(
    segments: &Segments,
    header: &SegmentHeader,
    covers: Option<BlockRef>,
) -> Result<(End, u64), Error> {
    let segment = header.segment;
    let len = segments.storage.size(&file_name(segment))?.ok_or(Error::Missing { segment })?;
    let start = match covers {
        Some(covers) if covers.segment == segment => {
            let place = Place::from(covers);
            match segments.header(&place, len) {
                Ok((header, _)) => End { place: place.after(&header), last: Some(covers) },
                Err(Error::NoSuchBlock { .. }) => return Err(Error::Shortened),
                Err(_) if place.offset + frame::OVERHEAD as u64 > len => return Err(Error::Shortened),
                Err(other) => return Err(other),
            }
        }
        _ => End::empty(segment, header.before_last),
    };
    Ok((find_end(segments, len, start)?, len))
}
