//! The vault on disk: every secret and template sealed under a key of its own, every access in a signed log, every
//! erasure with proof.
//!
//! ```
//! use terachat_template::{Body, Embedding, Metadata, Probe, Template, TemplateType, Threshold};
//! use terachat_vault::{PassphraseCost, PassphraseSource, SecretBytes};
//! use terachat_vault_store::{Access, CollectionOptions, Config, PutOptions, TemplateVault};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("vault");
//! # let cost = PassphraseCost::INSECURE_FAST;
//! let mut source = PassphraseSource::new(SecretBytes::take(b"correct horse".to_vec()), cost);
//! let vault = TemplateVault::create(&Config::new(path), &mut [&mut source])?;
//! vault.create_collection("operator", "door", &CollectionOptions::default())?;
//!
//! let session = vault.session("door controller 7", Access::full())?;
//! let metadata = Metadata::new("ann".parse()?, TemplateType::Face);
//! let template = Template::new(metadata, Body::Vector(Embedding::take(vec![0.6, 0.8])?))?;
//! session.put("door", "ann-1", template.into(), &PutOptions::default())?;
//!
//! let probe = Probe::new(TemplateType::Face, Body::Vector(Embedding::take(vec![0.7, 0.7])?))?;
//! assert!(session.verify("door", "ann-1", &probe, Threshold::new(0.9)?)?.matched);
//! let receipt = session.delete("door", "ann-1")?;
//! receipt.verify(&vault.audit_key())?;
//! # Ok(()) }
//! ```
//!
//! # The parts
//! - [`TemplateVault`]: opens the folder and does what concerns the whole vault: collections, audit, check, backup,
//!   compaction, health. It is cheap to clone and is used from any number of threads.
//! - [`Session`]: what one caller does with records. Everything it does is in the audit log under the caller's name, and
//!   what its [`Access`] does not grant looks as if it did not exist.
//! - [`KeyManager`]: rotation of the master key, the KEK and the collections' DEKs.
//!
//! # What is promised
//! - A write with [`Durability::Durable`] that was acknowledged survives SIGKILL and a power cut. Writes of many threads
//!   share one fsync, without waiting for company. A batch happens wholly or not at all, together with its audit event.
//! - After a failed write (full disk) the vault is read-only until it is opened again ([`Error::ReadOnly`]); nothing
//!   acknowledged is lost. A write whose error was returned may or may not be there after that.
//! - Reads never wait for writes, rotations, backups or compaction.
//! - Erasure destroys the record's key: the stored key page is written anew without it, under a new DEK, and the keyring
//!   that had the old DEK is overwritten. Copies outside of the folder (backups, file system snapshots), and the
//!   keyring's old bytes where the disk keeps remapped blocks, are not reached by it.
//! - Reads are in the audit log after [`Config::flush_interval`] or 1,024 of them, whichever is first; a crash loses those
//!   since. Writes, erasures and key changes are in it in the same atomic commit as what they did.
//! - Time never goes back: what expired once stays expired although the clock is set back. A clock that jumps ahead by
//!   more than [`Config::clock_step_max`] is not believed until an operator confirms it.
//! - A record whose bytes were changed, moved or cut is [`Error::Damaged`] when it is read. That somebody with a hand in the
//!   database played an older version of one record again, or took one away, is noticed by [`TemplateVault::check`]; that
//!   the whole folder was set back, by the counter of [`TemplateVault::open_guarded`].
//! - There is no oracle: [`Error::NotFound`] is the answer for absent, erased, expired and forbidden alike, after the
//!   same work.
//!
//! # What it does not do
//! It serves no network, knows no tokens (a caller's rights come as [`Access`]), and extracts no features.
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "tests cut numbers they made small"))]

mod access;
mod apply;
mod audit;
mod backup;
mod bytes;
mod check;
mod collection;
mod commit;
mod config;
mod cursor;
mod digest;
mod disk;
mod engine;
mod entropy;
mod erasure;
mod error;
#[cfg(test)]
mod fail;
mod gallery;
mod group;
mod helpers;
mod journal;
mod key_manager;
mod keyring_file;
mod keys;
mod list;
mod lock;
mod newest;
mod opening;
mod order;
mod pages;
mod plain;
mod reads;
mod ready;
mod receipt;
mod recent;
mod record;
mod rotation;
mod row;
mod session;
mod small;
mod stats;
mod store;
#[cfg(test)]
mod tests;
mod threads;
mod time;
mod upkeep;
mod vault;

pub use access::{Access, Verb};
pub use audit::{Action, AuditEntry, AuditReport};
pub use backup::{BackupReport, fuzz_backup};
pub use config::Config;
pub use cursor::Cursor;
pub use error::Error;
pub use key_manager::{KeyManager, RotationProgress};
pub use receipt::{ErasedRecord, ErasureReceipt};
pub use record::{
    ACTOR_LEN_MAX, Applied, BATCH_LEN_MAX, Batch, COLLECTION_NAME_LEN_MAX, CONTENT_LEN_MAX, Content,
    Durability, ErasureId, Expect, ID_LEN_MAX, ListOptions, Match, Operation, Outcome, PAGE_LEN_MAX, Page,
    PutOptions, Record, RecordInfo,
};
pub use session::Session;
pub use stats::{Health, Stats};
pub use vault::{CheckReport, CollectionInfo, CollectionOptions, TemplateVault};
