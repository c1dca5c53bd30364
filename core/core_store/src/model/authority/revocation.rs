//! What a removal, a demotion or the change of a role cuts off, looked at alone.
use super::event::Node;
use super::{CUT_OFF, ROLE_CHANGED};
use crate::crdt::Stamp;
use crate::model::{ControlOp, Named, Permission, Permissions, Rank};
use std::collections::BTreeSet;
use terachat_event::{DeviceId, EventHash, UserId};

/// Which of two removals or demotions that cut each other off holds: the lower one. First what does nothing but take devices back
/// by their users' word, whoever carries it: a device that was taken from its user does not outrank that (ADR 0019). Then by
/// rank, seniority and hash.
pub(super) type Precedence = (bool, std::cmp::Reverse<Rank>, Option<Stamp>, EventHash);

/// The precedence of an event whose author is a member since then.
pub(super) fn precedence(node: &Node, since: Option<Stamp>) -> Precedence {
    let rank = node.authority.as_ref().map_or(Rank::GUEST, |author| author.rank);
    (!node.event.only_revokes_devices(), std::cmp::Reverse(rank), since, node.event.hash)
}

/// What an event takes from somebody.
#[derive(Debug)]
pub(super) struct Revocation {
    pub(super) from: From,
    /// The devices that it may concern.
    pub(super) devices: BTreeSet<DeviceId>,
}

/// From whom something is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum From {
    /// From a user: everything, or what a role does not permit.
    User { user: UserId, left: Option<Left> },
    /// From all who have a role. What is given is taken from those who give the role without having that themselves.
    Role { rank: Rank, give: Permissions, take: Permissions },
}

/// The role that a demotion leaves a user with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Left {
    rank: Rank,
    /// What it permits by what the demotion's author knew.
    permissions: Permissions,
}

/// A change of a role that may count, beside others.
pub(super) struct Change<'a> {
    by: &'a Node,
    rank: Rank,
    give: Permissions,
    take: Permissions,
}

impl<'a> Change<'a> {
    /// Those that an event makes.
    pub(super) fn all(by: &'a Node) -> impl Iterator<Item = Self> {
        by.event.transaction.0.iter().filter_map(move |op| match op {
            ControlOp::ChangeRole { rank, give, take, .. } => {
                Some(Self { by, rank: *rank, give: *give, take: *take })
            }
            _ => None,
        })
    }
}

/// What else decides what an event takes from another: the changes of roles that may count among those beside each other, and
/// whose a device is.
pub(super) struct Beside<'w, 'a> {
    pub(super) changes: &'w [Change<'a>],
    pub(super) owns: &'w dyn Fn(&UserId, &DeviceId) -> bool,
}

impl Beside<'_, '_> {
    /// Where no role was changed.
    pub(super) const PLAIN: Beside<'static, 'static> = Beside { changes: &[], owns: &|_, _| false };
}

impl Revocation {
    /// Those of an event, by the devices of each user, and by all devices that may act beside it.
    pub(super) fn all<D, A>(
        node: &Node,
        mut devices: impl FnMut(UserId) -> D,
        everybody: impl Fn() -> A,
    ) -> Vec<Self>
    where
        D: IntoIterator<Item = DeviceId>,
        A: IntoIterator<Item = DeviceId>,
    {
        let mut concerned = Vec::new();
        let Ok(authority) = &node.authority else { return concerned };
        for (roles, op) in authority.before_each(&node.event.transaction) {
            let (user, only, left) = match op {
                ControlOp::Remove { user, .. } => (*user, None, None),
                ControlOp::RevokeDevice { revocation, .. } => {
                    (revocation.user, Some(revocation.device), None)
                }
                ControlOp::SetRank { user, rank, .. } => {
                    (*user, None, Some(Left { rank: *rank, permissions: roles.of(*rank) }))
                }
                ControlOp::ChangeRole { rank, give, take, .. } => {
                    let from = From::Role { rank: *rank, give: *give, take: *take };
                    concerned.push(Self { from, devices: everybody().into_iter().collect() });
                    continue;
                }
                _ => continue,
            };
            // Of a device that is taken back, only what the device itself calls its user's: a card without its signature
            // says nothing.
            let devices = devices(user).into_iter().filter(|device| only.is_none_or(|only| only == *device));
            concerned.push(Self { from: From::User { user, left }, devices: devices.collect() });
        }
        concerned
    }

