//! Events, and why they count or not.
use serde::{Deserialize, Serialize};

/// One event of a chain, readable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLine {
    /// Its id.
    pub id: String,
    /// Chain hash, hexadecimal.
    pub hash: String,
    /// Device that signed it, hexadecimal.
    pub device: String,
    /// The user's name.
    pub author: String,
    /// Number in the device's chain.
    pub seq: u64,
    /// Lamport time.
    pub lamport: u64,
    /// Wall time in milliseconds since 1970, as claimed.
    pub wall_ms: u64,
    /// MLS epoch, for sealed events.
    pub epoch: Option<u64>,
    /// Parents' ids other than the predecessor.
    pub parents: Vec<String>,
    /// What it did, in words.
    pub what: String,
    /// Whether it counts; if not, why.
    pub void: Option<String>,
    /// Whether this very event carries a signature (later ones of the chain cover it otherwise).
    pub signed: bool,
}

/// Why an event counts or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The event.
    pub event: EventLine,
    /// Whether it counts.
    pub counts: bool,
    /// `counts`, `unreadable`, `forbidden`, `no_channel`, `another_form`, `cut_off`, `beyond_pin`, `admission_void` or
    /// `equivocated`.
    pub reason: String,
    /// The same in words.
    pub because: String,
    /// The author's rank under the heads that it cites, where that decides.
    pub rank: Option<u8>,
    /// The permission that the author's role lacked, or that was taken from it, where that decides.
    pub permission: Option<String>,
    /// For `beyond_pin` the last number of the author's chain that counts.
    pub last: Option<u64>,
    /// For `equivocated` the hashes of the two events with one number, hexadecimal.
    pub signed: Vec<String>,
    /// The control events that decide, the weightiest first.
    pub deciding: Vec<DecidingEvent>,
    /// The control heads under which it was made.
    pub cited: Vec<CitedHead>,
    /// What is known of it, where it is here ahead of its channel's past only; absent for an event of a log.
    pub ahead: Option<KnownAhead>,
}

/// How far what is said of an event is proven that is here ahead of its channel's past only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownAhead {
    /// The least Lamport time of all that is here of the channel; 1 where nothing is older.
    pub from: u64,
    /// What is proven, in words.
    pub proven: Vec<String>,
    /// What is not known, in words.
    pub unknown: Vec<String>,
    /// What to do to know it.
    pub next: String,
}

/// A control event that decides about another event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidingEvent {
    /// `admits`, `ranks`, `removes`, `changes_role`, `admits_in_vain`, `admits_target`, `ranks_target`, `removes_target`, `founds`, `creates`,
    /// `cuts_off`, `pins` or `gives_way`.
    pub role: String,
    /// The same in words.
    pub because: String,
    /// The event.
    pub event: EventLine,
    /// Why it counts for nothing, where the other event falls with it.
    pub why: Option<Box<Why>>,
}

/// A control head that an event cites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CitedHead {
    /// The control event's id; absent for one behind a fork that is not here.
    pub id: Option<String>,
    /// Its hash, hexadecimal.
    pub hash: String,
}
