//! Channels whose log was dropped: `docs/format/store.md`, "Dropping", and ADR 0020.
use super::local_store::{DROP, LocalStore, RECORDS};
use super::records::{self, Write};
use super::space_logs::ChannelLog;
use super::{Block, BlockRef};
use crate::Error;
use std::collections::{BTreeMap, BTreeSet};
use terachat_event::{DeviceId, EventHash, EventRef, LogId};
use terachat_vault::SecretBytes;

const PREFIX: &[u8] = b"dropped/";
const LEN: usize = 48;

/// What is kept of a log that was dropped, or of which more was seen ahead of its past than is here: where this device's own chain stood, so that no number is signed twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// Events that were here.
    events: u64,
    /// Number of this device's newest event; 0 if it wrote none.
    seq: u64,
    /// Hash of it.
    hash: EventHash,
}

/// What dropping left to be done, and what was found out since.
#[derive(Default)]
pub(crate) struct Drops {
    /// Batches that are on the disk and belong to no log any more.
    left: BTreeMap<LogId, BTreeSet<BlockRef>>,
    /// Logs in which this device's own chain was seen to be back.
    back: BTreeSet<LogId>,
}

impl LocalStore {
    /// Removes everything of a channel's log from memory and disk, but for where `author`, this device, stands in it. The
    /// channel is then as if nothing of it had come yet; this device can write in it again once its own events are back.
    /// Rewrites the segments in which the log was, and the snapshot.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a control log, which is always whole, or a channel that is not here; nothing changed.
    /// [`Error::Store`]: drop this value and open the store anew. The log is there whole or not at all; what the disk then
    /// still holds of it the next snapshot removes.
    pub fn drop_channel(&mut self, log: &LogId, author: &DeviceId) -> Result<(), Error> {
        self.require_sound()?;
        let channel = log.channel.ok_or(Error::Unknown("a channel of that name"))?;
        let index = self.index(log).ok_or(Error::Unknown("the channel"))?;
        let own = index.chain_of(author).map(|chain| index.chains[chain as usize].head);
        let before = self.dropped(log);
        let events = before.map_or(0, |before| before.events).max(index.len().into());
        let (mut seq, mut hash) = own.map_or((0, EventHash([0; 32])), |head| (head.seq, head.hash));
        if let Some(before) = before.filter(|before| before.seq > seq) {
            (seq, hash) = (before.seq, before.hash);
        }
        let mut writes = vec![Dropped { events, seq, hash }.write(log)];
        let came_back = self.emptied_writes(log);
        let any_came_back = !came_back.is_empty();
        writes.extend(came_back);
        let (name, body) = ([log.space.0, channel.0].concat(), records::encode(&writes));
        self.commit(&[Block::plain(DROP, &name), Block::plain(RECORDS, body.expose_secret())])?;
        // What follows takes the log off the disk: whoever opens it then has to know why.
        self.log.sync()?;
        self.records.apply(writes);
        self.clear_log(log);
        self.rewrite_dropped()?;
        if any_came_back {
            // Content of it that is in records (ADR 0026) lies in segments of its own.
            self.rewrite_segments(usize::MAX, usize::MAX, 1, usize::MAX)?;
        }
        self.snapshot()
    }

    /// Whether more was dropped of a log than has come back.
    pub fn lacks_dropped(&self, log: &LogId) -> bool {
        self.dropped(log).is_some_and(|dropped| (self.len(log) as u64) < dropped.events)
    }

