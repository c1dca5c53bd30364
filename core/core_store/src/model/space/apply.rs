//! What an operation that counts does to the state.
use super::{Cuts, Member, Revoked, SpaceState, SuiteWish, channel_id};
use crate::crdt::Stamp;
use crate::model::outline::category_id;
use crate::model::{
    Card, Category, Channel, ChannelKind, ControlOp, History, Named, Permission, Permissions, Pin, Rank,
    Revocation,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use terachat_event::{ChannelId, DeviceId, EventHash, UserId};

impl SpaceState {
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

    fn admit(&mut self, stamp: &Stamp, card: &Card, rank: Rank) {
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
