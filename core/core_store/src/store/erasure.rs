//! Content of deleted messages: what is left of it, where it still lies, and how what is missing comes back.
//! `docs/format/store.md`, "Erasure"; why it is so: ADR 0026.
use super::index::LogIndex;
use super::local_store::LocalStore;
use super::records::Write;
use super::space_logs::ChannelLog;
use super::validator::{Payloads, Staged};
use crate::Error;
use crate::model::{ChannelOp, as_sent};
use crate::sync::{Batch, Bundle, ChunkLen, Limits, cut};
use std::collections::{BTreeMap, BTreeSet};
use terachat_event::{EventRef, LogId, prefix};
use terachat_vault::SecretBytes;

/// Names of records with content that came back begin so.
const PREFIX: &[u8] = b"body/";
/// Bytes before the content: the segment in which the record was written.
const SEGMENT_LEN: usize = 4;
/// Most events that are asked for, or whose batches are sent, at once.
pub const WANTED_MAX: usize = 64;

/// Bytes of payloads after which an answer to those who lack some ends.
const ANSWER_LEN: usize = 8 << 20;

/// What an erasure came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erasure {
    /// Texts and headings of deleted messages that were on disk and are not any more.
    pub erased: u64,
    /// Those that still are, until as many came together as make a rewriting worth it, or somebody asks for it.
    pub pending: u64,
    /// Those that a legal hold keeps on an archive's disk, until it ends.
    pub held: u64,
}

/// A batch as it is to be written: without content that must not be.
pub(super) struct Stripped {
    pub(super) batch: Batch,
    pub(super) chunks: Vec<Vec<u8>>,
}

impl Stripped {
    /// `None` if it may be written as it came.
    pub(super) fn of(batch: &Batch, chunks: &[Vec<u8>], staged: &Staged) -> Option<Self> {
        let left: BTreeMap<usize, &Vec<u8>> = staged.stripped.iter().map(|(at, left)| (*at, left)).collect();
        (!left.is_empty())
            .then(|| Self::without(batch, chunks, |at| left.get(&at).map(|left| left.as_slice())))
    }

    /// The batch with other payloads at some places.
    pub(super) fn without<'a>(
        batch: &Batch,
        chunks: &[Vec<u8>],
        left: impl Fn(usize) -> Option<&'a [u8]>,
    ) -> Self {
        let mut payloads = Payloads::new(batch, chunks);
        let of = |(at, event)| {
            let payload: &[u8] = payloads.next(at, event);
            left(at).unwrap_or(payload).to_vec()
        };
        let payloads: Vec<Vec<u8>> = batch.events.iter().enumerate().map(of).collect();
        let mut batch = batch.clone();
        batch.set_payloads(&payloads);
        let chunks = cut(&batch, &payloads);
        Self { batch, chunks }
    }
}

impl LocalStore {
    /// What is left of the payload at this position once its content is erased; `None` if it has none, or the key of its epoch
    /// is not here. Hashes of the log are at hand.
    pub(crate) fn left_of(&self, index: &LogIndex, at: u32) -> Result<Option<Vec<u8>>, Error> {
        let payload = self.stored_payload(index, at)?;
        let (mut header, mut scratch) = (Vec::new(), Vec::new());
        if !ChannelOp::is_erasable(&payload) {
            return Ok(None);
        }
        let Some(key) = self.epoch_key(&index.log, index.key(at)) else { return Ok(None) };
        let before = match index.predecessor(at) {
            Some(before) => index.hash(before),
            None => Some(index.start_of(at)),
        };
        let missing = || Error::Corrupt("a hash is missing after it was recomputed".to_owned());
        index.header(at, |parent| index.hash(parent), &mut header).ok_or_else(missing)?;
        let prefix = prefix(&before.ok_or_else(missing)?, &header);
        Ok(key.erase(&prefix, &payload, ChannelOp::decode(&payload).ok().as_ref(), &mut scratch))
    }

