//! Strong removal: which events removals and demotions cut off, and which of these hold against each other (ADR 0004).
use super::bits::Bits;
use super::event::Node;
use super::grounds::Grounds;
use super::revocation::{Precedence, Revocation, precedence};
use super::turns::Turns;
use super::{CUT_OFF, ORPHANED};
use crate::crdt::Stamp;
use crate::model::Rank;
use hashbrown::{HashMap, HashSet};
use imbl::OrdMap;
use std::collections::BTreeMap;
use std::ops::Range;
use terachat_event::{DeviceId, EventHash, UserId};

type Void = BTreeMap<EventHash, &'static str>;

/// Adds to `void` what removals and demotions cut off, and what falls with the admissions among it; `cut` is told of each
/// event that is cut off, and by which. `inside` are events in total order; what is before them is in the past of each, so it
/// neither cuts any of them off nor is cut off by any. `void_before` says what of that is void.
///
/// Only what counts cuts anything off. So each removal or demotion is decided after all that may cut it off, or an admission
/// that its author rests on; where those wait for each other in turn, the one that takes precedence holds.
///
/// What a removal may cut off is a run of each of its target's chains, so nothing is compared pair by pair: `r` of them among
/// `n` events cost some `n + r (log n + r / 64)` steps, and a search through the threats `r² / 64` for each ring that is opened.
pub(super) fn strong_removal(
    inside: &[&Node],
    grounds: &Grounds<'_>,
    void_before: &OrdMap<EventHash, &'static str>,
    void: &mut Void,
    mut cut: impl FnMut(&Node, &Node),
) {
    let admit = |device: &DeviceId| grounds.admit(device, void_before);
    orphan(inside, admit, void);
    let standing = |at: &usize| !void.contains_key(&inside[*at].event.hash);
    let by: Vec<usize> = (0..inside.len()).filter(|at| inside[*at].event.revokes()).filter(standing).collect();
    if by.is_empty() {
        return;
    }
    let window = Window::new(inside, grounds, void);
    let revoking = window.revoking(by);
    let mut turns = window.turns(&revoking, void);
    let places: HashMap<usize, usize> = revoking.iter().enumerate().map(|(n, of)| (of.at, n)).collect();
    let (mut held, mut rested_on) = (HashSet::new(), HashSet::new());
    loop {
        let next = turns.next();
        if next.is_empty() {
            return;
        }
        for of in next.into_iter().map(|n| &revoking[n]) {
            let node = inside[of.at];
            held.insert(of.at);
            window.supports(node.event.stamp.author, &mut rested_on, |at| _ = held.insert(at));
            let mut fallen = Vec::new();
            for (revocation, runs) in &of.list {
                for at in runs.iter().flat_map(|(device, run)| &window.chains[device][run.clone()]) {
                    let event = &inside[*at].event;
                    if !void.contains_key(&event.hash) && !held.contains(at) && revocation.takes(event) {
                        void.insert(event.hash, CUT_OFF);
                        cut(inside[*at], node);
                        fallen.push(*at);
                    }
                }
            }
            window.orphan(&mut fallen, admit, void);
            fallen.iter().filter_map(|at| places.get(at)).for_each(|n| turns.drop_void(*n));
        }
    }
}

/// Adds to `void` the events of authors whom no event admits that still may count.
fn orphan(inside: &[&Node], admitted_before: impl Fn(&DeviceId) -> bool, void: &mut Void) {
    let mut admitted = HashSet::new();
    for node in inside {
        if void.contains_key(&node.event.hash) {
            continue;
        }
        let author = &node.event.stamp.author;
        if node.event.founds() || admitted.contains(author) || admitted_before(author) {
            admitted.extend(node.event.cards().map(|card| card.device));
        } else {
            void.insert(node.event.hash, ORPHANED);
        }
    }
}

/// An event that removes or demotes, and of each device that it concerns the run of its events that know nothing of it and
/// that it knows nothing of.
struct Revoking {
    /// Its place in the window.
    at: usize,
    list: Vec<(Revocation, Runs)>,
}

type Runs = Vec<(DeviceId, Range<usize>)>;

/// Events beside each other, found by their authors and by whom they admit. Events are named by their places.
struct Window<'a> {
    inside: &'a [&'a Node],
    grounds: &'a Grounds<'a>,
    chains: HashMap<DeviceId, Vec<usize>>,
    /// Void ones too.
    admissions: HashMap<DeviceId, Vec<usize>>,
    /// Those that were not void when nothing was decided yet.
    supporting: HashMap<DeviceId, Vec<usize>>,
    devices: HashMap<UserId, Vec<DeviceId>>,
}

