use crate::model::{ChannelOp, ControlLog, ControlOp, Kept, Verdict};
use crate::store::index::LogIndex;
use crate::{Error, LocalStore};
use std::ops::Range;
use terachat_event::{EventHash, EventRef, LogId};

/// One event of a log, for people who read the chain itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventView {
    /// Its name.
    pub event: EventRef,
    /// Its chain hash.
    pub hash: EventHash,
    /// Lamport time.
    pub lamport: u64,
    /// Wall time as claimed, in milliseconds since 1970.
    pub wall_ms: u64,
    /// The epoch it was sealed in.
    pub epoch: Option<u64>,
    /// Parents other than the predecessor.
    pub parents: Vec<EventRef>,
    /// The channel operation, encoded, without the content of a deleted message; empty in a control log.
    pub payload: Vec<u8>,
    /// The control operations; empty in a channel.
    pub transaction: Vec<ControlOp>,
    /// Why it counts for nothing, if so.
    pub void: Option<&'static str>,
    /// Whether its author's newest signature is on this very event; it covers all before.
    pub signed: bool,
}

impl LocalStore {
    /// The newest `limit` events of a log in the order they came to count in, oldest first.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Store`].
    pub fn events(&mut self, log: &LogId, limit: usize) -> Result<Vec<EventView>, Error> {
        let len = self.index(log).ok_or(Error::Unknown("the log"))?.len();
        let from = len.saturating_sub(u32::try_from(limit).unwrap_or(u32::MAX));
        if self.index(log).is_some_and(|index| (from..len).any(|at| index.hash(at).is_none())) {
            self.recompute_hashes(log)?;
        }
        if log.channel.is_none() {
            self.control(&log.space)?;
        }
        let index = self.index(log).ok_or(Error::Unknown("the log"))?;
        let mut order: Vec<u32> = (from..len).collect();
        order.sort_by(|a, b| index.order(*a, *b));
        order.into_iter().map(|at| self.event_view(log, index, at)).collect()
    }

    /// One event of a log.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Store`].
    pub fn event(&mut self, log: &LogId, event: &EventRef) -> Result<EventView, Error> {
        let (_, at) = self.with_hash(log, event)?;
        let index = self.index(log).ok_or(Error::Unknown("the log"))?;
        self.event_view(log, index, at)
    }

    /// Hash and position of an event, when all that a view of it takes is at hand.
    pub(super) fn with_hash(&mut self, log: &LogId, event: &EventRef) -> Result<(EventHash, u32), Error> {
        let index = self.index(log).ok_or(Error::Unknown("the log"))?;
        let at = index.find(event).ok_or(Error::Unknown("the event"))?;
        if index.hash(at).is_none() {
            self.recompute_hashes(log)?;
        }
        self.control(&log.space)?;
        let hash = self.index(log).and_then(|index| index.hash(at));
        Ok((hash.ok_or_else(hash_missing)?, at))
    }

    fn event_view(&self, log: &LogId, index: &LogIndex, at: u32) -> Result<EventView, Error> {
        let logs = self.spaces.get(&log.space).ok_or(Error::Unknown("the space"))?;
        let (event, meta) = (index.event_ref(at), index.event(at));
        let hash = index.hash(at).ok_or_else(hash_missing)?;
        let (payload, transaction, void) = match &log.channel {
            Some(id) => {
                let void = logs.channels.get(id).and_then(|channel| channel.void(at));
                (self.shown_payload(index, at)?, Vec::new(), void)
            }
            None => {
                let mut events = logs.control.history().into_iter().flat_map(ControlLog::events);
                let found = events.find(|(control, _)| control.hash == hash);
                let void = found.as_ref().and_then(|(_, verdict)| match verdict {
                    Verdict::Void(why) => Some(*why),
                    Verdict::Counts => None,
                });
                let ops = found.map(|(control, _)| control.transaction.0.clone()).unwrap_or_default();
                (Vec::new(), ops, void)
            }
        };
        Ok(EventView {
            event,
            hash,
            lamport: meta.lamport,
            wall_ms: meta.wall_ms,
            epoch: index.key(at).map(|key| key.epoch),
            parents: index.parents_of(at).iter().map(|parent| index.parent_ref(*parent)).collect(),
            payload,
            transaction,
            void,
            signed: index.head(&event.author).is_some_and(|head| head.seq == event.seq),
        })
    }

    /// The payload at this position; of a deleted message what is kept, also before the rest is gone from disk.
    fn shown_payload(&self, index: &LogIndex, at: u32) -> Result<Vec<u8>, Error> {
        let payload = self.payload(index, at)?;
        if !self.channel(&index.log)?.is_condemned(at) {
            return Ok(payload);
        }
        let kept = ChannelOp::decode(&payload).ok().as_ref().and_then(Kept::of);
        let left = kept.map(|kept| ChannelOp::Erased { content: [0; 32], kept }.encode());
        Ok(left.unwrap_or(payload))
    }

    /// Names of the events at these positions.
    pub fn event_refs(&self, log: &LogId, positions: Range<u32>) -> Vec<EventRef> {
        self.index(log).map_or_else(Vec::new, |index| positions.map(|at| index.event_ref(at)).collect())
    }
}

fn hash_missing() -> Error {
    Error::Corrupt("a hash is missing after it was recomputed".to_owned())
}
