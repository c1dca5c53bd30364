use std::collections::{BTreeMap, BTreeSet};

/// As many Lamport times to a leaf, and children to a node, as this many bits count.
const BITS: u32 = 6;
/// Levels of nodes above the leaves: together they cover every Lamport time.
const LEVELS: usize = 10;

/// Hashes over a timeline, for finding out what two replicas do not have in common: a leaf stands for 64 Lamport times, a
/// node for 64 leaves or nodes. Its shape follows from the times alone, so equal states have equal trees, however they
/// came about. What the leaves hash is the caller's: `docs/format/state-hash.md`.
///
/// A change costs its leaf and the eleven nodes above it. One leaf takes some 50 bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct StateTree {
    leaves: BTreeMap<u64, [u8; 32]>,
    /// By height above the leaves; only nodes below which something is.
    nodes: [BTreeMap<u64, [u8; 32]>; LEVELS],
    /// Leaves whose hash has to be computed anew.
    stale: BTreeSet<u64>,
}

impl StateTree {
    /// A tree of leaves whose hashes are known, and of those that are to be computed.
    pub(crate) fn of(leaves: impl IntoIterator<Item = (u64, Option<[u8; 32]>)>) -> Self {
        let mut tree = Self::default();
        for (leaf, hash) in leaves {
            match hash {
                Some(hash) => _ = tree.leaves.insert(leaf, hash),
                None => _ = tree.stale.insert(leaf),
            }
        }
        let mut below: BTreeSet<u64> = tree.leaves.keys().copied().collect();
        for height in 0..LEVELS {
            below = below.iter().map(|at| at >> BITS).collect();
            below.iter().for_each(|at| tree.renew(height, *at));
        }
        tree
    }

    /// The leaf that stands for this Lamport time.
    pub(crate) fn leaf_of(lamport: u64) -> u64 {
        lamport >> BITS
    }

    /// The first and the last Lamport time of a leaf.
    pub(crate) fn times_of(leaf: u64) -> (u64, u64) {
        (leaf << BITS, leaf << BITS | ((1 << BITS) - 1))
    }

    /// Something at this Lamport time is new, or has changed.
    pub(crate) fn touch(&mut self, lamport: u64) {
        self.stale.insert(Self::leaf_of(lamport));
    }

    /// The root, after the hashes of changed leaves were asked for: `None` for a leaf with nothing under it.
    ///
    /// # Errors
    /// What `hash_leaf` gives; the tree is then as it was.
    pub(crate) fn refresh<E>(
        &mut self,
        mut hash_leaf: impl FnMut(u64) -> Result<Option<[u8; 32]>, E>,
    ) -> Result<[u8; 32], E> {
        let fresh: Vec<_> =
            self.stale.iter().map(|leaf| Ok((*leaf, hash_leaf(*leaf)?))).collect::<Result<_, E>>()?;
        let mut changed: BTreeSet<u64> = std::mem::take(&mut self.stale);
        for (leaf, hash) in fresh {
            match hash {
                Some(hash) => _ = self.leaves.insert(leaf, hash),
                None => _ = self.leaves.remove(&leaf),
            }
        }
        for height in 0..LEVELS {
            changed = changed.iter().map(|at| at >> BITS).collect();
            changed.iter().for_each(|at| self.renew(height, *at));
        }
        Ok(hash_of(&self.nodes[LEVELS - 1], 0..=u64::MAX))
    }

    /// Leaves that are not the same in both, ascending: whole branches that are the same are passed over. Both are fresh.
    pub(crate) fn differing(&self, other: &Self) -> Vec<u64> {
        let mut differing: Vec<u64> = either(&self.nodes[LEVELS - 1], &other.nodes[LEVELS - 1], 0..=u64::MAX);
        for height in (0..LEVELS).rev() {
            let (a, b) = (self.below(height), other.below(height));
            differing = differing.into_iter().flat_map(|at| either(a, b, children(at))).collect();
        }
        differing
    }

    /// The leaves, ascending; without a hash where it is to be computed.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = (u64, Option<[u8; 32]>)> + '_ {
        let all: BTreeSet<u64> = self.leaves.keys().chain(&self.stale).copied().collect();
        all.into_iter()
            .map(|leaf| (leaf, self.leaves.get(&leaf).filter(|_| !self.stale.contains(&leaf)).copied()))
    }

    fn below(&self, height: usize) -> &BTreeMap<u64, [u8; 32]> {
        height.checked_sub(1).map_or(&self.leaves, |below| &self.nodes[below])
    }

    fn renew(&mut self, height: usize, at: u64) {
        let below = self.below(height);
        if below.range(children(at)).next().is_none() {
            self.nodes[height].remove(&at);
        } else {
            let hash = hash_of(below, children(at));
            self.nodes[height].insert(at, hash);
        }
    }
}

