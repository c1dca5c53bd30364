//! The program from outside: what it prints, where, and how it ends. Real processes, real folders, loopback only.
#![allow(clippy::unwrap_used)] // A test that finds something else than it looks for is to panic.
mod archive;
#[cfg(unix)]
mod attachments;
mod board;
#[cfg(unix)]
mod board_cluster;
mod card;
mod channels;
mod cluster;
mod counter;
mod damage;
#[cfg(target_os = "linux")]
mod dumped;
mod erasure;
mod forum;
#[cfg(any(feature = "keychain", feature = "tpm", feature = "pkcs11"))]
mod hardware;
mod import;
mod keys;
#[cfg(unix)]
mod killed;
#[cfg(target_os = "linux")]
mod partitions;
mod recovery;
mod reinit;
mod rejoin;
mod renewal;
mod roles;
#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "the vault's own test uses more of it")]
#[path = "../../../../core/vault/tests/memory_dump/scan.rs"]
mod scan;
mod side_by_side;
mod since_join;
mod store;
mod support;
#[cfg(feature = "tpm")]
#[allow(dead_code, reason = "the crate's own tests use more of it")]
#[path = "../../../../io/hardware/src/tpm/swtpm.rs"]
mod swtpm;
mod usage;
mod vault;
mod whole;
mod why;
