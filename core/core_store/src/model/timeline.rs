use std::cmp::Ordering;

/// Positions per chunk before it is split: small enough to shift quickly, large enough to be few.
const CHUNK_LEN_MAX: usize = 1024;

/// A list that only grows: event positions in the total order, which the caller hands in. Appending at the end is the common
/// case. What is deleted keeps its place.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    /// No chunk is empty.
    chunks: Vec<Vec<u32>>,
    len: usize,
}

impl Timeline {
    /// A timeline of positions that are in order.
    pub(crate) fn from_ordered(positions: &[u32]) -> Self {
        let chunks = positions.chunks(CHUNK_LEN_MAX).map(<[u32]>::to_vec).collect();
        Self { chunks, len: positions.len() }
    }

    /// Number of positions.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no positions.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Inserts `item` at its place; the caller inserts each once.
    pub fn insert(&mut self, item: u32, order: impl Fn(u32, u32) -> Ordering) {
        self.len += 1;
        let at = match self.chunks.last().and_then(|chunk| chunk.last()) {
            None => {
                self.chunks.push(vec![item]);
                return;
            }
            Some(last) if order(*last, item).is_lt() => self.chunks.len() - 1,
            Some(_) => self.chunks.partition_point(|chunk| order(chunk[chunk.len() - 1], item).is_lt()),
        };
        let chunk = &mut self.chunks[at];
        let place = match chunk.last() {
            Some(last) if order(*last, item).is_lt() => chunk.len(),
            _ => chunk.partition_point(|other| order(*other, item).is_lt()),
        };
        chunk.insert(place, item);
        if chunk.len() > CHUNK_LEN_MAX {
            // An append leaves a full chunk behind instead of two half ones.
            let cut = if place == CHUNK_LEN_MAX { CHUNK_LEN_MAX } else { CHUNK_LEN_MAX / 2 };
            let rest = chunk.split_off(cut);
            self.chunks.insert(at + 1, rest);
        }
    }

    /// The rank of `item` in the order: how many positions precede it.
    pub fn rank(&self, item: u32, order: impl Fn(u32, u32) -> Ordering) -> usize {
        self.rank_where(|other| order(other, item).is_lt())
    }

    /// How many positions there are before the first one that is not before something.
    pub(crate) fn rank_where(&self, is_before: impl Fn(u32) -> bool) -> usize {
        let at = self.chunks.partition_point(|chunk| is_before(chunk[chunk.len() - 1]));
        let before: usize = self.chunks[..at].iter().map(Vec::len).sum();
        before + self.chunks.get(at).map_or(0, |chunk| chunk.partition_point(|other| is_before(*other)))
    }

    /// Whether `item` was inserted.
    pub fn contains(&self, item: u32, order: impl Fn(u32, u32) -> Ordering) -> bool {
        let at = self.chunks.partition_point(|chunk| order(chunk[chunk.len() - 1], item).is_lt());
        self.chunks.get(at).is_some_and(|chunk| chunk.binary_search_by(|other| order(*other, item)).is_ok())
    }

    /// The positions from rank `from` (inclusive) on, in order.
    pub fn iter_from(&self, from: usize) -> impl Iterator<Item = u32> + '_ {
        let mut skip = from;
        let at = self.chunks.iter().position(|chunk| {
            let here = skip < chunk.len();
            skip -= if here { 0 } else { chunk.len() };
            here
        });
        self.chunks[at.unwrap_or(self.chunks.len())..].iter().flatten().copied().skip(skip)
    }

    /// The positions below rank `end` (exclusive), the last first.
    pub fn iter_before(&self, end: usize) -> impl Iterator<Item = u32> + '_ {
        let mut left = end;
        let at = self.chunks.iter().position(|chunk| {
            let here = left < chunk.len();
            left -= if here { 0 } else { chunk.len() };
            here
        });
        let part = at.map_or(&[][..], |at| &self.chunks[at][..left]);
        let whole = self.chunks[..at.unwrap_or(self.chunks.len())].iter().rev();
        part.iter().rev().chain(whole.flat_map(|chunk| chunk.iter().rev())).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crdt::laws::{Lawful, hold, steps};
    use crate::crdt::{Crdt, Stamp};
    use proptest::prelude::*;

    /// A timeline with the log it is of: positions are the order in which events came to this replica.
    #[derive(Debug, Clone, Default)]
    struct Replica {
        log: Vec<Stamp>,
        timeline: Timeline,
    }

    impl PartialEq for Replica {
        fn eq(&self, other: &Self) -> bool {
            self.view() == other.view()
        }
    }

    impl Crdt for Replica {
        type Op = Stamp;

        fn apply(&mut self, stamp: Stamp) {
            if !self.log.contains(&stamp) {
                self.log.push(stamp);
                let order = |a: u32, b: u32| self.log[a as usize].cmp(&self.log[b as usize]);
                self.timeline.insert(self.log.len() as u32 - 1, order);
            }
        }

        fn merge(&mut self, other: &Self) {
            other.log.iter().for_each(|stamp| self.apply(*stamp));
        }
    }

    impl Lawful for Replica {
        type View = Vec<Stamp>;

        fn act(&self, stamp: &Stamp, _: u8) -> Stamp {
            *stamp
        }

        fn view(&self) -> Self::View {
            self.timeline.iter_from(0).map(|at| self.log[at as usize]).collect()
        }

        fn naive(ops: &[Stamp]) -> Self::View {
            let mut all = ops.to_vec();
            all.sort_unstable();
            all
        }
    }

    proptest! {
        #[test]
        fn the_laws_hold(steps in steps()) {
            hold::<Replica>(&steps)?;
        }

        #[test]
        fn equals_a_sorted_list(keys in prop::collection::btree_set(any::<u32>(), 0..5000), sorted: bool, from: prop::sample::Index) {
            // Items are positions into `keys`, so that order and arrival differ as they do for events.
            let mut keys: Vec<u32> = keys.into_iter().collect();
            if !sorted { keys.sort_by_key(|key| key.wrapping_mul(0x9e37_79b9)); }
            let order = |a: u32, b: u32| keys[a as usize].cmp(&keys[b as usize]);
            let mut timeline = Timeline::default();
            for item in 0..keys.len() as u32 {
                prop_assert!(!timeline.contains(item, order));
                timeline.insert(item, order);
                prop_assert!(timeline.contains(item, order));
            }
            let mut naive: Vec<u32> = (0..keys.len() as u32).collect();
            naive.sort_by(|a, b| order(*a, *b));
            prop_assert_eq!(timeline.len(), naive.len());
            prop_assert_eq!(timeline.iter_from(0).collect::<Vec<_>>(), naive.clone());
            prop_assert_eq!(Timeline::from_ordered(&naive).iter_from(0).collect::<Vec<_>>(), naive.clone());
            let from = from.index(keys.len() + 1);
            prop_assert_eq!(timeline.iter_from(from).collect::<Vec<_>>(), &naive[from..]);
            let mut before: Vec<u32> = timeline.iter_before(from).collect();
            before.reverse();
            prop_assert_eq!(before, &naive[..from]);
            for (rank, item) in naive.iter().enumerate().step_by(97) { prop_assert_eq!(timeline.rank(*item, order), rank); }
            prop_assert!(timeline.chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK_LEN_MAX));
        }
    }
}
