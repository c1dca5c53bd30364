mod apply;
mod check;
mod columns;

use super::{Archive, Channel, Outline, Permission, Rank, Renewal, Revocation, Roles};
use crate::crdt::Stamp;
use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use terachat_event::{ChannelId, DeviceId, EventHash, EventRef, UserId};

/// A member, present or former.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The name on the card.
    pub name: String,
    /// The rank; without meaning once removed.
    pub rank: Rank,
    /// When the member was first admitted: the earlier, the more senior.
    pub since: Stamp,
    /// Whether the member was removed, which is for good.
    pub removed: bool,
}

/// A device that its user took back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// The user's word, to be carried into other spaces.
    pub revocation: Revocation,
    /// Whether a device of the same user brought it here. Until one does, the pins are those of whoever carried it.
    by_user: bool,
    /// Last number that counts, per channel; a chain without one counts up to nothing.
    cuts: BTreeMap<ChannelId, u64>,
}

/// The suite that a space's group is to be moved to, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuiteWish {
    /// The suite's number (RFC 9420, section 17.1).
    pub suite: u16,
    /// The event that asked for it.
    pub event: EventHash,
    /// Whose it is, and when.
    pub since: Stamp,
}

/// A space's control state: who is a member with which role, what roles permit, which channels there are, and how far the
/// chains of removed members count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceState {
    /// The space's name.
    pub name: String,
    /// Members, present and former.
    pub members: OrdMap<UserId, Arc<Member>>,
    /// Whose each device is.
    pub devices: OrdMap<DeviceId, UserId>,
    /// Channels.
    pub channels: BTreeMap<ChannelId, Channel>,
    /// Where they stand.
    pub outline: Outline,
    /// Last number that counts, per channel and device, for whoever lost this permission.
    cuts: Cuts,
    /// Devices that their users took back, whether they were admitted here or not. In the state's root only where there are
    /// any, so that it stays as it was without.
    #[serde(skip)]
    revoked: OrdMap<(UserId, DeviceId), Arc<Revoked>>,
    /// What roles permit. In the state's root only where somebody changed any, as what follows.
    #[serde(skip)]
    pub(crate) roles: Roles,
    /// How far a member's chains had come when it was given the role it has: they count so far for what the role lost meanwhile
    /// by somebody who did not know that the member has it.
    #[serde(skip)]
    entered: OrdMap<(DeviceId, ChannelId), u64>,
    /// Which devices are required as archives, and what they hold. In the state's root only where there is any, with all above.
    #[serde(skip)]
    archive: Archive,
    /// The suite that was last asked for. In the state's root only where there is one, with all above.
    #[serde(skip)]
    suite_wish: Option<SuiteWish>,
    /// When keys are renewed, if somebody said so. In the state's root only then.
    #[serde(skip)]
    renewal: Option<Renewal>,
}

impl SpaceState {
    /// The present member who owns `device`.
    pub fn member_of(&self, device: &DeviceId) -> Option<(&UserId, &Member)> {
        let user = self.devices.get(device)?;
        let member = self.members.get(user)?;
        (!member.removed && self.revoked(user, device).is_none()).then_some((user, &**member))
    }

    /// What is known of the device's revocation by this user.
    pub fn revoked(&self, user: &UserId, device: &DeviceId) -> Option<&Revoked> {
        self.revoked.get(&(*user, *device)).map(|revoked| &**revoked)
    }

    /// All revocations of devices that hold here.
    pub fn revocations(&self) -> impl Iterator<Item = &Revocation> {
        self.revoked.values().map(|revoked| &revoked.revocation)
    }

    /// The rank of the present member who owns `device`.
    pub fn rank_of(&self, device: &DeviceId) -> Option<Rank> {
        self.member_of(device).map(|(_, member)| member.rank)
    }

    /// What the roles of the space permit.
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// What the space requires of its archive.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The suite that was last asked for; none while the group is in the one it was made in and nobody asked for another.
    pub fn suite_wish(&self) -> Option<&SuiteWish> {
        self.suite_wish.as_ref()
    }

