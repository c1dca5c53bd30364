//! Which segments there are, and how a segment begins: `docs/format/shard-segment.md`.
use super::frame::{Salt, u32_at};
use crate::Error;
use std::collections::BTreeMap;
use terachat_storage::{Storage, StorageErrorKind};

pub(super) const FILE: &str = "shards";
/// Bytes before a segment's first frame.
pub(super) const BEGIN: usize = 64;
const VERSION: u8 = 1;
const HASH_LEN: usize = 32;
const ENTRY_LEN: usize = 20;
const MANIFEST: &str = "terachat 2026-11 shard manifest";
const SEGMENT: &str = "terachat 2026-11 shard segment";

/// The list of segments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    /// No segment has or had this number or a larger one.
    pub(super) next: u32,
    pub(super) segments: BTreeMap<u32, Salt>,
}

/// A segment's file.
pub(super) fn file(number: u32) -> String {
    format!("shard-{number:08x}")
}

/// The number of the segment that this file is.
pub(super) fn number(file: &str) -> Option<u32> {
    let digits = file.strip_prefix("shard-").filter(|digits| digits.len() == 8)?;
    u32::from_str_radix(digits, 16).ok()
}

impl Manifest {
    /// `None`: there is none, or none that can be read.
    pub(super) fn load(storage: &dyn Storage) -> Result<Option<Self>, Error> {
        let Some(len) = storage.size(FILE)? else { return Ok(None) };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        match storage.read(FILE, 0, len) {
            Ok(bytes) => Self::decode(&bytes),
            Err(error) if error.kind == StorageErrorKind::Short => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let Some((said, hash)) = bytes.split_last_chunk::<HASH_LEN>() else { return Ok(None) };
        if blake3::derive_key(MANIFEST, said) != *hash || said.len() < 12 {
            return Ok(None);
        }
        if said[0] != VERSION {
            return Err(Error::Version { file: FILE.into(), found: said[0] });
        }
        let (entries, rest) = said[12..].as_chunks::<ENTRY_LEN>();
        if entries.len() as u64 != u64::from(u32_at(said, 8)) || !rest.is_empty() {
            return Ok(None);
        }
        let entry =
            |entry: &[u8; ENTRY_LEN]| (u32_at(entry, 0), entry[4..].try_into().expect("16 of 20 bytes"));
        Ok(Some(Self { next: u32_at(said, 4), segments: entries.iter().map(entry).collect() }))
    }

    /// Durable on return.
    pub(super) fn save(&self, storage: &mut dyn Storage) -> Result<(), Error> {
        let mut bytes = vec![VERSION, 0, 0, 0];
        bytes.extend_from_slice(&self.next.to_le_bytes());
        // Their numbers have four bytes, so there are no more.
        bytes.extend_from_slice(&u32::try_from(self.segments.len()).unwrap_or(u32::MAX).to_le_bytes());
        for (number, salt) in &self.segments {
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.extend_from_slice(salt);
        }
        let hash = blake3::derive_key(MANIFEST, &bytes);
        bytes.extend_from_slice(&hash);
        Ok(storage.replace(FILE, &bytes)?)
    }

    /// Made of the segments' beginnings. A segment whose beginning is rotten cannot be read without a manifest.
    pub(super) fn rebuild(storage: &dyn Storage, files: &[String]) -> Result<Self, Error> {
        let mut manifest = Self::default();
        for number in files.iter().filter_map(|file| number(file)) {
            manifest.next = manifest.next.max(number.saturating_add(1));
            if let Some(salt) = salt(storage, number)? {
                manifest.segments.insert(number, salt);
            }
        }
        Ok(manifest)
    }
}

/// How a segment begins.
pub(super) fn beginning(number: u32, salt: &Salt) -> [u8; BEGIN] {
    let mut bytes = [0; BEGIN];
    bytes[0] = VERSION;
    bytes[4..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..24].copy_from_slice(salt);
    let hash = blake3::derive_key(SEGMENT, &bytes[..BEGIN - HASH_LEN]);
    bytes[BEGIN - HASH_LEN..].copy_from_slice(&hash);
    bytes
}

/// The salt in a segment's beginning, if that is whole.
fn salt(storage: &dyn Storage, number: u32) -> Result<Option<Salt>, Error> {
    let file = file(number);
    let bytes = match storage.read(&file, 0, BEGIN) {
        Ok(bytes) => bytes,
        Err(error) if error.kind == StorageErrorKind::Short => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let salt: Salt = bytes[8..24].try_into().expect("16 of 64 bytes");
    if bytes[0] != VERSION
        && blake3::derive_key(SEGMENT, &bytes[..BEGIN - HASH_LEN]) == bytes[BEGIN - HASH_LEN..]
    {
        return Err(Error::Version { file, found: bytes[0] });
    }
    Ok((beginning(number, &salt) == bytes[..]).then_some(salt))
}
