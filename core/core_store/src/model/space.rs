mod columns;

use super::outline::category_id;
use super::{
    Category, Channel, ChannelKind, ControlOp, History, Named, Outline, Pin, Rank, Revocation, Right,
};
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

/// A space's control state: who is a member with which rank, which channels there are, and how far the chains of
/// removed members count.
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
    /// Last number that counts, per channel and device, for whoever lost this right.
    cuts: BTreeMap<(Right, ChannelId, DeviceId), u64>,
    /// Devices that their users took back, whether they were admitted here or not. In the state's root only where there are
    /// any, so that it stays as it was without.
    #[serde(skip)]
    revoked: OrdMap<(UserId, DeviceId), Arc<Revoked>>,
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

    /// Whether the owner of `device` is a present member with this right.
    pub fn permits(&self, device: &DeviceId, right: Right) -> bool {
        self.rank_of(device).is_some_and(|rank| rank.permits(right))
    }

    /// Devices of present members, ascending: who belongs into the MLS group.
    pub fn present_devices(&self) -> impl Iterator<Item = &DeviceId> {
        let present = |(device, user): &(&DeviceId, &UserId)| {
            !self.members[*user].removed && self.revoked(user, device).is_none()
        };
        self.devices.iter().filter(present).map(|(device, _)| device)
    }

    /// The last number of the device's chain in `channel` up to which what takes this right counts; `None` when nothing is
    /// cut off.
    pub fn cut(&self, channel: &ChannelId, device: &DeviceId, right: Right) -> Option<u64> {
        // Whoever no admission that counts names was admitted for a while only.
        let Some(user) = self.devices.get(device) else { return Some(0) };
        let member = self.members.get(user)?;
        let lost = member.removed || !member.rank.permits(right);
        let by_rank = lost.then(|| self.cuts.get(&(right, *channel, *device)).copied().unwrap_or(0));
        let revoked = self.revoked(user, device);
        let by_user = revoked.map(|revoked| revoked.cuts.get(channel).copied().unwrap_or(0));
        by_rank.into_iter().chain(by_user).min()
    }

    /// Hash of the whole control state: what members of one MLS epoch agree on.
    pub fn root(&self) -> [u8; 32] {
        let mut bytes = postcard::to_allocvec(self).expect("plain values encode into a growing buffer");
        if !self.revoked.is_empty() {
            bytes.extend(
                postcard::to_allocvec(&self.revoked).expect("plain values encode into a growing buffer"),
            );
        }
        blake3::derive_key("terachat 2026-11 control root", &bytes)
    }

    /// Why `author` may not do `op` in this state, or `None` when it may.
    pub fn forbidden(&self, author: &DeviceId, op: &ControlOp) -> Option<&'static str> {
        if let ControlOp::Genesis { owner, .. } = op {
            let founds = self.members.is_empty() && owner.device == *author;
            return (!founds).then_some("a space is founded once, by its owner's own device");
        }
        let Some((actor, member)) = self.member_of(author) else { return Some("the author is not a member") };
        let rank = member.rank;
        match op {
            ControlOp::Genesis { .. } => unreachable!("answered above"),
            ControlOp::Admit { card, rank: granted, .. } => match self.members.get(&card.user) {
                Some(target) if target.removed => {
                    Some("a removed user cannot come back under the same identity")
                }
                _ if self.revoked(&card.user, &card.device).is_some() => {
                    Some("its user revoked the device; a new one takes a key of its own")
                }
                _ if self.devices.contains_key(&card.device) => {
                    Some("the device is already known in this space")
                }
                Some(target) => (card.user != *actor
                    && (!rank.permits(Right::Invite) || rank <= target.rank))
                    .then_some("a member's further device is admitted by that member or a higher rank"),
                None => (!rank.permits(Right::Invite) || rank <= *granted)
                    .then_some("admitting takes rank 50, and more than the rank that is granted"),
            },
            ControlOp::Remove { user, .. } => match self.members.get(user) {
                Some(target) if !target.removed => (user != actor
                    && (!rank.permits(Right::Govern) || rank <= target.rank))
                    .then_some("removing takes rank 50, and more than the target's"),
                _ => Some("no such member"),
            },
            ControlOp::RevokeDevice { revocation, .. } => {
                let own = revocation.user == *actor;
                let known = self.revoked(&revocation.user, &revocation.device);
                match self.members.get(&revocation.user) {
                    Some(target) if !target.removed => {
                        // Whoever carried it chose the pins; the user's own devices know better, once.
                        let again = known.is_some_and(|known| known.by_user || !own);
                        let carries = own || rank.permits(Right::Govern);
                        let refused =
                            (!carries).then_some("carrying another user's revocation takes rank 50");
                        refused.or(again.then_some("the device was revoked already"))
                    }
                    _ => Some("no such member"),
                }
            }
            ControlOp::SetRank { user, rank: granted, .. } => match self.members.get(user) {
                Some(target) if !target.removed => {
                    let steps_down = user == actor && *granted < rank;
                    let governs = rank.permits(Right::Govern) && rank > target.rank && rank > *granted;
                    // An owner may name another owner: a space must be able to outlive its founder.
                    let crowns = rank == Rank::OWNER && target.rank < Rank::OWNER;
                    (!steps_down && !governs && !crowns).then_some(
                        "setting a rank takes rank 50, and more than the target's old and new rank",
                    )
                }
                _ => Some("no such member"),
            },
            ControlOp::SetName { of: Named::Space, .. } => {
                (!rank.permits(Right::RenameSpace)).then_some("renaming a space takes rank 80")
            }
            ControlOp::CreateChannel { .. }
            | ControlOp::CreateForum { .. }
            | ControlOp::CreateSinceJoin { .. }
            | ControlOp::CreateCategory { .. }
            | ControlOp::SetName { .. }
            | ControlOp::SetTopic { .. }
            | ControlOp::Place { .. } => {
                let refused = (!rank.permits(Right::Arrange)).then_some("arranging channels takes rank 50");
                refused.or_else(|| self.lacks(op))
            }
            // Whether its MLS content fits the members is checked where the group is known.
            ControlOp::Commit(_) => None,
        }
    }

    /// Applies the `at`-th operation of an event. Operations that make no sense in this state do nothing: among
    /// concurrent events that can happen to honest ones.
    pub(crate) fn apply(&mut self, stamp: &Stamp, hash: &EventHash, at: usize, op: &ControlOp) {
        match op {
            ControlOp::Genesis { name, owner, .. } => {
                self.name.clone_from(name);
                self.admit(stamp, owner, Rank::OWNER);
            }
            ControlOp::Admit { card, rank, .. } => self.admit(stamp, card, *rank),
            ControlOp::Remove { user, pins } => {
                if let Some(member) = self.members.get_mut(user) {
                    Arc::make_mut(member).removed = true;
                    Right::IN_CHANNELS.into_iter().for_each(|right| self.cut_off(user, pins, right));
                }
            }
            ControlOp::SetRank { user, rank, pins } => {
                if let Some(member) = self.members.get_mut(user).filter(|member| !member.removed) {
                    let before = std::mem::replace(&mut Arc::make_mut(member).rank, *rank);
                    for right in Right::IN_CHANNELS {
                        match (before.permits(right), rank.permits(right)) {
                            (_, false) => self.cut_off(user, pins, right),
                            (false, true) => self.restore(user, right),
                            (true, true) => {}
                        }
                    }
                }
            }
            ControlOp::RevokeDevice { revocation, pins } => self.revoke(&stamp.author, revocation, pins),
            ControlOp::CreateChannel { name } => {
                self.create(stamp, hash, at, name, (ChannelKind::Chat, History::Shared));
            }
            ControlOp::CreateForum { name } => {
                self.create(stamp, hash, at, name, (ChannelKind::Forum, History::Shared));
            }
            ControlOp::CreateSinceJoin { name, forum } => {
                let kind = if *forum { ChannelKind::Forum } else { ChannelKind::Chat };
                self.create(stamp, hash, at, name, (kind, History::SinceJoin));
            }
            ControlOp::CreateCategory { name } => {
                let category = Category { name: name.clone(), since: *stamp };
                self.outline.categories.insert(category_id(hash, at), category);
            }
            ControlOp::SetName { of, name } => {
                let old = match of {
                    Named::Space => Some(&mut self.name),
                    Named::Category(id) => self.outline.categories.get_mut(id).map(|found| &mut found.name),
                    Named::Channel(id) => self.channels.get_mut(id).map(|found| &mut found.name),
                };
                old.into_iter().for_each(|old| old.clone_from(name));
            }
            ControlOp::SetTopic { channel, topic } => {
                self.channels.get_mut(channel).into_iter().for_each(|found| found.topic.clone_from(topic));
            }
            ControlOp::Place { channel, category, after } => {
                if let Some(found) = self.channels.get_mut(channel) {
                    found.category = category.filter(|id| self.outline.categories.contains_key(id));
                    self.outline.place(*channel, after.as_ref());
                }
            }
            ControlOp::Commit(_) => {}
        }
    }

    /// What is not there that the operation is about, if so.
    fn lacks(&self, op: &ControlOp) -> Option<&'static str> {
        let (channel, category) = match op {
            ControlOp::SetName { of: Named::Channel(channel), .. } | ControlOp::SetTopic { channel, .. } => {
                (Some(channel), None)
            }
            ControlOp::SetName { of: Named::Category(category), .. } => (None, Some(category)),
            ControlOp::Place { channel, category, .. } => (Some(channel), category.as_ref()),
            _ => (None, None),
        };
        let no_channel = channel.is_some_and(|id| !self.channels.contains_key(id));
        let no_category = category.is_some_and(|id| !self.outline.categories.contains_key(id));
        match (no_channel, no_category) {
            (true, _) => Some("no such channel"),
            (_, true) => Some("no such category"),
            _ => None,
        }
    }

    fn create(
        &mut self,
        stamp: &Stamp,
        hash: &EventHash,
        at: usize,
        name: &str,
        (kind, history): (ChannelKind, History),
    ) {
        let id = channel_id(hash, at);
        let fresh = Channel {
            name: name.to_owned(),
            since: *stamp,
            kind,
            history,
            topic: String::new(),
            category: None,
        };
        self.channels.insert(id, fresh);
        self.outline.append(id);
    }

    fn admit(&mut self, stamp: &Stamp, card: &super::Card, rank: Rank) {
        let fresh = Member { name: card.name.clone(), rank, since: *stamp, removed: false };
        let member = self.members.entry(card.user).or_insert_with(|| Arc::new(fresh));
        if !member.removed {
            self.devices.entry(card.device).or_insert(card.user);
        }
    }

    fn revoke(&mut self, author: &DeviceId, revocation: &Revocation, pins: &[Pin]) {
        if !self.members.contains_key(&revocation.user) {
            return;
        }
        let own = pins.iter().filter(|pin| pin.device == revocation.device);
        let mut cuts: BTreeMap<ChannelId, u64> =
            own.filter_map(|pin| Some((pin.channel?, pin.seq))).collect();
        let by_user = self.devices.get(author) == Some(&revocation.user);
        let key = (revocation.user, revocation.device);
        if let Some(known) = self.revoked.get(&key) {
            if known.by_user && !by_user {
                return;
            }
            if known.by_user == by_user {
                // As of removals: the one that cuts earliest holds.
                for (channel, seq) in &known.cuts {
                    cuts.entry(*channel).and_modify(|cut| *cut = (*cut).min(*seq)).or_insert(*seq);
                }
            }
        }
        self.revoked.insert(key, Arc::new(Revoked { revocation: revocation.clone(), by_user, cuts }));
    }

    /// Forgets where a user's chains were cut who has the right again: what is lost next is cut where it stands then.
    fn restore(&mut self, user: &UserId, right: Right) {
        let devices = &self.devices;
        self.cuts.retain(|(lost, _, device), _| *lost != right || devices.get(device) != Some(user));
    }

    fn cut_off(&mut self, user: &UserId, pins: &[super::Pin], right: Right) {
        for pin in pins {
            if let (Some(channel), true) = (pin.channel, self.devices.get(&pin.device) == Some(user)) {
                // Of several removals the one that cuts earliest holds, in whatever order they come.
                let cut = self.cuts.entry((right, channel, pin.device)).or_insert(pin.seq);
                *cut = pin.seq.min(*cut);
            }
        }
    }
}

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
