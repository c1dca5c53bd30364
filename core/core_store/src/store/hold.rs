//! What an archive's disk keeps although it was deleted, because a legal hold is on it (ADR 0039). On every other disk: nothing.
use super::local_store::LocalStore;
use super::space_logs::ChannelLog;
use crate::Error;
use crate::model::{ChannelOp, SpaceState};
use terachat_event::{ChannelId, DeviceId, LogId};

/// The holds that bind this disk in one channel.
#[derive(Clone, Copy)]
pub(super) struct Holding<'a> {
    /// `None` where none does.
    by: Option<(&'a SpaceState, ChannelId)>,
}

impl Holding<'_> {
    /// Whether content is held that one of these devices wrote: a message, or a revision of it by another one.
    pub(super) fn covers(&self, writers: [&DeviceId; 2]) -> bool {
        self.by.is_some_and(|(state, channel)| {
            writers.into_iter().any(|writer| state.archive().is_held(&channel, state.devices.get(writer)))
        })
    }
}

impl LocalStore {
    /// Says whose disk this is: what a space requires of that device as its archive holds from now on.
    pub fn belongs_to(&mut self, device: DeviceId) {
        self.owner = Some(device);
    }

    /// The holds that bind this disk in a log.
    pub(super) fn holding(&self, log: &LogId) -> Holding<'_> {
        let by = || {
            let (state, device) = (self.space(&log.space)?, self.owner?);
            state.archive().requires(&device).then_some((state, log.channel?))
        };
        Holding { by: by() }
    }

    /// Whether the content at this position is held.
    pub(super) fn is_held(&self, channel: &ChannelLog, at: u32) -> bool {
        let index = &channel.index;
        let message = channel.revises.get().0.get(&at).copied().unwrap_or(at);
        self.holding(&index.log).covers([message, at].map(|at| index.device(index.event(at).chain)))
    }

    /// Texts and headings of deleted messages that this disk keeps for a hold.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn held_count(&self) -> Result<u64, Error> {
        let mut count = 0;
        for channel in self.spaces.values().flat_map(|logs| logs.channels.values()) {
            for at in channel.condemned().filter(|at| self.is_held(channel, *at)) {
                count += u64::from(ChannelOp::is_erasable(&self.payload(&channel.index, at)?));
            }
        }
        Ok(count)
    }
}
