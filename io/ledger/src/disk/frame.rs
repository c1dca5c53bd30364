//! Segments byte by byte: a head, then frames. See `docs/format/ledger-log.md`.
use super::DiskError;
use super::manifest::SegmentRecord;
use crate::raft::types::{Id, LogEntry};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Bytes before the first frame.
pub(super) const SEGMENT_HEAD_LEN: usize = 64;
const HEAD_LEN: usize = 32;
const CHECK_LEN: usize = 16;
/// Bytes of a frame's body at most. An append that is longer takes several.
const BODY_LEN_MAX: usize = 4 << 20;
/// The unit a disk writes or does not write.
const SECTOR: usize = 512;
const VERSION: u8 = 1;

/// What is written to the log, in its order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Record {
    Entry(LogEntry),
    /// Entries from this index on are given up: another leader has others.
    Cut(u64),
    /// Everything up to here is committed.
    Committed(Id),
}

/// The key of a segment's checks. It keeps those who write entries from writing frames inside of them that somebody
/// who looks behind damage would take for the log's own.
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn new(segment: &SegmentRecord) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 ledger frames");
        hasher.update(&segment.number.to_le_bytes()).update(&segment.salt);
        Self(hasher.finalize().into())
    }

    fn check<const N: usize>(&self, parts: [&[u8]; 2]) -> [u8; N] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(parts[0]).update(parts[1]);
        let mut check = [0; N];
        hasher.finalize_xof().fill(&mut check);
        check
    }
}

/// The file's name.
pub(super) fn segment_name(number: u32) -> String {
    format!("ledger-log-{number:08x}")
}

pub(super) fn segment_head(segment: &SegmentRecord) -> Vec<u8> {
    let mut bytes = vec![VERSION, 0, 0, 0];
    bytes.extend_from_slice(&segment.number.to_le_bytes());
    bytes.extend_from_slice(&segment.salt);
    bytes.extend_from_slice(&segment.first.to_le_bytes());
    let hash = blake3::derive_key("terachat 2026-11 ledger segment", &bytes);
    bytes.extend_from_slice(&hash);
    debug_assert_eq!(bytes.len(), SEGMENT_HEAD_LEN);
    bytes
}

/// `records` as frames, the first of number `number`. All before it are durable.
pub(super) fn frames(key: &Key, number: u64, records: &[Record]) -> Vec<Vec<u8>> {
    let mut bodies = vec![Vec::new()];
    for record in records {
        let bytes = postcard::to_allocvec(record).expect("a vector takes everything");
        if bodies
            .last()
            .is_some_and(|body: &Vec<u8>| !body.is_empty() && body.len() + bytes.len() > BODY_LEN_MAX)
        {
            bodies.push(Vec::new());
        }
        bodies.last_mut().expect("never empty").extend(bytes);
    }
    (number..).zip(&bodies).map(|(own, body)| frame(key, own, number, body)).collect()
}

fn frame(key: &Key, number: u64, durable: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_LEN + body.len() + CHECK_LEN);
    bytes.extend_from_slice(&u32::try_from(body.len()).expect("below 4 GiB").to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&durable.to_le_bytes());
    let check: [u8; 8] = key.check([&bytes, &[]]);
    bytes.extend_from_slice(&check);
    let check: [u8; CHECK_LEN] = key.check([&bytes, body]);
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(&check);
    bytes
}

/// A frame that was read.
pub(super) struct Frame {
    /// Where it begins.
    pub(super) at: usize,
    pub(super) number: u64,
    /// Frames of smaller numbers were durable when this one was written.
    pub(super) durable: u64,
    pub(super) records: Vec<Record>,
}

struct Head {
    len: usize,
    number: u64,
    durable: u64,
}

