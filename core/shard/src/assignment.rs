//! Which of a stripe's sound shards count: each once, on a node that answers, no node twice.
use crate::census::StripeCensus;
use crate::{Members, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// Each shard that counts, with the node that has it.
///
/// As many shards as can be (a largest matching of shards and nodes). Nodes in `preferred` come before others, so that
/// of two copies the one that should stay counts; beyond that lower numbers come first.
pub(crate) fn assign(
    stripe: &StripeCensus,
    members: &Members,
    preferred: &BTreeSet<NodeId>,
) -> BTreeMap<u8, NodeId> {
    let mut holders: BTreeMap<u8, Vec<NodeId>> = BTreeMap::new();
    for (index, node) in stripe.sound().filter(|(_, node)| members.answers(*node)) {
        holders.entry(index).or_default().push(node);
    }
    for nodes in holders.values_mut() {
        nodes.sort_by_key(|node| !preferred.contains(node));
    }
    let mut taken: BTreeMap<NodeId, u8> = BTreeMap::new();
    // First the preferred nodes alone: who has got a shard keeps one, so more of these count than otherwise.
    for only_preferred in [true, false] {
        for index in holders.keys() {
            if !taken.values().any(|other| other == index) {
                let fits = |node: &NodeId| !only_preferred || preferred.contains(node);
                find_place(*index, &holders, &fits, &mut taken, &mut BTreeSet::new());
            }
        }
    }
    taken.into_iter().map(|(node, index)| (index, node)).collect()
}

/// Gives the shard a node; who has it already moves to another of its own, if it can.
fn find_place(
    index: u8,
    holders: &BTreeMap<u8, Vec<NodeId>>,
    fits: &impl Fn(&NodeId) -> bool,
    taken: &mut BTreeMap<NodeId, u8>,
    tried: &mut BTreeSet<NodeId>,
) -> bool {
    for node in holders.get(&index).into_iter().flatten().filter(|node| fits(node)) {
        if tried.insert(*node) {
            let free = match taken.get(node).copied() {
                None => true,
                Some(other) => find_place(other, holders, fits, taken, tried),
            };
            if free {
                taken.insert(*node, index);
                return true;
            }
        }
    }
    false
}
