//! The one signed, hash-chained record: ids, headers, chains, signatures and the proof of their abuse.
//!
//! A *chain* is what one device wrote in one log (a space's control log, or a channel). Each event's hash binds the
//! chain before it, its header and its payload's hash; an Ed25519 signature on any event covers all before it.
//!
//! This crate knows neither what a payload means, nor who is allowed to write, nor where events are kept.
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "tests cut numbers they made small"))]

mod batch_verify;
mod blinded;
mod chain;
mod equivocation;
mod error;
mod header;
mod ids;
mod signature;

pub use blinded::{BlindedKey, blinded_id};
pub use chain::{
    Prefix, chain_start, erasable_hash, genesis_start, link, payload_commitment, payload_hash, prefix,
};
pub use equivocation::{Branch, Equivocation, STEPS_MAX, Step};
pub use error::Error;
pub use header::{CONTROL_HEADS_MAX, Header, Kind, PARENTS_MAX, PAYLOAD_LEN_MAX, VERSION};
pub use ids::{ChannelId, DeviceId, EventHash, EventRef, LogId, SpaceId, UserId};
pub use signature::{DeviceKey, SignedHead, Statement, verify, verify_all, verify_heads};
