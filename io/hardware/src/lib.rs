//! Master keys that the operating system, a TPM or an HSM keeps, and the TPM's counter against rollback.
//!
//! Each is a cargo feature (`keychain`, `tpm`, `pkcs11`); without them this crate is empty and a build needs nothing of
//! the system. Formats: `docs/format/hardware-keys.md`. What each protects against, and what not: ADR 0011.
//!
//! It decides nothing: whether a head is fresh is `terachat_vault::settle`'s decision.

#[cfg(feature = "keychain")]
mod keychain;
#[cfg(feature = "pkcs11")]
mod pkcs11;
#[cfg(feature = "tpm")]
mod tpm;

#[cfg(feature = "keychain")]
pub use keychain::KeychainSource;
#[cfg(feature = "pkcs11")]
pub use pkcs11::{Pkcs11Source, Pkcs11Token};
#[cfg(feature = "tpm")]
pub use tpm::{TpmCounter, TpmSource};
