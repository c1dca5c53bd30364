use super::ORPHANED;
use super::event::Node;
use super::grounds::Grounds;
use super::revocation::{Beside, Change, Precedence, Revocation, precedence};
use super::strong_removal::Void;
use crate::crdt::Stamp;
use crate::model::Permissions;
use hashbrown::{HashMap, HashSet};
use std::ops::Range;
use terachat_event::{DeviceId, UserId};

/// An event that removes or demotes, and of each device that it concerns the run of its events that know nothing of it and
/// that it knows nothing of.
pub(super) struct Revoking {
    /// Its place in the window.
    pub(super) at: usize,
    pub(super) list: Vec<(Revocation, Runs)>,
}

pub(super) type Runs = Vec<(DeviceId, Range<usize>)>;

/// Events beside each other, found by their authors and by whom they admit. Events are named by their places.
pub(super) struct Window<'a> {
    pub(super) inside: &'a [&'a Node],
    grounds: &'a Grounds<'a>,
    chains: HashMap<DeviceId, Vec<usize>>,
    /// Void ones too: only those that stand say anything.
    admissions: HashMap<DeviceId, Vec<usize>>,
    /// Which are not void by what was decided so far.
    pub(super) standing: Vec<bool>,
    /// The devices that cards name as a user's, each with the place of the card.
    devices: HashMap<UserId, Vec<(DeviceId, usize)>>,
    /// The changes of roles among those that were standing when it was looked last.
    changes: Vec<Change<'a>>,
}

