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
    /// Key packages of this device that others can invite it by.
    #[serde(default)]
    pub key_packages: usize,
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
        self.key_packages += next.key_packages;
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
    /// Invitations by key packages of this device, which wait to be accepted.
    #[serde(default)]
    pub invitations: usize,
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
        self.invitations += next.invitations;
        self.reasons.append(&mut next.reasons);
        self.reasons.truncate(Self::REASONS_MAX);
        (self.waiting, self.more) = (next.waiting, next.more);
    }

    /// Counts something that was left aside.
    pub(crate) fn leave(&mut self, why: String) {
        self.left += 1;
        if self.reasons.len() < Self::REASONS_MAX {
            self.reasons.push(why);
        }
    }

    /// Reasons that are told one by one.
    pub const REASONS_MAX: usize = 100;
}

/// Whom an invitation by a board reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// The person's name, as far as it is known here, or the beginning of their id.
    pub person: String,
    /// Ids of the devices that were admitted, hexadecimal.
    pub devices: Vec<String>,
    /// How many of them by a key package of last resort, since no other was left.
    pub last_resort: usize,
    /// Devices that were not, with the reason.
    pub skipped: Vec<String>,
}

/// What this device offers on a board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupplyStatus {
    /// The board's name, hexadecimal.
    pub board: String,
    /// Whether it is for post-quantum spaces, too.
    pub post_quantum: bool,
    /// Single-use key packages that stand there, of all suites together.
    pub single_use: usize,
    /// Those that somebody used.
    pub used: usize,
    /// Those of last resort that stand there.
    pub last_resort: usize,
    /// When the newest expire, in milliseconds since 1970; 0 where there are none.
    pub expires_ms: u64,
}

/// An invitation that waits for [`Request::Join`](super::Request::Join).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingInvitation {
    /// The space's id, hexadecimal.
    pub space: String,
    /// What the inviter calls it.
    pub name: String,
    /// The inviter's name.
    pub by: String,
    /// The inviter's user id, hexadecimal.
    pub user: String,
}
