use super::block::BlockRef;
use super::keys::{Id, LogKeys};
use super::segment::{check_header, check_magic, finish_header};
use crate::store::storage::StorageErrorKind;
use crate::store::{Error, Storage, compress};
use terachat_vault::{NONCE_LEN, SealKey, Secret, TAG_LEN};
use zeroize::Zeroize;

/// The snapshot's file.
pub(super) const FILE: &str = "snapshot";
const MAGIC: &[u8; 6] = b"TCsnap";
const VERSION: u16 = 2;
const HEADER_LEN: usize = 88;
/// An entry of the list of parts.
const PART_LEN: usize = 17;

/// The state at one place of the log, as it was put in by
/// [`replace_snapshot`](super::CommitLog::replace_snapshot): parts that are read one by one, each when it is needed.
pub struct Snapshot {
    /// The last block it covers: replay goes on after it. `None` when the log was still empty.
    pub covers: Option<BlockRef>,
    head: Vec<u8>,
    key: SealKey,
    parts: Vec<Part>,
}

/// Where a part lies in the file.
#[derive(Debug, Clone, Copy)]
struct Part {
    offset: u64,
    sealed_len: usize,
    is_packed: bool,
    len: usize,
}

impl Snapshot {
    /// Number of parts.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// What was put in as this part.
    ///
    /// # Errors
    /// [`Error::Snapshot`] when it is damaged, not there, or of another snapshot that has taken this one's place;
    /// [`Error::Storage`].
    pub(super) fn part(&self, storage: &dyn Storage, number: usize) -> Result<Vec<u8>, Error> {
        let part = self.parts.get(number).ok_or_else(damaged)?;
        let mut sealed = match storage.read(FILE, part.offset, part.sealed_len) {
            Err(error) if error.kind == StorageErrorKind::Short => return Err(damaged()),
            sealed => sealed?,
        };
        let len = self
            .key
            .open_in_place(&nonce(number), &self.head, &mut sealed)
            .map_err(|_: terachat_vault::Error| damaged())?;
        sealed.truncate(len);
        if part.is_packed {
            let content = compress::decompress(&sealed, part.len).map_err(|_| damaged())?;
            if number == 0 {
                sealed.zeroize();
            }
            sealed = content;
        }
        if sealed.len() == part.len { Ok(sealed) } else { Err(damaged()) }
    }
}

/// A salt is used for one snapshot only, so within its key a part's number is used once.
fn nonce(part: usize) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&(part as u64).to_le_bytes());
    nonce
}

fn damaged() -> Error {
    Error::Snapshot { file: FILE.to_owned() }
}

/// The file's first bytes up to where the list of parts begins.
struct Header {
    log_id: Id,
    covers: Option<BlockRef>,
    salt: Id,
    rewrites: u32,
    parts: u32,
}

impl Header {
    fn parse(bytes: &[u8; HEADER_LEN], store: &Secret<32>) -> Result<Self, Error> {
        check_magic(bytes, MAGIC, VERSION, FILE)?;
        let log_id: Id = bytes[8..24].try_into().expect("sixteen bytes");
        check_header(bytes, store, &log_id)?.ok_or_else(damaged)?;
        let covers = BlockRef::from_bytes(bytes[24..40].try_into().expect("sixteen bytes"));
        Ok(Self {
            log_id,
            covers: (covers.segment > 0).then_some(covers),
            salt: bytes[40..56].try_into().expect("sixteen bytes"),
            rewrites: u32::from_le_bytes(bytes[56..60].try_into().expect("four bytes")),
            parts: u32::from_le_bytes(bytes[60..64].try_into().expect("four bytes")),
        })
    }
}

fn header(
    storage: &dyn Storage,
    log_id: &Id,
    store: &Secret<32>,
) -> Result<Option<(Header, Vec<u8>)>, Error> {
    let Some(len) = storage.size(FILE)? else { return Ok(None) };
    if len < HEADER_LEN as u64 {
        return Err(damaged());
    }
    let bytes = storage.read(FILE, 0, HEADER_LEN)?;
    let header = Header::parse(bytes.first_chunk().ok_or_else(damaged)?, store)?;
    if header.log_id != *log_id {
        return Err(Error::Foreign { file: FILE.to_owned() });
    }
    Ok(Some((header, bytes)))
}

