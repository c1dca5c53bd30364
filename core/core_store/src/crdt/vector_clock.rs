use super::Crdt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use terachat_event::{DeviceId, EventRef};

/// How many events of each author have been seen: a causally closed set of events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VectorClock(BTreeMap<DeviceId, u64>);

impl VectorClock {
    /// Whether `event` is among those seen.
    pub fn contains(&self, event: &EventRef) -> bool {
        self.seen(&event.author) >= event.seq
    }

    /// The newest number seen of `author`; 0 for none.
    pub fn seen(&self, author: &DeviceId) -> u64 {
        self.0.get(author).copied().unwrap_or(0)
    }

    /// Authors and newest numbers, ascending by author.
    pub fn iter(&self) -> impl Iterator<Item = (&DeviceId, u64)> {
        self.0.iter().map(|(author, seq)| (author, *seq))
    }
}

impl Crdt for VectorClock {
    type Op = EventRef;

    fn apply(&mut self, event: EventRef) {
        let seen = self.0.entry(event.author).or_insert(0);
        *seen = (*seen).max(event.seq);
    }

    fn merge(&mut self, other: &Self) {
        for (author, seq) in other.iter() {
            self.apply(EventRef { author: *author, seq });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clock() -> impl Strategy<Value = VectorClock> {
        prop::collection::btree_map((0..4u8).prop_map(|n| DeviceId([n; 32])), 1..9u64, 0..4)
            .prop_map(VectorClock)
    }

    proptest! {
        #[test]
        fn merge_is_the_least_upper_bound(a in clock(), b in clock(), c in clock()) {
            let join = |x: &VectorClock, y: &VectorClock| { let mut z = x.clone(); z.merge(y); z };
            prop_assert_eq!(join(&a, &b), join(&b, &a));
            prop_assert_eq!(join(&a, &join(&b, &c)), join(&join(&a, &b), &c));
            prop_assert_eq!(join(&a, &a), a.clone());
            for n in 0..4u8 {
                let author = DeviceId([n; 32]);
                prop_assert_eq!(join(&a, &b).seen(&author), a.seen(&author).max(b.seen(&author)));
            }
        }
    }
}
