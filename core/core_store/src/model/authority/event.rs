use crate::crdt::{Stamp, VectorClock};
use crate::model::{Card, ControlOp, ControlTransaction, Permission, Permissions, Rank, Roles, SpaceState};
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

    /// Whether it removes or demotes somebody, changes a role, or takes a device back.
    pub(super) fn revokes(&self) -> bool {
        let mut ops = self.transaction.0.iter();
        ops.any(|op| matches!(op, ControlOp::Remove { .. } | ControlOp::SetRank { .. }))
            || self.changes_role()
            || self.revokes_device()
    }

    /// Whether it changes what a role permits.
    pub(super) fn changes_role(&self) -> bool {
        self.transaction.0.iter().any(|op| matches!(op, ControlOp::ChangeRole { .. }))
    }

    /// The roles that it gives to somebody.
    pub(super) fn granted(&self) -> impl Iterator<Item = Rank> {
        self.transaction.0.iter().filter_map(|op| match op {
            ControlOp::Admit { rank, .. } | ControlOp::SetRank { rank, .. } => Some(*rank),
            _ => None,
        })
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
    pub(crate) fn on(
        then: &SpaceState,
        author: &DeviceId,
        channel: &ChannelId,
        permission: Permission,
    ) -> Self {
        if !(then.permits(author, permission) && then.permits(author, Permission::Post)) {
            Self::Void("its author had no right to it when it was made")
        } else if !then.channels.contains_key(channel) {
            Self::Void("its channel did not exist when it was made")
        } else {
            Self::Counts
        }
    }
}

/// What an event's author was in the state that it was made under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authority {
    /// The author's rank.
    pub(crate) rank: Rank,
    /// What roles permitted.
    pub(crate) roles: Roles,
}

impl Authority {
    /// Of an event that `author` makes in this state; of who founds a space an owner's.
    pub(super) fn of(author: &DeviceId, state: &SpaceState) -> Self {
        Self { rank: state.rank_of(author).unwrap_or(Rank::OWNER), roles: state.roles().clone() }
    }

    /// What the author might do.
    pub(super) fn permissions(&self) -> Permissions {
        self.roles.of(self.rank)
    }

    /// Whether the author might admit a newcomer with this rank.
    pub(super) fn may_admit(&self, rank: Rank) -> bool {
        let own = self.permissions();
        own.has(Permission::Invite) && rank < self.rank && own.holds(self.roles.of(rank))
    }

    /// The roles as they are in front of each operation of a transaction, by what it says before.
    pub(super) fn before_each<'a>(
        &'a self,
        transaction: &'a ControlTransaction,
    ) -> impl Iterator<Item = (Roles, &'a ControlOp)> {
        transaction.0.iter().scan(self.roles.clone(), |roles, op| {
            let before = roles.clone();
            if let ControlOp::ChangeRole { rank, give, take, .. } = op {
                roles.change(*rank, *give, *take);
            }
            Some((before, op))
        })
    }

    /// The permissions that a transaction gives somebody, be it with a role.
    pub(super) fn grants(&self, transaction: &ControlTransaction) -> Permissions {
        let all = self.before_each(transaction).map(|(roles, op)| match op {
            ControlOp::Admit { rank, .. } | ControlOp::SetRank { rank, .. } => roles.of(*rank),
            ControlOp::ChangeRole { give, .. } => *give,
            _ => Permissions::NONE,
        });
        all.fold(Permissions::NONE, Permissions::with)
    }
}

/// An event in its place in the log.
pub(super) struct Node {
    pub(super) event: ControlEvent,
    /// Everything it builds on, itself included; without what forked chains say from the fork on.
    pub(super) past: VectorClock,
    /// Whether it builds on a fork, or is behind one itself.
    pub(super) forked: bool,
    /// What its author was in the state it was made under, or why it may not do what it does. Depends on the past
    /// alone, so it never changes.
    pub(super) authority: Result<Authority, &'static str>,
    /// The permissions that it gives somebody, by what roles permitted there.
    pub(super) grants: Permissions,
}

impl Node {
    /// Whether an operation makes its user a member where none is. A further device is admitted with any rank, since it has its
    /// user's: where nothing is left of the user's own admission, it does not come to that rank.
    pub(super) fn makes_member(&self, op: &ControlOp) -> bool {
        match (op, &self.authority) {
            (ControlOp::Admit { rank, .. }, Ok(author)) => author.may_admit(*rank),
            _ => true,
        }
    }

    /// Whether neither of two events knew of the other.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        !self.past.contains(&other.event.stamp.event()) && !other.past.contains(&self.event.stamp.event())
    }
}
