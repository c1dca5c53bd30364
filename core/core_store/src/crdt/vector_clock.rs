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
    use crate::crdt::Stamp;
    use crate::crdt::laws::{Lawful, hold, steps};
    use proptest::prelude::*;

    impl Lawful for VectorClock {
        type View = BTreeMap<DeviceId, u64>;

        fn act(&self, stamp: &Stamp, _: u8) -> EventRef {
            stamp.event()
        }

        fn view(&self) -> Self::View {
            let seen: BTreeMap<DeviceId, u64> = self.iter().map(|(author, seq)| (*author, seq)).collect();
            let contains = |author: &DeviceId, seq| self.contains(&EventRef { author: *author, seq });
            assert!(seen.iter().all(|(author, seq)| contains(author, *seq) && !contains(author, seq + 1)));
            seen
        }

        fn naive(ops: &[EventRef]) -> Self::View {
            let newest =
                |author: &DeviceId| ops.iter().filter(|op| op.author == *author).map(|op| op.seq).max();
            ops.iter().map(|op| (op.author, newest(&op.author).unwrap_or(0))).collect()
        }
    }

    proptest! {
        #[test]
        fn the_laws_hold(steps in steps()) {
            hold::<VectorClock>(&steps)?;
        }
    }
}
