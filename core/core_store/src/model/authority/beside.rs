//! An event beside others, added to what they add up to without settling them again.
//!
//! What an event that comes late can change is narrow: whether it counts itself is decided by the removals that concern its
//! author, and it decides about others only if it removes or demotes somebody who acts beside it, or admits a device that acts
//! already. All else leaves the others' verdicts as they were, and then the state too, but for what the event itself does;
//! and that can be done last unless somebody behind it in the total order changed the same part of the state.
use super::event::Node;
use super::links::{apply, parts};
use super::resolved::Resolved;
use super::revocation::{Beside, Revocation};
use super::{CUT_OFF, ControlLog, ORPHANED};
use crate::crdt::VectorClock;
use std::sync::Arc;
use terachat_event::{DeviceId, UserId};

/// What becomes of an event beside others, which stay as they were.
enum Fate {
    Counts,
    /// By itself or by strong removal.
    Void(&'static str),
    /// Its author is not in the state when its turn comes.
    Orphan,
}

/// Some events of the log: those of a causal past, or all.
#[derive(Clone, Copy)]
pub(super) enum Within<'a> {
    Past(&'a VectorClock),
    All,
}

impl ControlLog {
    pub(super) fn holds(&self, within: Within<'_>, node: &Node) -> bool {
        match within {
            Within::Past(past) => past.contains(&node.event.stamp.event()),
            Within::All => !self.is_frozen(&node.event.stamp.event()),
        }
    }

    /// Adds the event at position `at`, on which none of those `within` builds, to what these add up to. Gives `false` and
    /// leaves `resolved` as it was if it may change what becomes of others: then all have to be settled again.
    pub(super) fn add_beside(&self, resolved: &mut Resolved, within: Within<'_>, at: usize) -> bool {
        // What taking a device back does depends on whose device its author is, and it decides about admissions too: it takes a
        // closer look.
        if self.links.revokes_devices || self.changes_roles(within) {
            return false;
        }
        let node = &self.nodes[at];
        let Some(fate) = self.fate(resolved, within, at) else { return false };
        match fate {
            Fate::Void(why) => _ = resolved.void.insert(node.event.hash, why),
            Fate::Orphan => _ = resolved.orphans.insert(node.event.hash),
            Fate::Counts if self.is_overtaken(resolved, within, node) => {
                self.carry_out_again(resolved, within)
            }
            Fate::Counts => apply(Arc::make_mut(&mut resolved.state), node),
        }
        true
    }

    /// Whether one of those `within` changes a role that is not before all that may come beside others: what events beside it
    /// may do, and what they do to the state, depends on it.
    fn changes_roles(&self, within: Within<'_>) -> bool {
        let settled = self.checkpoint(within).map(|known| self.nodes[self.order[known.len - 1]].event.stamp);
        let changing = self.links.changing_roles.iter().map(|at| &self.nodes[*at]);
        let mut open = changing.filter(|node| Some(node.event.stamp) > settled);
        open.any(|node| self.holds(within, node))
    }

    /// What becomes of an event; `None` if that, or what becomes of others, takes a closer look.
    fn fate(&self, resolved: &Resolved, within: Within<'_>, at: usize) -> Option<Fate> {
        let node = &self.nodes[at];
        let event = &node.event;
        if let Err(why) = &node.authority {
            return Some(Fate::Void(why));
        }
        // By whom it admits, more may be cut off, come before others, or be let in again.
        if event.cards().any(|card| self.has_acted(within, at, &card.device)) {
            return None;
        }
        if event.revokes() && self.hits_somebody(within, at) {
            return None;
        }
        let author = event.stamp.author;
        let admissions = || {
            let all = self.links.admissions(&author).iter().filter(|other| **other != at);
            all.map(|at| &self.nodes[*at]).filter(|other| self.holds(within, other))
        };
        let is_left = |other: &&Node| !resolved.void.contains_key(&other.event.hash);
        let admitted = |other: &Node| other.event.stamp < event.stamp;
        let is_orphan = !event.founds() && !admissions().filter(is_left).any(admitted);
        // A removal that strong removal left held, and cuts off what did not hold before; this holds nobody up.
        let is_cut_by_word_of = |other: &Node| {
            let mut users = other.event.cards().filter(|card| card.device == author).map(|card| card.user);
            users.any(|user| self.is_cut(resolved, within, node, user))
        };
        // What an admission said that fell later depends on which was decided first.
        let fell = |other: &&Node| other.authority.is_ok() && !is_left(other);
        if admissions().filter(fell).any(is_cut_by_word_of) {
            return None;
        }
        let is_cut = admissions().filter(is_left).any(is_cut_by_word_of);
        match (is_cut, is_orphan) {
            (true, true) => None,
            (true, false) => Some(Fate::Void(CUT_OFF)),
            (false, true) => Some(Fate::Void(ORPHANED)),
            (false, false) if event.founds() => Some(Fate::Counts),
            (false, false) if !resolved.state.devices.contains_key(&author) => Some(Fate::Orphan),
            (false, false) => {
                let counting = admissions().filter(|other| resolved.why_void(&other.event.hash).is_none());
                counting.into_iter().all(admitted).then_some(Fate::Counts)
            }
        }
    }

