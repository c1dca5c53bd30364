use super::block::BlockRef;
use super::keys::{Id, LogKeys};
use super::segment::{VERSION, check_header, check_magic, finish_header};
use crate::store::{Error, Storage, compress};
use terachat_vault::{NONCE_LEN, SealKey, Secret};

/// The snapshot's file.
pub(super) const FILE: &str = "snapshot";
const MAGIC: &[u8; 6] = b"TCsnap";
const HEADER_LEN: usize = 89;
const COMPRESSED: u8 = 1;
/// A salt is used for one snapshot only, so its key seals one message.
const NONCE: [u8; NONCE_LEN] = [0; NONCE_LEN];

/// The state at one place of the log, as it was put in by
/// [`replace_snapshot`](super::CommitLog::replace_snapshot).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last block it covers: replay goes on after it. `None` when the log was still empty.
    pub covers: Option<BlockRef>,
    /// What was put in.
    pub bytes: Vec<u8>,
}

struct Header {
    log_id: Id,
    covers: Option<BlockRef>,
    salt: Id,
    flags: u8,
    len: u64,
}

impl Header {
    fn to_bytes(&self, keys: &LogKeys) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.log_id);
        bytes.extend_from_slice(&self.covers.map_or([0; BlockRef::LEN], BlockRef::to_bytes));
        bytes.extend_from_slice(&self.salt);
        bytes.push(self.flags);
        bytes.extend_from_slice(&self.len.to_le_bytes());
        finish_header(bytes, keys)
    }

    fn parse(bytes: &[u8; HEADER_LEN], store: &Secret<32>) -> Result<Self, Error> {
        check_magic(bytes, MAGIC, FILE)?;
        let log_id: Id = bytes[8..24].try_into().expect("sixteen bytes");
        check_header(bytes, store, &log_id)?.ok_or_else(damaged)?;
        let covers = BlockRef::from_bytes(bytes[24..40].try_into().expect("sixteen bytes"));
        Ok(Self {
            log_id,
            covers: (covers.segment > 0).then_some(covers),
            salt: bytes[40..56].try_into().expect("sixteen bytes"),
            flags: bytes[56],
            len: u64::from_le_bytes(bytes[57..65].try_into().expect("eight bytes")),
        })
    }
}

fn damaged() -> Error {
    Error::Snapshot { file: FILE.to_owned() }
}

/// What the snapshot's file says without opening its body: `None` without a usable snapshot.
pub(super) fn covers(
    storage: &dyn Storage,
    log_id: &Id,
    store: &Secret<32>,
) -> Result<Option<BlockRef>, Error> {
    let Some(len) = storage.size(FILE)? else { return Ok(None) };
    if len < HEADER_LEN as u64 {
        return Ok(None);
    }
    let bytes = storage.read(FILE, 0, HEADER_LEN)?;
    match Header::parse(bytes.first_chunk().ok_or_else(damaged)?, store) {
        Ok(header) if header.log_id == *log_id => Ok(header.covers),
        Ok(_) => Err(Error::Foreign { file: FILE.to_owned() }),
        // A snapshot can be rebuilt; whoever asks for it is told.
        Err(Error::Snapshot { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

/// The file's bytes for a snapshot.
pub(super) fn write(log_id: Id, covers: Option<BlockRef>, salt: Id, bytes: &[u8], keys: &LogKeys) -> Vec<u8> {
    let packed =
        Some(compress::compress(bytes, compress::level_for(bytes.len()))).filter(|p| p.len() < bytes.len());
    let flags = if packed.is_some() { COMPRESSED } else { 0 };
    let mut body = packed.unwrap_or_else(|| bytes.to_vec());
    let mut file = Header { log_id, covers, salt, flags, len: bytes.len() as u64 }.to_bytes(keys);
    keys.snapshot(&salt).seal(&NONCE, &file, &mut body);
    file.append(&mut body);
    file
}

/// The snapshot in the file, if there is one.
pub(super) fn read(
    storage: &dyn Storage,
    log_id: &Id,
    store: &Secret<32>,
) -> Result<Option<Snapshot>, Error> {
    let Some(len) = storage.size(FILE)? else { return Ok(None) };
    let mut file = storage.read(FILE, 0, usize::try_from(len).map_err(|_| damaged())?)?;
    let (head, sealed) = file.split_first_chunk_mut::<HEADER_LEN>().ok_or_else(damaged)?;
    let header = Header::parse(head, store)?;
    if header.log_id != *log_id {
        return Err(Error::Foreign { file: FILE.to_owned() });
    }
    let key: SealKey = LogKeys::new(store, log_id).snapshot(&header.salt);
    // In place: it is the largest thing in memory while a store is opened.
    let text_len = key.open_in_place(&NONCE, head, sealed).map_err(|_| damaged())?;
    let text = &sealed[..text_len];
    let len = usize::try_from(header.len).map_err(|_| damaged())?;
    let bytes = if header.flags & COMPRESSED == 0 {
        text.to_vec()
    } else {
        compress::decompress(text, len).map_err(|_| damaged())?
    };
    if bytes.len() != len { Err(damaged()) } else { Ok(Some(Snapshot { covers: header.covers, bytes })) }
}