    /// Refuses to go on with a chain whose end was dropped and is not back as it was.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub(crate) fn require_own_back(&mut self, log: &LogId, author: &DeviceId) -> Result<(), Error> {
        let Some(kept) = self.dropped(log).filter(|kept| kept.seq > 0) else { return Ok(()) };
        if self.drops.back.contains(log) {
            return Ok(());
        }
        let name = EventRef { author: *author, seq: kept.seq };
        let find = |store: &Self| store.index(log).and_then(|index| index.find(&name));
        let Some(at) = find(self) else {
            return Err(Error::Forbidden(
                "this channel was dropped here or is not whole, and what this device wrote in it is not back yet; sync with a device that keeps it",
            ));
        };
        if self.index(log).is_some_and(|index| index.hash(at).is_none()) {
            self.recompute_hashes(log)?;
        }
        if self.index(log).and_then(|index| index.hash(at)) != Some(kept.hash) {
            return Err(Error::Forbidden(
                "this channel was dropped here or is not whole, and what came back of this device's events is not what it signed; make a new profile and ask for an invitation",
            ));
        }
        self.drops.back.insert(*log);
        Ok(())
    }

    /// What is to be remembered of this device's own chain when its newest was seen ahead of a log's past and goes: up to there its
    /// numbers are taken. `None` where all of them are here, or known as taken. Counts from now on.
    pub(super) fn taken_ahead(
        &mut self,
        log: &LogId,
        author: &DeviceId,
        seq: u64,
        hash: EventHash,
    ) -> Option<Write> {
        let index = self.index(log);
        let is_frozen = index.is_some_and(|index| index.frozen.contains_key(author));
        let here = index.and_then(|index| index.head(author)).map_or(0, |head| head.seq);
        let before = self.dropped(log);
        if is_frozen || seq <= here || before.is_some_and(|before| before.seq >= seq) {
            return None;
        }
        let events = (self.len(log) as u64).saturating_add(seq - here);
        let events = before.map_or(0, |before| before.events).max(events);
        self.drops.back.remove(log);
        Some(Dropped { events, seq, hash }.write(log))
    }

    /// Makes a log empty in memory; its batches are to be left out when their segments are rewritten.
    pub(super) fn clear_log(&mut self, log: &LogId) {
        let blank = self.blank_index(log);
        let channel = log.channel.and_then(|id| self.spaces.get_mut(&log.space)?.channels.get_mut(&id));
        let Some(channel) = channel else { return };
        let metas = channel.index.metas.iter().copied();
        let left: BTreeSet<BlockRef> = metas.collect();
        let mut journal = std::mem::take(&mut channel.journal);
        journal.begin_anew();
        *channel = ChannelLog { index: blank, journal, ..ChannelLog::new(*log) };
        if !left.is_empty() {
            self.drops.left.entry(*log).or_default().extend(left);
            // The next snapshot does what is left to be done.
            self.make_snapshot_due();
        }
        self.drops.back.remove(log);
        self.prepared.remove(log);
        self.forget_chunks();
    }

    /// Whether a batch on disk belongs to what was dropped.
    pub(super) fn is_dropped(&self, log: &LogId, meta: BlockRef) -> bool {
        self.drops.left.get(log).is_some_and(|metas| metas.contains(&meta))
    }

    /// Batches that are on the disk and belong to no log.
    pub(super) fn dropped_batches(&self) -> usize {
        self.drops.left.values().map(BTreeSet::len).sum()
    }

    /// Rewrites the segments that hold what was dropped, without it. The newest first: so what is left on the disk is always
    /// a beginning of the log that was dropped, whatever happens, and follows from itself. Gives whether there was any.
    ///
    /// # Errors
    /// As [`LocalStore::compact`].
    pub(super) fn rewrite_dropped(&mut self) -> Result<bool, Error> {
        let segments: BTreeSet<u32> = self.drops.left.values().flatten().map(|meta| meta.segment()).collect();
        if segments.last().is_some_and(|last| *last > self.log.closed_segments()) {
            self.log.roll()?;
        }
        for segment in segments.iter().rev() {
            self.rewrite_segment(*segment)?;
            for metas in self.drops.left.values_mut() {
                metas.retain(|meta| meta.segment() != *segment);
            }
        }
        self.drops.left.clear();
        Ok(!segments.is_empty())
    }

    /// Whether anything was ever dropped.
    pub(super) fn ever_dropped(&self) -> bool {
        self.records(PREFIX).next().is_some()
    }

    fn dropped(&self, log: &LogId) -> Option<Dropped> {
        Dropped::read(self.record(&name(log)?)?)
    }
}

impl Dropped {
    fn write(&self, log: &LogId) -> Write {
        let mut value = [0; LEN];
        let (events, rest) = value.split_at_mut(8);
        let (seq, hash) = rest.split_at_mut(8);
        events.copy_from_slice(&self.events.to_le_bytes());
        seq.copy_from_slice(&self.seq.to_le_bytes());
        hash.copy_from_slice(&self.hash.0);
        (name(log).unwrap_or_default(), Some(SecretBytes::copy_from(&value)))
    }

    fn read(value: &[u8]) -> Option<Self> {
        let value: &[u8; LEN] = value.try_into().ok()?;
        let (events, rest) = value.split_first_chunk()?;
        let (seq, hash) = rest.split_first_chunk()?;
        let (events, seq) = (u64::from_le_bytes(*events), u64::from_le_bytes(*seq));
        Some(Self { events, seq, hash: EventHash(hash.try_into().ok()?) })
    }
}

fn name(log: &LogId) -> Option<Vec<u8>> {
    Some([PREFIX, &log.space.0, &log.channel?.0].concat())
}

#[cfg(test)]
mod tests;
