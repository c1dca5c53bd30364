mod columns;

use super::outline::category_id;
use super::{
    Archive, Category, Channel, ChannelKind, ControlOp, Held, History, Named, Outline, Permission,
    Permissions, Pin, Rank, Refusal, Renewal, Revocation, Roles,
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

    /// Why `author` may not do `op` in this state, in words, or `None` when it may.
    pub fn forbidden(&self, author: &DeviceId, op: &ControlOp) -> Option<&'static str> {
        self.refusal(author, op).map(Refusal::text)
    }

    /// Why `author` may not do `op` in this state, or `None` when it may.
    pub fn refusal(&self, author: &DeviceId, op: &ControlOp) -> Option<Refusal> {
        self.check(author, op).err()
    }

    fn check(&self, author: &DeviceId, op: &ControlOp) -> Result<(), Refusal> {
        if let ControlOp::Genesis { owner, .. } = op {
            let founds = self.members.is_empty() && owner.device == *author;
            return sensible(founds, "a space is founded once, by its owner's own device");
        }
        let (actor, member) = self.member_of(author).ok_or(Refusal::NoMember)?;
        let rank = member.rank;
        let own = self.roles.of(rank);
        let takes = |permission| own.has(permission).then_some(()).ok_or(Refusal::Lacks(permission));
        let above = |other: Rank| (rank > other).then_some(()).ok_or(Refusal::Outranked);
        let holds = |given: Permissions| match given.without(own) {
            Permissions::NONE => Ok(()),
            lacking => Err(Refusal::Exceeds(lacking.known().next())),
        };
        let present = |user: &UserId| match self.members.get(user) {
            Some(target) if !target.removed => Ok(target.rank),
            _ => Err(Refusal::Senseless("no such member")),
        };
        match op {
            ControlOp::Genesis { .. } => unreachable!("answered above"),
            ControlOp::Admit { card, rank: granted, .. } => {
                let target = self.members.get(&card.user);
                sensible(
                    !target.is_some_and(|target| target.removed),
                    "a removed user cannot come back under the same identity",
                )?;
                sensible(
                    self.revoked(&card.user, &card.device).is_none(),
                    "its user revoked the device; a new one takes a key of its own",
                )?;
                sensible(
                    !self.devices.contains_key(&card.device),
                    "the device is already known in this space",
                )?;
                match target {
                    Some(_) if card.user == *actor => Ok(()),
                    // A further device has its user's role.
                    Some(target) => takes(Permission::Invite).and(above(target.rank)),
                    None => {
                        takes(Permission::Invite).and(above(*granted)).and(holds(self.roles.of(*granted)))
                    }
                }
            }
            ControlOp::Remove { user, .. } => {
                let target = present(user)?;
                let archives =
                    self.archive.devices().any(|(device, _)| self.devices.get(device) == Some(user));
                if user != actor {
                    takes(Permission::Remove).and(above(target))?;
                }
                if archives { Err(Refusal::TakesArchive) } else { Ok(()) }
            }
            ControlOp::RevokeDevice { revocation, .. } => {
                present(&revocation.user)?;
                let own = revocation.user == *actor;
                let known = self.revoked(&revocation.user, &revocation.device);
                // Whoever carried it chose the pins; the user's own devices know better, once.
                let again = known.is_some_and(|known| known.by_user || !own);
                if !own {
                    takes(Permission::Remove)?;
                }
                sensible(!again, "the device was revoked already")
            }
            ControlOp::SetRank { user, rank: granted, .. } => {
                let target = present(user)?;
                // An owner may name another owner: a space must be able to outlive its founder.
                let crowns = rank == Rank::OWNER && target < Rank::OWNER;
                let steps_down = user == actor && *granted < rank;
                if !(crowns || steps_down) {
                    takes(Permission::ManageRoles)?;
                    above(target.max(*granted))?;
                }
                // A lower role may have permissions that a higher one lacks.
                holds(self.roles.of(*granted))
            }
            ControlOp::ChangeRole { rank: role, give, .. } => {
                takes(Permission::ManageRoles).and(above(*role)).and(holds(*give))
            }
            ControlOp::SetName { of: Named::Space, .. } => takes(Permission::RenameSpace),
            ControlOp::CreateChannel { .. }
            | ControlOp::CreateForum { .. }
            | ControlOp::CreateSinceJoin { .. }
            | ControlOp::CreateCategory { .. }
            | ControlOp::SetName { .. }
            | ControlOp::SetTopic { .. }
            | ControlOp::Place { .. } => {
                takes(Permission::ManageChannels)?;
                self.lacks(op).map_or(Ok(()), |why| Err(Refusal::Senseless(why)))
            }
            ControlOp::RequireArchive { device, required } => {
                takes(Permission::ManageArchive)?;
                let target = self.devices.get(device).and_then(|user| self.members.get(user));
                // Whoever was removed beside the requirement needs no rank to end it.
                above(target.map_or(Rank::GUEST, |target| target.rank))?;
                let archive = &self.archive;
                if *required {
                    let present = self.member_of(device).is_some();
                    sensible(present, "no such device in the space; admit it first, with rank 0")?;
                    let writes = self.permits(device, Permission::Post);
                    sensible(
                        !writes,
                        "an archive only reads; give its user a role without the permission post",
                    )?;
                    sensible(!archive.requires(device), "the device is required already")
                } else {
                    sensible(archive.requires(device), "the device is not required")?;
                    let holds = archive.ends_without(device) && archive.holds().next().is_some();
                    sensible(
                        !holds,
                        "a legal hold stands, and no other archive would keep it; end the hold first",
                    )
                }
            }
            ControlOp::Hold { on, stands } => {
                takes(Permission::ManageArchive)?;
                let known = match on {
                    Held::Channel(channel) => self.channels.contains_key(channel),
                    Held::Member(user) => self.members.contains_key(user),
                };
                sensible(known, "no such channel or member")?;
                if *stands {
                    let archived = self.archive.devices().next().is_some();
                    sensible(archived, "the space has no archive that could keep it; require one first")?;
                }
                sensible(
                    self.archive.holds.contains_key(on) != *stands,
                    "the hold stands, or has ended, already",
                )
            }
            ControlOp::WantSuite { suite } => {
                takes(Permission::ManageSuite)?;
                let wanted = self.suite_wish.is_some_and(|wish| wish.suite == *suite);
                sensible(!wanted, "the space was asked to move to that suite already")
            }
            ControlOp::OfferKeyPackage { wish, .. } => {
                let wanted = self.suite_wish.is_some_and(|wanted| wanted.event == *wish);
                sensible(wanted, "nobody asks for key packages by that event, or no longer")
            }
            ControlOp::ReInit(reinit) => {
                takes(Permission::ManageSuite)?;
                let wanted = self.suite_wish.is_some_and(|wish| wish.suite == reinit.suite);
                sensible(wanted, "nobody asked for the space to move to that suite")
            }
            ControlOp::SetRenewal(renewal) => {
                takes(Permission::ManageSuite)?;
                sensible(self.renewal() != *renewal, "the space's keys are renewed like that already")
            }
            // Whether its MLS content fits the members is checked where the group is known.
            ControlOp::Commit(_) => Ok(()),
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
                    Permission::IN_CHANNELS.into_iter().for_each(|lost| self.cut_off(user, pins, lost));
                }
            }
            ControlOp::SetRank { user, rank, pins } => {
                if let Some(member) = self.members.get_mut(user).filter(|member| !member.removed) {
                    let before = std::mem::replace(&mut Arc::make_mut(member).rank, *rank);
                    let (before, after) = (self.roles.of(before), self.roles.of(*rank));
                    for permission in Permission::IN_CHANNELS {
                        match (before.has(permission), after.has(permission)) {
                            (_, false) => self.cut_off(user, pins, permission),
                            (false, true) => self.restore(user, permission),
                            (true, true) => {}
                        }
                    }
                    self.enter(user, pins);
                }
            }
            ControlOp::ChangeRole { rank, give, take, pins } => self.change_role(*rank, *give, *take, pins),
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
            ControlOp::RequireArchive { device, required } => {
                set(&mut self.archive.devices, *device, *stamp, *required);
            }
            ControlOp::Hold { on, stands } => set(&mut self.archive.holds, *on, *stamp, *stands),
            ControlOp::WantSuite { suite } => {
                self.suite_wish = Some(SuiteWish { suite: *suite, event: *hash, since: *stamp });
            }
            ControlOp::SetRenewal(renewal) => self.renewal = Some(*renewal),
            ControlOp::Commit(_) | ControlOp::OfferKeyPackage { .. } | ControlOp::ReInit(_) => {}
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

    fn change_role(&mut self, rank: Rank, give: Permissions, take: Permissions, pins: &[Pin]) {
        let before = self.roles.of(rank);
        self.roles.change(rank, give, take);
        let after = self.roles.of(rank);
        let (devices, members) = (&self.devices, &self.members);
        let has_role = |device: &DeviceId| {
            let member = devices.get(device).and_then(|user| members.get(user));
            member.is_some_and(|member| !member.removed && member.rank == rank)
        };
        for permission in Permission::IN_CHANNELS {
            match (before.has(permission), after.has(permission)) {
                // Also what it lacked before: of several who take it at once the one that cuts earliest holds.
                (_, false) if take.has(permission) => {
                    for (channel, pin) in pins.iter().filter_map(|pin| Some((pin.channel?, pin))) {
                        if has_role(&pin.device) {
                            pin_down(&mut self.cuts, (permission, channel, pin.device), pin.seq);
                        }
                    }
                }
                (false, true) => {
                    self.cuts.retain(|(lost, _, device), _| *lost != permission || !has_role(device));
                }
                _ => {}
            }
        }
    }

    /// Notes how far a user's chains had come when it was given the role it has.
    fn enter(&mut self, user: &UserId, pins: &[Pin]) {
        let own = pins.iter().filter(|pin| self.devices.get(&pin.device) == Some(user));
        self.entered.extend(own.filter_map(|pin| Some(((pin.device, pin.channel?), pin.seq))));
    }

    /// Forgets where a user's chains were cut who has the permission again: what is lost next is cut where it stands then.
    fn restore(&mut self, user: &UserId, permission: Permission) {
        let devices = &self.devices;
        self.cuts.retain(|(lost, _, device), _| *lost != permission || devices.get(device) != Some(user));
    }

    fn cut_off(&mut self, user: &UserId, pins: &[Pin], permission: Permission) {
        for pin in pins {
            if let (Some(channel), true) = (pin.channel, self.devices.get(&pin.device) == Some(user)) {
                pin_down(&mut self.cuts, (permission, channel, pin.device), pin.seq);
            }
        }
    }
}

type Cuts = BTreeMap<(Permission, ChannelId, DeviceId), u64>;

fn set<K: Ord>(all: &mut BTreeMap<K, Stamp>, one: K, since: Stamp, stands: bool) {
    if stands {
        all.entry(one).or_insert(since);
    } else {
        all.remove(&one);
    }
}

/// Of several removals the one that cuts earliest holds, in whatever order they come.
fn pin_down(cuts: &mut Cuts, at: (Permission, ChannelId, DeviceId), seq: u64) {
    let cut = cuts.entry(at).or_insert(seq);
    *cut = seq.min(*cut);
}

fn sensible(sense: bool, why: &'static str) -> Result<(), Refusal> {
    sense.then_some(()).ok_or(Refusal::Senseless(why))
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
