//! How sealed bytes are cut into shards, where these stand, and what mends them: the decisions of the organisation's
//! storage.
//!
//! It does not read a disk or a clock, speak to a node, or seal anything: what it is handed is sealed already.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests"))]

mod assignment;
mod census;
mod code;
mod counts;
mod cut;
mod error;
mod field;
mod health;
mod id;
mod interpolation;
mod kernel;
mod member;
#[cfg(test)]
mod naive;
mod placement;
mod plan;
mod profile;
mod read;
mod shard;
mod stripe;

pub use census::{Census, StripeCensus};
pub use code::{Code, Decoder};
pub use counts::Counts;
pub use cut::{cut, join, shard_len};
pub use error::Error;
pub use health::{Health, Reasons};
pub use id::{NodeId, StripeId};
pub use kernel::Kernel;
pub use member::{Domain, Member, Members, Status};
pub use placement::place;
pub use plan::{Blocked, Move, Plan, Repair, Surplus};
pub use profile::{Profile, Shortfall};
pub use shard::{SHARD_HEADER_LEN, Shard, ShardHash};
pub use stripe::StripeRecord;

/// Bytes of a shard's payload at most: 16 MiB.
pub const SHARD_LEN_MAX: usize = 16 << 20;
/// Bytes of a stripe before it is cut at most: 1 GiB.
pub const STRIPE_LEN_MAX: u64 = 1 << 30;
