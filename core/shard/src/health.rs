use crate::assignment::assign;
use crate::{Census, Members, StripeId};
use std::collections::BTreeSet;
use std::fmt;

/// How whole everything is, counted from the census: 100 % is every stripe with each of its shards, verified, on a node
/// of its own that answers. An empty queue of repairs says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Stripes there are.
    pub stripes: usize,
    /// Stripes of which too few shards are there to read them now.
    pub unreadable: BTreeSet<StripeId>,
    /// Stripes that are readable and bear no further loss.
    pub at_the_limit: usize,
    /// Shards that there should be.
    pub shards: u64,
    /// Shards that count: verified, on a node that answers, no node twice.
    pub in_place: u64,
    /// Why the others do not.
    pub reasons: Reasons,
}

/// Shards that do not count, by the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reasons {
    /// Nobody has it.
    pub missing: u64,
    /// Whoever has it does not answer.
    pub away: u64,
    /// Whoever has it has it rotten.
    pub rotten: u64,
    /// Whoever has it has another shard of the same stripe that counts.
    pub doubled: u64,
}

impl Health {
    /// Counts.
    pub fn count(census: &Census, members: &Members) -> Self {
        let mut health = Self { stripes: census.len(), ..Self::default() };
        for (id, stripe) in census {
            let counts = stripe.counts();
            let placed = assign(stripe, members, &BTreeSet::new());
            health.shards += counts.total() as u64;
            health.in_place += placed.len() as u64;
            let different: BTreeSet<u8> =
                stripe.sound().filter(|(_, node)| members.answers(*node)).map(|(index, _)| index).collect();
            // Two shards of one node are read as well as of two nodes.
            match different.len().cmp(&counts.data()) {
                std::cmp::Ordering::Less => {
                    health.unreadable.insert(*id);
                }
                std::cmp::Ordering::Equal if counts.parity() > 0 => health.at_the_limit += 1,
                _ => {}
            }
            for index in counts.indices().filter(|index| !placed.contains_key(index)) {
                let is_it = |(other, _): &(u8, _)| *other == index;
                let reason = if different.contains(&index) {
                    &mut health.reasons.doubled
                } else if stripe.rotten().any(|found| is_it(&found) && members.answers(found.1)) {
                    &mut health.reasons.rotten
                } else if stripe.sound().chain(stripe.rotten()).any(|found| is_it(&found)) {
                    &mut health.reasons.away
                } else {
                    &mut health.reasons.missing
                };
                *reason += 1;
            }
        }
        health
    }

    /// Whether nothing is missing.
    pub fn is_whole(&self) -> bool {
        self.in_place == self.shards
    }

    /// Hundredths of a percent, rounded down: 10,000 only if nothing is missing.
    pub fn basis_points(&self) -> u16 {
        let all = u128::from(self.shards.max(1));
        let points = if self.shards == 0 { 10_000 } else { u128::from(self.in_place) * 10_000 / all };
        u16::try_from(points).unwrap_or(10_000)
    }
}

/// For people: the percentage and the reasons.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let points = self.basis_points();
        write!(f, "{}.{:02} %", points / 100, points % 100)?;
        let Reasons { missing, away, rotten, doubled } = self.reasons;
        let reasons = [
            (missing, "shards nobody has"),
            (away, "shards on nodes that are away"),
            (rotten, "rotten shards"),
            (doubled, "shards beside another of their stripe on one node"),
            (self.at_the_limit as u64, "stripes that bear no further loss"),
            (self.unreadable.len() as u64, "stripes that cannot be read now"),
        ];
        reasons
            .iter()
            .filter(|(count, _)| *count > 0)
            .try_for_each(|(count, what)| write!(f, ", {count} {what}"))
    }
}
