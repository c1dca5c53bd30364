//! What is to be done for every stripe to be whole and where it should stand: values, which somebody carries out.
//!
//! Two plans. Repairs make lost shards anew, the stripes with fewest shards left first. Moves bring whole stripes to where
//! `place` wants them: after a node joined, returned, or is to be emptied. A plan is made of a census, never of the plan
//! before: whoever was interrupted makes a new one.
use crate::assignment::assign;
use crate::placement::place_up_to;
use crate::{Census, Members, NodeId, StripeId};
use std::collections::{BTreeMap, BTreeSet};

/// Lost shards of one stripe, to be made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// Its stripe.
    pub stripe: StripeId,
    /// How many more shards could have been lost: 0 is the most urgent.
    pub spare: usize,
    /// Which shards are read, k of them, and from whom.
    pub sources: Vec<(u8, NodeId)>,
    /// Which shards are made, and who keeps each. None of these nodes has another shard of the stripe.
    ///
    /// Whoever computes them has k shards in memory meanwhile; it keeps its own and no other.
    pub targets: Vec<(u8, NodeId)>,
    /// Bytes of payload that are read and written.
    pub bytes: u64,
}

/// One shard that goes to another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    /// Its stripe.
    pub stripe: StripeId,
    /// Its place in the stripe.
    pub index: u8,
    /// Who has it. It drops it when the other one has made it durable and the stripe's record names that one.
    pub from: NodeId,
    /// Who is to have it, and has no shard of the stripe.
    pub to: NodeId,
    /// Bytes of payload.
    pub bytes: u64,
}

/// A copy that nobody needs: its shard counts on another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Surplus {
    /// Its stripe.
    pub stripe: StripeId,
    /// Its place in the stripe.
    pub index: u8,
    /// Who may drop it.
    pub node: NodeId,
}

/// Why something is not in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blocked {
    /// Fewer than k shards are there. Only nodes that return can help.
    TooFewShards {
        /// Shards there.
        have: usize,
        /// Shards needed.
        need: usize,
    },
    /// So many shards have no node left to stand on: the cluster has too few for this stripe.
    TooFewNodes {
        /// Shards without a node.
        shards: usize,
    },
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Lost shards to be made anew, the most urgent first.
    pub repairs: Vec<Repair>,
    /// Shards to be moved to where they should stand, of stripes that lack nothing, or off a node that has two.
    pub moves: Vec<Move>,
    /// Copies to be dropped: of stripes that lack nothing, or where a shard that is missing is to stand.
    pub surplus: Vec<Surplus>,
    /// What cannot be done now.
    pub blocked: BTreeMap<StripeId, Blocked>,
    /// Bytes of repairs and moves that were left out because of the limit.
    pub bytes_left: u64,
}

impl Plan {
    /// Whether there is nothing to do, and nothing that would have to be done.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Bytes of payload that all repairs and moves read and write.
    pub fn bytes(&self) -> u64 {
        let repairs = self.repairs.iter().map(|repair| repair.bytes);
        repairs.chain(self.moves.iter().map(|step| step.bytes)).sum()
    }

    /// The plan for what the census found, of `bytes_max` bytes at most; of one step, if the first alone has more.
    /// Repairs come first, and as long as one of them is left out nothing is moved.
    pub fn new(census: &Census, members: &Members, bytes_max: u64) -> Self {
        let (mut plan, mut moves) = (Self::default(), Vec::new());
        for id in census.keys() {
            plan.look_at(*id, census, members, &mut moves);
        }
        plan.repairs.sort_by_key(|repair| (repair.spare, repair.stripe));
        moves.sort_unstable();
        let mut left = Limit { bytes: bytes_max, nothing_yet: true };
        let repairs = left.first_of(&mut plan.repairs, |repair| repair.bytes);
        let moved = left.first_of(&mut moves, |step| step.bytes);
        plan.moves = moves;
        plan.bytes_left = repairs + moved;
        plan
    }