    /// Why what it cuts off is void.
    pub(super) fn why(&self) -> &'static str {
        match self.from {
            From::User { .. } => CUT_OFF,
            From::Role { .. } => ROLE_CHANGED,
        }
    }

    /// Whether it, being a part of `by`, takes what another event takes that is by one of its devices.
    pub(super) fn takes(&self, by: &Node, node: &Node, beside: &Beside<'_, '_>) -> bool {
        self.excess(by, node, beside).is_some()
    }

    /// If it takes what the event takes, which permissions of those that the event takes are gone: none where everything is
    /// taken from its author, or only the rank.
    pub(super) fn excess(&self, by: &Node, node: &Node, beside: &Beside<'_, '_>) -> Option<Permissions> {
        match &self.from {
            From::User { left: None, .. } => Some(Permissions::NONE),
            From::User { user, left: Some(left) } => {
                // What the role lost by somebody who knew neither of the demotion nor of the event, it does not permit either.
                let lost = beside.changes.iter().filter(|change| {
                    change.rank == left.rank
                        && !by.past.contains(&change.by.event.stamp.event())
                        && !change.by.past.contains(&node.event.stamp.event())
                });
                let permits = lost.fold(left.permissions, |permits, change| permits.without(change.take));
                // Whoever is demoted may still leave, and take devices of its own back.
                let excess = needed(node, |target| target == user, beside).without(permits);
                let too_high = node.event.transaction.0.iter().any(|op| out_of_reach(op, left.rank));
                (too_high || !excess.is_none()).then_some(excess)
            }
            From::Role { rank, give, take } => {
                let author = node.authority.as_ref().ok()?;
                let owns = |target: &UserId| (beside.owns)(target, &node.event.stamp.author);
                let taken = if author.rank == *rank {
                    needed(node, owns, beside).and(*take)
                } else {
                    Permissions::NONE
                };
                let gives_it = node.event.granted().any(|granted| granted == *rank);
                let beyond = if gives_it { give.without(author.permissions()) } else { Permissions::NONE };
                let excess = taken.with(beyond);
                (!excess.is_none()).then_some(excess)
            }
        }
    }
}

/// The permissions that an event takes: for what it does, and for what it gives somebody, also by roles that were given them
/// beside it.
fn needed(node: &Node, is_own: impl Fn(&UserId) -> bool, beside: &Beside<'_, '_>) -> Permissions {
    let done = node.event.transaction.0.iter().filter_map(|op| required(op, &is_own));
    let changed = beside
        .changes
        .iter()
        .filter(|change| node.event.granted().any(|rank| rank == change.rank) && change.by.is_beside(node));
    changed.fold(done.collect::<Permissions>().with(node.grants), |needed, change| needed.with(change.give))
}

/// The permission without which nobody can do this, whoever the target is, but for what somebody may do about itself.
fn required(op: &ControlOp, is_own: impl Fn(&UserId) -> bool) -> Option<Permission> {
    match op {
        ControlOp::Genesis { .. } | ControlOp::Commit(_) | ControlOp::OfferKeyPackage { .. } => None,
        ControlOp::Remove { user, .. } if is_own(user) => None,
        ControlOp::RevokeDevice { revocation, .. } if is_own(&revocation.user) => None,
        ControlOp::Admit { .. } => Some(Permission::Invite),
        ControlOp::SetRank { .. } | ControlOp::ChangeRole { .. } => Some(Permission::ManageRoles),
        ControlOp::SetName { of: Named::Space, .. } => Some(Permission::RenameSpace),
        ControlOp::RequireArchive { .. } | ControlOp::Hold { .. } => Some(Permission::ManageArchive),
        ControlOp::WantSuite { .. } | ControlOp::ReInit(_) | ControlOp::SetRenewal(_) => {
            Some(Permission::ManageSuite)
        }
        ControlOp::Remove { .. } | ControlOp::RevokeDevice { .. } => Some(Permission::Remove),
        ControlOp::CreateChannel { .. }
        | ControlOp::CreateForum { .. }
        | ControlOp::CreateSinceJoin { .. }
        | ControlOp::CreateCategory { .. }
        | ControlOp::SetName { .. }
        | ControlOp::SetTopic { .. }
        | ControlOp::Place { .. } => Some(Permission::ManageChannels),
    }
}

/// Whether it gives or changes a role that is beyond whoever is left with this rank.
fn out_of_reach(op: &ControlOp, left: Rank) -> bool {
    match op {
        ControlOp::Admit { rank, .. } | ControlOp::SetRank { rank, .. } => *rank > left,
        ControlOp::ChangeRole { rank, .. } => *rank >= left,
        _ => false,
    }
}
