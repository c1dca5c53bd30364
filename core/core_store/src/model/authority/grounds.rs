use super::ControlLog;
use super::beside::Within;
use super::event::Node;
use crate::crdt::Stamp;
use imbl::OrdMap;
use terachat_event::{DeviceId, EventHash, UserId};

/// The events before those that strong removal looks at, all of which build on all of these.
pub(super) struct Grounds<'a> {
    pub(super) log: &'a ControlLog,
    pub(super) within: Within<'a>,
    /// The first that is looked at.
    pub(super) before: Stamp,
    /// Which of those before it are void.
    pub(super) void: OrdMap<EventHash, &'static str>,
}

impl<'a> Grounds<'a> {
    /// The events that admit a device and are not void.
    fn admissions(&self, device: &DeviceId) -> impl Iterator<Item = &'a Node> {
        let all = self.log.links.admissions(device).iter().map(|at| &self.log.nodes[*at]);
        let before = all.filter(|node| node.event.stamp < self.before && self.log.holds(self.within, node));
        before.filter(|node| !self.void.contains_key(&node.event.hash))
    }

    /// Whether one admits this device.
    pub(super) fn admit(&self, device: &DeviceId) -> bool {
        self.admissions(device).next().is_some()
    }

    /// The devices that cards in them name as a user's.
    pub(super) fn devices(&self, user: UserId) -> impl Iterator<Item = DeviceId> {
        let all = self.log.links.devices(&user).iter().copied();
        all.filter(move |device| {
            let mut cards = self.admissions(device).flat_map(|node| node.event.cards());
            cards.any(|card| (card.user, card.device) == (user, *device))
        })
    }

    /// Since when a device is a member: the first of its admissions.
    pub(super) fn since(&self, device: &DeviceId) -> Option<Stamp> {
        self.admissions(device).map(|node| node.event.stamp).min()
    }
}
