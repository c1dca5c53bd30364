use super::block::BlockRef;
use super::keys::{Id, LogKeys};
use crate::store::Error;
use terachat_vault::Secret;

const VERSION: u16 = 2;
const MAGIC: &[u8; 6] = b"TClog\0";
/// Bytes before a segment's first frame.
pub(super) const HEADER_LEN: usize = 88;
const CHECKED_LEN: usize = 64;

/// A segment's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) log_id: Id,
    pub(super) segment: u32,
    /// Length of the segment before; 0 for the first segment.
    pub(super) before_len: u32,
    /// The last block of the segment before, as it was when this one was begun.
    pub(super) before_last: Option<BlockRef>,
    /// What a segment that was rewritten says of itself.
    pub(super) rewritten: Option<Rewritten>,
}

/// A segment that was written anew as a whole: its header knows its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rewritten {
    /// How often, from 1.
    pub(super) times: u32,
    pub(super) len: u32,
    pub(super) last: BlockRef,
}

impl SegmentHeader {
    pub(super) fn to_bytes(self, keys: &LogKeys) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.log_id);
        bytes.extend_from_slice(&self.segment.to_le_bytes());
        bytes.extend_from_slice(&self.before_len.to_le_bytes());
        let last = self.before_last.map_or([0; BlockRef::LEN], BlockRef::to_bytes);
        bytes.extend_from_slice(&last[4..]);
        let (times, len) = self.rewritten.map_or((0, 0), |rewritten| (rewritten.times, rewritten.len));
        bytes.extend_from_slice(&times.to_le_bytes());
        bytes.extend_from_slice(&len.to_le_bytes());
        let last = self.rewritten.map_or([0; BlockRef::LEN], |rewritten| rewritten.last.to_bytes());
        bytes.extend_from_slice(&last[4..]);
        finish_header(bytes, keys)
    }

    /// The header, and the keys of the log it belongs to.
    pub(super) fn parse(
        bytes: &[u8],
        file: &str,
        segment: u32,
        store: &Secret<32>,
    ) -> Result<(Self, LogKeys), Error> {
        let damaged = Error::Damaged { segment, block: 0, offset: 0, what: "its header changed" };
        check_magic(bytes, MAGIC, VERSION, file)?;
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or_else(|| damaged.clone())?;
        let log_id: Id = header[8..24].try_into().expect("sixteen bytes");
        let keys = check_header(header, store, &log_id)?.ok_or_else(|| damaged.clone())?;
        let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
        if number(24) != segment {
            return Err(Error::Foreign { file: file.to_owned() });
        }
        let block = |segment: u32, at: usize| {
            BlockRef::from_fields([segment, number(at), number(at + 4), number(at + 8)])
        };
        let before_last = (segment > 1).then(|| block(segment - 1, 32));
        let rewritten = (number(44) > 0).then(|| Rewritten {
            times: number(44),
            len: number(48),
            last: block(segment, 52),
        });
        Ok((Self { log_id, segment, before_len: number(28), before_last, rewritten }, keys))
    }
}

/// Ends a file header with what tells a wrong key and what tells damage.
pub(super) fn finish_header(mut header: Vec<u8>, keys: &LogKeys) -> Vec<u8> {
    header.extend_from_slice(&keys.header_check(&header));
    let sum = blake3::hash(&header);
    header.extend_from_slice(&sum.as_bytes()[..8]);
    header
}

/// The log's keys if `header` is whole and of this key; `None` when it is damaged.
pub(super) fn check_header(header: &[u8], store: &Secret<32>, log_id: &Id) -> Result<Option<LogKeys>, Error> {
    let Some((checked, sum)) = header.split_last_chunk::<8>() else { return Ok(None) };
    let Some((said, check)) = checked.split_last_chunk::<16>() else { return Ok(None) };
    if blake3::hash(checked).as_bytes()[..8] != *sum {
        return Ok(None);
    }
    let keys = LogKeys::new(store, log_id);
    if keys.header_check(said) != *check {
        return Err(Error::WrongKey);
    }
    Ok(Some(keys))
}

/// Foreign files and newer versions, told by the first eight bytes.
pub(super) fn check_magic(bytes: &[u8], magic: &[u8; 6], known: u16, file: &str) -> Result<(), Error> {
    let file = || file.to_owned();
    match bytes.strip_prefix(magic).and_then(<[u8]>::first_chunk::<2>) {
        Some(version) => match u16::from_le_bytes(*version) {
            found if found == known => Ok(()),
            found if found > known => Err(Error::NewerVersion { file: file(), found, known }),
            _ => Err(Error::Foreign { file: file() }),
        },
        None => Err(Error::Foreign { file: file() }),
    }
}

const _: () = assert!(CHECKED_LEN + 16 + 8 == HEADER_LEN);

/// The name of a segment's file: decimal, so that names sort as the segments do.
pub(super) fn file_name(segment: u32) -> String {
    format!("log-{segment:010}.seg")
}

/// The segment a file name stands for.
pub(super) fn from_file_name(file: &str) -> Option<u32> {
    let number: u32 = file.strip_prefix("log-")?.strip_suffix(".seg")?.parse().ok()?;
    (file_name(number) == file).then_some(number)
}
