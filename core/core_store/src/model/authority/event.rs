use crate::crdt::{Stamp, VectorClock};
use crate::model::{Card, ControlOp, ControlTransaction, Rank, Right, SpaceState};
use terachat_event::{ChannelId, DeviceId, EventHash};

/// One event of the control log, decoded.
#[derive(Debug, Clone)]
pub struct ControlEvent {
    /// Place in the total order.
    pub stamp: Stamp,
    /// Chain hash.
    pub hash: EventHash,
    /// Hashes of predecessor and parents: the heads its author had seen.
    pub parents: Vec<EventHash>,
    /// What it does.
    pub transaction: ControlTransaction,
    /// Wall time as claimed, for display.
    pub wall_ms: u64,
    /// Whether users and devices signed the cards and revocations in it: see [`vouched`](crate::model::vouched).
    pub vouched: bool,
}

impl ControlEvent {
    /// The cards of the devices that it admits, which user and device signed.
    pub(super) fn cards(&self) -> impl Iterator<Item = &Card> {
        self.claims().filter(|_| self.vouched)
    }

    /// All cards in it, forged ones too: their devices' events are taken in as records even so.
    pub(super) fn claims(&self) -> impl Iterator<Item = &Card> {
        self.transaction.0.iter().filter_map(|op| match op {
            ControlOp::Genesis { owner, .. } => Some(owner),
            ControlOp::Admit { card, .. } => Some(card),
            _ => None,
        })
    }

    /// Whether it founds the space, so that nobody has to have admitted its author.
    pub(super) fn founds(&self) -> bool {
        matches!(self.transaction.0.first(), Some(ControlOp::Genesis { .. }))
    }

    /// Whether it removes or demotes somebody, or takes a device back.
    pub(super) fn revokes(&self) -> bool {
        let mut ops = self.transaction.0.iter();
        ops.any(|op| matches!(op, ControlOp::Remove { .. } | ControlOp::SetRank { .. }))
            || self.revokes_device()
    }

    /// Whether it takes a device back by its user's word.
    pub(super) fn revokes_device(&self) -> bool {
        self.transaction.0.iter().any(|op| matches!(op, ControlOp::RevokeDevice { .. }))
    }

    /// Whether all that it decides is that devices are taken back, with the commit that sees them out.
    pub(super) fn only_revokes_devices(&self) -> bool {
        let mut ops = self.transaction.0.iter();
        self.revokes_device()
            && ops.all(|op| matches!(op, ControlOp::RevokeDevice { .. } | ControlOp::Commit(_)))
    }
}

/// Whether an event counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It counts.
    Counts,
    /// It is valid as a record but counts for nothing, and why.
    Void(&'static str),
}

impl Verdict {
    /// What becomes of a channel event that was made in the state `then`.
    pub(crate) fn on(then: &SpaceState, author: &DeviceId, channel: &ChannelId, right: Right) -> Self {
        if !then.permits(author, right) {
            Self::Void("its author had no right to it when it was made")
        } else if !then.channels.contains_key(channel) {
            Self::Void("its channel did not exist when it was made")
        } else {
            Self::Counts
        }
    }
}

/// An event in its place in the log.
pub(super) struct Node {
    pub(super) event: ControlEvent,
    /// Everything it builds on, itself included; without what forked chains say from the fork on.
    pub(super) past: VectorClock,
    /// Whether it builds on a fork, or is behind one itself.
    pub(super) forked: bool,
    /// The author's rank in the state it was made under, or why it may not do what it does. Depends on the past
    /// alone, so it never changes.
    pub(super) authority: Result<Rank, &'static str>,
}

impl Node {
    /// Whether neither of two events knew of the other.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        !self.past.contains(&other.event.stamp.event()) && !other.past.contains(&self.event.stamp.event())
    }
}
