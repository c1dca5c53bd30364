use super::Rank;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Something that a role may let its holders do. The numbers are part of the format (`docs/format/event.md`): a later version
/// adds some at the end, which no role has of itself but the owner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Permission {
    /// Write in channels: post, edit one's own, react. Whatever else is done there takes this too.
    Post = 0,
    /// Pin and unpin.
    Pin = 1,
    /// Admit members of lower rank.
    Invite = 2,
    /// Remove members of lower rank; carry other users' revocations into the space.
    Remove = 3,
    /// Create, name, describe and order channels and categories.
    ManageChannels = 4,
    /// Rename the space.
    RenameSpace = 5,
    /// Delete what others wrote, give it another heading.
    Moderate = 6,
    /// Give members of lower rank other roles of lower rank, and change what such roles permit.
    ManageRoles = 7,
    /// Say which devices a space requires as its archive, and what is under a legal hold. The owner's alone until it is given.
    ManageArchive = 8,
    /// Move the space's group to another ciphersuite, and say when its keys are renewed. The owner's alone until it is given.
    ManageSuite = 9,
}

impl Permission {
    /// All that this version knows, by their numbers.
    pub const ALL: [Self; 10] = [
        Self::Post,
        Self::Pin,
        Self::Invite,
        Self::Remove,
        Self::ManageChannels,
        Self::RenameSpace,
        Self::Moderate,
        Self::ManageRoles,
        Self::ManageArchive,
        Self::ManageSuite,
    ];
    /// What is lost from a chain's pin on in channels; the rest is the control log's own to judge.
    pub(crate) const IN_CHANNELS: [Self; 3] = [Self::Post, Self::Pin, Self::Moderate];
    /// Those of them that somebody may lose who goes on writing.
    pub(crate) const BEYOND_WRITING: [Self; 2] = [Self::Pin, Self::Moderate];

    /// The name by which people and programs give and take it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Pin => "pin",
            Self::Invite => "invite",
            Self::Remove => "remove",
            Self::ManageChannels => "manage-channels",
            Self::RenameSpace => "rename-space",
            Self::Moderate => "moderate",
            Self::ManageRoles => "manage-roles",
            Self::ManageArchive => "manage-archive",
            Self::ManageSuite => "manage-suite",
        }
    }

    /// The permission of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.name() == name)
    }

    /// The lowest rank whose role has it of itself.
    pub fn least_rank(self) -> Rank {
        let rank = match self {
            Self::Post => Rank::new(1),
            Self::Pin => Rank::new(30),
            Self::Invite | Self::Remove | Self::ManageChannels | Self::Moderate | Self::ManageRoles => {
                Some(Rank::MODERATOR)
            }
            Self::RenameSpace => Some(Rank::ADMIN),
            // They are newer than spaces whose roles permit what they permitted before.
            Self::ManageArchive | Self::ManageSuite => Some(Rank::OWNER),
        };
        rank.unwrap_or(Rank::OWNER)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of permissions: bit n for the permission of number n. Those that this version does not know are kept and compared like
/// all others, and grant nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Permissions(u64);

impl Permissions {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// All there are and ever will be: an owner's.
    pub const ALL: Self = Self(u64::MAX);

    /// What is lost from a chain's pin on in channels: whoever takes one of these says where the chains stand.
    pub const IN_CHANNELS: Self = Self(1 | 1 << Permission::Pin as u8 | 1 << Permission::Moderate as u8);

    /// The set with these bits.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// What a role of this rank has of itself.
    pub fn by_rank(rank: Rank) -> Self {
        match rank {
            Rank::OWNER => Self::ALL,
            _ => Permission::ALL.into_iter().filter(|permission| rank >= permission.least_rank()).collect(),
        }
    }

    /// Whether the set has this one.
    pub fn has(self, permission: Permission) -> bool {
        self.holds(permission.into())
    }

    /// Whether the set has all of these.
    pub fn holds(self, others: Self) -> bool {
        others.without(self).is_none()
    }

    /// Whether the set is empty.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// Whether the sets have one in common.
    pub fn meets(self, others: Self) -> bool {
        !self.and(others).is_none()
    }

    /// This set and these.
    #[must_use]
    pub fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// What is in both.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// This set without these.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Those of the set that this version knows, by number.
    pub fn known(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.has(*permission))
    }

    /// The numbers of those that this version does not know.
    pub fn unknown(self) -> impl Iterator<Item = u32> {
        let known: Self = Permission::ALL.into_iter().collect();
        let rest = self.without(known).0;
        (0..u64::BITS).filter(move |number| rest >> number & 1 == 1)
    }
}

impl From<Permission> for Permissions {
    fn from(permission: Permission) -> Self {
        Self(1 << permission as u8)
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(all: I) -> Self {
        all.into_iter().fold(Self::NONE, |set, permission| set.with(permission.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers stand in logs and the default sets give old logs their meaning: neither may ever change.
    #[test]
    fn numbers_and_what_a_rank_has_of_itself_stay() {
        let by_rank = |rank| Permissions::by_rank(Rank::new(rank).unwrap()).bits();
        let found = [0, 1, 29, 30, 49, 50, 79, 80, 99].map(by_rank);
        assert_eq!(found, [0, 1, 1, 3, 3, 0xDF, 0xDF, 0xFF, 0xFF]);
        assert_eq!(by_rank(100), u64::MAX);
        for (number, permission) in Permission::ALL.into_iter().enumerate() {
            assert_eq!(permission as usize, number);
            assert_eq!(postcard::to_allocvec(&permission).unwrap(), [number as u8]);
            assert_eq!(Permission::from_name(permission.name()), Some(permission));
        }
        assert_eq!(Permission::from_name("Post"), None);
        assert_eq!(Permission::IN_CHANNELS.into_iter().collect::<Permissions>(), Permissions::IN_CHANNELS);
    }

    #[test]
    fn what_is_unknown_is_kept_and_grants_nothing() {
        let newer = Permissions::from_bits(1 << 63 | 1);
        assert_eq!(postcard::from_bytes::<Permissions>(&postcard::to_allocvec(&newer).unwrap()), Ok(newer));
        assert_eq!(newer.known().collect::<Vec<_>>(), [Permission::Post]);
        assert_eq!(newer.unknown().collect::<Vec<_>>(), [63]);
        let known: Permissions = Permission::ALL.into_iter().collect();
        assert!(!known.holds(newer) && Permissions::ALL.holds(newer) && newer.meets(known));
        assert_eq!(newer.without(known), Permissions::from_bits(1 << 63));
    }
}
