//! Composes event, store and group into a device: text in, signed and sealed events out, and back.
//!
//! ```text
//! send.rs     text -> sealed operation -> signed event -> durable -> bundles for peers
//! receive.rs  bundle -> judged -> durable -> state, keys, notices
//! ```
//!
//! It decides and remembers; sockets, files, clocks and threads are the caller's: frames go in by [`Client::receive`]
//! and come out by [`Client::poll_frame`], time is a number in each call.
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "tests cut numbers they made small"))]

mod ahead;
pub mod api;
mod archive;
mod arrange;
mod attachments;
mod audit;
mod backup;
mod board;
mod bundle_file;
mod card;
mod check;
mod client;
mod compare;
mod compose;
mod create;
mod devices;
mod directory;
mod error;
mod filters;
mod find;
mod forum;
mod guard;
mod heads;
mod identity;
mod import;
mod invite;
mod keep;
mod live;
mod log_view;
mod membership;
mod membership_ops;
mod message_keys;
mod newest;
mod order;
mod past;
mod past_wait;
mod peer;
mod protocol;
mod queue;
mod read;
mod receive;
mod reinit;
mod rejoin;
mod renewal;
mod roles;
mod send;
mod states;
mod status;
mod store_check;
#[cfg(test)]
mod tests;
mod watch;
mod way;
mod why;
mod why_ahead;

pub use archive::{ARCHIVE_LINE_LEN_MAX, ArchiveCheck, ArchiveError, ArchiveExport};
pub use backup::{BackupKeys, Exported, backup_vault, fuzz_backup};
pub use board::{fuzz_handed, fuzz_parcel};
pub use card::fuzz_card;
pub use check::check_profile;
pub use client::Client;
pub use directory::{DirectoryError, fuzz_supply};
pub use error::Error;
pub use guard::{NewCounter, adopt_profile_counter};
pub use identity::{change_profile_keys, profile_sources, profile_vault};
