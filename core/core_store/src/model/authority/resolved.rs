//! What a set of control events adds up to, and how to go on from there.
use super::strong_removal::strong_removal;
use super::{ControlEvent, Node, ORPHANED, act, apply, cards};
use crate::crdt::Stamp;
use crate::model::SpaceState;
use imbl::{OrdMap, OrdSet};
use std::collections::BTreeMap;
use std::sync::Arc;
use terachat_event::{DeviceId, EventHash, UserId};

/// The state of a set of control events that is closed under causal past. Made of parts that two can share, so a copy is
/// cheap whatever the number of members.
#[derive(Clone, Default)]
pub(super) struct Resolved {
    pub(super) state: Arc<SpaceState>,
    /// The events of the set that count for nothing, with the reason.
    pub(super) void: OrdMap<EventHash, &'static str>,
    /// Kept up by [`Resolved::take`] alone, so it is of use only where all came by that.
    pub(super) grounds: Grounds,
}

/// What strong removal has to know of the events before those it looks at.
#[derive(Clone, Default)]
pub(super) struct Grounds {
    /// Devices that events admit which strong removal left.
    pub(super) admitted: OrdSet<DeviceId>,
    /// All cards, of void events too.
    pub(super) cards: OrdSet<(UserId, DeviceId)>,
    /// Since when each device is a member, as far as events say.
    pub(super) since: OrdMap<DeviceId, Stamp>,
}

impl Grounds {
    /// Adds the cards of an event, and whether strong removal left it.
    fn note(&mut self, event: &ControlEvent, is_left: bool) {
        for card in cards(event) {
            self.cards.insert((card.user, card.device));
            self.since.insert(card.device, event.stamp);
            if is_left {
                self.admitted.insert(card.device);
            }
        }
    }
}

impl Resolved {
    /// Goes on with an event that builds on everything so far; else how many operations were carried out, and why not
    /// the next: then it counts for nothing, and the state is spoilt if any was.
    pub(super) fn follow(&mut self, event: &ControlEvent) -> Result<(), (usize, &'static str)> {
        let done = act(Arc::make_mut(&mut self.state), event);
        if let Err((_, why)) = done {
            self.void.insert(event.hash, why);
        }
        done
    }

    /// Goes on with events in total order that all build on everything so far; `cut` is told of every event that strong
    /// removal cuts off, and by which.
    pub(super) fn take(&mut self, segment: &[&Node], cut: impl FnMut(&Node, &Node)) {
        let forbidden =
            segment.iter().filter_map(|node| node.authority.err().map(|why| (node.event.hash, why)));
        let mut void: BTreeMap<EventHash, &'static str> = forbidden.collect();
        strong_removal(segment, &self.grounds, &mut void, cut);
        segment.iter().for_each(|node| self.grounds.note(&node.event, !void.contains_key(&node.event.hash)));
        let state = Arc::make_mut(&mut self.state);
        for node in segment {
            let founded = !state.members.is_empty();
            if void.contains_key(&node.event.hash) {
                continue;
            }
            // Its admission comes before it in the total order, so by now it is known whether that counts.
            if founded && !state.devices.contains_key(&node.event.stamp.author) {
                void.insert(node.event.hash, ORPHANED);
            } else {
                apply(state, &node.event);
            }
        }
        self.void.extend(void);
    }
}

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
