//! One chunk, sealed: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár, "Online authenticated-encryption and its
//! nonce-reuse misuse-resistance", 2015) with a key for each chunk that comes from what it says, as in SIV (Rogaway, Shrimpton,
//! 2006). So a file that changed between two tries is no second text under one key and nonce.
use crate::{ChunkName, FileKey};
use terachat_vault::{Algorithm, NONCE_LEN, TAG_LEN, derive_key, open_once, seal_once};

const VERSION: u8 = 1;
const TAG: &str = "terachat 2026-11 attachment chunk tag";
const KEY: &str = "terachat 2026-11 attachment chunk key";
const SYNTHETIC_LEN: usize = 32;

/// Bytes that a sealed chunk is longer than what is in it.
pub const CHUNK_OVERHEAD: usize = SYNTHETIC_LEN + TAG_LEN;

/// What is sealed, and at which place: the nonce says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Of the file: number of the chunk, from 0, and whether it is the last one.
    Chunk { index: u32, is_last: bool },
    /// The manifest.
    Manifest,
}

/// A chunk, or a manifest, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedChunk {
    /// Under which name.
    pub name: ChunkName,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Place {
    fn nonce(self) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        let (index, kind) = match self {
            Self::Chunk { index, is_last } => (index, u8::from(is_last)),
            Self::Manifest => (0, 2),
        };
        nonce[7..11].copy_from_slice(&index.to_be_bytes());
        nonce[11] = kind;
        nonce
    }
}

/// Seals. The same bytes at the same place under the same key are the same chunk; any others have another key.
pub(crate) fn seal(key: &FileKey, place: Place, mut plain: Vec<u8>) -> SealedChunk {
    let nonce = place.nonce();
    let synthetic = synthetic(key, &nonce, &plain);
    let chunk_key = derive_key(KEY, key.secret(), &[&synthetic]);
    plain.reserve_exact(CHUNK_OVERHEAD);
    seal_once(Algorithm::ChaCha20Poly1305, &chunk_key, &nonce, &[VERSION], &mut plain);
    plain.splice(..0, synthetic);
    SealedChunk { name: ChunkName::of(&plain), bytes: plain }
}

/// Opens; `None` for what this key did not seal at this place.
pub(crate) fn open(key: &FileKey, place: Place, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
    let nonce = place.nonce();
    let claimed: [u8; SYNTHETIC_LEN] = *sealed.first_chunk()?;
    let chunk_key = derive_key(KEY, key.secret(), &[&claimed]);
    let (_, text) = sealed.split_first_chunk_mut::<SYNTHETIC_LEN>()?;
    let len = open_once(Algorithm::ChaCha20Poly1305, &chunk_key, &nonce, &[VERSION], text).ok()?;
    sealed.truncate(SYNTHETIC_LEN + len);
    sealed.drain(..SYNTHETIC_LEN);
    // One text has one form, or what was fetched before would not be known again.
    (synthetic(key, &nonce, &sealed) == claimed).then_some(sealed)
}

fn synthetic(key: &FileKey, nonce: &[u8; NONCE_LEN], plain: &[u8]) -> [u8; SYNTHETIC_LEN] {
    *derive_key(TAG, key.secret(), &[nonce, blake3::hash(plain).as_bytes()]).expose_secret()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> FileKey {
        FileKey::take(&mut [n; 32])
    }

    const FIRST: Place = Place::Chunk { index: 0, is_last: false };

    #[test]
    fn a_chunk_opens_at_its_place_under_its_key_and_nowhere_else() {
        let sealed = seal(&key(1), FIRST, b"text".to_vec());
        assert_eq!(sealed.bytes.len(), 4 + CHUNK_OVERHEAD);
        assert_eq!(sealed, seal(&key(1), FIRST, b"text".to_vec()), "sealed again it is the same");
        assert_eq!(open(&key(1), FIRST, sealed.bytes.clone()).as_deref(), Some(&b"text"[..]));
        let elsewhere = [
            Place::Chunk { index: 1, is_last: false },
            Place::Chunk { index: 0, is_last: true },
            Place::Manifest,
        ];
        for place in elsewhere {
            assert_eq!(open(&key(1), place, sealed.bytes.clone()), None, "{place:?}");
        }
        assert_eq!(open(&key(2), FIRST, sealed.bytes.clone()), None);
        for end in 0..sealed.bytes.len() {
            assert_eq!(open(&key(1), FIRST, sealed.bytes[..end].to_vec()), None, "{end}");
        }
        for at in 0..sealed.bytes.len() {
            let mut other = sealed.bytes.clone();
            other[at] ^= 1;
            assert_eq!(open(&key(1), FIRST, other), None, "{at}");
        }
    }

    #[test]
    fn other_bytes_at_the_same_place_are_sealed_under_another_key() {
        let (one, other) = (seal(&key(1), FIRST, vec![0; 64]), seal(&key(1), FIRST, vec![1; 64]));
        let text = |sealed: &SealedChunk| sealed.bytes[SYNTHETIC_LEN..][..64].to_vec();
        let (one, other) = (text(&one), text(&other));
        assert!(one.iter().zip(&other).any(|(a, b)| a ^ b != 1), "the key streams differ");
    }
}
