//! One event of what is here of a channel ahead of its past: what is known of it, and what not.
use super::EventView;
use crate::model::{ChannelOp, Explanation};
use crate::{Error, LocalStore};
use terachat_event::{EventRef, LogId};

/// An event that is here ahead of its channel's past only, and how far what is said of it is proven (ADR 0020).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AheadView {
    /// The event. Its hash, its author and its place in the author's chain are proven by that chain's signature.
    pub view: EventView,
    /// Why it counts or not, by the control log, which is here whole.
    pub explanation: Explanation,
    /// The least Lamport time of all that is here: what is older is not. 1 where nothing is older.
    pub from: u64,
    /// Whether its Lamport time follows from what it builds on; otherwise that is older than all that is here, and the time is
    /// what its author says.
    pub is_time_proven: bool,
    /// What it answers or changes and that is not here: known by name only.
    pub names_only: Vec<EventRef>,
}

impl LocalStore {
    /// An event of what is here of a channel ahead of its past.
    ///
    /// # Errors
    /// [`Error::Unknown`] where nothing is here, or not the event; [`Error::Store`] when the control log's history cannot be read.
    pub fn explain_ahead(&self, log: &LogId, event: &EventRef) -> Result<AheadView, Error> {
        self.control(&log.space)?;
        let preview = self.preview(log)?;
        let at = preview.find(event).ok_or(Error::Unknown("the event"))?;
        let ahead = &preview.events[at as usize];
        let explanation =
            self.explain_in_channel(log, *event, ahead.hash, &ahead.control, &ahead.payload, ahead.void)?;
        let op = ChannelOp::decode(&ahead.payload).ok();
        let names = op.iter().flat_map(ChannelOp::names).filter(|named| preview.find(named).is_none());
        let mut names_only: Vec<EventRef> = names.copied().collect();
        names_only.sort_unstable();
        names_only.dedup();
        let view = EventView {
            event: *event,
            hash: ahead.hash,
            lamport: ahead.stamp.lamport,
            wall_ms: ahead.wall_ms,
            epoch: ahead.epoch,
            parents: ahead.parents.clone(),
            payload: preview.shown_payload(at),
            transaction: Vec::new(),
            void: ahead.void,
            signed: preview.is_signed(event),
        };
        let from = preview.from();
        let is_time_proven = from == 1 || view.lamport > from;
        Ok(AheadView { view, explanation, from, is_time_proven, names_only })
    }
}
