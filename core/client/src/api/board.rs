//! What was exchanged with a board.
use serde::{Deserialize, Serialize};

/// What one call left on a board.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardPublished {
    /// Events.
    pub events: usize,
    /// Records that hold them, padded.
    pub records: usize,
    /// Their bytes.
    pub len: u64,
    /// Spaces and channels of which not everything was left, with the reason.
    pub skipped: Vec<String>,
    /// Whether a space is among them because another member's change comes first: fetch, and publish again in a moment.
    pub behind: bool,
    /// Whether there is more: call again.
    pub more: bool,
}

impl BoardPublished {
    /// Adds what the next call left.
    pub fn add(&mut self, next: Self) {
        self.events += next.events;
        self.records += next.records;
        self.len += next.len;
        (self.skipped, self.behind, self.more) = (next.skipped, next.behind, next.more);
    }
}

/// What one call took from a board.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardFetched {
    /// New events.
    pub added: usize,
    /// Events that were here already.
    pub known: usize,
    /// Parcels that were opened for the first time.
    pub parcels: usize,
    /// What waits (for a key, a parent, an author, a record), with the reason: the first 100. It is read again at each call.
    pub waiting: Vec<String>,
    /// How many records, parcels and parts of them were left aside: damaged, forged, or nothing a member would write.
    pub left: usize,
    /// Why, of the first 100.
    pub reasons: Vec<String>,
    /// Whether there is more: call again.
    pub more: bool,
}

impl BoardFetched {
    /// Adds what the next call took.
    pub fn add(&mut self, mut next: Self) {
        self.added += next.added;
        self.known += next.known;
        self.parcels += next.parcels;
        self.left += next.left;
        self.reasons.append(&mut next.reasons);
        self.reasons.truncate(Self::REASONS_MAX);
        (self.waiting, self.more) = (next.waiting, next.more);
    }

    /// Reasons that are told one by one.
    pub const REASONS_MAX: usize = 100;
}
