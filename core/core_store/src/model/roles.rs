use super::Permissions;
use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A member's rank, 0 to 100, which names its role too: whoever has more may act upon those who have less, and change their
/// roles. What else somebody may do, the role's permissions say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rank(u8);

impl Rank {
    /// Reads only.
    pub const GUEST: Self = Self(0);
    /// Writes.
    pub const MEMBER: Self = Self(10);
    /// Invites, removes, pins, deletes what others wrote, creates and arranges channels.
    pub const MODERATOR: Self = Self(50);
    /// Governs moderators, renames the space.
    pub const ADMIN: Self = Self(80);
    /// May everything, whatever becomes of other roles.
    pub const OWNER: Self = Self(100);

    /// The rank with this number, if it is at most 100.
    pub fn new(rank: u8) -> Option<Self> {
        (rank <= 100).then_some(Self(rank))
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A space's roles: one for each rank, with the permissions that its rank has of itself until somebody changes them. Two
/// share what they have in common, so a copy is cheap.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Roles {
    changed: OrdMap<Rank, Permissions>,
}

impl Roles {
    /// Roles of which these were changed.
    pub(crate) fn new(changed: impl IntoIterator<Item = (Rank, Permissions)>) -> Self {
        Self { changed: changed.into_iter().collect() }
    }

    /// What the holders of a role may do. Owners may everything.
    pub fn of(&self, rank: Rank) -> Permissions {
        match self.changed.get(&rank) {
            Some(permissions) if rank < Rank::OWNER => *permissions,
            _ => Permissions::by_rank(rank),
        }
    }

    /// Gives a role some permissions, then takes some.
    pub(crate) fn change(&mut self, rank: Rank, give: Permissions, take: Permissions) {
        self.changed.insert(rank, self.of(rank).with(give).without(take));
    }

    /// The roles that somebody changed, by rank, be it back to what they were.
    pub fn changed(&self) -> impl Iterator<Item = (Rank, Permissions)> {
        self.changed.iter().map(|(rank, permissions)| (*rank, *permissions))
    }

    /// Whether nobody changed any.
    pub fn is_plain(&self) -> bool {
        self.changed.is_empty()
    }
}
