//! Files of any length as blobs: pieces of 1 MiB, each sealed and under its hash, and a manifest that names them:
//! `docs/format/cluster-file.md`.
//!
//! The key of a piece comes from its content and a secret of its owner's (convergent encryption, Douceur et al. 2002, with the
//! secret against guessing). So the same piece put again is the same blob, a put that was broken off goes on where it was, a key
//! seals one content only, and nobody without the secret can try out whether somebody keeps what he knows.
use crate::{ItemKind, ItemName};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use terachat_vault::{Algorithm, NONCE_LEN, Secret, derive_key, open_once, seal_once};

const PIECE: &str = "terachat 2026-11 cluster file piece";
const MANIFEST: &str = "terachat 2026-11 cluster file manifest";
const VERSION: u8 = 1;
/// A key seals one content, so its nonce need not differ.
const NONCE: [u8; NONCE_LEN] = [0; NONCE_LEN];

/// Bytes of a file in a piece: 1 MiB, but for the last.
pub const PIECE_LEN: usize = 1 << 20;
/// Pieces of a file at most: what a manifest of 4 MiB can name.
const PIECES_MAX: usize = 65_000;

/// A sealed blob's name and what opens it.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    name: [u8; 32],
    key: [u8; 32],
}

/// What a file is found and opened by: its manifest's name and key. Whoever has it reads the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Reference(Piece);

/// Which pieces a file has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Bytes of the file.
    pub len: u64,
    /// Its pieces, in their order.
    pub pieces: Vec<Piece>,
}

/// Why a file cannot be put or read. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The caller's.
    #[error("this is no reference to a file; copy the whole of what `terachat cluster put` printed")]
    Reference,
    /// The caller's.
    #[error("the file is longer than {PIECES_MAX} MiB; cut it into several")]
    Long,
    /// The cluster's, or the reference is another one's.
    #[error(
        "what the cluster gave is not this file; check the reference, then audit the cluster: terachat cluster audit"
    )]
    Foreign,
}

impl Piece {
    /// Seals a part of a file for the owner of this secret.
    pub fn seal(owner: &Secret<32>, bytes: Vec<u8>) -> (Self, Vec<u8>) {
        Self::seal_as(PIECE, owner, bytes)
    }

    fn seal_as(context: &str, owner: &Secret<32>, bytes: Vec<u8>) -> (Self, Vec<u8>) {
        let key = derive_key(context, owner, &[blake3::hash(&bytes).as_bytes()]);
        Self::seal_under(&key, bytes)
    }

    fn seal_under(key: &Secret<32>, mut bytes: Vec<u8>) -> (Self, Vec<u8>) {
        seal_once(Algorithm::ChaCha20Poly1305, key, &NONCE, &[VERSION], &mut bytes);
        (Self { name: ItemName::of_blob(&bytes).key, key: *key.expose_secret() }, bytes)
    }

    /// Under which name it is kept.
    pub fn name(&self) -> ItemName {
        ItemName { kind: ItemKind::Blob, key: self.name }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// [`FileError::Foreign`].
    pub fn open(&self, mut sealed: Vec<u8>) -> Result<Vec<u8>, FileError> {
        let opened = open_once(Algorithm::ChaCha20Poly1305, &self.secret(), &NONCE, &[VERSION], &mut sealed);
        sealed.truncate(opened.map_err(|_| FileError::Foreign)?);
        Ok(sealed)
    }

    /// Whether these bytes are the piece's.
    pub fn is(&self, bytes: Vec<u8>) -> bool {
        Self::seal_under(&self.secret(), bytes).0 == *self
    }

    fn secret(&self) -> Secret<32> {
        Secret::generate(|key| *key = self.key)
    }
}

/// Without the key.
impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Piece({})", self.name())
    }
}

impl Manifest {
    /// The manifest as it is kept, and the reference to the file.
    ///
    /// # Errors
    /// [`FileError::Long`].
    pub fn seal(&self, owner: &Secret<32>) -> Result<(Reference, Vec<u8>), FileError> {
        if self.pieces.len() > PIECES_MAX {
            return Err(FileError::Long);
        }
        let bytes = postcard::to_extend(self, vec![VERSION]).expect("a value in memory can be written");
        let (piece, sealed) = Piece::seal_as(MANIFEST, owner, bytes);
        Ok((Reference(piece), sealed))
    }
}

impl Reference {
    /// Under which name the manifest is kept.
    pub fn name(&self) -> ItemName {
        self.0.name()
    }

