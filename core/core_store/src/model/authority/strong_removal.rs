//! Strong removal: which events removals and demotions cut off, and which of these hold against each other (ADR 0004).
use super::resolved::Grounds;
use super::{CUT_OFF, ControlEvent, Node, ORPHANED, cards};
use crate::crdt::Stamp;
use crate::model::{ControlOp, Named, Rank};
use hashbrown::HashSet;
use imbl::OrdMap;
use std::collections::{BTreeMap, BTreeSet};
use terachat_event::{DeviceId, EventHash, UserId};

type Void = BTreeMap<EventHash, &'static str>;

/// Adds to `void` what removals and demotions cut off, and what falls with the admissions among it; `cut` is told of each
/// event that is cut off, and by which. `inside` are events in total order; what is before them is in the past of each, so it
/// neither cuts any of them off nor is cut off by any.
///
/// Only what counts cuts anything off. So each removal or demotion is decided after all that may cut it off, or an admission
/// that its author rests on; where those wait for each other in turn, the one that takes precedence holds.
pub(super) fn strong_removal(
    inside: &[&Node],
    grounds: &Grounds,
    void: &mut Void,
    mut cut: impl FnMut(&Node, &Node),
) {
    orphan(inside, grounds, void);
    let revoking = Revoking::all(inside, grounds, void);
    let supports = supports(&revoking, inside, void);
    let mut turns = Turns::of(&revoking, &supports);
    let (mut held, mut rested_on) = (HashSet::new(), HashSet::new());
    while let Some(at) = turns.next() {
        let Revoking { node: by, list } = &revoking[at];
        held.insert(by.event.hash);
        if rested_on.insert(by.event.stamp.author) {
            held.extend(revoking[at].supports(&supports).iter().map(|node| node.event.hash));
        }
        let mut admits = false;
        for node in inside {
            let hash = node.event.hash;
            if cuts_off(by, list, node) && !void.contains_key(&hash) && !held.contains(&hash) {
                void.insert(hash, CUT_OFF);
                cut(node, by);
                admits |= cards(&node.event).next().is_some();
            }
        }
        if admits {
            orphan(inside, grounds, void);
        }
        turns.drop_void(|other| void.contains_key(&revoking[other].node.event.hash));
    }
}

/// Adds to `void` the events of authors whom no event admits that still may count.
fn orphan(inside: &[&Node], grounds: &Grounds, void: &mut Void) {
    let mut admitted = HashSet::new();
    for node in inside {
        if void.contains_key(&node.event.hash) {
            continue;
        }
        let founds = matches!(node.event.transaction.0.first(), Some(ControlOp::Genesis { .. }));
        let author = &node.event.stamp.author;
        if founds || admitted.contains(author) || grounds.admitted.contains(author) {
            admitted.extend(cards(&node.event).map(|card| card.device));
        } else {
            void.insert(node.event.hash, ORPHANED);
        }
    }
}

/// For each author the admissions that it rests on, and those that their authors rest on, and so on.
type Supports<'a> = BTreeMap<DeviceId, Vec<&'a Node>>;

fn supports<'a>(revoking: &[Revoking<'a>], inside: &[&'a Node], void: &Void) -> Supports<'a> {
    let mut admitting = Supports::new();
    for node in inside.iter().filter(|node| !void.contains_key(&node.event.hash)) {
        for card in cards(&node.event) {
            admitting.entry(card.device).or_default().push(node);
        }
    }
    let of = |author: DeviceId| {
        let (mut found, mut seen, mut left) = (Vec::new(), BTreeSet::new(), vec![author]);
        while let Some(device) = left.pop() {
            if seen.insert(device) {
                let by = admitting.get(&device).map_or(&[][..], Vec::as_slice);
                found.extend(by);
                left.extend(by.iter().map(|node| node.event.stamp.author));
            }
        }
        found
    };
    let authors: BTreeSet<DeviceId> =
        revoking.iter().map(|revoking| revoking.node.event.stamp.author).collect();
    authors.into_iter().map(|author| (author, of(author))).collect()
}

/// An event that removes or demotes.
struct Revoking<'a> {
    node: &'a Node,
    list: Vec<Revocation>,
}

