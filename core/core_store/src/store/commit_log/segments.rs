use super::block::{BlockRef, StoredBlock};
use super::frame::{self, Broken, COMMIT, FrameHeader, SESSION};
use super::keys::LogKeys;
use super::segment::file_name;
use crate::store::{Error, Storage, StorageError};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use terachat_vault::SealKey;

/// Read at once when a frame's length is not known yet: most live messages fit.
const FIRST_READ_LEN: u64 = 4096;
/// Session keys kept at hand; each is some hundred bytes.
const SESSIONS_MAX: usize = 256;

/// The log's files and the keys to read them: what reading, recovery and writing share.
pub(super) struct Segments {
    pub(super) storage: Box<dyn Storage>,
    pub(super) keys: LogKeys,
    sessions: RefCell<BTreeMap<(u32, u32), Arc<SealKey>>>,
}

/// A frame's bytes and the header they begin with.
pub(super) struct Frame<'a> {
    pub(super) header: FrameHeader,
    pub(super) bytes: &'a [u8],
}

/// A place in a segment where a frame begins, or may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u32,
    pub(super) offset: u64,
    pub(super) number: u32,
    /// Where the session of the frame began; `None` before a segment's first.
    pub(super) session: Option<u32>,
}

impl Place {
    pub(super) fn damaged(&self, what: &'static str) -> Error {
        Error::Damaged { segment: self.segment, block: self.number, offset: self.offset, what }
    }

    /// The place after a frame that stands here.
    pub(super) fn after(self, header: &FrameHeader) -> Self {
        let session = if header.is(SESSION) { Some(offset32(self.offset)) } else { self.session };
        Self {
            offset: self.offset + header.frame_len(),
            number: self.number.saturating_add(1),
            session,
            ..self
        }
    }

    pub(super) fn reference(&self) -> BlockRef {
        let Self { segment, offset, number, session } = *self;
        BlockRef { segment, offset: offset32(offset), number, session: session.unwrap_or(0) }
    }
}

impl From<BlockRef> for Place {
    fn from(at: BlockRef) -> Self {
        let BlockRef { segment, offset, number, session } = at;
        Self { segment, offset: u64::from(offset), number, session: Some(session) }
    }
}

fn offset32(offset: u64) -> u32 {
    u32::try_from(offset).expect("segments end far below 4 GiB")
}

impl Segments {
    pub(super) fn new(storage: Box<dyn Storage>, keys: LogKeys) -> Self {
        Self { storage, keys, sessions: RefCell::default() }
    }

    /// The header of the frame at `place` in a segment that ends at `end`, with the frame's first bytes.
    pub(super) fn header(&self, place: &Place, end: u64) -> Result<(FrameHeader, Vec<u8>), Error> {
        let room = end
            .checked_sub(place.offset)
            .filter(|&room| room > 0)
            .ok_or(Error::NoSuchBlock { segment: place.segment, offset: place.offset })?;
        let len = usize::try_from(room.min(FIRST_READ_LEN)).expect("at most 4096");
        let first = self.storage.read(&file_name(place.segment), place.offset, len)?;
        let header = FrameHeader::parse(&first, place.segment, &self.keys)
            .ok_or_else(|| place.damaged("its header changed"))?;
        if header.number != place.number {
            return Err(Error::NoSuchBlock { segment: place.segment, offset: place.offset });
        }
        if header.frame_len() > room {
            return Err(place.damaged("the segment ends within it"));
        }
        Ok((header, first))
    }

    /// The whole frame at `place`.
    fn frame(&self, place: &Place, end: u64) -> Result<(FrameHeader, Vec<u8>), Error> {
        let (header, mut bytes) = self.header(place, end)?;
        let len = usize::try_from(header.frame_len()).expect("bodies are bounded");
        if let Some(missing) = len.checked_sub(bytes.len()) {
            let rest_at = place.offset + bytes.len() as u64;
            bytes.extend(self.storage.read(&file_name(place.segment), rest_at, missing)?);
        }
        bytes.truncate(len);
        Ok((header, bytes))
    }

    /// The block at `at`.
    pub(super) fn block(&self, at: BlockRef, end: u64) -> Result<Vec<u8>, Error> {
        let place = Place::from(at);
        let (header, bytes) = self.frame(&place, end)?;
        if header.is(SESSION) {
            return Err(Error::NoSuchBlock { segment: at.segment, offset: place.offset });
        }
        let key = self.session_key(at.segment, at.session, end)?;
        frame::open_block(&bytes, &header, &key).map_err(|Broken(what)| place.damaged(what))
    }

