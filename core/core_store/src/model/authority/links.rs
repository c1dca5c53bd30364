use super::event::Node;
use crate::crdt::{Stamp, VectorClock};
use crate::model::{CategoryId, ControlOp, Held, Named, SpaceState};
use hashbrown::HashMap;
use terachat_event::{ChannelId, DeviceId, UserId};

/// Which events have to do with whom, so that an event beside others need not be compared with all of them. Without what is
/// behind forks. Events are named by their positions among the log's nodes.
#[derive(Default)]
pub(super) struct Links {
    /// Each device's events; the n-th has the number n + 1.
    chains: HashMap<DeviceId, Vec<usize>>,
    /// The events that admit a device, void ones too.
    admissions: HashMap<DeviceId, Vec<usize>>,
    /// The devices that some event says are a user's.
    devices: HashMap<UserId, Vec<DeviceId>>,
    /// The events that remove or demote a user, of those whose authors had the rank for it.
    revoking: HashMap<UserId, Vec<usize>>,
    /// Whether some event takes a device back.
    pub(super) revokes_devices: bool,
    /// The events that change roles, of those whose authors might.
    pub(super) changing_roles: Vec<usize>,
    /// The last event in the total order that changes each part of the state.
    changed: HashMap<Part, Stamp>,
}

/// A part of a space's state. What an operation does depends on the parts it changes and on nothing else, so those that
/// change different parts can be carried out in either order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// A member, and up to where its chains count.
    User(UserId),
    /// Whose a device is.
    Device(DeviceId),
    /// The space's name.
    Name,
    /// A channel's name and topic.
    Channel(ChannelId),
    /// A category's name.
    Category(CategoryId),
    /// Which channels and categories there are, and where they stand.
    Outline,
    /// Whether a device is required as an archive.
    Archive(DeviceId),
    /// Whether there is a legal hold on something.
    Hold(Held),
    /// Which suite is wanted.
    Suite,
    /// When keys are renewed.
    Renewal,
}

/// The parts of the state that an operation changes.
pub(super) fn parts(op: &ControlOp) -> impl Iterator<Item = Part> {
    let (one, other) = match op {
        ControlOp::Genesis { owner: card, .. } | ControlOp::Admit { card, .. } => {
            (Some(Part::User(card.user)), Some(Part::Device(card.device)))
        }
        ControlOp::Remove { user, .. } | ControlOp::SetRank { user, .. } => (Some(Part::User(*user)), None),
        ControlOp::RevokeDevice { revocation, .. } => {
            (Some(Part::User(revocation.user)), Some(Part::Device(revocation.device)))
        }
        ControlOp::CreateChannel { .. }
        | ControlOp::CreateForum { .. }
        | ControlOp::CreateSinceJoin { .. }
        | ControlOp::CreateCategory { .. }
        | ControlOp::Place { .. } => (Some(Part::Outline), None),
        ControlOp::SetName { of: Named::Space, .. } => (Some(Part::Name), None),
        ControlOp::SetName { of: Named::Category(id), .. } => (Some(Part::Category(*id)), None),
        ControlOp::SetName { of: Named::Channel(channel), .. } | ControlOp::SetTopic { channel, .. } => {
            (Some(Part::Channel(*channel)), None)
        }
        ControlOp::RequireArchive { device, .. } => (Some(Part::Archive(*device)), None),
        ControlOp::Hold { on, .. } => (Some(Part::Hold(*on)), None),
        ControlOp::WantSuite { .. } => (Some(Part::Suite), None),
        ControlOp::SetRenewal(_) => (Some(Part::Renewal), None),
        // The first is never carried out beside others, see `add_beside`; the rest change nothing.
        ControlOp::ChangeRole { .. }
        | ControlOp::Commit(_)
        | ControlOp::OfferKeyPackage { .. }
        | ControlOp::ReInit(_) => (None, None),
    };
    one.into_iter().chain(other)
}

impl Links {
    /// Notes the event at position `at`, which is not behind a fork.
    pub(super) fn note(&mut self, at: usize, node: &Node) {
        let event = &node.event;
        self.chains.entry(event.stamp.author).or_default().push(at);
        self.revokes_devices |= event.revokes_device();
        for card in event.cards() {
            self.admissions.entry(card.device).or_default().push(at);
            let devices = self.devices.entry(card.user).or_default();
            if !devices.contains(&card.device) {
                devices.push(card.device);
            }
        }
        if node.authority.is_err() {
            return;
        }
        if event.changes_role() {
            self.changing_roles.push(at);
        }
        for op in &event.transaction.0 {
            if let ControlOp::Remove { user, .. } | ControlOp::SetRank { user, .. } = op {
                let revoking = self.revoking.entry(*user).or_default();
                if revoking.last() != Some(&at) {
                    revoking.push(at);
                }
            }
            for part in parts(op) {
                let last = self.changed.entry(part).or_insert(event.stamp);
                *last = event.stamp.max(*last);
            }
        }
    }

    /// The events of a device beyond number `seen` and up to number `last`, the oldest first.
    pub(super) fn chain(&self, device: &DeviceId, seen: u64, last: u64) -> &[usize] {
        let chain = self.chains.get(device).map_or(&[][..], Vec::as_slice);
        let place = |seq: u64| usize::try_from(seq).map_or(chain.len(), |seq| seq.min(chain.len()));
        chain.get(place(seen)..place(last)).unwrap_or_default()
    }

    /// The events that are in one past and not in another.
    pub(super) fn between(&self, before: &VectorClock, after: &VectorClock) -> Vec<usize> {
        let chains = after.iter().map(|(device, last)| self.chain(device, before.seen(device), last));
        chains.flatten().copied().collect()
    }

    /// The events that admit a device.
    pub(super) fn admissions(&self, device: &DeviceId) -> &[usize] {
        self.admissions.get(device).map_or(&[], Vec::as_slice)
    }

    /// The devices that some event says are a user's.
    pub(super) fn devices(&self, user: &UserId) -> &[DeviceId] {
        self.devices.get(user).map_or(&[], Vec::as_slice)
    }

    /// The events that may remove or demote a user.
    pub(super) fn revoking(&self, user: &UserId) -> &[usize] {
        self.revoking.get(user).map_or(&[], Vec::as_slice)
    }

    /// Whether an event behind this one in the total order changes what it changes.
    pub(super) fn is_overtaken(&self, node: &Node) -> bool {
        let mut parts = node.event.transaction.0.iter().flat_map(parts);
        parts.any(|part| self.changed.get(&part).is_some_and(|last| *last > node.event.stamp))
    }
}

/// Carries out all operations of an event that counts.
pub(super) fn apply(state: &mut SpaceState, node: &Node) {
    for (at, op) in node.event.transaction.0.iter().enumerate() {
        if let ControlOp::Admit { card, .. } = op
            && !state.members.contains_key(&card.user)
            && !node.makes_member(op)
        {
            continue;
        }
        state.apply(&node.event.stamp, &node.event.hash, at, op);
    }
}
