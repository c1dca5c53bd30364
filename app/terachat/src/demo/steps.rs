//! The acts, in the order they are played.
mod check;
mod cluster;
mod crash;
mod flow;
mod gather;
mod remove;
mod write;

pub(super) use check::{audit, damage, search};
pub(super) use cluster::{come_back, lose_two, store};
pub(super) use crash::{deliver, import};
pub(super) use gather::{found, gather};
pub(super) use remove::remove;
pub(super) use write::{respond, write_at_once};

/// Where people talk.
const GENERAL: &str = "general";
/// Where the log goes.
const ARCHIVE: &str = "archive";

/// A word that only one device writes.
fn planted(name: &str) -> String {
    format!("zephyrberry{}", name.to_lowercase())
}
