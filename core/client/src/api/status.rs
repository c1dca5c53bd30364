//! What a device knows.
use serde::{Deserialize, Serialize};

/// What this device knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// This device's id, hexadecimal.
    pub device: String,
    /// Spaces by name.
    pub spaces: Vec<SpaceStatus>,
    /// Bytes on disk.
    pub disk_len: u64,
}

/// One space of a [`Status`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceStatus {
    /// Id, hexadecimal.
    pub id: String,
    /// Name.
    pub name: String,
    /// MLS epoch this device is in, if it is a member.
    pub epoch: Option<u64>,
    /// Whether its keys are agreed on by X-Wing, if this device is a member.
    pub post_quantum: Option<bool>,
    /// The suite that somebody asked to move the group to, while it is not there.
    pub moving: Option<MoveStatus>,
    /// When its keys are renewed by themselves.
    pub renewal: RenewalStatus,
    /// This user's rank; absent after removal.
    pub rank: Option<u8>,
    /// Hash over the state of members, roles and the channels that this device keeps: equal on all devices that keep the same
    /// channels and have the same events.
    pub state_hash: String,
    /// Names of the categories, the oldest first.
    pub categories: Vec<String>,
    /// Channels: those without a category, then category by category, in the order people gave them.
    pub channels: Vec<ChannelStatus>,
    /// Members by name.
    pub members: Vec<MemberStatus>,
    /// Devices that the space requires as its archive: they read along in every channel.
    pub archives: Vec<ArchiveStatus>,
    /// Legal holds that stand: what they are on is erased from archives only after they have ended.
    pub holds: Vec<HoldStatus>,
    /// What members should know about the archive: one that is not there, and who tried to remove one, in words.
    pub warnings: Vec<String>,
    /// Events that wait, with the reason.
    pub waiting: Vec<String>,
}

/// When a space's keys are renewed by themselves: by whoever writes once one of both has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalStatus {
    /// How old a device's keys get, in days, as the space says.
    pub days: u16,
    /// How many messages an epoch gets.
    pub messages: u32,
    /// How old they get with as many devices as there are, in days: at most 64 renewals a day are made.
    pub days_here: u64,
}

/// A wish to move a space's group to another ciphersuite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveStatus {
    /// The suite's name, or its number if this version does not know it.
    pub suite: String,
    /// Who asked for it, by name.
    pub by: String,
    /// Whose devices have not offered keys for it yet, by name; as far as this device is in the group and can tell.
    pub waits_for: Vec<String>,
}

/// One device of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceStatus {
    /// Id, hexadecimal.
    pub device: String,
    /// Whether it is the one that is asked.
    pub this: bool,
    /// Whether its user took it back.
    pub revoked: bool,
    /// Names of the spaces here in which it is a member's.
    pub spaces: Vec<String>,
}

/// One channel of a [`SpaceStatus`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelStatus {
    /// Id, hexadecimal.
    pub id: String,
    /// Name.
    pub name: String,
    /// Whether it is for posts with titles.
    pub forum: bool,
    /// Whether members read what was written since they joined, instead of everything.
    pub since_join: bool,
    /// What it is about; empty when nobody said.
    pub topic: String,
    /// Name of the category it stands in.
    pub category: Option<String>,
    /// Whether this device keeps it.
    pub kept: bool,
    /// Whether this device reads its newest messages, and leaves its past with others.
    #[serde(default)]
    pub newest: bool,
    /// Events in its log that are here.
    pub events: usize,
    /// Messages that count.
    pub messages: usize,
    /// Messages of others that this user has not read, counted up to 1,000.
    pub unread: usize,
    /// Those of them that mention this user or everyone.
    pub mentions: usize,
    /// Hash over the channel's state.
    pub state_hash: String,
}

/// One member of a [`SpaceStatus`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// User id, hexadecimal.
    pub user: String,
    /// Name.
    pub name: String,
    /// Rank 0 to 100.
    pub rank: u8,
    /// Devices, hexadecimal.
    pub devices: Vec<String>,
}

/// A device that a space requires as its archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveStatus {
    /// Device id, hexadecimal.
    pub device: String,
    /// Id of the user whose it is, hexadecimal.
    pub user: String,
    /// That user's name.
    pub name: String,
    /// Whether it reads along: it is a member's device and, as far as this device can tell, in the group.
    pub reads: bool,
    /// Name of whoever required it.
    pub by: String,
}

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldStatus {
    /// What is held, a channel or a member: `channel` or `member`.
    pub what: String,
    /// Its id, hexadecimal.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Name of whoever put the hold on it.
    pub by: String,
}

/// One role of a space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleStatus {
    /// The rank that names it, 0 to 100.
    pub rank: u8,
    /// Names of what it permits; of an owner's role all there are.
    pub permissions: Vec<String>,
    /// Numbers of permissions it has that this version does not know.
    pub unknown: Vec<u32>,
    /// Whether somebody changed what it permits, be it back.
    pub changed: bool,
    /// Names of those who have it.
    pub members: Vec<String>,
}
