//! What is kept: files behind one small trait, the sealed commit log that stands on them, and the device's store of
//! spaces, channels and records on top.
mod audit;
mod check;
pub mod commit_log;
mod compact;
pub mod compress;
mod control;
pub mod dht_adapter;
mod dropped;
mod epoch_secrets;
mod erasure;
mod errors;
mod evidence;
mod hold;
pub(crate) mod index;
mod keyring;
mod local_store;
mod message_keys;
mod past;
mod records;
mod snapshot;
pub(crate) mod space_logs;
mod validator;

pub use audit::{Audit, LogAudit, Report};
pub use check::{CheckReport, Finding};
pub use commit_log::{Block, BlockRef, CommitLog, LogOptions, Recovered, Snapshot, StoredBlock};
pub(crate) use compress::{compress, decompress, level_for};
pub use erasure::{Erasure, WANTED_MAX};
pub use errors::Error;
pub use evidence::{Evidence, Span};
pub use local_store::LocalStore;
pub use message_keys::{MESSAGE_KEYS, UPLOAD_KEYS};
pub use past::Moment;
pub use records::Write;
pub use terachat_storage::{self as storage, Storage, StorageError, StorageErrorKind};
pub(crate) use validator::{Fork, Payloads, Staged, Staging, Trust, offered};