/// What the snapshot's file says without opening its body: what it covers, if it covers anything, and how often
/// segments had been rewritten then. `None` without a usable snapshot.
pub(super) fn covers(
    storage: &dyn Storage,
    log_id: &Id,
    store: &Secret<32>,
) -> Result<Option<(BlockRef, u32)>, Error> {
    match header(storage, log_id, store) {
        Ok(found) => Ok(found.and_then(|(header, ..)| Some((header.covers?, header.rewrites)))),
        // A snapshot can be rebuilt; whoever asks for it is told.
        Err(Error::Snapshot { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

/// A part of a snapshot to be written, compressed where that makes it shorter: the larger share of the work, which can be
/// done ahead.
pub struct PackedPart {
    is_packed: bool,
    len: usize,
    bytes: Vec<u8>,
}

impl PackedPart {
    /// Compresses a part.
    pub fn new(part: &[u8]) -> Self {
        let (is_packed, bytes) = pack(part);
        Self { is_packed, len: part.len(), bytes }
    }

    /// Takes a part as it is: one whose content is compressed.
    pub fn plain(bytes: Vec<u8>) -> Self {
        Self { is_packed: false, len: bytes.len(), bytes }
    }
}

/// The file's bytes for a snapshot.
pub(super) fn write(
    log_id: Id,
    (covers, rewrites): (Option<BlockRef>, u32),
    salt: Id,
    parts: &[&PackedPart],
    keys: &LogKeys,
) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&log_id);
    file.extend_from_slice(&covers.map_or([0; BlockRef::LEN], BlockRef::to_bytes));
    file.extend_from_slice(&salt);
    file.extend_from_slice(&rewrites.to_le_bytes());
    let count = u32::try_from(parts.len()).expect("a part for each channel and little more");
    file.extend_from_slice(&count.to_le_bytes());
    let mut file = finish_header(file, keys);
    for part in parts {
        file.push(u8::from(part.is_packed));
        file.extend_from_slice(&(part.len as u64).to_le_bytes());
        file.extend_from_slice(&((part.bytes.len() + TAG_LEN) as u64).to_le_bytes());
    }
    let key = keys.snapshot(&salt);
    let head_len = file.len();
    for (number, part) in parts.iter().enumerate() {
        // Of its final length at once: a buffer that moves leaves its secrets behind.
        let mut body = Vec::with_capacity(part.bytes.len() + TAG_LEN);
        body.extend_from_slice(&part.bytes);
        key.seal(&nonce(number), &file[..head_len], &mut body);
        file.append(&mut body);
    }
    file
}

impl Drop for PackedPart {
    /// One of them holds secrets, and it takes little to wipe all.
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

fn pack(bytes: &[u8]) -> (bool, Vec<u8>) {
    let packed = compress::compress(bytes, compress::level_for(bytes.len()));
    if packed.len() < bytes.len() { (true, packed) } else { (false, bytes.to_vec()) }
}

/// The snapshot in the file, if there is one and no segment was rewritten since; no part of it is read yet.
pub(super) fn read(
    storage: &dyn Storage,
    log_id: &Id,
    (store, keys): (&Secret<32>, &LogKeys),
    rewrites: u32,
) -> Result<Option<Snapshot>, Error> {
    let Some((header, mut head)) = header(storage, log_id, store)? else { return Ok(None) };
    if header.rewrites != rewrites {
        return Ok(None);
    }
    let list = head.len();
    let count = header.parts as usize;
    let file_len = storage.size(FILE)?.unwrap_or(0);
    if file_len < (list + count * PART_LEN) as u64 {
        return Err(damaged());
    }
    head.extend(storage.read(FILE, list as u64, count * PART_LEN)?);
    let mut offset = head.len() as u64;
    let mut parts = Vec::with_capacity(count);
    for entry in head[list..].chunks_exact(PART_LEN) {
        let number = |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().expect("eight bytes"));
        let (len, sealed_len) = (number(1), number(9));
        if sealed_len > file_len.saturating_sub(offset) {
            return Err(damaged());
        }
        let usize_of = |len: u64| usize::try_from(len).map_err(|_| damaged());
        let part =
            Part { offset, sealed_len: usize_of(sealed_len)?, is_packed: entry[0] == 1, len: usize_of(len)? };
        offset += sealed_len;
        parts.push(part);
    }
    if offset != file_len {
        return Err(damaged());
    }
    Ok(Some(Snapshot { covers: header.covers, key: keys.snapshot(&header.salt), head, parts }))
}