    /// The payload at this position as it is handed on: of deleted messages nothing but what is kept, of what was opened here
    /// what was sealed. Hashes are at hand if [`LocalStore::withholds`] says that it takes them.
    pub(crate) fn outgoing(&self, index: &LogIndex, at: u32) -> Result<Vec<u8>, Error> {
        let payload = match self.channel(&index.log) {
            Ok(channel) if channel.is_condemned(at) => match self.left_of(index, at)? {
                Some(left) => Ok(left),
                None => self.stored_payload(index, at),
            },
            _ => self.payload(index, at),
        };
        if self.bares_opened { payload } else { payload.map(as_sent) }
    }

    /// Whether content at one of these positions is on disk and not to be handed on.
    pub(crate) fn withholds(&self, log: &LogId, positions: &[u32]) -> bool {
        self.channel(log).is_ok_and(|channel| {
            channel.state.deleted().next().is_some()
                && positions.iter().any(|at| channel.is_condemned(*at) && !channel.bare.contains(at))
        })
    }

    /// Positions in this log of content that is to be erased and can be. What is held is not, as long as it is.
    fn doomed<'a>(&'a self, channel: &'a ChannelLog) -> impl Iterator<Item = Result<u32, Error>> + 'a {
        let on_disk =
            channel.condemned().filter(|at| !channel.bare.contains(at) && !self.is_held(channel, *at));
        let erasable = |at: &u32| {
            let payload = self.stored_payload(&channel.index, *at);
            let key = || self.epoch_key(&channel.index.log, channel.index.key(*at)).is_some();
            payload.map(|payload| ChannelOp::is_erasable(&payload) && key())
        };
        on_disk.filter_map(move |at| match erasable(&at) {
            Ok(true) => Some(Ok(at)),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        })
    }

    /// How much there is to erase in each segment of the log.
    pub(super) fn doomed_by_segment(&self) -> Result<BTreeMap<u32, u64>, Error> {
        let mut doomed = BTreeMap::new();
        for channel in self.spaces.values().flat_map(|logs| logs.channels.values()) {
            for at in self.doomed(channel) {
                *doomed.entry(channel.index.chunk_of(at?).segment()).or_default() += 1;
            }
        }
        for segment in self.emptied_records().map(|(_, segment)| segment) {
            *doomed.entry(segment).or_default() += 1;
        }
        Ok(doomed)
    }

    /// What is to be erased in one segment: for each log the positions and what is left of each.
    pub(super) fn leavings(
        &mut self,
        segment: u32,
    ) -> Result<BTreeMap<LogId, BTreeMap<u32, Vec<u8>>>, Error> {
        let mut leavings = BTreeMap::new();
        for log in self.logs_kept() {
            let channel = self.channel(&log)?;
            let index = &channel.index;
            let here = |at: &u32| index.chunk_of(*at).segment() == segment;
            let positions: Vec<u32> = self.doomed(channel).collect::<Result<Vec<_>, _>>()?;
            let positions: Vec<u32> = positions.into_iter().filter(here).collect();
            if positions.is_empty() {
                continue;
            }
            self.recompute_missing(&log)?;
            let index = &self.channel(&log)?.index;
            let left =
                positions.into_iter().filter_map(|at| Some((at, self.left_of(index, at).transpose()?)));
            let left = left.map(|(at, left)| Ok((at, left?)));
            leavings.insert(log, left.collect::<Result<BTreeMap<_, _>, Error>>()?);
        }
        Ok(leavings)
    }

    /// The logs of all channels, also of those whose creation does not count any more.
    fn logs_kept(&self) -> Vec<LogId> {
        self.spaces
            .values()
            .flat_map(|logs| logs.channels.values())
            .map(|channel| channel.index.log)
            .collect()
    }

    /// Notes that content was erased: nothing finds it any more.
    pub(super) fn note_erased(&mut self, log: &LogId, positions: impl Iterator<Item = u32>) {
        let channel = self.spaces.get_mut(&log.space).and_then(|logs| logs.channels.get_mut(&log.channel?));
        if let Some(channel) = channel {
            channel.bare.extend(positions);
            channel.forget_texts();
            channel.lacks.set(None);
        }
        self.prepared.remove(log);
    }