impl<'a> Revoking<'a> {
    /// All that are not void yet, by precedence.
    fn all(inside: &[&'a Node], grounds: &Grounds, void: &Void) -> Vec<Self> {
        let standing = inside.iter().filter(|node| !void.contains_key(&node.event.hash));
        let mut all: Vec<Self> = standing
            .map(|node| Self { node, list: revocations(&node.event, grounds, inside) })
            .filter(|revoking| !revoking.list.is_empty())
            .collect();
        if all.len() < 2 {
            return all;
        }
        let since = founded(grounds, inside);
        all.sort_by_key(|revoking| precedence(revoking.node, &since));
        all
    }

    fn supports<'s>(&self, all: &'s Supports<'a>) -> &'s [&'a Node] {
        all.get(&self.node.event.stamp.author).map_or(&[], Vec::as_slice)
    }

    /// Which others this one may make void.
    fn threatens(&self, all: &[Self], supports: &Supports<'a>) -> Vec<usize> {
        let cuts = |node: &Node| cuts_off(self.node, &self.list, node);
        let mut shaken: BTreeMap<DeviceId, bool> = BTreeMap::new();
        let mut threatens = |other: &Self| {
            other.node.event.hash != self.node.event.hash
                && (cuts(other.node)
                    || *shaken
                        .entry(other.node.event.stamp.author)
                        .or_insert_with(|| other.supports(supports).iter().any(|node| cuts(node))))
        };
        (0..all.len()).filter(|other| threatens(&all[*other])).collect()
    }
}

/// In which order removals and demotions are decided; each is named by its precedence.
struct Turns {
    /// Whom each threatens.
    threatens: Vec<Vec<usize>>,
    /// How many threaten each that are not decided.
    waits_for: Vec<usize>,
    is_decided: Vec<bool>,
}

impl Turns {
    fn of<'a>(all: &[Revoking<'a>], supports: &Supports<'a>) -> Self {
        let threatens: Vec<Vec<usize>> =
            all.iter().map(|revoking| revoking.threatens(all, supports)).collect();
        let mut waits_for = vec![0; all.len()];
        threatens.iter().flatten().for_each(|other| waits_for[*other] += 1);
        Self { threatens, waits_for, is_decided: vec![false; all.len()] }
    }

    /// The next that holds.
    fn next(&mut self) -> Option<usize> {
        let undecided = || (0..self.is_decided.len()).filter(|at| !self.is_decided[*at]);
        let first = undecided().next()?;
        let free = undecided().find(|at| self.waits_for[*at] == 0);
        let next = free.unwrap_or_else(|| self.of_ring_above(first));
        self.decide(next);
        Some(next)
    }

    /// The first by precedence of a ring that waits for nothing but itself, above the one given.
    fn of_ring_above(&self, mut at: usize) -> usize {
        let threatened_by = self.threatened_by();
        let mut above = reach(&threatened_by, at);
        // Whatever is above `at`, but has not got `at` above itself, comes before it: the rest waits for each other.
        while let Some(higher) =
            above.iter().copied().find(|other| !reach(&threatened_by, *other).contains(&at))
        {
            at = higher;
            above = reach(&threatened_by, at);
        }
        above.first().copied().unwrap_or(at)
    }

    fn threatened_by(&self) -> Vec<Vec<usize>> {
        let mut by = vec![Vec::new(); self.threatens.len()];
        for (at, others) in self.threatens.iter().enumerate().filter(|(at, _)| !self.is_decided[*at]) {
            others.iter().filter(|other| !self.is_decided[**other]).for_each(|other| by[*other].push(at));
        }
        by
    }

    fn decide(&mut self, at: usize) {
        if !std::mem::replace(&mut self.is_decided[at], true) {
            self.threatens[at].iter().for_each(|other| self.waits_for[*other] -= 1);
        }
    }

    /// Decides those that are void: they threaten nobody.
    fn drop_void(&mut self, is_void: impl Fn(usize) -> bool) {
        for at in 0..self.is_decided.len() {
            if !self.is_decided[at] && is_void(at) {
                self.decide(at);
            }
        }
    }
}

/// Everything that the arrows lead to from here, ascending; with the start only if they lead back to it.
fn reach(arrows: &[Vec<usize>], from: usize) -> BTreeSet<usize> {
    let (mut found, mut left) = (BTreeSet::new(), arrows[from].clone());
    while let Some(at) = left.pop() {
        if found.insert(at) {
            left.extend(&arrows[at]);
        }
    }
    found
}

/// Since when each device is a member, as far as these events say.
pub(super) fn founded(grounds: &Grounds, inside: &[&Node]) -> OrdMap<DeviceId, Stamp> {
    let mut since = grounds.since.clone();
    since.extend(inside.iter().flat_map(|node| admissions(&node.event)));
    since
}

/// What decides between removals, demotions and revocations that cut each other off: see [`precedence`].
pub(super) type Weight = (bool, std::cmp::Reverse<Rank>, Option<Stamp>, EventHash);