    /// Adds what one stripe needs.
    fn look_at(&mut self, id: StripeId, census: &Census, members: &Members, moves: &mut Vec<Move>) {
        let Some(stripe) = census.get(&id) else { return };
        let (counts, bytes) = (stripe.counts(), stripe.shard_len() as u64);
        let ideal = place_up_to(id, counts.total(), members);
        let wanted: BTreeSet<NodeId> = ideal.iter().copied().collect();
        let placed = assign(stripe, members, &wanted);
        let holding: BTreeSet<NodeId> = placed.values().copied().collect();
        // Who is to have a shard and has none that counts. A copy that does not count goes before another shard comes.
        let without: Vec<NodeId> = ideal.iter().copied().filter(|node| !holding.contains(node)).collect();
        let has_copy: BTreeSet<NodeId> = stripe.sound().map(|(_, node)| node).collect();
        let mut free = without.iter().copied().filter(|node| !has_copy.contains(node));
        let mut readable: BTreeMap<u8, NodeId> = placed.clone();
        for (index, node) in stripe.sound().filter(|(_, node)| members.answers(*node)) {
            readable.entry(index).or_insert(node);
        }

        if placed.len() < counts.total() {
            if readable.len() < counts.data() {
                let blocked = Blocked::TooFewShards { have: readable.len(), need: counts.data() };
                self.blocked.insert(id, blocked);
                return;
            }
            let lost = counts.indices().filter(|index| !placed.contains_key(index));
            // A shard that somebody has beside another one is copied; it need not be made.
            let (doubled, lost): (Vec<u8>, Vec<u8>) = lost.partition(|index| readable.contains_key(index));
            let targets: Vec<(u8, NodeId)> = lost.iter().copied().zip(free.by_ref()).collect();
            let copied: Vec<(u8, NodeId)> = doubled.iter().copied().zip(free.by_ref()).collect();
            let shards = (lost.len() + doubled.len()).saturating_sub(without.len());
            if shards > 0 {
                self.blocked.insert(id, Blocked::TooFewNodes { shards });
            }
            if lost.len() + doubled.len() > targets.len() + copied.len() {
                // Whoever has no shard that counts has copies only of shards that count on other nodes.
                let copies = stripe.sound().filter(|(_, node)| without.contains(node));
                self.surplus.extend(copies.map(|(index, node)| Surplus { stripe: id, index, node }));
            }
            if !targets.is_empty() {
                let sources: Vec<(u8, NodeId)> =
                    readable.iter().take(counts.data()).map(|(index, node)| (*index, *node)).collect();
                let bytes = bytes * (sources.len() + targets.len()) as u64;
                let spare = readable.len() - counts.data();
                self.repairs.push(Repair { stripe: id, spare, sources, targets, bytes });
            }
            let copy = |(index, to): &(u8, NodeId)| {
                let from = *readable.get(index)?;
                Some(Move { stripe: id, index: *index, from, to: *to, bytes })
            };
            moves.extend(copied.iter().filter_map(copy));
            return;
        }

        let misplaced = placed.iter().filter(|(_, node)| !wanted.contains(node));
        let to_move: Vec<Move> = misplaced
            .zip(free)
            .map(|((index, from), to)| Move { stripe: id, index: *index, from: *from, to, bytes })
            .collect();
        let copies = stripe.sound().chain(stripe.rotten()).filter(|(_, node)| members.answers(*node));
        // What lies where a shard is about to come is looked at again afterwards.
        let is_target = |node: &NodeId| to_move.iter().any(|step| step.to == *node);
        let unneeded = copies.filter(|(index, node)| placed.get(index) != Some(node) && !is_target(node));
        self.surplus.extend(unneeded.map(|(index, node)| Surplus { stripe: id, index, node }));
        moves.extend(to_move);
    }
}

/// How much there may still be.
struct Limit {
    bytes: u64,
    nothing_yet: bool,
}

impl Limit {
    /// Keeps as many of the first as there may be, and gives the bytes of those that are not. What follows one that was
    /// left out is left out too.
    fn first_of<T>(&mut self, steps: &mut Vec<T>, bytes: impl Fn(&T) -> u64) -> u64 {
        let mut kept = 0;
        for step in steps.iter() {
            let bytes = bytes(step);
            if bytes > self.bytes && !self.nothing_yet {
                self.bytes = 0;
                break;
            }
            self.bytes = self.bytes.saturating_sub(bytes);
            self.nothing_yet = false;
            kept += 1;
        }
        steps.split_off(kept).iter().map(bytes).sum()
    }
}

#[cfg(test)]
mod tests;