fn children(at: u64) -> std::ops::RangeInclusive<u64> {
    at << BITS..=(at << BITS | ((1 << BITS) - 1))
}

fn hash_of(below: &BTreeMap<u64, [u8; 32]>, children: std::ops::RangeInclusive<u64>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 state node");
    for (at, hash) in below.range(children) {
        hasher.update(&at.to_le_bytes()).update(hash);
    }
    *hasher.finalize().as_bytes()
}

/// Where two maps differ, within bounds.
fn either(
    a: &BTreeMap<u64, [u8; 32]>,
    b: &BTreeMap<u64, [u8; 32]>,
    within: std::ops::RangeInclusive<u64>,
) -> Vec<u64> {
    let keys: BTreeSet<u64> = a.range(within.clone()).chain(b.range(within)).map(|(at, _)| *at).collect();
    keys.into_iter().filter(|at| a.get(at) != b.get(at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    type Model = BTreeMap<u64, u8>;

    fn leaf_hash(model: &Model, leaf: u64) -> Option<[u8; 32]> {
        let (first, last) = StateTree::times_of(leaf);
        let mut hasher = blake3::Hasher::new();
        let mut any = false;
        for (lamport, value) in model.range(first..=last) {
            any = true;
            hasher.update(&lamport.to_le_bytes()).update(&[*value]);
        }
        any.then(|| *hasher.finalize().as_bytes())
    }

    fn root(tree: &mut StateTree, model: &Model) -> [u8; 32] {
        tree.refresh(|leaf| Ok::<_, Infallible>(leaf_hash(model, leaf))).unwrap()
    }

    fn fresh(model: &Model) -> StateTree {
        StateTree::of(model.keys().map(|lamport| (StateTree::leaf_of(*lamport), None)))
    }

    /// Dense times as they are, and some far out.
    fn lamport() -> impl Strategy<Value = u64> {
        prop_oneof![8 => 0..2_000u64, 1 => any::<u64>()]
    }

    proptest! {
        #[test]
        fn changes_one_by_one_lead_to_the_tree_of_the_whole(steps in prop::collection::vec((lamport(), 0..4u8), 1..120)) {
            let (mut tree, mut model) = (StateTree::default(), Model::new());
            for (n, (lamport, value)) in steps.into_iter().enumerate() {
                // Value 0 takes away.
                if value == 0 { model.remove(&lamport); } else { model.insert(lamport, value); }
                tree.touch(lamport);
                if n % 7 == 0 { root(&mut tree, &model); }
            }
            let hash = root(&mut tree, &model);
            let mut whole = fresh(&model);
            prop_assert_eq!(root(&mut whole, &model), hash);
            prop_assert_eq!(&tree.leaves, &whole.leaves);
            prop_assert_eq!(&tree.nodes, &whole.nodes);
            let mut kept = StateTree::of(tree.leaves());
            prop_assert_eq!(root(&mut kept, &model), hash);
        }

        #[test]
        fn what_differs_is_what_a_comparison_of_everything_finds(
            both in prop::collection::btree_map(lamport(), 1..4u8, 0..200),
            one in prop::collection::btree_map(lamport(), 1..4u8, 0..6),
            other in prop::collection::btree_map(lamport(), 1..4u8, 0..6),
        ) {
            let (mut a, mut b) = (both.clone(), both);
            a.extend(one);
            b.extend(other);
            let (mut x, mut y) = (fresh(&a), fresh(&b));
            let same = root(&mut x, &a) == root(&mut y, &b);
            let leaves: BTreeSet<u64> = a.keys().chain(b.keys()).map(|lamport| StateTree::leaf_of(*lamport)).collect();
            let naive: Vec<u64> = leaves.into_iter().filter(|leaf| leaf_hash(&a, *leaf) != leaf_hash(&b, *leaf)).collect();
            prop_assert_eq!(same, naive.is_empty());
            prop_assert_eq!(same, a == b);
            prop_assert_eq!(x.differing(&y), naive);
        }
    }
}
