//! Finds the log's end after a crash, and tells a torn tail from rot: `docs/format/commit-log.md`, "Recovery".
use super::block::BlockRef;
use super::frame::{self, COMMIT, FrameHeader, SYNCED};
use super::segment;
use super::segments::{Frame, Place, Segments, Window};
use crate::store::Error;

/// The unit in which a disk keeps or loses what was not synced.
const SECTOR: u64 = 512;

/// Where a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// Where the next frame goes.
    pub(super) place: Place,
    /// The last block before it.
    pub(super) last: Option<BlockRef>,
}

impl End {
    /// The end of a segment that has no frames yet.
    pub(super) fn empty(segment: u32, last: Option<BlockRef>) -> Self {
        let place = Place { segment, offset: segment::HEADER_LEN as u64, number: 0, session: None };
        Self { place, last }
    }
}

/// The end of the last whole commit in a segment whose file is `len` bytes long, looking from `start` on, where
/// a commit is known to end durably.
pub(super) fn find_end(segments: &Segments, len: u64, start: End) -> Result<End, Error> {
    let mut walk =
        Walk { segments, window: Window::new(start.place.segment, len), tail: Vec::new(), end: start };
    let bad_header = walk.headers()?;
    for commit in std::mem::take(&mut walk.tail) {
        for (place, header) in &commit.frames {
            let Err(damage) = walk.open(place, header) else { continue };
            walk.allow_only_torn(place, place.offset + header.frame_len(), damage)?;
            return Ok(commit.before);
        }
    }
    if let Some(place) = bad_header {
        let end = place.offset + frame::HEADER_LEN as u64;
        walk.allow_only_torn(&place, end, place.damaged("its header changed"))?;
    }
    Ok(walk.end)
}

struct Walk<'a> {
    segments: &'a Segments,
    window: Window,
    /// The whole commits since the last one that says that all before it was durable.
    tail: Vec<Commit>,
    end: End,
}

struct Commit {
    before: End,
    frames: Vec<(Place, FrameHeader)>,
}

impl Walk<'_> {
    /// Follows the frame headers as far as they go; gives the place at which none is, unless the file just ends.
    fn headers(&mut self) -> Result<Option<Place>, Error> {
        let mut place = self.end.place;
        let mut frames = Vec::new();
        while place.offset < self.window.end() {
            let Some(header) = self.window.header(self.segments, &place)? else {
                let cut_short = place.offset + frame::HEADER_LEN as u64 > self.window.end();
                return Ok((!cut_short).then_some(place));
            };
            let next = place.after(&header);
            if next.offset > self.window.end() {
                return Ok(None);
            }
            if frames.is_empty() && header.is(SYNCED) {
                self.tail.clear();
            }
            frames.push((place, header));
            if header.is(COMMIT) {
                let before = self.end;
                self.tail.push(Commit { before, frames: std::mem::take(&mut frames) });
                self.end = End { place: next, last: Some(place.reference()) };
            }
            place = next;
        }
        Ok(None)
    }

    fn open(&mut self, place: &Place, header: &FrameHeader) -> Result<(), Error> {
        let end = self.window.end();
        let bytes = self.window.get(&*self.segments.storage, place.offset, header.frame_len())?;
        self.segments.open(place, &Frame { header: *header, bytes }, end).map(|_| ())
    }

    /// Passes if the bytes from `place` to `frame_end` can have been left so by a power cut, before they were
    /// ever durable; otherwise they are `damage`.
    fn allow_only_torn(&mut self, place: &Place, frame_end: u64, damage: Error) -> Result<(), Error> {
        let is_damage = matches!(damage, Error::Damaged { .. });
        if is_damage && self.has_hole(place.offset, frame_end)? && !self.was_synced(place)? {
            return Ok(());
        }
        Err(damage)
    }

    /// Whether a sector's share of the bytes from `start` on is all zeros: it was never written. Written frames
    /// have none, since they begin and end with bytes that are not zero and are ciphertext between.
    fn has_hole(&mut self, start: u64, frame_end: u64) -> Result<bool, Error> {
        let mut at = start;
        while at < frame_end.min(self.window.end()) {
            let next = (at / SECTOR + 1) * SECTOR;
            if self.window.get(&*self.segments.storage, at, next - at)?.iter().all(|&byte| byte == 0) {
                return Ok(true);
            }
            at = next;
        }
        Ok(false)
    }

    /// Whether a commit after `place` says that all before it was durable.
    fn was_synced(&mut self, place: &Place) -> Result<bool, Error> {
        for offset in place.offset + 1..self.window.end() {
            let bytes = self.window.get(&*self.segments.storage, offset, frame::HEADER_LEN as u64)?;
            let later = FrameHeader::parse(bytes, place.segment, &self.segments.keys)
                .is_some_and(|header| header.is(SYNCED) && header.number > place.number);
            if later {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