impl<'a> Window<'a> {
    pub(super) fn new(inside: &'a [&'a Node], grounds: &'a Grounds<'a>, void: &Void) -> Self {
        let standing = inside.iter().map(|node| !void.contains_key(&node.event.hash)).collect();
        let (chains, admissions, devices) = (HashMap::new(), HashMap::new(), HashMap::new());
        let changes = Vec::new();
        let mut window = Self { inside, grounds, chains, admissions, standing, devices, changes };
        for (at, node) in inside.iter().enumerate() {
            window.chains.entry(node.event.stamp.author).or_default().push(at);
            for card in node.event.cards() {
                window.devices.entry(card.user).or_default().push((card.device, at));
                window.admissions.entry(card.device).or_default().push(at);
            }
        }
        window
    }

    pub(super) fn chain(&self, device: &DeviceId) -> &[usize] {
        self.chains.get(device).map_or(&[], Vec::as_slice)
    }

    /// Looks anew which changes of roles are standing.
    pub(super) fn look(&mut self) {
        let standing = self.inside.iter().zip(&self.standing).filter(|(_, standing)| **standing);
        self.changes = standing.flat_map(|(node, _)| Change::all(node)).collect();
    }

    /// Whether a revocation of the event at place `by` takes what the event at place `at` takes.
    pub(super) fn takes(&self, revocation: &Revocation, by: usize, at: usize) -> bool {
        self.excess(revocation, by, at).is_some()
    }

    /// If so, which permissions, as [`Revocation::excess`].
    pub(super) fn excess(&self, revocation: &Revocation, by: usize, at: usize) -> Option<Permissions> {
        let owns = |user: &UserId, device: &DeviceId| self.devices(*user).any(|own| own == *device);
        let beside = Beside { changes: &self.changes, owns: &owns };
        revocation.excess(self.inside[by], self.inside[at], &beside)
    }

    /// Whether no role was changed.
    pub(super) fn is_plain(&self) -> bool {
        self.changes.is_empty()
    }

    /// The devices that standing cards name as a user's; some more than once.
    fn devices(&self, user: UserId) -> impl Iterator<Item = DeviceId> {
        let named = self.devices.get(&user).into_iter().flatten();
        let named = named.filter(|(_, at)| self.standing[*at]).map(|(device, _)| *device);
        named.chain(self.grounds.devices(user))
    }

    /// The removals, demotions and changes of roles at these places, by author and number.
    pub(super) fn revoking(&self, mut places: Vec<usize>) -> Vec<Revoking> {
        places.sort_by_key(|at| (self.inside[*at].event.stamp.author, *at));
        places.into_iter().map(|at| Revoking { at, list: self.revocations(at) }).collect()
    }

    fn revocations(&self, at: usize) -> Vec<(Revocation, Runs)> {
        let node = self.inside[at];
        let with_runs = |revocation: Revocation| {
            let runs = revocation.devices.iter().map(|device| (*device, self.run_beside(node, device)));
            let runs = runs.filter(|(_, run)| !run.is_empty()).collect();
            (revocation, runs)
        };
        let everybody = || self.chains.keys().copied();
        Revocation::all(node, |user| self.devices(user), everybody).into_iter().map(with_runs).collect()
    }

    /// Which events of a device's chain know nothing of an event and are unknown to it: those behind the last that it knows,
    /// up to the first that knows it.
    fn run_beside(&self, node: &Node, device: &DeviceId) -> Range<usize> {
        let (chain, event) = (self.chain(device), node.event.stamp.event());
        let from = chain.partition_point(|at| node.past.contains(&self.inside[*at].event.stamp.event()));
        let len = chain[from..].partition_point(|at| !self.inside[*at].past.contains(&event));
        from..from + len
    }

    /// The admissions of a device that stand.
    fn admitting(&self, device: &DeviceId) -> impl Iterator<Item = usize> {
        let all = self.admissions.get(device).into_iter().flatten().copied();
        all.filter(|at| self.standing[*at])
    }

    /// Names the admissions that a device rests on, and those that their authors rest on, and so on, without those of the
    /// devices that were `seen` before.
    pub(super) fn supports(
        &self,
        author: DeviceId,
        seen: &mut HashSet<DeviceId>,
        mut name: impl FnMut(usize),
    ) {
        let mut left = vec![author];
        while let Some(device) = left.pop() {
            if seen.insert(device) {
                for at in self.admitting(&device) {
                    name(at);
                    left.push(self.inside[at].event.stamp.author);
                }
            }
        }
    }

    /// Adds to `void` and `fallen` what falls with the events that fell.
    pub(super) fn orphan(&self, fallen: &mut Vec<usize>, void: &mut Void) {
        let mut next = 0;
        while let Some(at) = fallen.get(next).copied() {
            next += 1;
            for card in self.inside[at].event.cards() {
                if self.grounds.admit(&card.device) {
                    continue;
                }
                let mut admissions = self.admissions[&card.device].iter();
                let first = admissions.find(|at| !void.contains_key(&self.inside[**at].event.hash));
                let before = first.copied().unwrap_or(self.inside.len());
                for at in self.chain(&card.device).iter().copied().take_while(|at| *at < before) {
                    let event = &self.inside[at].event;
                    if !event.founds() && !void.contains_key(&event.hash) {
                        void.insert(event.hash, ORPHANED);
                        fallen.push(at);
                    }
                }
            }
        }
    }

    /// Whether a removal or demotion may cut off the event at a place.
    pub(super) fn cuts(&self, revoking: &Revoking, at: usize) -> bool {
        let mut hits = revoking.list.iter().filter(|(revocation, _)| self.takes(revocation, revoking.at, at));
        hits.any(|(_, runs)| runs.iter().any(|(device, run)| self.chain(device)[run.clone()].contains(&at)))
    }

    /// The precedence of the removal or demotion at a place.
    pub(super) fn precedence(&self, at: usize) -> Precedence {
        let node = self.inside[at];
        precedence(node, self.since(&node.event.stamp.author))
    }

    /// Since when a device is a member: the first of the admissions that stand.
    fn since(&self, device: &DeviceId) -> Option<Stamp> {
        let before = self.grounds.since(device);
        before.or_else(|| self.admitting(device).next().map(|at| self.inside[at].event.stamp))
    }
}
