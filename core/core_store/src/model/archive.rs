use crate::crdt::Stamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use terachat_event::{ChannelId, DeviceId, UserId};

/// What of a space a legal hold is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Held {
    /// All that is written in a channel.
    Channel(ChannelId),
    /// All that a member, present or former, writes anywhere.
    Member(UserId),
}

/// What a space's members are told of its archive: which devices have to be in it and read along, and what these do not erase
/// although it was deleted. ADR 0039.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Required devices, each since when.
    pub(super) devices: BTreeMap<DeviceId, Stamp>,
    /// Legal holds that stand, each since when.
    pub(super) holds: BTreeMap<Held, Stamp>,
}

impl Archive {
    /// Whether the space requires nothing and nothing is held.
    pub fn is_none(&self) -> bool {
        self.devices.is_empty() && self.holds.is_empty()
    }

    /// Whether this device is required.
    pub fn requires(&self, device: &DeviceId) -> bool {
        self.devices.contains_key(device)
    }

    /// The devices that are required, ascending, each since when. Whether they are members still is the space's to say.
    pub fn devices(&self) -> impl Iterator<Item = (&DeviceId, &Stamp)> {
        self.devices.iter()
    }

    /// The holds that stand, channels first, each since when.
    pub fn holds(&self) -> impl Iterator<Item = (&Held, &Stamp)> {
        self.holds.iter()
    }

    /// Whether what this user wrote in this channel is held.
    pub fn is_held(&self, channel: &ChannelId, user: Option<&UserId>) -> bool {
        let channel = self.holds.contains_key(&Held::Channel(*channel));
        channel || user.is_some_and(|user| self.holds.contains_key(&Held::Member(*user)))
    }

    /// Whether no device would be required any more without this one.
    pub(super) fn ends_without(&self, device: &DeviceId) -> bool {
        self.devices.keys().all(|other| other == device)
    }
}
