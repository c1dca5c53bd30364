//! How far a check of all that is on disk is, and what it found.
use serde::{Deserialize, Serialize};

/// A check that is under way, or has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreChecked {
    /// Its number: [`Request::StoreCheck`](super::Request::StoreCheck) goes on with it.
    pub number: u64,
    /// `blocks` while the log is read, `replay` while all is replayed from genesis, `done`.
    pub step: String,
    /// How far the step is: bytes of blocks, events of a replay.
    pub done: u64,
    /// Of how many.
    pub of: u64,
    /// What was found, once it is done.
    pub report: Option<StoreReport>,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreReport {
    /// Blocks of the log that were read.
    pub blocks: usize,
    /// Bytes of the log.
    pub bytes: u64,
    /// Parts of the snapshot that were read.
    pub snapshot_parts: usize,
    /// Events replayed; absent if the log could not be read whole.
    pub events: Option<usize>,
    /// Chains followed.
    pub chains: Option<usize>,
    /// Signatures verified.
    pub signatures: Option<usize>,
    /// What is damaged, worst first; empty when all is well.
    pub findings: Vec<StoreDamage>,
}

/// Something damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreDamage {
    /// What, and where.
    pub what: String,
    /// What to do about it.
    pub next: String,
    /// Whether conversation is lost with it; otherwise it is made anew from the log.
    pub is_loss: bool,
}