    /// Whether one of those `within` is by this device, but for the event at position `at`.
    fn has_acted(&self, within: Within<'_>, at: usize, device: &DeviceId) -> bool {
        let chain = self.links.chain(device, 0, u64::MAX);
        chain.first().is_some_and(|first| *first != at && self.holds(within, &self.nodes[*first]))
    }

    /// Whether an event may cut off one of those `within`.
    fn hits_somebody(&self, within: Within<'_>, at: usize) -> bool {
        let node = &self.nodes[at];
        let devices = |user: UserId| self.links.devices(&user).iter().copied();
        Revocation::all(node, devices, || []).iter().any(|revocation| {
            revocation.devices.iter().any(|device| {
                let unseen = self.links.chain(device, node.past.seen(device), u64::MAX);
                let unseen = unseen.iter().map(|at| &self.nodes[*at]);
                unseen
                    .take_while(|other| self.holds(within, other))
                    .any(|other| other.authority.is_ok() && revocation.takes(node, other, &Beside::PLAIN))
            })
        })
    }

    /// Whether a removal or demotion of `user` that holds cuts an event off.
    fn is_cut(&self, resolved: &Resolved, within: Within<'_>, node: &Node, user: UserId) -> bool {
        let beside = self.links.revoking(&user).iter().map(|at| &self.nodes[*at]);
        beside
            .filter(|by| by.is_beside(node) && self.holds(within, by))
            .filter(|by| !resolved.void.contains_key(&by.event.hash))
            .any(|by| {
                let list =
                    Revocation::all(by, |target| (target == user).then_some(node.event.stamp.author), || []);
                let mut list = list.iter().filter(|revocation| !revocation.devices.is_empty());
                list.any(|revocation| revocation.takes(by, node, &Beside::PLAIN))
            })
    }

    /// Whether an event that counts comes behind this one in the total order and changes what it changes.
    fn is_overtaken(&self, resolved: &Resolved, within: Within<'_>, node: &Node) -> bool {
        if !self.links.is_overtaken(node) {
            return false;
        }
        let own: Vec<_> = node.event.transaction.0.iter().flat_map(parts).collect();
        let stamp = node.event.stamp;
        let behind = self.order.partition_point(|at| self.nodes[*at].event.stamp <= stamp);
        let mut behind = self.order[behind..].iter().map(|at| &self.nodes[*at]);
        behind.any(|other| {
            self.holds(within, other)
                && resolved.why_void(&other.event.hash).is_none()
                && other.event.transaction.0.iter().flat_map(parts).any(|part| own.contains(&part))
        })
    }

    /// Makes the state anew from the last checkpoint on, with the verdicts as they are.
    fn carry_out_again(&self, resolved: &mut Resolved, within: Within<'_>) {
        let (from, state) = match self.checkpoint(within) {
            Some(checkpoint) => (checkpoint.len, Arc::clone(&checkpoint.resolved.state)),
            None => Default::default(),
        };
        resolved.state = state;
        resolved.carry_out(&self.behind(from, within));
    }
}
