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
}

impl<'a> Grounds<'a> {
    /// The events that admit a device.
    fn admissions(&self, device: &DeviceId) -> impl Iterator<Item = &'a Node> {
        let (log, within, before) = (self.log, self.within, self.before);
        let all = log.links.admissions(device).iter().map(|at| &log.nodes[*at]);
        all.filter(move |node| node.event.stamp < before && log.holds(within, node))
    }

    /// Whether one admits this device that strong removal left.
    pub(super) fn admit(&self, device: &DeviceId, void: &OrdMap<EventHash, &'static str>) -> bool {
        self.admissions(device).any(|node| !void.contains_key(&node.event.hash))
    }

    /// The devices that some card names as a user's, of void events too.
    pub(super) fn devices(&self, user: UserId) -> impl Iterator<Item = DeviceId> {
        let all = self.log.links.devices(&user).iter().copied();
        all.filter(move |device| {
            let mut cards = self.admissions(device).flat_map(|node| node.event.cards());
            cards.any(|card| (card.user, card.device) == (user, *device))
        })
    }

    /// Since when a device is a member, as far as events say.
    pub(super) fn since(&self, device: &DeviceId) -> Option<Stamp> {
        self.admissions(device).map(|node| node.event.stamp).max()
    }
}