fn head(key: &Key, bytes: &[u8]) -> Option<Head> {
    let (fields, rest) = bytes.split_first_chunk::<24>()?;
    let check = rest.first_chunk::<8>()?;
    let len = usize::try_from(u32::from_le_bytes(*fields.first_chunk()?)).ok()?;
    let number = u64::from_le_bytes(fields[8..16].try_into().ok()?);
    let durable = u64::from_le_bytes(fields[16..24].try_into().ok()?);
    // What is cheap to see comes first: whoever looks for a head tries every byte.
    let may_be = fields[4..8] == [0; 4] && durable <= number && number - durable < 1 << 16;
    (may_be && key.check([fields, &[]]) == *check).then_some(Head { len, number, durable })
}

/// The frames of a segment's file. `closed` says that every byte of it was durable.
///
/// What is behind the last whole frame of an open segment and was not durable is a torn end, and left out. Everything
/// else that does not fit is rot.
pub(super) fn read(segment: &SegmentRecord, bytes: &[u8], closed: bool) -> Result<Vec<Frame>, DiskError> {
    let file = segment_name(segment.number);
    let rot = |at: usize, what| DiskError::Rot { file: file.clone(), at: at as u64, what };
    match bytes.first() {
        Some(&VERSION) => {}
        Some(&version) if bytes.get(1..4) == Some(&[0; 3]) && version != 0 => {
            return Err(DiskError::Version { file, version });
        }
        _ => return Err(rot(0, "its version")),
    }
    if bytes.get(..SEGMENT_HEAD_LEN) != Some(&segment_head(segment)) {
        return Err(rot(0, "its head"));
    }
    let key = Key::new(segment);
    let (mut frames, mut at, mut number) = (Vec::new(), SEGMENT_HEAD_LEN, segment.first);
    while at < bytes.len() {
        match frame_at(&key, bytes, at, number) {
            Ok((frame, end)) => {
                frames.push(frame);
                (at, number) = (end, number + 1);
            }
            Err(_) if !closed && torn(&key, bytes, at, number) => break,
            Err(what) => return Err(rot(at, what)),
        }
    }
    Ok(frames)
}

fn frame_at(key: &Key, bytes: &[u8], at: usize, number: u64) -> Result<(Frame, usize), &'static str> {
    let head_end = at + HEAD_LEN;
    let found = bytes.get(at..).and_then(|rest| head(key, rest)).ok_or("a frame's head")?;
    if found.number != number {
        return Err("a frame's number");
    }
    let body_end = head_end + found.len;
    let end = body_end + CHECK_LEN;
    let (body, check) =
        bytes.get(head_end..body_end).zip(bytes.get(body_end..end)).ok_or("a frame's length")?;
    if key.check::<CHECK_LEN>([&bytes[at..head_end], body]) != *check {
        return Err("a frame's check");
    }
    let mut records = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let record;
        (record, rest) = postcard::take_from_bytes(rest).map_err(|_| "a frame's records")?;
        records.push(record);
    }
    Ok((Frame { at, number, durable: found.durable, records }, end))
}

/// Whether the frame of this number, which is not whole, may be one that a power cut caught before it was durable.
///
/// It is not if a later frame says that it was durable. Otherwise it may be where the file ends within it or a sector
/// of it is zeros: what does not reach a disk is missing or reads as zeros (etcd's log decides by the same sign).
/// Bytes that were changed are rot.
fn torn(key: &Key, bytes: &[u8], at: usize, number: u64) -> bool {
    let whole = head(key, &bytes[at..]).filter(|head| head.number == number);
    let behind = whole.as_ref().map_or(at + 1, |head| at + HEAD_LEN + head.len + CHECK_LEN);
    let was_durable = (behind..bytes.len().saturating_sub(HEAD_LEN - 1))
        .filter_map(|at| head(key, &bytes[at..]))
        .any(|later| later.durable > number);
    if was_durable {
        return false;
    }
    let end = whole.map_or(at + HEAD_LEN, |head| at + HEAD_LEN + head.len + CHECK_LEN);
    end > bytes.len() || sectors(at..end).any(|sector| bytes[sector].iter().all(|&byte| byte == 0))
}

/// The parts of `range` that are in one sector each.
fn sectors(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let first = range.start / SECTOR * SECTOR;
    (first..range.end)
        .step_by(SECTOR)
        .map(move |start| start.max(range.start)..(start + SECTOR).min(range.end))
}
