//! Key packages that this device leaves on a board for whoever knows its user, so that nobody has to pass a card
//! (`docs/adr/0042-key-packages-on-boards.md`, `docs/format/board.md`).
//!
//! ```text
//! stock.rs    private parts here: single-use ones, one of last resort, until they were used or are too old
//! publish.rs  what is missing of them -> a signed supply (supply.rs) -> the user's directory stream
//! look_up.rs  a person's directory stream -> supplies that hold
//! invite.rs   one of their key packages, claimed by leaving the invitation (claim.rs) under it -> an admission
//! hear.rs     what was left under this device's key packages -> invitations that wait to be accepted
//! ```
mod claim;
mod error;
mod hear;
mod invite;
mod look_up;
mod publish;
mod stock;
mod supply;

pub use error::DirectoryError;
pub(crate) use stock::STOCK;
#[cfg(test)]
pub(crate) use {
    claim::Claim,
    stock::{GRACE_MS, LOW, SINGLE_USE, hash_of},
    supply::{Offered, Supply},
};

/// Reads a supply's shape, and what a claim holds: for the fuzzer, who has no key that signs.
#[doc(hidden)]
pub fn fuzz_supply(bytes: &[u8]) {
    if let Ok(supply) = supply::Supply::decode(bytes) {
        assert!(supply.said_len() <= bytes.len(), "it holds no more than it is made of");
    }
    drop(claim::Claim::decode(bytes));
}

/// Claims under one key package of last resort that are looked at: whoever would leave more finds it used up.
const CLAIMS_MAX: u64 = 64;