    /// Opens what stands at `place`; `None` for the beginning of a session.
    pub(super) fn open(
        &self,
        place: &Place,
        frame: &Frame<'_>,
        end: u64,
    ) -> Result<Option<StoredBlock>, Error> {
        let header = &frame.header;
        let broken = |Broken(what)| place.damaged(what);
        if header.is(SESSION) {
            let key = frame::open_session(frame.bytes, header, place.segment, &self.keys).map_err(broken)?;
            self.remember(place.segment, offset32(place.offset), Arc::new(key));
            return Ok(None);
        }
        let session = place.session.ok_or_else(|| place.damaged("no session begins before it"))?;
        let key = self.session_key(place.segment, session, end)?;
        let body = frame::open_block(frame.bytes, header, &key).map_err(broken)?;
        let ends_commit = header.is(COMMIT);
        Ok(Some(StoredBlock { at: place.reference(), kind: header.kind, body, ends_commit }))
    }

    fn session_key(&self, segment: u32, offset: u32, end: u64) -> Result<Arc<SealKey>, Error> {
        if let Some(key) = self.sessions.borrow().get(&(segment, offset)) {
            return Ok(key.clone());
        }
        let file = file_name(segment);
        let len = usize::try_from(frame::SESSION_LEN).expect("tens of bytes");
        let missing = Error::NoSuchBlock { segment, offset: u64::from(offset) };
        if u64::from(offset) + frame::SESSION_LEN > end {
            return Err(missing);
        }
        let bytes = self.storage.read(&file, u64::from(offset), len)?;
        let mut place = Place { segment, offset: u64::from(offset), number: 0, session: None };
        let header = FrameHeader::parse(&bytes, segment, &self.keys)
            .ok_or_else(|| place.damaged("the header of its session changed"))?;
        place.number = header.number;
        let key = frame::open_session(&bytes, &header, segment, &self.keys)
            .map_err(|Broken(what)| place.damaged(what))?;
        let key = Arc::new(key);
        self.remember(segment, offset, key.clone());
        Ok(key)
    }

    pub(super) fn remember(&self, segment: u32, offset: u32, key: Arc<SealKey>) {
        let mut sessions = self.sessions.borrow_mut();
        if sessions.len() >= SESSIONS_MAX {
            sessions.clear();
        }
        sessions.insert((segment, offset), key);
    }

    /// Forgets the sessions that began at or after `offset`: those bytes are being cut away.
    pub(super) fn forget(&self, segment: u32, offset: u64) {
        self.sessions.borrow_mut().retain(|&(s, o), _| s != segment || u64::from(o) < offset);
    }
}

/// A file read from front to back in large pieces.
pub(super) struct Window {
    file: String,
    end: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    const LEN: u64 = 1 << 20;

    pub(super) fn new(segment: u32, end: u64) -> Self {
        Self { file: file_name(segment), end, start: 0, bytes: Vec::new() }
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Up to `len` bytes from `offset` on, fewer only where the file ends.
    pub(super) fn get(
        &mut self,
        storage: &dyn Storage,
        offset: u64,
        len: u64,
    ) -> Result<&[u8], StorageError> {
        let stop = self.end.min(offset.saturating_add(len)).max(offset);
        if offset < self.start || stop > self.start + self.bytes.len() as u64 {
            let read = (self.end.saturating_sub(offset)).min((stop - offset).max(Self::LEN));
            self.bytes =
                storage.read(&self.file, offset, usize::try_from(read).expect("pieces fit memory"))?;
            self.start = offset;
        }
        let from = usize::try_from(offset - self.start).expect("within the piece");
        let to = usize::try_from(stop - self.start).expect("within the piece");
        Ok(&self.bytes[from..to])
    }

    /// The header at `place`, if a frame with its number is there.
    pub(super) fn header(
        &mut self,
        segments: &Segments,
        place: &Place,
    ) -> Result<Option<FrameHeader>, StorageError> {
        let bytes = self.get(&*segments.storage, place.offset, frame::HEADER_LEN as u64)?;
        let header = FrameHeader::parse(bytes, place.segment, &segments.keys);
        Ok(header.filter(|header| header.number == place.number))
    }
}
