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
mod tests {
    use super::*;
    use crate::crdt::Crdt;
    use proptest::prelude::*;
    use terachat_event::DeviceId;

    /// An [`OrSet`] together with the dots it has seen, which is what merging states (instead of applying operations in
    /// causal order) needs to know.
    #[derive(Debug, Clone, PartialEq, Eq, Default)]
    struct OrSetReplica<T: Ord> {
        set: OrSet<T>,
        seen: BTreeSet<EventRef>,
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

    /// A naive model: every add and remove ever made, asked anew each time.
    fn model(ops: &[OrSetOp<u8>]) -> BTreeSet<u8> {
        let dead: BTreeSet<_> = ops
            .iter()
            .filter_map(|op| if let OrSetOp::Remove(_, dots) = op { Some(dots) } else { None })
            .flatten()
            .collect();
        ops.iter()
            .filter_map(|op| {
                if let OrSetOp::Add(element, dot) = op {
                    (!dead.contains(dot)).then_some(*element)
                } else {
                    None
                }
            })
            .collect()
    }

    proptest! {
        /// Three replicas act on what each has seen and exchange states in any pattern.
        #[test]
        fn replicas_converge_to_the_model(steps in prop::collection::vec((0..3usize, 0..4u8, 0..4u8, 0..3usize), 1..60)) {
            let mut replicas = vec![OrSetReplica::<u8>::default(); 3];
            let mut ops: Vec<OrSetOp<u8>> = Vec::new();
            for (n, (at, what, element, other)) in (1..).zip(steps) {
                match what {
                    0 | 1 => {
                        let op = OrSetOp::Add(element, EventRef { author: DeviceId([at as u8; 32]), seq: n });
                        replicas[at].apply(op.clone());
                        replicas[at].apply(op.clone());
                        ops.push(op);
                    }
                    2 => {
                        let seen: Vec<_> = replicas[at].set.dots.get(&element).into_iter().flatten().copied().collect();
                        let op = OrSetOp::Remove(element, seen);
                        replicas[at].apply(op.clone());
                        ops.push(op);
                    }
                    _ => { let from = replicas[other].clone(); replicas[at].merge(&from); }
                }
            }
            let (a, b, c) = (replicas[0].clone(), replicas[1].clone(), replicas[2].clone());
            let merged = |list: [&OrSetReplica<u8>; 3]| { let mut m = list[0].clone(); m.merge(list[1]); m.merge(list[2]); m };
            let all = merged([&a, &b, &c]);
            prop_assert_eq!(&all, &merged([&c, &a, &b]));
            let mut again = all.clone();
            again.merge(&all);
            prop_assert_eq!(&again, &all);
            prop_assert_eq!(all.set.iter().map(|(element, _)| *element).collect::<BTreeSet<_>>(), model(&ops));
        }
    }
}
