mod accept;
mod payloads;

use super::dropped::Drops;
use super::index::LogIndex;
use super::keyring::{self, Keyring};
use super::preview::Preview;
use super::records::{self, Records, Write};
use super::snapshot::PreparedChannel;
use super::space_logs::{SpaceLogs, control_event};
use super::storage::Storage;
use super::validator::{Staging, Trust};
use super::{Block, BlockRef, CommitLog, Snapshot};
use crate::Error;
use crate::blocks::Reading;
use crate::model::{ControlEvent, ControlLog, EpochKey, History, SpaceState};
use crate::sync::{Batch, Frontier, KeyId, Limits, decode_batch};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use terachat_event::{ChannelId, DeviceId, EventHash, LogId, SpaceId};
use terachat_vault::{Entropy, Secret, SecretBytes};

/// Kinds of blocks in the commit log: `docs/format/store.md`.
pub(super) const META: u8 = 1;
pub(super) const CHUNK: u8 = 2;
pub(super) const RECORDS: u8 = 3;
pub(super) const DROP: u8 = 4;

/// Why nothing is written any more after a block of the snapshot was authentic and could not be read.
const MISREAD: &str = "a block of the snapshot was written wrong and read as nothing; the next opening makes it anew from the log";

/// Everything a device knows, on its own disk: the spaces' logs with their states, and the device's own records.
///
/// A change is durable before it is visible, and visible before the call returns. Reading needs no disk but for texts.
pub struct LocalStore {
    pub(super) log: CommitLog,
    pub(super) records: Records,
    pub(crate) spaces: BTreeMap<SpaceId, SpaceLogs>,
    keyring: Keyring,
    cache: RefCell<Vec<(BlockRef, Arc<Vec<u8>>)>>,
    pub(crate) entropy: Box<dyn Entropy + Send>,
    /// Events and bytes that a snapshot does not cover yet.
    pub(super) tail_len: u64,
    /// The snapshot the store was opened with, for what was not read of it yet.
    pub(super) snapshot: Option<Snapshot>,
    /// Whether commits wait for [`LocalStore::flush`] to become durable.
    deferred: bool,
    /// Whether what was opened here is handed out and taken in as it was opened.
    pub(crate) bares_opened: bool,
    /// The device whose disk this is, of which a space may require something as its archive.
    pub(super) owner: Option<DeviceId>,
    /// Why nothing is written any more.
    halted: Option<String>,
    /// What was read of the snapshot since it was opened.
    pub(super) reading: Arc<Reading>,
    /// Parts of the next snapshot that were made ahead.
    pub(super) prepared: BTreeMap<LogId, PreparedChannel>,
    /// What was dropped and is not off the disk yet.
    pub(super) drops: Drops,
    /// The newest of channels whose past is not here.
    pub(crate) previews: BTreeMap<LogId, Preview>,
}

impl LocalStore {
    /// Opens the store in `storage`, or begins one: the last snapshot, and what came after it.
    ///
    /// # Errors
    /// [`Error::Store`] for a wrong key or damage; nothing is changed but an unfinished commit cut off.
    pub fn open(
        storage: Box<dyn Storage>,
        key: &Secret<32>,
        mut entropy: Box<dyn Entropy + Send>,
    ) -> Result<Self, Error> {
        let (log, _) = CommitLog::open(storage, key, &mut *entropy)?;
        let mut store = Self::over(log, entropy);
        let covered = store.restore_snapshot()?;
        store.replay(covered)?;
        if covered.is_none() && store.ever_dropped() {
            // The snapshot on the disk may be from before, and hold what was dropped.
            store.make_snapshot_due();
        }
        store.restore_frozen()?;
        store.restore_previews();
        Ok(store)
    }

    pub(super) fn over(log: CommitLog, entropy: Box<dyn Entropy + Send>) -> Self {
        Self {
            log,
            records: Records::default(),
            spaces: BTreeMap::new(),
            keyring: Keyring::default(),
            cache: RefCell::default(),
            entropy,
            tail_len: 0,
            snapshot: None,
            deferred: false,
            bares_opened: false,
            owner: None,
            halted: None,
            reading: Arc::default(),
            prepared: BTreeMap::new(),
            drops: Drops::default(),
            previews: BTreeMap::new(),
        }
    }

