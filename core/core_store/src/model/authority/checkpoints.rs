use super::resolved::Resolved;
use crate::crdt::VectorClock;
use terachat_event::EventRef;

/// How many checkpoints are kept; few in tests, whose stories are short.
const KEPT_MAX: usize = if cfg!(test) { 4 } else { 64 };
/// How many events come between one and the next.
const STRIDE: usize = if cfg!(test) { 2 } else { 16 };

/// What the events up to one add up to that is comparable with all others: it has everything before it in its past, and is in
/// the past of everything after it. Whatever comes that builds on it can go on from there.
pub(super) struct Checkpoint {
    /// How many events these are: the first in the total order.
    pub(super) len: usize,
    /// The last of them.
    pub(super) tip: EventRef,
    pub(super) resolved: Resolved,
}

/// Checkpoints, from the oldest to the newest.
#[derive(Default)]
pub(super) struct Checkpoints(Vec<Checkpoint>);

impl Checkpoints {
    /// Keeps one when the last is so many events back that it is worth it; the older they are, the fewer are kept.
    pub(super) fn offer(&mut self, len: usize, tip: EventRef, resolved: &Resolved) {
        if self.0.last().is_some_and(|last| len < last.len + STRIDE) {
            return;
        }
        if self.0.len() == KEPT_MAX {
            // Every second of the older half goes.
            let mut nth = 0;
            self.0.retain(|_| {
                nth += 1;
                nth > KEPT_MAX / 2 || nth % 2 == 0
            });
        }
        self.0.push(Checkpoint { len, tip, resolved: resolved.clone() });
    }

    /// Forgets those that an event with this past does not build on.
    pub(super) fn drop_beside(&mut self, past: &VectorClock) {
        let valid = self.0.partition_point(|checkpoint| past.contains(&checkpoint.tip));
        self.0.truncate(valid);
    }

    /// The newest one in this past.
    pub(super) fn last_in(&self, past: &VectorClock) -> Option<&Checkpoint> {
        self.0.iter().rev().find(|checkpoint| past.contains(&checkpoint.tip))
    }

    pub(super) fn last(&self) -> Option<&Checkpoint> {
        self.0.last()
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Checkpoint> {
        self.0.iter()
    }
}
