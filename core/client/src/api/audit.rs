//! What an audit and a comparison found.
use serde::{Deserialize, Serialize};

/// What an audit found; `alarm` empty means that everything holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// Events replayed.
    pub events: usize,
    /// Chains followed.
    pub chains: usize,
    /// Signatures verified.
    pub signatures: usize,
    /// State hash kept and recomputed, per log.
    pub logs: Vec<AuditLine>,
    /// Every mismatch, in words. Not empty: the red alarm.
    pub alarm: Vec<String>,
    /// Devices caught signing two events with one number.
    pub equivocations: Vec<String>,
}

/// One log of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    /// `space` or `space/channel`.
    pub log: String,
    /// Events in it.
    pub events: usize,
    /// Hash of the state in memory, hexadecimal.
    pub kept: String,
    /// Hash of the replayed state, hexadecimal.
    pub replayed: String,
}

/// Something that is not the same on two devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateDifference {
    /// `member`, `channel`, `message`, or `space` for what is none of them.
    pub what: String,
    /// Its id.
    pub id: String,
    /// The member's or channel's name as this device knows it; for a message its channel's.
    pub name: String,
    /// `differs`, `only here` or `only there`.
    pub side: String,
}