    /// Ids of the spaces here, ascending.
    pub fn spaces(&self) -> impl Iterator<Item = SpaceId> + '_ {
        self.spaces.keys().copied()
    }

    /// A space's control state.
    pub fn space(&self, space: &SpaceId) -> Option<&SpaceState> {
        self.spaces.get(space).map(|logs| logs.control.state())
    }

    /// A space's control log. Reads its history from disk when it is first asked for.
    ///
    /// # Errors
    /// [`Error::Store`] when the history cannot be read; nothing changed.
    pub fn control(&self, space: &SpaceId) -> Result<Option<&ControlLog>, Error> {
        let Some(logs) = self.spaces.get(space) else { return Ok(None) };
        if let Ok(settled) = logs.control.parts() {
            let mut events = self.control_events(&logs.control_index)?;
            // Every event counted when this was settled, so everything inside was checked.
            events.iter_mut().for_each(|event| event.vouched = true);
            let log = ControlLog::restore(events, &settled.authors, Arc::clone(&settled.state));
            logs.control.remember(log);
        }
        Ok(logs.control.history())
    }

    /// A space's control log, to ask about its past.
    ///
    /// # Errors
    /// As [`LocalStore::control`].
    pub fn control_mut(&mut self, space: &SpaceId) -> Result<Option<&mut ControlLog>, Error> {
        self.control(space)?;
        Ok(self.spaces.get_mut(space).map(|logs| logs.control.history_mut()))
    }

    /// A control log's events in the order in which they came; what is signed inside them is not checked.
    pub(super) fn control_events(&self, index: &LogIndex) -> Result<Vec<ControlEvent>, Error> {
        (0..index.len()).map(|at| Ok(control_event(index, at, &self.payload(index, at)?))).collect()
    }

    /// Loads the control log's history if judging this batch takes it: it changes the log, or cites its past.
    pub(crate) fn load_cited(&self, batch: &Batch) -> Result<(), Error> {
        let Some(logs) = self.spaces.get(&batch.log.space) else { return Ok(()) };
        let current = |list: &Vec<EventHash>| logs.control.is_current(list);
        if batch.log.channel.is_none() || !batch.controls.iter().all(current) {
            self.control(&batch.log.space)?;
        }
        Ok(())
    }

    /// The source of randomness that was handed in.
    pub fn entropy(&mut self) -> &mut dyn Entropy {
        &mut *self.entropy
    }

    /// Devices that signed two events with one number, and from which number on they count for nothing.
    pub fn equivocations(&self) -> impl Iterator<Item = (LogId, terachat_event::DeviceId, u64)> + '_ {
        let indexes = self.spaces.values().flat_map(|logs| {
            std::iter::once(&logs.control_index).chain(logs.channels.values().map(|channel| &channel.index))
        });
        indexes.flat_map(|index| index.frozen.iter().map(|(device, from)| (index.log, *device, *from)))
    }

    /// All logs here, control logs first in each space.
    pub fn logs(&self) -> Vec<LogId> {
        let of = |logs: &SpaceLogs| {
            let space = logs.space();
            std::iter::once(LogId::control(space))
                .chain(logs.control.state().channels.keys().map(move |id| LogId::channel(space, *id)))
                .collect::<Vec<_>>()
        };
        self.spaces.values().flat_map(of).collect()
    }

    /// What this device has of a log.
    pub fn frontier(&self, log: &LogId) -> Option<Frontier> {
        self.index(log).map(LogIndex::frontier)
    }

    /// Its [root](Frontier::root), at the cost of a hash once it was asked for before.
    pub fn frontier_root(&self, log: &LogId) -> Option<[u8; 32]> {
        self.index(log).map(LogIndex::frontier_root)
    }

    /// How many devices wrote in a log.
    pub fn chain_count(&self, log: &LogId) -> usize {
        self.index(log).map_or(0, |index| index.chains.len())
    }

    /// Number of events in a log.
    pub fn len(&self, log: &LogId) -> usize {
        self.index(log).map_or(0, |index| index.len() as usize)
    }

    /// Whether there is no space yet.
    pub fn is_empty(&self) -> bool {
        self.spaces.is_empty()
    }

    /// Closes the store. Nothing acknowledged depends on it.
    pub fn into_storage(self) -> Box<dyn Storage> {
        self.log.into_storage()
    }

    /// Bytes on disk in the commit log.
    pub fn disk_len(&self) -> u64 {
        self.log.bytes()
    }

    /// A record's value.
    pub fn record(&self, name: &[u8]) -> Option<&[u8]> {
        self.records.value(name)
    }

    /// Records whose names start with `prefix`.
    pub fn records<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.records.range(prefix)
    }

    /// Changes records in a commit of their own.
    ///
    /// # Errors
    /// [`Error::Store`]; nothing changed.
    pub fn write_records(&mut self, writes: Vec<Write>) -> Result<(), Error> {
        if !writes.is_empty() {
            let body = records::encode(&writes);
            self.commit(&[Block::plain(RECORDS, body.expose_secret())])?;
            self.records.apply(writes);
        }
        Ok(())
    }

    /// The record that keeps the secret of the epoch which the control event `commit` made.
    pub fn epoch_secret_record(space: &SpaceId, commit: &EventHash, secret: &Secret<32>) -> Write {
        keyring::record(space, commit, secret)
    }

    /// The secret of the epoch which the control event `commit` made, if this device has it.
    pub fn epoch_secret(&self, space: &SpaceId, commit: &EventHash) -> Option<Secret<32>> {
        keyring::secret(&self.records, space, commit)
    }

    /// While `true`, bundles hold what was opened here as it was opened, and such ones are taken in: of a backup, which is
    /// nobody's but its user's. Otherwise what was opened stays here.
    pub fn bare_opened(&mut self, bare: bool) {
        self.bares_opened = bare;
    }

    /// Lets the following commits share one sync: none of them is durable before [`LocalStore::flush`].
    pub fn defer(&mut self) {
        self.deferred = true;
    }

    /// Whether commits share a sync that is yet to come.
    pub fn is_deferring(&self) -> bool {
        self.deferred
    }

    /// Makes all deferred commits durable and ends deferring.
    ///
    /// # Errors
    /// [`Error::Store`]: the deferred commits are withdrawn from disk while memory still shows them; drop this value
    /// and open the store anew.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.deferred = false;
        Ok(self.log.sync()?)
    }

    /// Lets nothing be written any more, because what is held contradicts itself: a snapshot would make it last, and events
    /// made on it would be signed for good. Reading goes on. It lasts until the store is opened anew.
    pub fn halt(&mut self, why: &str) {
        self.halted.get_or_insert_with(|| why.to_owned());
    }

    /// Why nothing is written any more, if so.
    pub fn halted(&self) -> Option<&str> {
        self.halted.as_deref().or_else(|| self.reading.is_broken().then_some(MISREAD))
    }

    /// # Errors
    /// [`Error::Halted`].
    pub(super) fn require_sound(&self) -> Result<(), Error> {
        self.halted().map_or(Ok(()), |why| Err(Error::Halted(why.to_owned())))
    }

    pub(crate) fn index(&self, log: &LogId) -> Option<&LogIndex> {
        self.spaces.get(&log.space)?.index(log)
    }

    pub(crate) fn epoch_key(&self, log: &LogId, key: Option<&KeyId>) -> Option<Arc<EpochKey>> {
        self.keyring.key(&self.records, &log.space, log.channel.as_ref()?, key?)
    }

    /// One append, one sync; the sync waits while commits are deferred.
    pub(super) fn commit(&mut self, blocks: &[Block<'_>]) -> Result<Vec<BlockRef>, Error> {
        if self.reading.is_broken() && self.snapshot.take().is_some() {
            // Nothing can be read from it any more, so the next opening begins with the log.
            self.log.replace_snapshot_packed(&[])?;
        }
        self.require_sound()?;
        let refs = if self.deferred { self.log.append(blocks)? } else { self.log.commit(blocks)? };
        self.tail_len += blocks.iter().map(|block| block.body.len() as u64).sum::<u64>();
        Ok(refs)
    }

    /// Who can read what was said in a channel; of one that is not known as of one whose history is shared.
    pub fn history(&self, log: &LogId) -> History {
        let state = self.spaces.get(&log.space).map(|logs| logs.control.state());
        let channel = log.channel.and_then(|id| state?.channels.get(&id));
        channel.map_or(History::default(), |channel| channel.history)
    }

    /// Applies the blocks after `covered` again: they were judged before they were written.
    fn replay(&mut self, covered: Option<BlockRef>) -> Result<(), Error> {
        let blocks: Vec<_> = self.log.blocks(covered)?.collect::<Result<_, _>>()?;
        let mut blocks = blocks.into_iter().peekable();
        let corrupt = |what: &str| Error::Corrupt(what.to_owned());
        while let Some(block) = blocks.next() {
            self.tail_len += block.body.len() as u64;
            match block.kind {
                RECORDS => {
                    let body = SecretBytes::take(block.body);
                    self.records.apply(records::decode(body.expose_secret())?);
                }
                META => {
                    let batch = decode_batch(&block.body, Limits { events: 1 << 22, payload_len: 1 << 30 })?;
                    let (mut chunks, mut refs) = (Vec::new(), vec![block.at]);
                    for _ in batch.chunk_ends() {
                        let chunk = blocks
                            .next_if(|block| block.kind == CHUNK)
                            .ok_or_else(|| corrupt("a batch lacks payloads"))?;
                        self.tail_len += chunk.body.len() as u64;
                        refs.push(chunk.at);
                        chunks.push(chunk.body);
                    }
                    match self.stage(&batch, &chunks, Trust::Disk)? {
                        Staging::Ready(staged) => self.show(&batch, &chunks, &staged, &refs)?,
                        _ => return Err(corrupt("a batch on disk does not follow from what is before it")),
                    };
                }
                DROP => self.clear_log(&read_drop(&block.body)?),
                CHUNK => return Err(corrupt("payloads without a batch")),
                _ => return Err(corrupt("a block of unknown kind; use a newer terachat")),
            }
        }
        Ok(())
    }
}

/// Which log a DROP block is about.
pub(super) fn read_drop(body: &[u8]) -> Result<LogId, Error> {
    let ids = body.split_first_chunk().and_then(|(space, rest)| Some((*space, rest.try_into().ok()?)));
    let (space, channel) = ids.ok_or_else(|| Error::Corrupt("a dropped log without a name".to_owned()))?;
    Ok(LogId::channel(SpaceId(space), ChannelId(channel)))
}

#[cfg(test)]
mod tests;