impl<'a> Window<'a> {
    fn new(inside: &'a [&'a Node], grounds: &'a Grounds<'a>, void: &Void) -> Self {
        let (chains, admissions, supporting, devices) =
            (HashMap::new(), HashMap::new(), HashMap::new(), HashMap::new());
        let mut window = Self { inside, grounds, chains, admissions, supporting, devices };
        for (at, node) in inside.iter().enumerate() {
            window.chains.entry(node.event.stamp.author).or_default().push(at);
            for card in node.event.cards() {
                window.devices.entry(card.user).or_default().push(card.device);
                window.admissions.entry(card.device).or_default().push(at);
                if !void.contains_key(&node.event.hash) {
                    window.supporting.entry(card.device).or_default().push(at);
                }
            }
        }
        window
    }

    fn chain(&self, device: &DeviceId) -> &[usize] {
        self.chains.get(device).map_or(&[], Vec::as_slice)
    }

    /// The removals and demotions at these places, by author and number.
    fn revoking(&self, mut places: Vec<usize>) -> Vec<Revoking> {
        places.sort_by_key(|at| (self.inside[*at].event.stamp.author, *at));
        places.into_iter().map(|at| Revoking { at, list: self.revocations(at) }).collect()
    }

    fn revocations(&self, at: usize) -> Vec<(Revocation, Runs)> {
        let node = self.inside[at];
        let devices = |user| {
            let named = self.devices.get(&user).into_iter().flatten().copied();
            named.chain(self.grounds.devices(user)).collect::<Vec<_>>()
        };
        let with_runs = |revocation: Revocation| {
            let runs = revocation.devices.iter().map(|device| (*device, self.run_beside(node, device)));
            let runs = runs.filter(|(_, run)| !run.is_empty()).collect();
            (revocation, runs)
        };
        Revocation::all(&node.event, devices).into_iter().map(with_runs).collect()
    }

    /// Which events of a device's chain know nothing of an event and are unknown to it: those behind the last that it knows,
    /// up to the first that knows it.
    fn run_beside(&self, node: &Node, device: &DeviceId) -> Range<usize> {
        let (chain, event) = (self.chain(device), node.event.stamp.event());
        let from =
            chain.partition_point(|at| node.past.contains(&self.inside[*at].event.stamp.event()));
        let len = chain[from..].partition_point(|at| !self.inside[*at].past.contains(&event));
        from..from + len
    }

    /// Names the admissions that a device rests on, and those that their authors rest on, and so on, without those of the
    /// devices that were `seen` before.
    fn supports(&self, author: DeviceId, seen: &mut HashSet<DeviceId>, mut name: impl FnMut(usize)) {
        let mut left = vec![author];
        while let Some(device) = left.pop() {
            if seen.insert(device) {
                let by = self.supporting.get(&device).map_or(&[][..], Vec::as_slice);
                by.iter().for_each(|at| name(*at));
                left.extend(by.iter().map(|at| self.inside[*at].event.stamp.author));
            }
        }
    }

    /// Adds to `void` and `fallen` what falls with the events that fell.
    fn orphan(
        &self,
        fallen: &mut Vec<usize>,
        admitted_before: impl Fn(&DeviceId) -> bool,
        void: &mut Void,
    ) {
        let mut next = 0;
        while let Some(at) = fallen.get(next).copied() {
            next += 1;
            for card in self.inside[at].event.cards() {
                if admitted_before(&card.device) {
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

    fn turns(&self, revoking: &[Revoking], void: &Void) -> Turns {
        let threats = Threats::new(self, revoking, void);
        let threatens = (0..revoking.len()).map(|n| threats.of(n)).collect();
        let mut precedence: Vec<usize> = (0..revoking.len()).collect();
        if revoking.len() > 1 {
            precedence.sort_by_cached_key(|n| self.precedence(revoking[*n].at));
        }
        Turns::new(threatens, precedence)
    }

    fn precedence(&self, at: usize) -> Precedence {
        let author = &self.inside[at].event.stamp.author;
        let last = self.admissions.get(author).and_then(|at| at.last());
        let since: Option<Stamp> =
            last.map(|at| self.inside[*at].event.stamp).or_else(|| self.grounds.since(author));
        precedence(self.inside[at], since)
    }
}

/// Which removals and demotions may make which others void: by themselves, or an admission that their authors rest on.
struct Threats<'w, 'a> {
    window: &'w Window<'a>,
    revoking: &'w [Revoking],
    /// Which of `revoking` are by each device.
    by: HashMap<DeviceId, Range<usize>>,
    /// Of each device the admissions that authors of `revoking` rest on, and the devices they admit.
    bearing: HashMap<DeviceId, Vec<usize>>,
    /// Which of `revoking` rest on the admission of a device, its own included.
    resting: HashMap<DeviceId, Bits>,
    /// Which of a device's take more than what a user was left with.
    above: std::cell::RefCell<HashMap<(DeviceId, UserId, Option<u8>), Bits>>,
}

impl<'w, 'a> Threats<'w, 'a> {
    fn new(window: &'w Window<'a>, revoking: &'w [Revoking], void: &Void) -> Self {
        let mut by: HashMap<DeviceId, Range<usize>> = HashMap::new();
        for (n, of) in revoking.iter().enumerate() {
            by.entry(window.inside[of.at].event.stamp.author).or_insert(n..n).end = n + 1;
        }
        let (mut seen, mut bearing) = (HashSet::new(), HashMap::<DeviceId, Vec<usize>>::new());
        for author in by.keys() {
            window.supports(*author, &mut seen, |at| {
                bearing.entry(window.inside[at].event.stamp.author).or_default().push(at);
            });
        }
        bearing.values_mut().for_each(|places| {
            places.sort_unstable();
            places.dedup();
        });
        let mut threats =
            Self { window, revoking, by, bearing, resting: HashMap::new(), above: Default::default() };
        let borne: Vec<DeviceId> = seen.into_iter().filter(|_| revoking.len() > 1).collect();
        let resting = borne.into_iter().map(|device| (device, threats.resting_on(device, void))).collect();
        threats.resting = resting;
        threats
    }

    fn resting_on(&self, device: DeviceId, void: &Void) -> Bits {
        let (mut resting, mut seen, mut left) =
            (Bits::none(self.revoking.len()), HashSet::new(), vec![device]);
        while let Some(device) = left.pop() {
            if !seen.insert(device) {
                continue;
            }
            self.by.get(&device).into_iter().flat_map(Clone::clone).for_each(|n| resting.insert(n));
            for at in self.bearing.get(&device).into_iter().flatten() {
                let event = &self.window.inside[*at].event;
                if !void.contains_key(&event.hash) {
                    left.extend(event.cards().map(|card| card.device));
                }
            }
        }
        resting
    }

    /// Which others one of them threatens.
    fn of(&self, n: usize) -> Bits {
        let len = self.revoking.len();
        let mut found = Bits::none(len);
        if len == 1 {
            return found;
        }
        for (revocation, runs) in &self.revoking[n].list {
            for (device, run) in runs {
                let chain = self.window.chain(device);
                let (first, last) = (chain[run.start], chain[run.end - 1]);
                if let Some(by) = self.by.get(device) {
                    let own = &self.revoking[by.clone()];
                    let from = by.start + own.partition_point(|of| of.at < first);
                    let to = by.start + own.partition_point(|of| of.at <= last);
                    found.union(&Bits::range(len, from..to).intersection(&self.above(device, revocation)));
                }
                let bearing = self.bearing.get(device).map_or(&[][..], Vec::as_slice);
                let from = bearing.partition_point(|at| *at < first);
                for at in bearing[from..].iter().take_while(|at| **at <= last) {
                    let event = &self.window.inside[*at].event;
                    if revocation.takes(event) {
                        let shaken = event.cards().filter_map(|card| self.resting.get(&card.device));
                        shaken.for_each(|resting| found.union(resting));
                    }
                }
            }
        }
        found.remove(n);
        found
    }

    /// Which of a device's removals and demotions take what a revocation of its user takes.
    fn above(&self, device: &DeviceId, revocation: &Revocation) -> Bits {
        let key = (*device, revocation.user, revocation.left.map(Rank::get));
        let mut above = self.above.borrow_mut();
        let bits = above.entry(key).or_insert_with(|| {
            let mut bits = Bits::none(self.revoking.len());
            let takes = |n: &usize| revocation.takes(&self.window.inside[self.revoking[*n].at].event);
            self.by[device].clone().filter(takes).for_each(|n| bits.insert(n));
            bits
        });
        bits.clone()
    }
}