    /// Whether content that is to be shown is missing in a log.
    pub(crate) fn lacks_bodies(&self, log: &LogId) -> bool {
        let Ok(channel) = self.channel(log) else { return false };
        let lacks = channel.lacks.get().unwrap_or_else(|| self.missing_in(channel).next().is_some());
        channel.lacks.set(Some(lacks));
        lacks
    }

    /// Events whose content is missing though no deletion of it holds: peers are asked for it.
    pub fn missing_bodies(&self, log: &LogId) -> Vec<EventRef> {
        let channel = self.channel(log).ok().filter(|_| self.lacks_bodies(log));
        channel.into_iter().flat_map(|channel| self.missing_in(channel)).collect()
    }

    fn missing_in<'a>(&'a self, channel: &'a ChannelLog) -> impl Iterator<Item = EventRef> + 'a {
        let index = &channel.index;
        let missing =
            channel.bare.iter().filter(|at| !channel.is_condemned(**at)).map(|at| index.event_ref(*at));
        missing.filter(|event| self.restored_body(&index.log, event).is_none())
    }

    /// Bundles that repeat the stored batches of these events, of which a peer lacks content: those that are here with it
    /// and of which no deletion holds here, at most [`WANTED_MAX`]; no further ones after some 8 MiB.
    ///
    /// # Errors
    /// As [`LocalStore::bundles_since`].
    pub fn bundles_with(&mut self, log: &LogId, events: &[EventRef]) -> Result<Vec<Bundle>, Error> {
        let Ok(channel) = self.channel(log) else { return Ok(Vec::new()) };
        let (index, mut batches) = (&channel.index, BTreeSet::new());
        for at in events.iter().take(WANTED_MAX).filter_map(|event| index.find(event)) {
            let missing =
                || channel.bare.contains(&at) && self.restored_body(log, &index.event_ref(at)).is_none();
            if !channel.is_condemned(at) && !index.is_frozen(&index.event_ref(at)) && !missing() {
                batches.insert(index.batch_of(at));
            }
        }
        let positions: Vec<Vec<u32>> =
            batches.into_iter().map(|batch| index.positions_of(batch).collect()).collect();
        let (mut bundles, mut len) = (Vec::new(), 0);
        for positions in positions {
            if len >= ANSWER_LEN {
                break;
            }
            len += self
                .index(log)
                .map_or(0, |index| positions.iter().map(|at| index.event(*at).len as usize).sum::<usize>());
            bundles.append(&mut self.bundles_of(log, &positions, Limits::PEER)?);
        }
        Ok(bundles)
    }

    /// Takes content back in that is proven, missing here and to be shown.
    pub(crate) fn restore(
        &mut self,
        log: &LogId,
        found: Vec<(u32, Vec<u8>)>,
        mut writes: Vec<Write>,
    ) -> Result<(), Error> {
        let Ok(channel) = self.channel(log) else { return Ok(()) };
        let segment = self.log.next_segment();
        for (at, payload) in found {
            let event = channel.index.event_ref(at);
            let is_new = channel.bare.contains(&at) && self.restored_body(log, &event).is_none();
            if is_new && !channel.is_condemned(at) {
                let value = [&segment.to_le_bytes()[..], &payload].concat();
                writes.push((record(log, &event), Some(SecretBytes::take(value))));
            }
        }
        if writes.is_empty() {
            return Ok(());
        }
        self.write_records(writes)?;
        self.prepared.remove(log);
        let channel = self.spaces.get_mut(&log.space).and_then(|logs| logs.channels.get_mut(&log.channel?));
        channel.into_iter().for_each(ChannelLog::forget_texts);
        log.channel.map_or(Ok(()), |id| self.rebuild(log.space, &id))
    }

    /// The payload that came back in the place of one of which only this was left.
    pub(crate) fn restored(&self, index: &LogIndex, at: u32, stored: &[u8]) -> Option<&[u8]> {
        if !ChannelOp::is_erased(stored) {
            return None;
        }
        self.restored_body(&index.log, &index.event_ref(at))
    }

