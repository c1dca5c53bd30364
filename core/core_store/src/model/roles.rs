use serde::{Deserialize, Serialize};
use std::fmt;

/// A member's rank, 0 to 100: whoever has more may do more, and only to those who have less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rank(u8);

/// What a rank may permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Right {
    /// Post, edit one's own, react.
    Send,
    /// Pin and unpin.
    Pin,
    /// Admit members of lower rank.
    Invite,
    /// Remove members of lower rank and change ranks below one's own.
    Govern,
    /// Create, name, describe and order channels and categories.
    Arrange,
    /// Rename the space.
    RenameSpace,
    /// Delete what others wrote, give it another heading.
    Moderate,
}

impl Right {
    /// What a removal or demotion takes back from a chain's pin on; the rest is the control log's own to judge.
    pub(crate) const IN_CHANNELS: [Self; 3] = [Self::Send, Self::Pin, Self::Moderate];
    /// Those of them that somebody may lose who goes on writing.
    pub(crate) const BEYOND_WRITING: [Self; 2] = [Self::Pin, Self::Moderate];
}

impl Rank {
    /// Reads only.
    pub const GUEST: Self = Self(0);
    /// Writes.
    pub const MEMBER: Self = Self(10);
    /// Invites, removes, pins, deletes what others wrote, creates and arranges channels.
    pub const MODERATOR: Self = Self(50);
    /// Governs moderators, renames the space.
    pub const ADMIN: Self = Self(80);
    /// Governs everyone below.
    pub const OWNER: Self = Self(100);

    /// The rank with this number, if it is at most 100.
    pub fn new(rank: u8) -> Option<Self> {
        (rank <= 100).then_some(Self(rank))
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }

    /// Whether this rank permits `right`.
    pub fn permits(self, right: Right) -> bool {
        self >= match right {
            Right::Send => Self(1),
            Right::Pin => Self(30),
            Right::Invite | Right::Govern | Right::Arrange | Right::Moderate => Self::MODERATOR,
            Right::RenameSpace => Self::ADMIN,
        }
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
