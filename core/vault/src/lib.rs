//! Secrets and the one way to seal a thing: keys that wipe themselves, an AEAD that is the same bytes natively
//! and in the browser, key derivation, and values sealed under a passphrase.
//!
//! It does not store anything, does not know what it seals, and draws no randomness of its own: that is handed
//! in through [`Entropy`].
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "tests cut numbers they made small"))]

mod aead;
mod derive;
mod entropy;
mod error;
mod passphrase;
mod secret;

pub use aead::{NONCE_LEN, SealKey, TAG_LEN};
pub use derive::derive_key;
pub use entropy::Entropy;
pub use error::Error;
pub use passphrase::{PassphraseCost, open_with_passphrase, seal_with_passphrase};
pub use secret::{Secret, SecretBytes};
