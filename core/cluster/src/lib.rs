//! What a node of the organisation's storage decides.
//!
//! So far: how it keeps the shards it was given, in [`ShardStore`]. It opens no file, no socket and no clock: files come in through
//! [`terachat_storage::Storage`], randomness through [`terachat_vault::Entropy`].
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "tests cut numbers they made small"))]

mod error;
mod segments;

pub use error::Error;
pub use segments::{Compacted, Held, Opened, Options, Scrubbed, ShardStore, Sound, Usage};
