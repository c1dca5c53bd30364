use super::bits::Bits;
use super::revocation::{From, Revocation};
use super::window::{Revoking, Window};
use hashbrown::{HashMap, HashSet};
use std::ops::Range;
use terachat_event::DeviceId;

/// Of a device what takes more than it was left with, and where roles were changed by which event.
type Taken = (DeviceId, From, Option<usize>);

/// Which removals and demotions may make which others void: by themselves, or an admission that their authors rest on.
pub(super) struct Threats<'w, 'a> {
    window: &'w Window<'a>,
    revoking: &'w [Revoking],
    /// Which of `revoking` are by each device.
    by: HashMap<DeviceId, Range<usize>>,
    /// Of each device the admissions that authors of `revoking` rest on, and the devices they admit.
    bearing: HashMap<DeviceId, Vec<usize>>,
    /// Which of `revoking` rest on the admission of a device, its own included.
    resting: HashMap<DeviceId, Bits>,
    /// Which of a device's take more than what a user was left with.
    above: HashMap<Taken, Bits>,
}

impl<'w, 'a> Threats<'w, 'a> {
    pub(super) fn new(window: &'w Window<'a>, revoking: &'w [Revoking]) -> Self {
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
            Self { window, revoking, by, bearing, resting: HashMap::new(), above: HashMap::new() };
        let borne: Vec<DeviceId> = seen.into_iter().filter(|_| revoking.len() > 1).collect();
        let resting = borne.into_iter().map(|device| (device, threats.resting_on(device))).collect();
        threats.resting = resting;
        threats
    }

    fn resting_on(&self, device: DeviceId) -> Bits {
        let (mut resting, mut seen, mut left) =
            (Bits::none(self.revoking.len()), HashSet::new(), vec![device]);
        while let Some(device) = left.pop() {
            if !seen.insert(device) {
                continue;
            }
            self.by.get(&device).into_iter().flat_map(Clone::clone).for_each(|n| resting.insert(n));
            let bearing = self.bearing.get(&device).into_iter().flatten();
            let cards = bearing.flat_map(|at| self.window.inside[*at].event.cards());
            left.extend(cards.map(|card| card.device));
        }
        resting
    }

    /// Which others each of them threatens.
    pub(super) fn all(mut self) -> Vec<Bits> {
        (0..self.revoking.len()).map(|n| self.of(n)).collect()
    }

    fn of(&mut self, n: usize) -> Bits {
        let len = self.revoking.len();
        let mut found = Bits::none(len);
        if len == 1 {
            return found;
        }
        for (revocation, runs) in &self.revoking[n].list {
            for (device, run) in runs {
                let chain = self.window.chain(device);
                let (first, last) = (chain[run.start], chain[run.end - 1]);
                if let Some(by) = self.by.get(device).cloned() {
                    let own = &self.revoking[by.clone()];
                    let from = by.start + own.partition_point(|of| of.at < first);
                    let to = by.start + own.partition_point(|of| of.at <= last);
                    found.union_within(self.above(device, by, revocation, n), from..to);
                }
                let bearing = self.bearing.get(device).map_or(&[][..], Vec::as_slice);
                let from = bearing.partition_point(|at| *at < first);
                for at in bearing[from..].iter().take_while(|at| **at <= last) {
                    if self.window.takes(revocation, self.revoking[n].at, *at) {
                        let event = &self.window.inside[*at].event;
                        let shaken = event.cards().filter_map(|card| self.resting.get(&card.device));
                        shaken.for_each(|resting| found.union(resting));
                    }
                }
            }
        }
        found.remove(n);
        found
    }

    /// Which removals and demotions of a device's, which are `by`, take what a revocation of it takes that is part of the n-th.
    fn above(&mut self, device: &DeviceId, by: Range<usize>, revocation: &Revocation, n: usize) -> &Bits {
        let (window, revoking) = (self.window, self.revoking);
        let taken = (*device, revocation.from, (!window.is_plain()).then_some(n));
        self.above.entry(taken).or_insert_with(|| {
            let mut bits = Bits::none(revoking.len());
            let takes = |other: &usize| window.takes(revocation, revoking[n].at, revoking[*other].at);
            by.filter(takes).for_each(|n| bits.insert(n));
            bits
        })
    }
}
