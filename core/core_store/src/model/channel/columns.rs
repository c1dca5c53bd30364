//! A channel's state as bytes: `docs/format/store.md`, "Channel state".
use super::changes::AllChanges;
use super::{ChannelState, Timeline};
use crate::Error;
use crate::blocks::{Places, Values};
use crate::wire::{Reader, put};
use std::collections::BTreeSet;

impl ChannelState {
    /// Appends the state, with most of it among the values.
    pub(crate) fn put(&self, out: &mut Vec<u8>, values: &mut Values) {
        self.timeline.put(out, values);
        self.changes.put(out, values);
        put_set(out, &self.deleted);
        put_set(out, &self.pinned);
        values.put(out, &self.imports);
        values.put(out, &self.threads);
        values.put(out, &self.mentions);
        values.put(out, &self.read);
    }

    /// Reads what [`ChannelState::put`] wrote for a log of `events` events.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub(crate) fn read(reader: &mut Reader<'_>, places: &mut Places<'_>, events: u32) -> Result<Self, Error> {
        let timeline = Timeline::read(reader, places, events)?;
        Ok(Self {
            timeline,
            changes: AllChanges::read(reader, places, events)?,
            deleted: read_set(reader, events)?,
            pinned: read_set(reader, events)?,
            imports: places.next(reader, events)?,
            threads: places.next(reader, events)?,
            mentions: places.next(reader, events)?,
            read: places.next(reader, events)?,
        })
    }
}

/// Positions, ascending: each as a distance from 1 + the former.
fn put_set(out: &mut Vec<u8>, set: &BTreeSet<u32>) {
    put(out, set.len() as u64);
    let mut next = 0;
    for at in set {
        put(out, u64::from(at - next));
        next = at + 1;
    }
}

fn read_set(reader: &mut Reader<'_>, events: u32) -> Result<BTreeSet<u32>, Error> {
    let mut next = 0;
    let positions = (0..reader.count(events as usize)?).map(|_| {
        let at = next + reader.index(events.saturating_sub(next) as usize)?;
        next = at + 1;
        Ok(at)
    });
    positions.collect()
}