    /// When members renew the space's keys of themselves.
    pub fn renewal(&self) -> Renewal {
        self.renewal.unwrap_or_default()
    }

    /// Whether the owner of `device` is a present member whose role has this permission.
    pub fn permits(&self, device: &DeviceId, permission: Permission) -> bool {
        self.rank_of(device).is_some_and(|rank| self.roles.of(rank).has(permission))
    }

    /// Devices of present members, ascending: who belongs into the MLS group.
    pub fn present_devices(&self) -> impl Iterator<Item = &DeviceId> {
        let present = |(device, user): &(&DeviceId, &UserId)| {
            !self.members[*user].removed && self.revoked(user, device).is_none()
        };
        self.devices.iter().filter(present).map(|(device, _)| device)
    }

    /// The last number of the device's chain in `channel` up to which what takes this permission counts; `None` when nothing
    /// is cut off.
    pub fn cut(&self, channel: &ChannelId, device: &DeviceId, permission: Permission) -> Option<u64> {
        // Whoever no admission that counts names was admitted for a while only.
        let Some(user) = self.devices.get(device) else { return Some(0) };
        let member = self.members.get(user)?;
        let lost = member.removed || !self.roles.of(member.rank).has(permission);
        // Whoever took it from a role may not have known that this member has the role.
        let entered = || {
            let unknown = !member.removed && !self.roles.is_plain();
            unknown.then(|| self.entered.get(&(*device, *channel))).flatten().copied()
        };
        let pinned = || self.cuts.get(&(permission, *channel, *device)).copied().or_else(entered);
        let by_rank = lost.then(|| pinned().unwrap_or(0));
        let revoked = self.revoked(user, device);
        let by_user = revoked.map(|revoked| revoked.cuts.get(channel).copied().unwrap_or(0));
        by_rank.into_iter().chain(by_user).min()
    }

    /// Hash of the whole control state: what members of one MLS epoch agree on.
    pub fn root(&self) -> [u8; 32] {
        let mut bytes = postcard::to_allocvec(self).expect("plain values encode into a growing buffer");
        let wished = self.suite_wish.is_some();
        let archived = wished || !self.archive.is_none();
        let changed = archived || !self.roles.is_plain();
        if changed || !self.revoked.is_empty() {
            bytes.extend(
                postcard::to_allocvec(&self.revoked).expect("plain values encode into a growing buffer"),
            );
        }
        if changed {
            let roles = postcard::to_allocvec(&(&self.roles, &self.entered));
            bytes.extend(roles.expect("plain values encode into a growing buffer"));
        }
        if archived {
            bytes.extend(
                postcard::to_allocvec(&self.archive).expect("plain values encode into a growing buffer"),
            );
        }
        if let Some(wish) = &self.suite_wish {
            bytes.extend(postcard::to_allocvec(wish).expect("plain values encode into a growing buffer"));
        }
        let root = blake3::derive_key("terachat 2026-11 control root", &bytes);
        let Some(Renewal { days, messages }) = self.renewal else { return root };
        let set = [&root[..], &days.to_le_bytes(), &messages.to_le_bytes()].concat();
        blake3::derive_key("terachat 2026-11 control root with renewal", &set)
    }
}

type Cuts = BTreeMap<(Permission, ChannelId, DeviceId), u64>;

/// The id of the channel that operation `at` of the control event `hash` creates.
pub(crate) fn channel_id(hash: &EventHash, at: usize) -> ChannelId {
    ChannelId(derived_id("terachat 2026-11 channel id", hash, at))
}

/// The id of what operation `at` of the control event `hash` creates.
pub(super) fn derived_id(context: &str, hash: &EventHash, at: usize) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(&hash.0).update(&(at as u64).to_le_bytes());
    *hasher.finalize().as_bytes()
}

/// A message's author may be another device of the same user.
pub(crate) fn same_user(state: &SpaceState, a: &EventRef, b: &EventRef) -> bool {
    a.author == b.author
        || state.devices.get(&a.author).is_some_and(|user| state.devices.get(&b.author) == Some(user))
}
