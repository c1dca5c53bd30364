//! What a set of control events adds up to, and how to go on from there.
use super::event::{ControlEvent, Node};
use super::grounds::Grounds;
use super::links::apply;
use super::strong_removal::{Cut, strong_removal};
use super::{FORGED, ORPHANED, UNREADABLE};
use crate::model::SpaceState;
use imbl::{OrdMap, OrdSet};
use std::collections::BTreeMap;
use std::sync::Arc;
use terachat_event::EventHash;

/// The state of a set of control events that is closed under causal past. Made of parts that two can share, so a copy is
/// cheap whatever the number of members.
#[derive(Clone, Default)]
pub(super) struct Resolved {
    pub(super) state: Arc<SpaceState>,
    /// The events of the set that count for nothing by themselves or by strong removal, with the reason.
    pub(super) void: OrdMap<EventHash, &'static str>,
    /// The other events whose authors are not in the state when their turn in the total order comes.
    pub(super) orphans: OrdSet<EventHash>,
}

impl Resolved {
    /// Why an event of the set counts for nothing, if so.
    pub(super) fn why_void(&self, hash: &EventHash) -> Option<&'static str> {
        self.void.get(hash).copied().or_else(|| self.orphans.contains(hash).then_some(ORPHANED))
    }

    /// Goes on with an event that builds on everything so far; else how many operations were carried out, and why not
    /// the next: then it counts for nothing, and the state is spoilt if any was.
    pub(super) fn follow(&mut self, event: &ControlEvent) -> Result<(), (usize, &'static str)> {
        let done = act(Arc::make_mut(&mut self.state), event);
        if let Err((_, why)) = done {
            self.void.insert(event.hash, why);
        }
        done
    }

    /// Goes on with events in total order that all build on everything so far, which is `grounds`; `cut` is told of every
    /// event that strong removal cuts off, and by which.
    pub(super) fn take(&mut self, segment: &[&Node], grounds: &Grounds<'_>, cut: impl FnMut(Cut<'_>)) {
        let forbidden =
            segment.iter().filter_map(|node| Some((node.event.hash, *node.authority.as_ref().err()?)));
        let mut void: BTreeMap<EventHash, &'static str> = forbidden.collect();
        strong_removal(segment, grounds, &mut void, cut);
        self.void.extend(void);
        self.carry_out(segment);
    }

    /// Carries out events in total order, as far as they are not void and their authors are there by then.
    pub(super) fn carry_out(&mut self, events: &[&Node]) {
        let state = Arc::make_mut(&mut self.state);
        for node in events {
            let founded = !state.members.is_empty();
            if self.void.contains_key(&node.event.hash) {
                continue;
            }
            // Its admission comes before it in the total order, so by now it is known whether that counts.
            if founded && !state.devices.contains_key(&node.event.stamp.author) {
                self.orphans.insert(node.event.hash);
            } else {
                self.orphans.remove(&node.event.hash);
                apply(state, node);
            }
        }
    }
}

/// Carries out an event's operations one after the other, as far as its author may; else how many were carried out,
/// and why not the next.
pub(super) fn act(state: &mut SpaceState, event: &ControlEvent) -> Result<(), (usize, &'static str)> {
    if event.transaction.0.is_empty() {
        return Err((0, UNREADABLE));
    }
    if !event.vouched {
        return Err((0, FORGED));
    }
    for (at, op) in event.transaction.0.iter().enumerate() {
        if let Some(why) = state.forbidden(&event.stamp.author, op) {
            return Err((at, why));
        }
        state.apply(&event.stamp, &event.hash, at, op);
    }
    Ok(())
}
