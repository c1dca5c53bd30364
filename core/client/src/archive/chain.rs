//! Follows the chains of one log in an export, event by event.
use super::ArchiveError;
use std::collections::BTreeMap;
use terachat_event::{
    DeviceId, EventHash, Header, Kind, LogId, SignedHead, chain_start, genesis_start, link, prefix,
};

/// Where each chain of a log stands.
pub(super) struct Chains {
    log: LogId,
    /// Number and hash of the last event; none once its signature came.
    at: BTreeMap<DeviceId, Option<(u64, EventHash)>>,
}

/// What of a header is told in words.
pub(super) struct Times {
    pub(super) lamport: u64,
    pub(super) wall_ms: u64,
    pub(super) epoch: Option<u64>,
}

impl Chains {
    pub(super) fn new(log: LogId) -> Self {
        Self { log, at: BTreeMap::new() }
    }

    pub(super) fn log(&self) -> &LogId {
        &self.log
    }

    /// Goes on by one event of a chain; `before` is given for the first. Gives its hash and what its header says.
    ///
    /// # Errors
    /// [`ArchiveError::Chain`] for an event that does not follow.
    pub(super) fn follow(
        &mut self,
        device: DeviceId,
        seq: u64,
        before: Option<EventHash>,
        header: &[u8],
        payload_hash: impl FnOnce(&terachat_event::Prefix) -> [u8; 32],
    ) -> Result<(EventHash, Times), ArchiveError> {
        let mut hashes = Vec::new();
        let read = Header::read(header, &mut hashes).map_err(|_| ArchiveError::Chain("a header is none"))?;
        let kind = if self.log.channel.is_some() { Kind::Sealed } else { Kind::Control };
        if read.kind != kind || read.seq != seq {
            return Err(ArchiveError::Chain("a header is another event's"));
        }
        let is_control = self.log.channel.is_none();
        let founds = is_control && seq == 1 && read.parents.is_empty();
        if is_control && self.at.is_empty() && !founds {
            return Err(ArchiveError::Chain("the control log does not begin with the space's first event"));
        }
        let previous = match (self.at.get(&device), before) {
            (Some(Some((last, hash))), None) if last.checked_add(1) == Some(seq) => *hash,
            // Of a channel what comes before the first that was asked for is left out; of the control log nothing.
            (None, Some(before)) if seq > 1 && !is_control => before,
            (None, Some(before)) if seq == 1 => {
                let start = if founds { genesis_start(&device) } else { chain_start(&self.log, &device) };
                if before != start {
                    return Err(ArchiveError::Chain("a chain does not begin where it has to"));
                }
                start
            }
            _ => return Err(ArchiveError::Chain("an event does not follow the one before in its chain")),
        };
        let prefix = prefix(&previous, header);
        let hash = link(&prefix, &payload_hash(&prefix));
        if founds && hash.0 != self.log.space.0 {
            return Err(ArchiveError::Chain("it begins with another space's first event"));
        }
        self.at.insert(device, Some((seq, hash)));
        Ok((hash, Times { lamport: read.lamport, wall_ms: read.wall_ms, epoch: read.epoch }))
    }

    /// Ends a chain by its author's signature.
    ///
    /// # Errors
    /// [`ArchiveError::Chain`] for a signature that is not on the chain's last event.
    pub(super) fn end(&mut self, device: &DeviceId, head: &SignedHead) -> Result<(), ArchiveError> {
        let last = self.at.get_mut(device).and_then(Option::take);
        if last != Some((head.seq, head.hash)) {
            return Err(ArchiveError::Chain("a signature is not on the last event of its chain"));
        }
        head.verify(&self.log, device).map_err(|_| ArchiveError::Chain("a signature is not its author's"))
    }

    /// Whether every chain has its signature.
    ///
    /// # Errors
    /// [`ArchiveError::Chain`].
    pub(super) fn ended(&self) -> Result<(), ArchiveError> {
        let ended = self.at.values().all(Option::is_none);
        ended.then_some(()).ok_or(ArchiveError::Chain("a chain has no signature"))
    }
}
