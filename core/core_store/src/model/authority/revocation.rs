//! What a removal or demotion cuts off, looked at alone.
use super::event::{ControlEvent, Node};
use crate::crdt::Stamp;
use crate::model::{ControlOp, Named, Rank};
use std::collections::BTreeSet;
use terachat_event::{DeviceId, EventHash, UserId};

/// Which of two removals or demotions that cut each other off holds: the lower one. First what does nothing but take devices back
/// by their users' word, whoever carries it: a device that was taken from its user does not outrank that (ADR 0019). Then by
/// rank, seniority and hash.
pub(super) type Precedence = (bool, std::cmp::Reverse<Rank>, Option<Stamp>, EventHash);

/// The precedence of an event whose author is a member since then.
pub(super) fn precedence(node: &Node, since: Option<Stamp>) -> Precedence {
    let rank = node.authority.unwrap_or(Rank::GUEST);
    (!node.event.only_revokes_devices(), std::cmp::Reverse(rank), since, node.event.hash)
}

/// A removal or demotion: the devices it concerns and the rank they are left with (`None`: none at all).
#[derive(Debug)]
pub(super) struct Revocation {
    pub(super) user: UserId,
    pub(super) devices: BTreeSet<DeviceId>,
    pub(super) left: Option<Rank>,
}

impl Revocation {
    /// Those of an event, by the devices of each user.
    pub(super) fn all<D>(event: &ControlEvent, mut devices: impl FnMut(UserId) -> D) -> Vec<Self>
    where
        D: IntoIterator<Item = DeviceId>,
    {
        let ops = event.transaction.0.iter();
        let concerned = ops.filter_map(|op| match op {
            ControlOp::Remove { user, .. } => Some((*user, None, None)),
            ControlOp::RevokeDevice { revocation, .. } => {
                Some((revocation.user, Some(revocation.device), None))
            }
            ControlOp::SetRank { user, rank, .. } => Some((*user, None, Some(*rank))),
            _ => None,
        });
        concerned
            .map(|(user, only, left)| {
                // Of a device that is taken back, only what the device itself calls its user's: a card without its signature
                // says nothing.
                let devices =
                    devices(user).into_iter().filter(|device| only.is_none_or(|only| only == *device));
                Self { user, devices: devices.collect(), left }
            })
            .collect()
    }

    /// Whether it takes what the event takes, whoever that is by.
    pub(super) fn takes(&self, event: &ControlEvent) -> bool {
        self.left.is_none_or(|rank| event.transaction.0.iter().any(|op| self.required(op) > rank))
    }

    /// As [`required`]; but whoever is demoted may still leave, and take devices of its own back.
    fn required(&self, op: &ControlOp) -> Rank {
        match op {
            ControlOp::Remove { user, .. } if *user == self.user => Rank::GUEST,
            ControlOp::RevokeDevice { revocation, .. } if revocation.user == self.user => Rank::GUEST,
            op => required(op),
        }
    }
}

/// The rank below which nobody can do this, whoever the target is.
fn required(op: &ControlOp) -> Rank {
    match op {
        ControlOp::Genesis { .. } | ControlOp::Commit(_) => Rank::GUEST,
        ControlOp::Admit { rank, .. } | ControlOp::SetRank { rank, .. } => Rank::MODERATOR.max(*rank),
        ControlOp::SetName { of: Named::Space, .. } => Rank::ADMIN,
        ControlOp::Remove { .. }
        | ControlOp::RevokeDevice { .. }
        | ControlOp::CreateChannel { .. }
        | ControlOp::CreateForum { .. }
        | ControlOp::CreateSinceJoin { .. }
        | ControlOp::CreateCategory { .. }
        | ControlOp::SetName { .. }
        | ControlOp::SetTopic { .. }
        | ControlOp::Place { .. } => Rank::MODERATOR,
    }
}