    fn restored_body(&self, log: &LogId, event: &EventRef) -> Option<&[u8]> {
        let value = self.records.value(&record(log, event))?;
        value.get(SEGMENT_LEN..).filter(|body| !body.is_empty())
    }

    /// Empties the records of content that came back and was deleted since; each keeps the name of the segment that is to
    /// be rewritten for it. Gives how many.
    pub(super) fn empty_records(&mut self) -> Result<u64, Error> {
        let condemned = |log: &LogId| {
            let channel = self.channel(log).ok()?;
            let gone = |at: u32| channel.is_condemned(at) && !self.is_held(channel, at);
            let restored = channel.bare.iter().filter(|at| gone(**at));
            let events = restored.map(|at| channel.index.event_ref(*at));
            Some(events.filter(|event| self.restored_body(log, event).is_some()).collect::<Vec<_>>())
        };
        let mut writes: Vec<Write> = Vec::new();
        for log in self.logs_kept() {
            for event in condemned(&log).unwrap_or_default() {
                let name = record(&log, &event);
                let segment = self.records.value(&name).and_then(|value| value.get(..SEGMENT_LEN));
                let value = segment.map(SecretBytes::copy_from);
                writes.push((name, value));
            }
        }
        let count = writes.len() as u64;
        self.write_records(writes)?;
        Ok(count)
    }

    /// Has the records of all content that came back in a log emptied, for the log is dropped.
    pub(super) fn emptied_writes(&self, log: &LogId) -> Vec<Write> {
        let of_log = [PREFIX, &log.space.0, &log.channel.map_or([0; 32], |id| id.0)].concat();
        let full = self.records.range(&of_log).filter(|(_, value)| value.len() > SEGMENT_LEN);
        full.map(|(name, value)| (name.to_vec(), Some(SecretBytes::copy_from(&value[..SEGMENT_LEN]))))
            .collect()
    }

    /// Records that were emptied, each with the segment in which its content lies.
    fn emptied_records(&self) -> impl Iterator<Item = (Vec<u8>, u32)> + '_ {
        let emptied = self.records.range(PREFIX).filter(|(_, value)| value.len() == SEGMENT_LEN);
        emptied.filter_map(|(name, value)| Some((name.to_vec(), u32::from_le_bytes(value.try_into().ok()?))))
    }

    /// Deletes the emptied records whose segment was rewritten.
    pub(super) fn drop_emptied(&mut self, rewritten: &BTreeSet<u32>) -> Result<(), Error> {
        let done = self.emptied_records().filter(|(_, segment)| rewritten.contains(segment));
        let writes: Vec<Write> = done.map(|(name, _)| (name, None)).collect();
        self.write_records(writes)
    }

    /// Whether this write of a record is not kept when its segment is rewritten: content that was erased since.
    pub(super) fn is_emptied(&self, name: &[u8]) -> bool {
        name.starts_with(PREFIX) && self.records.value(name).is_none_or(|value| value.len() <= SEGMENT_LEN)
    }
}

/// The record of an event's content that came back.
fn record(log: &LogId, event: &EventRef) -> Vec<u8> {
    let channel = log.channel.map_or([0; 32], |id| id.0);
    [PREFIX, &log.space.0, &channel, &event.author.0, &event.seq.to_be_bytes()].concat()
}

/// A batch's payloads are others than its lengths say.
impl Batch {
    /// Takes the lengths of these payloads, and the chunks that fit them.
    pub(crate) fn set_payloads(&mut self, payloads: &[Vec<u8>]) {
        for (event, payload) in self.events.iter_mut().zip(payloads) {
            event.payload_len = u32::try_from(payload.len()).expect("a payload is at most 1 MiB");
        }
        // What was cut short stays so.
        if self.chunk_len == ChunkLen::Long {
            self.chunk_len = ChunkLen::for_history(self.payload_len());
        }
    }
}
