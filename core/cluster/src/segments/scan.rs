//! Reading a segment frame by frame, where its index cannot be trusted or is not written yet.
use super::frame::{ALIGN, FrameKey, HEAD_LEN, Head, Kind};
use super::manifest::BEGIN;
use super::segment::Entry;
use crate::Error;
use terachat_shard::Shard;
use terachat_storage::Storage;

/// Bytes in which the next frame is looked for at once.
const WINDOW: usize = 1 << 20;

/// What stands in a segment.
#[derive(Default)]
pub(super) struct Scan {
    /// And whether a shard is what its frame says.
    pub(super) entries: Vec<(Entry, bool)>,
    /// How many of the entries are before `end`.
    pub(super) whole: usize,
    /// Where the last whole frame ends.
    pub(super) end: u64,
    /// Bytes before that which are no frame.
    pub(super) unreadable: u64,
}

/// Reads a file of this length.
pub(super) fn scan(storage: &dyn Storage, file: &str, len: u64, key: &FrameKey) -> Result<Scan, Error> {
    let mut found = Scan { end: BEGIN as u64, ..Scan::default() };
    // Positions have four bytes.
    let len = len.min(u64::from(u32::MAX));
    // Bytes since the last whole frame that were no frame.
    let mut skipped = 0;
    let mut at = BEGIN as u64;
    while at + HEAD_LEN as u64 <= len {
        let Some((head, body)) = frame(storage, file, at, len, key)? else {
            let next = candidate(storage, file, at + ALIGN as u64, len)?;
            skipped += next - at;
            at = next;
            continue;
        };
        let place = u32::try_from(at).unwrap_or(u32::MAX);
        let sound = head.kind != Kind::Shard || Shard::decode(&body).is_ok();
        found.entries.extend(Entry::of(head.kind, place, &[], &body).into_iter().map(|entry| (entry, sound)));
        at = (at + (HEAD_LEN + head.len) as u64).next_multiple_of(ALIGN as u64);
        // With less than the zeros behind it a frame is the end of a write that was never synced; what is written next has to begin where
        // a frame may.
        if sound && at <= len {
            found.whole = found.entries.len();
            found.end = at;
            found.unreadable += std::mem::take(&mut skipped);
        }
    }
    Ok(found)
}

/// The frame at this position, if one is there whose check fits.
pub(super) fn frame(
    storage: &dyn Storage,
    file: &str,
    at: u64,
    len: u64,
    key: &FrameKey,
) -> Result<Option<(Head, Vec<u8>)>, Error> {
    if at.saturating_add(HEAD_LEN as u64) > len {
        return Ok(None);
    }
    let bytes = storage.read(file, at, HEAD_LEN)?;
    let head = bytes.first_chunk().and_then(|bytes| Head::read(bytes, at));
    let Some(head) = head.filter(|head| at + (HEAD_LEN + head.len) as u64 <= len) else { return Ok(None) };
    // No more than the check covers: behind damage whatever somebody had stored may look like the beginning of a long frame.
    let mut body = storage.read(file, at + HEAD_LEN as u64, head.covered())?;
    if !key.fits(&head, at, &body) {
        return Ok(None);
    }
    let covered = head.covered();
    body.extend(storage.read(file, at + (HEAD_LEN + covered) as u64, head.len - covered)?);
    Ok(Some((head, body)))
}

/// The next position that looks like a frame's, or the end.
fn candidate(storage: &dyn Storage, file: &str, from: u64, len: u64) -> Result<u64, Error> {
    let mut at = from;
    while at + HEAD_LEN as u64 <= len {
        let window = usize::try_from(len - at).unwrap_or(usize::MAX).min(WINDOW);
        let bytes = storage.read(file, at, window)?;
        for offset in (0..=window - HEAD_LEN).step_by(ALIGN) {
            let bytes = bytes[offset..].first_chunk();
            let head = bytes.and_then(|bytes| Head::read(bytes, at + offset as u64));
            // An index says nothing that the frames before it did not.
            if head.is_some_and(|head| head.kind != Kind::Index) {
                return Ok(at + offset as u64);
            }
        }
        // The last positions of a window are the first of the next.
        at += ((window - HEAD_LEN) / ALIGN * ALIGN + ALIGN) as u64;
    }
    Ok(len)
}
