//! Secrets and the one way to seal a thing: keys that wipe themselves, an AEAD that is the same bytes natively
//! and in the browser, key derivation, and values sealed under a passphrase.
//!
//! It does not store anything, does not know what it seals, and draws no randomness of its own: that is handed
//! in through [`Entropy`].
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "tests cut numbers they made small"))]

mod aead;
mod counter;
mod derive;
mod entropy;
mod envelope;
mod error;
mod key_page;
mod keyring;
mod master;
pub mod memory;
mod passphrase;
mod record;
mod recovery;
mod secret;
#[cfg(test)]
mod testing;
mod wrapping;

pub use aead::{Algorithm, NONCE_LEN, SealKey, TAG_LEN, open_once, open_secret_once, seal_once};
pub use counter::{
    BoxedCounter, CounterError, CounterKind, Freshness, OPENING_CHECKPOINTS, RollbackCounter, RollbackError,
    settle,
};
pub use derive::derive_key;
pub use entropy::Entropy;
pub use error::Error;
pub use key_page::{KEY_PAGE_SLOTS, KeyPage, KeyPageAddress, SealedKeyPage, rewrap_entry};
pub use keyring::{Blinder, CollectionKeys, Dek, Guards, Keyring, KeyringError};
pub use master::{MasterKeySource, PassphraseSource, SourceError, SourceKind};
pub use passphrase::{PassphraseCost, open_with_passphrase, seal_with_passphrase};
pub use record::{
    RECORD_HEAD_LEN, RECORD_OVERHEAD, RecordAddress, RecordHeader, RecordKeyId, open_record, seal_record,
};
pub use recovery::{RecoveryError, RecoveryKey, RecoveryShare, RecoverySource, ShareError};
pub use secret::{Secret, SecretBytes};
pub use wrapping::{VaultId, WRAPPED_KEY_LEN, unwrap_key, wrap_key};
