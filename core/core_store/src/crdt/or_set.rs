use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use terachat_event::EventRef;

/// An observed-remove set in which adding wins over removing concurrently.
///
/// Each add is named by its event (its *dot*); a remove names the dots it saw, and only those go. Events arrive in
/// causal order, so a dot is always added before it is removed and a removed dot never returns: what is kept is the
/// living dots, and no tombstones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: Ord + Deserialize<'de>"))]
pub struct OrSet<T: Ord> {
    dots: BTreeMap<T, BTreeSet<EventRef>>,
}

/// What changes an [`OrSet`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrSetOp<T> {
    /// Adds an element under a fresh dot.
    Add(T, EventRef),
    /// Removes an element as far as these dots hold it.
    Remove(T, Vec<EventRef>),
}

impl<T: Ord> Default for OrSet<T> {
    fn default() -> Self {
        Self { dots: BTreeMap::new() }
    }
}

impl<T: Ord> OrSet<T> {
    /// The elements with their living dots, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&T, &BTreeSet<EventRef>)> {
        self.dots.iter()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.dots.is_empty()
    }

    /// Applies one operation.
    pub fn apply(&mut self, op: OrSetOp<T>) {
        match op {
            OrSetOp::Add(element, dot) => {
                self.dots.entry(element).or_default().insert(dot);
            }
            OrSetOp::Remove(element, seen) => {
                if let Some(dots) = self.dots.get_mut(&element) {
                    seen.iter().for_each(|dot| {
                        dots.remove(dot);
                    });
                    if dots.is_empty() {
                        self.dots.remove(&element);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::crdt::laws::{Lawful, hold, steps};
    use crate::crdt::{Crdt, Stamp};
    use proptest::prelude::*;

    /// An [`OrSet`] together with the dots it has seen, which is what merging states (instead of applying operations in
    /// causal order) needs to know.
    #[derive(Debug, Clone, PartialEq, Eq, Default)]
    pub(in crate::crdt) struct OrSetReplica<T: Ord> {
        pub(in crate::crdt) set: OrSet<T>,
        pub(in crate::crdt) seen: BTreeSet<EventRef>,
    }

    impl<T: Ord + Clone> Crdt for OrSetReplica<T> {
        type Op = OrSetOp<T>;

        fn apply(&mut self, op: Self::Op) {
            match &op {
                OrSetOp::Add(_, dot) if !self.seen.insert(*dot) => return,
                OrSetOp::Add(..) => {}
                OrSetOp::Remove(_, dots) => self.seen.extend(dots),
            }
            self.set.apply(op);
        }

        fn merge(&mut self, other: &Self) {
            let elements: BTreeSet<T> = self.set.dots.keys().chain(other.set.dots.keys()).cloned().collect();
            for element in elements {
                let empty = BTreeSet::new();
                let mine = self.set.dots.get(&element).unwrap_or(&empty);
                let theirs = other.set.dots.get(&element).unwrap_or(&empty);
                // A dot lives where both have it, or where the side that lacks it never saw it.
                let keep: BTreeSet<_> = mine
                    .iter()
                    .filter(|dot| theirs.contains(dot) || !other.seen.contains(dot))
                    .chain(theirs.iter().filter(|dot| mine.contains(dot) || !self.seen.contains(dot)))
                    .copied()
                    .collect();
                if keep.is_empty() {
                    self.set.dots.remove(&element);
                } else {
                    self.set.dots.insert(element, keep);
                }
            }
            self.seen.extend(&other.seen);
        }
    }

    impl Lawful for OrSetReplica<u8> {
        type View = BTreeSet<u8>;

        fn act(&self, stamp: &Stamp, dice: u8) -> Self::Op {
            let element = dice % 4;
            let living = self.set.dots.get(&element).into_iter().flatten().copied();
            match dice / 4 % 3 {
                0 => OrSetOp::Remove(element, living.collect()),
                _ => OrSetOp::Add(element, stamp.event()),
            }
        }

        fn view(&self) -> Self::View {
            self.set.iter().map(|(element, _)| *element).collect()
        }

        fn naive(ops: &[Self::Op]) -> Self::View {
            let removed = |op: &OrSetOp<u8>| match op {
                OrSetOp::Remove(_, dots) => dots.clone(),
                OrSetOp::Add(..) => Vec::new(),
            };
            let dead: BTreeSet<EventRef> = ops.iter().flat_map(removed).collect();
            let living = |op: &OrSetOp<u8>| match op {
                OrSetOp::Add(element, dot) if !dead.contains(dot) => Some(*element),
                _ => None,
            };
            ops.iter().filter_map(living).collect()
        }
    }

    proptest! {
        #[test]
        fn the_laws_hold(steps in steps()) {
            hold::<OrSetReplica<u8>>(&steps)?;
        }
    }
}