/// Which of two removals or demotions that cut each other off holds: the lower one. First what does nothing but revoke
/// devices by their users' word, whoever carries it: a device that was taken from its user does not outrank that. Then by
/// rank, seniority and hash.
pub(super) fn precedence(node: &Node, founded: &OrdMap<DeviceId, Stamp>) -> Weight {
    let rank = node.authority.unwrap_or(Rank::GUEST);
    let since = founded.get(&node.event.stamp.author).copied();
    (!only_revokes(&node.event), std::cmp::Reverse(rank), since, node.event.hash)
}

/// Whether all that an event decides is that devices are revoked, with the commit that sees them out.
fn only_revokes(event: &ControlEvent) -> bool {
    let mut ops = event.transaction.0.iter();
    ops.clone().any(|op| matches!(op, ControlOp::RevokeDevice { .. }))
        && ops.all(|op| matches!(op, ControlOp::RevokeDevice { .. } | ControlOp::Commit(_)))
}

/// Whether the removals and demotions of `revoking` cut `node` off: it is by one of those whom they concern, takes what they
/// took, and neither knew of the other.
pub(super) fn cuts_off(revoking: &Node, list: &[Revocation], node: &Node) -> bool {
    let unseen = !revoking.past.contains(&node.event.stamp.event());
    let later = node.past.contains(&revoking.event.stamp.event());
    let hit = || list.iter().any(|revocation| revocation.hits(&node.event));
    unseen && !later && node.event.hash != revoking.event.hash && hit()
}

/// A removal or demotion: the devices it concerns and the rank they are left with (`None`: none at all).
pub(super) struct Revocation {
    user: UserId,
    devices: BTreeSet<DeviceId>,
    left: Option<Rank>,
}

impl Revocation {
    fn hits(&self, event: &ControlEvent) -> bool {
        self.devices.contains(&event.stamp.author)
            && self.left.is_none_or(|rank| event.transaction.0.iter().any(|op| self.required(op) > rank))
    }

    /// As [`required`]; but whoever is demoted may still leave, and revoke devices of its own.
    fn required(&self, op: &ControlOp) -> Rank {
        match op {
            ControlOp::Remove { user, .. } if *user == self.user => Rank::GUEST,
            ControlOp::RevokeDevice { revocation, .. } if revocation.user == self.user => Rank::GUEST,
            op => required(op),
        }
    }
}

/// The rank below which nobody can do this, whoever the target is.
fn required(op: &ControlOp) -> Rank {
    match op {
        ControlOp::Genesis { .. } | ControlOp::Commit(_) => Rank::GUEST,
        ControlOp::Admit { rank, .. } | ControlOp::SetRank { rank, .. } => Rank::MODERATOR.max(*rank),
        ControlOp::SetName { of: Named::Space, .. } => Rank::ADMIN,
        ControlOp::Remove { .. }
        | ControlOp::RevokeDevice { .. }
        | ControlOp::CreateChannel { .. }
        | ControlOp::CreateForum { .. }
        | ControlOp::CreateCategory { .. }
        | ControlOp::SetName { .. }
        | ControlOp::SetTopic { .. }
        | ControlOp::Place { .. } => Rank::MODERATOR,
    }
}

pub(super) fn revocations(event: &ControlEvent, grounds: &Grounds, inside: &[&Node]) -> Vec<Revocation> {
    let devices = |user| {
        let range = (user, DeviceId([0; 32]))..=(user, DeviceId([0xff; 32]));
        let before = grounds.cards.range(range).map(|(_, device)| *device);
        let cards = inside.iter().flat_map(|node| cards(&node.event));
        cards.filter(|card| card.user == user).map(|card| card.device).chain(before).collect()
    };
    let ops = event.transaction.0.iter();
    ops.filter_map(|op| match op {
        ControlOp::Remove { user, .. } => {
            Some(Revocation { user: *user, devices: devices(*user), left: None })
        }
        ControlOp::RevokeDevice { revocation, .. } => {
            // Only what the device itself calls its user's: a card without its signature says nothing.
            let mut devices: BTreeSet<DeviceId> = devices(revocation.user);
            devices.retain(|device| *device == revocation.device);
            Some(Revocation { user: revocation.user, devices, left: None })
        }
        ControlOp::SetRank { user, rank, .. } => {
            Some(Revocation { user: *user, devices: devices(*user), left: Some(*rank) })
        }
        _ => None,
    })
    .collect()
}

fn admissions(event: &ControlEvent) -> impl Iterator<Item = (DeviceId, Stamp)> {
    cards(event).map(|card| (card.device, event.stamp))
}
