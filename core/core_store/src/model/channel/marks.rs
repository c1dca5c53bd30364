use super::Surroundings;
use crate::blocks::Names;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use terachat_event::DeviceId;

/// How far people have read: for each device the furthest message it said so of, a register whose merge is the maximum in
/// the total order. Messages are named by position.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadMarks {
    by_device: BTreeMap<DeviceId, u32>,
    /// The same the other way round.
    at: BTreeMap<u32, BTreeSet<DeviceId>>,
}

impl ReadMarks {
    /// Moves a device's mark forward; gives back where it stood, if it moved.
    pub(super) fn advance(
        &mut self,
        device: DeviceId,
        message: u32,
        log: &impl Surroundings,
    ) -> Option<Option<u32>> {
        let before = self.by_device.get(&device).copied();
        if before.is_some_and(|before| log.order(message, before) != Ordering::Greater) {
            return None;
        }
        if let Some(devices) = before.and_then(|before| self.at.get_mut(&before)) {
            devices.remove(&device);
        }
        self.by_device.insert(device, message);
        self.at.entry(message).or_default().insert(device);
        Some(before)
    }

    pub(super) fn of(&self, device: &DeviceId) -> Option<u32> {
        self.by_device.get(device).copied()
    }

    /// Devices whose mark stands at this message.
    pub(super) fn at(&self, message: u32) -> impl Iterator<Item = &DeviceId> {
        self.at.get(&message).into_iter().flatten()
    }
}

impl Names for ReadMarks {
    fn positions(&self) -> impl Iterator<Item = u32> {
        self.by_device.values().copied()
    }
}

impl Serialize for ReadMarks {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.by_device.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ReadMarks {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let by_device = BTreeMap::<DeviceId, u32>::deserialize(deserializer)?;
        let mut at: BTreeMap<u32, BTreeSet<DeviceId>> = BTreeMap::new();
        by_device.iter().for_each(|(device, message)| {
            at.entry(*message).or_default().insert(*device);
        });
        Ok(Self { by_device, at })
    }
}