    /// Reads a sealed manifest.
    ///
    /// # Errors
    /// [`FileError::Foreign`].
    pub fn open(&self, sealed: Vec<u8>) -> Result<Manifest, FileError> {
        let bytes = self.0.open(sealed)?;
        let Some((&VERSION, rest)) = bytes.split_first() else { return Err(FileError::Foreign) };
        let (manifest, rest): (Manifest, _) =
            postcard::take_from_bytes(rest).map_err(|_| FileError::Foreign)?;
        let count = manifest.len.div_ceil(PIECE_LEN as u64);
        let fits =
            rest.is_empty() && manifest.pieces.len() as u64 == count && manifest.pieces.len() <= PIECES_MAX;
        if fits { Ok(manifest) } else { Err(FileError::Foreign) }
    }
}

/// The words that a person hands on: both halves in hexadecimal.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.name.iter().chain(&self.0.key).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Without the key.
impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({})", self.name())
    }
}

impl FromStr for Reference {
    type Err = FileError;

    fn from_str(text: &str) -> Result<Self, FileError> {
        let digits: Vec<u8> = text
            .trim()
            .chars()
            .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .ok_or(FileError::Reference)?;
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        match (digits.len(), bytes.first_chunk(), bytes.last_chunk()) {
            (128, Some(name), Some(key)) => Ok(Self(Piece { name: *name, key: *key })),
            _ => Err(FileError::Reference),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(n: u8) -> Secret<32> {
        Secret::take(&mut [n; 32])
    }

    fn two_pieces() -> Manifest {
        let pieces = [b"one", b"two"].map(|bytes| Piece::seal(&owner(1), bytes.to_vec()).0);
        Manifest { len: PIECE_LEN as u64 + 5, pieces: pieces.to_vec() }
    }

    #[test]
    fn the_same_bytes_of_the_same_owner_are_the_same_blob_and_of_another_are_not() {
        let seal = |n, bytes: &[u8]| Piece::seal(&owner(n), bytes.to_vec());
        let (piece, sealed) = seal(1, b"bytes");
        assert_eq!((piece, sealed.clone()), seal(1, b"bytes"));
        assert_eq!(piece.name(), ItemName::of_blob(&sealed));
        assert_ne!(piece.name, seal(2, b"bytes").0.name);
        assert_ne!((piece.name, piece.key), (seal(1, b"other").0.name, seal(1, b"other").0.key));
        assert_eq!(piece.open(sealed).unwrap(), b"bytes");
        assert_eq!(piece.open(seal(2, b"bytes").1), Err(FileError::Foreign));
        assert!(piece.is(b"bytes".to_vec()) && !piece.is(b"other".to_vec()));
    }

    #[test]
    fn a_reference_opens_its_manifest_and_shows_no_key() {
        let manifest = two_pieces();
        let (reference, sealed) = manifest.seal(&owner(1)).unwrap();
        let read: Reference = format!("{reference}\n").parse().unwrap();
        assert_eq!((&read, read.name()), (&reference, ItemName::of_blob(&sealed)));
        assert_eq!(read.open(sealed.clone()).unwrap(), manifest);
        assert_eq!(manifest.seal(&owner(2)).unwrap().0.open(sealed), Err(FileError::Foreign));
        let hidden: String = reference.0.key.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!format!("{reference:?}").contains(&hidden));
        for text in ["", "0", &"0".repeat(127), &"0".repeat(130), &"g".repeat(128)] {
            assert_eq!(text.parse::<Reference>(), Err(FileError::Reference));
        }
    }

    #[test]
    fn a_manifest_whose_numbers_do_not_fit_is_none() {
        let piece = two_pieces().pieces[0];
        for (len, pieces) in [(0, 1), (1, 0), (PIECE_LEN as u64, 2)] {
            let (reference, sealed) = Manifest { len, pieces: vec![piece; pieces] }.seal(&owner(1)).unwrap();
            assert_eq!(reference.open(sealed), Err(FileError::Foreign));
        }
        let longest = Manifest { len: u64::MAX, pieces: vec![piece; PIECES_MAX] };
        assert!(longest.seal(&owner(1)).unwrap().1.len() <= crate::ITEM_LEN_MAX);
        let pieces = PIECES_MAX + 1;
        let long = Manifest { len: (pieces * PIECE_LEN) as u64, pieces: vec![piece; pieces] };
        assert_eq!(long.seal(&owner(1)).map(|_| ()), Err(FileError::Long));
        let bytes = postcard::to_extend(&long, vec![VERSION]).unwrap();
        let (by_another, sealed) = Piece::seal_as(MANIFEST, &owner(1), bytes);
        assert_eq!(Reference(by_another).open(sealed), Err(FileError::Foreign), "what nobody may seal");
    }
}
