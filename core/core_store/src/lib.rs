//! The state layer: spaces, channels, roles and messages as signed events over CRDTs, kept encrypted, replicated and
//! searchable.
//!
//! It decides; it opens no file, no socket and no clock. Files come in through [`store::Storage`], randomness through
//! `terachat_vault::Entropy`, time as a number.
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "tests cut numbers they made small"))]

mod blocks;
pub mod crdt;
mod error;
pub mod model;
pub mod query;
pub mod store;
pub mod sync;
#[cfg(test)]
mod testing;
mod wait;
mod wire;

pub use error::Error;
pub use store::LocalStore;
pub use wait::Wait;
