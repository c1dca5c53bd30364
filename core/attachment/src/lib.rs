//! A file of any length as sealed chunks, each under the hash of its bytes, and one manifest that names them:
//! `docs/format/attachment.md`; why: `docs/adr/0037-attachments-in-the-cluster.md`.
//!
//! ```
//! use terachat_attachment::{CHUNK_LEN, FileKey, Opener, Sealer};
//! let key = || FileKey::take(&mut [7; 32]);
//! let mut sealer = Sealer::new(key(), 5)?;
//! let chunk = sealer.seal(b"hello".to_vec())?;
//! let (stored, manifest) = sealer.finish()?;
//! let mut opener = Opener::new(&stored.address, key(), manifest.bytes)?;
//! assert_eq!(opener.accept(chunk.bytes)?, b"hello");
//! assert_eq!(opener.finish()?, stored.hash);
//! # Ok::<_, terachat_attachment::Error>(())
//! ```
//!
//! [`Sealer`] takes a file part by part and gives chunks to be kept anywhere; [`Opener`] takes them in their order and gives the file
//! back. Both hold one chunk at a time. The same bytes at the same place under the same key are the same chunk, so whoever was
//! interrupted begins anew and sends, or fetches, only what is not there.
//!
//! It keeps and sends nothing, knows no message, and draws no randomness of its own.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests"))]

mod address;
mod chunk;
mod error;
mod file_key;
mod layout;
mod manifest;
mod opener;
mod sealer;

pub use address::{Address, ChunkName};
pub use chunk::{CHUNK_OVERHEAD, SealedChunk};
pub use error::Error;
pub use file_key::FileKey;
pub use layout::{CHUNK_LEN, FILE_LEN_MAX};
pub use opener::Opener;
pub use sealer::{Sealer, Stored};
