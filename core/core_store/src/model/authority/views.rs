use super::resolved::Resolved;
use crate::crdt::VectorClock;
use terachat_event::EventHash;

/// How many states at past heads are kept for judging events that cite them.
const KEPT_MAX: usize = if cfg!(test) { 3 } else { 64 };

/// The state of a causal past.
#[derive(Clone)]
pub(super) struct View {
    /// The heads that it was asked for by.
    pub(super) heads: Vec<EventHash>,
    pub(super) past: VectorClock,
    pub(super) resolved: Resolved,
}

/// The views asked for last, the newest last.
#[derive(Default)]
pub(super) struct Views(Vec<View>);

impl Views {
    /// The view of exactly these heads.
    pub(super) fn at(&mut self, heads: &[EventHash]) -> Option<&View> {
        let place = self.0.iter().rposition(|view| view.heads == heads)?;
        let view = self.0.remove(place);
        self.0.push(view);
        self.0.last()
    }

    pub(super) fn keep(&mut self, view: View) {
        if self.0.len() == KEPT_MAX {
            self.0.remove(0);
        }
        self.0.push(view);
    }

    /// Views that one of these heads alone was asked for by.
    pub(super) fn below<'a>(&'a self, heads: &'a [EventHash]) -> impl Iterator<Item = &'a View> {
        self.0.iter().filter(|view| matches!(&view.heads[..], [head] if heads.contains(head)))
    }
}
