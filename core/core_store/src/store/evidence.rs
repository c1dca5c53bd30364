//! Events with all that proves them to somebody who has no store: for an archive's export (ADR 0039).
use super::index::LogIndex;
use crate::model::BodyKey;
use crate::sync::KeyId;
use crate::{Error, LocalStore};
use std::collections::BTreeMap;
use terachat_event::{DeviceId, EventHash, EventRef, LogId, SignedHead};

/// One event, as the bytes that its hash is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Its name.
    pub event: EventRef,
    /// The hash before it in its chain, or the chain's start.
    pub before: EventHash,
    /// Its canonical header.
    pub header: Vec<u8>,
    /// Its payload as this device keeps it: of what was deleted only what is left, unless a legal hold is on it.
    pub payload: Vec<u8>,
    /// The epoch that it is bound under; none in a control log.
    pub key: Option<KeyId>,
    /// Why it counts for nothing, if so.
    pub void: Option<&'static str>,
    /// Whether its content is a deleted message's.
    pub deleted: bool,
}

/// Which events of a log are wanted, by the times that their authors claim, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// From this time on.
    pub from_ms: Option<u64>,
    /// Before this time.
    pub to_ms: Option<u64>,
}

impl Span {
    /// Whether a time lies in it.
    pub fn holds(&self, wall_ms: u64) -> bool {
        self.from_ms.is_none_or(|from| wall_ms >= from) && self.to_ms.is_none_or(|to| wall_ms < to)
    }
}

impl LocalStore {
    /// What of each chain of a log is to be told for the events in `span`: everything from the first of them to the chain's end, whose signature
    /// proves it. Brings to hand what [`LocalStore::evidence`] takes.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Store`], [`Error::Corrupt`].
    pub fn begin_evidence(&mut self, log: &LogId, span: Span) -> Result<BTreeMap<DeviceId, u64>, Error> {
        self.recompute_missing(log)?;
        self.control(&log.space)?;
        let index = self.index(log).ok_or(Error::Unknown("the log"))?;
        let mut first = BTreeMap::new();
        for at in (0..index.len()).filter(|at| span.holds(index.event(*at).wall_ms)) {
            let event = index.event_ref(at);
            first.entry(event.author).or_insert(event.seq);
        }
        Ok(first)
    }

    /// The event that was accepted as the `at`-th of a log, counted from 0; `None` behind the last. Every event stands behind all that it builds on.
    ///
    /// # Errors
    /// [`Error::Unknown`] before [`LocalStore::begin_evidence`]; [`Error::Store`].
    pub fn evidence(&self, log: &LogId, at: u32) -> Result<Option<Evidence>, Error> {
        let index = self.index(log).ok_or(Error::Unknown("the log"))?;
        if at >= index.len() {
            return Ok(None);
        }
        let hash = |at| index.hash(at).ok_or(Error::Unknown("the hash"));
        let before = index.predecessor(at).map_or_else(|| Ok(index.start_of(at)), hash)?;
        let mut header = Vec::new();
        index.header(at, |parent| index.hash(parent), &mut header).ok_or(Error::Unknown("the hash"))?;
        let (payload, void, deleted) = match &log.channel {
            Some(_) => self.told(log, index, at)?,
            None => {
                let control = self.control(&log.space)?.ok_or(Error::Unknown("the space"))?;
                (self.payload(index, at)?, control.why_void(&hash(at)?), false)
            }
        };
        Ok(Some(Evidence {
            event: index.event_ref(at),
            before,
            header,
            payload,
            key: index.key(at).copied(),
            void,
            deleted,
        }))
    }

    fn told(
        &self,
        log: &LogId,
        index: &LogIndex,
        at: u32,
    ) -> Result<(Vec<u8>, Option<&'static str>, bool), Error> {
        let channel = self.channel(log)?;
        let deleted = channel.is_condemned(at);
        let payload = match deleted && !self.is_held(channel, at) {
            true => self.left_of(index, at)?,
            false => None,
        };
        let payload = payload.map_or_else(|| self.payload(index, at), Ok)?;
        Ok((payload, channel.void(at), deleted))
    }

    /// The newest signature in each chain of a log.
    pub fn signed_heads(&self, log: &LogId) -> Vec<(DeviceId, SignedHead)> {
        let chains = self.index(log).map(|index| index.chains.iter()).into_iter().flatten();
        chains.map(|chain| (chain.device, chain.head)).collect()
    }

    /// The key under which a channel's events of an epoch are bound to what they say, if the epoch's secret is here.
    pub fn body_key(&self, log: &LogId, key: &KeyId) -> Option<BodyKey> {
        self.epoch_key(log, Some(key)).map(|key| key.body().duplicate())
    }
}
