use super::{ChainHead, Frontier};
use std::collections::BTreeMap;
use terachat_event::{DeviceId, EventRef, LogId};

/// What a peer has of a log, or will have once what was sent to it arrives; kept up while the peer is connected, so that a live
/// message costs what the message is and not what the log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The log.
    pub log: LogId,
    chains: BTreeMap<DeviceId, ChainHead>,
    /// Up to which position the peer has whatever is here: set once all that it lacked was sent.
    pub(super) level: Option<u32>,
}

impl From<Frontier> for Standing {
    fn from(frontier: Frontier) -> Self {
        let chains = frontier.chains.into_iter().map(|chain| (chain.device, chain)).collect();
        Self { log: frontier.log, chains, level: None }
    }
}

impl Standing {
    /// Of a peer that has nothing of the log.
    pub fn nothing(log: LogId) -> Self {
        Self { log, chains: BTreeMap::new(), level: None }
    }

    /// The same as a frontier.
    pub fn frontier(&self) -> Frontier {
        Frontier { log: self.log, chains: self.chains.values().copied().collect() }
    }

    /// The peer has of this chain what comes up to `head`, and no more.
    pub(super) fn set(&mut self, head: ChainHead) {
        self.chains.insert(head.device, head);
    }

    /// The peer has nothing of this chain.
    pub(super) fn forget(&mut self, device: &DeviceId) {
        self.chains.remove(device);
    }

    /// Whether the peer has the event with this name, or another one in its place.
    pub(super) fn has(&self, event: &EventRef) -> bool {
        self.chains.get(&event.author).is_some_and(|chain| chain.seq >= event.seq)
    }

    /// The peer has the chain up to `last`. `ours` is how far it is here: where more follows than `last` the peer says itself
    /// where it stands before that matters, so the hash may be a later event's.
    pub(super) fn reach(&mut self, ours: ChainHead, last: u64) {
        let known = self.chains.get(&ours.device).map_or(0, |chain| chain.seq);
        if last > known {
            self.chains.insert(ours.device, ChainHead { seq: last, ..ours });
        }
    }
}
