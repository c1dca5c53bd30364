//! What a removal or demotion cuts off, looked at alone.
use super::event::{ControlEvent, Node};
use crate::crdt::Stamp;
use crate::model::{ControlOp, Named, Rank};
use std::collections::{BTreeMap, BTreeSet};
use terachat_event::{DeviceId, EventHash, UserId};

/// Since when each device is a member, as far as these events say, which are a whole past.
pub(super) fn founded(inside: &[&Node]) -> BTreeMap<DeviceId, Stamp> {
    let admissions = inside.iter().flat_map(|node| node.event.cards().map(|card| (card, node.event.stamp)));
    admissions.map(|(card, stamp)| (card.device, stamp)).collect()
}

/// Which of two removals or demotions that cut each other off holds: the lower one. First what does nothing but take devices back
/// by their users' word, whoever carries it: a device that was taken from its user does not outrank that (ADR 0019). Then by
/// rank, seniority and hash.
pub(super) type Precedence = (bool, std::cmp::Reverse<Rank>, Option<Stamp>, EventHash);

/// The precedence of an event whose author is a member since then.
pub(super) fn precedence(node: &Node, since: Option<Stamp>) -> Precedence {
    let rank = node.authority.unwrap_or(Rank::GUEST);
    (!node.event.only_revokes_devices(), std::cmp::Reverse(rank), since, node.event.hash)
}

/// Whether the removals and demotions of `revoking` cut `node` off: it is by one of those whom they concern, takes what they
/// took, and neither knew of the other.
pub(super) fn cuts_off(revoking: &Node, list: &[Revocation], node: &Node) -> bool {
    let other = node.event.hash != revoking.event.hash;
    other && revoking.is_beside(node) && list.iter().any(|revocation| revocation.hits(&node.event))
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

    pub(super) fn hits(&self, event: &ControlEvent) -> bool {
        self.devices.contains(&event.stamp.author) && self.takes(event)
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
        | ControlOp::CreateCategory { .. }
        | ControlOp::SetName { .. }
        | ControlOp::SetTopic { .. }
        | ControlOp::Place { .. } => Rank::MODERATOR,
    }
}

/// The removals and demotions of an event, with the devices that these events name, which are a whole past.
pub(super) fn revocations(event: &ControlEvent, inside: &[&Node]) -> Vec<Revocation> {
    Revocation::all(event, |user| {
        let cards = inside.iter().flat_map(|node| node.event.cards());
        cards.filter(|card| card.user == user).map(|card| card.device).collect::<Vec<_>>()
    })
}
