use super::{OrSet, OrSetOp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use terachat_event::EventRef;

/// An observed-remove map: its values are [`OrSet`]s, and a key is there while something of its value lives.
///
/// As with these, operations arrive in causal order and no tombstones are kept: of a key whose value was removed nothing is
/// left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent, bound(deserialize = "K: Ord + Deserialize<'de>, T: Ord + Deserialize<'de>"))]
pub struct OrMap<K: Ord, T: Ord> {
    values: BTreeMap<K, OrSet<T>>,
}

impl<K: Ord, T: Ord> Default for OrMap<K, T> {
    fn default() -> Self {
        Self { values: BTreeMap::new() }
    }
}

impl<K: Ord, T: Ord> OrMap<K, T> {
    /// The keys, ascending.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.values.keys()
    }

    /// Whether a key is there.
    pub fn contains(&self, key: &K) -> bool {
        self.values.contains_key(key)
    }

    /// The elements of a key's value with their living dots, ascending; none for a key that is not there.
    pub fn of(&self, key: &K) -> impl Iterator<Item = (&T, &std::collections::BTreeSet<EventRef>)> {
        self.values.get(key).into_iter().flat_map(OrSet::iter)
    }

    /// Applies one operation to the value of a key.
    pub fn apply(&mut self, key: K, op: OrSetOp<T>) {
        match self.values.entry(key) {
            Entry::Occupied(mut entry) => {
                entry.get_mut().apply(op);
                if entry.get().is_empty() {
                    entry.remove();
                }
            }
            Entry::Vacant(entry) => {
                let mut set = OrSet::default();
                set.apply(op);
                if !set.is_empty() {
                    entry.insert(set);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crdt::laws::{Lawful, hold, steps};
    use crate::crdt::or_set::tests::OrSetReplica;
    use crate::crdt::{Crdt, Stamp};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// An [`OrMap`] and, beside it, each key's value as a replica of its own, which knows the dots it has seen.
    #[derive(Debug, Clone, Default, PartialEq)]
    struct OrMapReplica {
        map: OrMap<u8, u8>,
        replicas: BTreeMap<u8, OrSetReplica<u8>>,
    }

    impl OrMapReplica {
        /// The map as its values are.
        fn rebuild(&mut self) {
            let living = self.replicas.iter().filter(|(_, replica)| !replica.set.is_empty());
            self.map = OrMap { values: living.map(|(key, replica)| (*key, replica.set.clone())).collect() };
        }
    }

    impl Crdt for OrMapReplica {
        type Op = (u8, OrSetOp<u8>);

        fn apply(&mut self, (key, op): Self::Op) {
            let replica = self.replicas.entry(key).or_default();
            let is_new = match &op {
                OrSetOp::Add(_, dot) => !replica.seen.contains(dot),
                OrSetOp::Remove(..) => true,
            };
            replica.apply(op.clone());
            if is_new {
                self.map.apply(key, op);
            }
            let by_operations = self.map.clone();
            self.rebuild();
            assert_eq!(self.map, by_operations, "operations lead where the values do");
        }

        fn merge(&mut self, other: &Self) {
            for (key, theirs) in &other.replicas {
                self.replicas.entry(*key).or_default().merge(theirs);
            }
            self.rebuild();
        }
    }

    impl Lawful for OrMapReplica {
        type View = BTreeMap<u8, BTreeSet<u8>>;

        fn act(&self, stamp: &Stamp, dice: u8) -> Self::Op {
            let (key, rest) = (dice % 3, dice / 3);
            (key, self.replicas.get(&key).cloned().unwrap_or_default().act(stamp, rest))
        }

        fn view(&self) -> Self::View {
            self.map
                .keys()
                .map(|key| (*key, self.map.of(key).map(|(element, _)| *element).collect()))
                .collect()
        }

        fn naive(ops: &[Self::Op]) -> Self::View {
            let of = |key: u8| {
                let ops = ops.iter().filter(|(at, _)| *at == key).map(|(_, op)| op.clone());
                OrSetReplica::naive(&ops.collect::<Vec<_>>())
            };
            (0..3).map(|key| (key, of(key))).filter(|(_, elements)| !elements.is_empty()).collect()
        }
    }

    proptest! {
        #[test]
        fn the_laws_hold(steps in steps()) {
            hold::<OrMapReplica>(&steps)?;
        }
    }
}
