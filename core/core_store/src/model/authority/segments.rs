//! Where the log parts: events that are comparable with all others.
use super::event::Node;
use terachat_event::EventHash;

/// Cuts events in total order into segments, each of which builds on everything before it: an event that all earlier ones
/// are in the past of, and that is in the past of all later ones, is one by itself; those between two such are one together.
pub(super) fn segments<'a, 'n>(inside: &'a [&'n Node]) -> impl Iterator<Item = &'a [&'n Node]> {
    let places: hashbrown::HashMap<EventHash, usize> =
        inside.iter().enumerate().map(|(at, node)| (node.event.hash, at)).collect();
    // Of each event the first that builds on it, and how many events an arrow or a gap passes over, as differences.
    let mut first_child = vec![inside.len(); inside.len()];
    let mut passed = vec![0_isize; inside.len() + 1];
    let mut pass = |from: usize, to: usize| {
        if from < to {
            passed[from] += 1;
            passed[to] -= 1;
        }
    };
    for (at, node) in inside.iter().enumerate() {
        let parents = node.event.parents.iter().filter_map(|parent| places.get(parent));
        let mut last = None;
        for parent in parents {
            first_child[*parent] = first_child[*parent].min(at);
            last = last.max(Some(*parent));
        }
        // What lies between it and the last that it builds on is not in its past.
        pass(last.map_or(0, |last| last + 1), at);
    }
    // What lies between an event and the first that builds on it does not have it in its past.
    first_child.iter().enumerate().for_each(|(at, child)| pass(at + 1, *child));
    let mut depth = 0;
    let alone: Vec<bool> = passed[..inside.len()]
        .iter()
        .map(|change| {
            depth += change;
            depth == 0
        })
        .collect();
    let mut at = 0;
    std::iter::from_fn(move || {
        let from = at;
        let first = *alone.get(from)?;
        at += 1;
        while !first && alone.get(at) == Some(&false) {
            at += 1;
        }
        Some(&inside[from..at])
    })
}
