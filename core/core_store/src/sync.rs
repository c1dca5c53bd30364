//! How events travel and are taken in: batches and their bytes, and what two replicas lack of each other.
mod anti_entropy;
mod apply_local;
mod apply_remote;
mod batch;
pub mod board;
mod bundle;
mod compare_heads;
mod delta_decoder;
mod delta_encoder;
mod forks;
mod frontier;
mod merge;
mod merged;
pub mod rateless;
mod standing;

pub(crate) use crate::wire::{Reader, put, unzigzag, zigzag};
pub use apply_local::Draft;
pub use apply_remote::Outcome;
pub use batch::{Batch, BatchAuthor, BatchEvent, BatchStub, ChunkLen, KeyId, Limits};
pub use bundle::Bundle;
pub(crate) use bundle::Frames;
pub use delta_decoder::decode_batch;
pub use delta_encoder::encode_batch;
pub(crate) use frontier::HeadSum;
pub use frontier::{ChainHead, Frontier};
pub(crate) use merge::{MERGED_EVENTS_MAX, MERGED_PAYLOADS_MAX};
pub use standing::Standing;
