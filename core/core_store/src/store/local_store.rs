use super::dropped::Drops;
use super::erasure::Stripped;
use super::index::LogIndex;
use super::keyring::{self, Keyring};
use super::preview::Preview;
use super::records::{self, Records, Write};
use super::snapshot::PreparedChannel;
use super::space_logs::{ChannelLog, SpaceLogs, control_event};
use super::storage::Storage;
use super::validator::{Beside, Staged, Staging, Trust, stage};
use super::{Block, BlockRef, CommitLog, Snapshot, compress};
use crate::blocks::Reading;
use crate::model::{ControlEvent, ControlLog, EpochKey, History, SpaceState};
use crate::sync::{Batch, Frames, Frontier, KeyId, Limits, decode_batch, encode_batch};
use crate::{Error, Wait};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use terachat_event::{ChannelId, DeviceId, EventHash, LogId, Prefix, SpaceId, link, payload_hash, prefix};
use terachat_vault::{Entropy, Secret, SecretBytes};

/// Kinds of blocks in the commit log: `docs/format/store.md`.
pub(super) const META: u8 = 1;
pub(super) const CHUNK: u8 = 2;
pub(super) const RECORDS: u8 = 3;
pub(super) const DROP: u8 = 4;

/// How hard what was put together as it came is compressed (Zstandard).
const MERGED_LEVEL: i32 = 1;

/// Why nothing is written any more after a block of the snapshot was authentic and could not be read.
const MISREAD: &str = "a block of the snapshot was written wrong and read as nothing; the next opening makes it anew from the log";

/// Bytes of payload chunks kept unpacked, besides the last one that was asked for.
const CACHE_BYTES: usize = 2 << 20;
/// Chunks kept at most. A message that came alone is a chunk of its own: a page shows more of them than large chunks are kept.
const CACHE_LEN: usize = 128;

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

    /// Judges a batch, recomputing old hashes where that takes them.
    pub(crate) fn stage(
        &mut self,
        batch: &Batch,
        chunks: &[Vec<u8>],
        trust: Trust,
    ) -> Result<Staging, Error> {
        self.stage_counting(batch, chunks, trust, &mut 0)
    }

    /// The same; `followed` becomes the number of events before the one that is why the batch is not ready.
    pub(crate) fn stage_counting(
        &mut self,
        batch: &Batch,
        chunks: &[Vec<u8>],
        trust: Trust,
        followed: &mut usize,
    ) -> Result<Staging, Error> {
        let (empty, blank);
        let trust = if trust == Trust::Peer && self.bares_opened { Trust::Backup } else { trust };
        self.load_cited(batch)?;
        let key = self.epoch_key(&batch.log, batch.key.as_ref());
        if batch.key.is_some() && key.is_none() {
            return Ok(Staging::Waits(Wait::Epoch(batch.key.map_or(0, |key| key.epoch))));
        }
        let index = match self.index(&batch.log) {
            Some(index) => index,
            // What is on disk may be of a channel whose creation became void since.
            None if batch.log.channel.is_none() || !trust.is_foreign() => {
                empty = self.blank_index(&batch.log);
                &empty
            }
            None => {
                return Ok(Staging::Waits(Wait::Channel(batch.log.channel.unwrap_or(ChannelId([0; 32])))));
            }
        };
        let beside = match &batch.log.channel {
            Some(_) => Beside::Channel(self.channel(&batch.log).ok(), self.holding(&batch.log)),
            None => match self.control(&batch.log.space)? {
                Some(control) => Beside::Control(control),
                None => {
                    blank = self.blank_control(&batch.log.space);
                    Beside::Control(&blank)
                }
            },
        };
        match stage(index, batch, chunks, key.as_deref(), beside, trust, followed)? {
            Staging::NeedsHashes => {
                self.recompute_hashes(&batch.log)?;
                let index = self.index(&batch.log).expect("it was there a moment ago");
                let beside = match &batch.log.channel {
                    Some(_) => Beside::Channel(self.channel(&batch.log).ok(), self.holding(&batch.log)),
                    None => {
                        Beside::Control(self.control(&batch.log.space)?.expect("it was there a moment ago"))
                    }
                };
                stage(index, batch, chunks, key.as_deref(), beside, trust, followed)
            }
            staging => Ok(staging),
        }
    }

    /// Makes a staged batch durable, together with `writes`, and then visible. Gives back the positions of the new events.
    pub(crate) fn accept(
        &mut self,
        batch: &Batch,
        chunks: &[Vec<u8>],
        frames: &Frames,
        staged: &Staged,
        mut writes: Vec<Write>,
    ) -> Result<std::ops::Range<u32>, Error> {
        writes.extend(self.skeleton_records(&batch.log.space, &staged.skeletons));
        let stripped = Stripped::of(batch, chunks, staged);
        let none = Frames::default();
        let (batch, chunks, frames) = match &stripped {
            Some(stripped) => (&stripped.batch, &stripped.chunks[..], &none),
            None => (batch, chunks, frames),
        };
        let record_block = (!writes.is_empty()).then(|| records::encode(&writes));
        // What came compressed is stored as it came; one batch has one encoding, so these are its bytes.
        let meta = if frames.meta.is_none() { encode_batch(batch) } else { Vec::new() };
        let mut blocks = vec![match &frames.meta {
            Some(frame) => Block::packed(META, frame),
            None => Block::plain(META, &meta),
        }];
        blocks.extend(chunks.iter().enumerate().map(|(at, chunk)| match frames.chunks.get(at) {
            Some(Some(frame)) => Block::packed(CHUNK, frame),
            _ => Block::plain(CHUNK, chunk),
        }));
        blocks.extend(record_block.iter().map(|body| Block::plain(RECORDS, body.expose_secret())));
        let refs = self.commit(&blocks)?;
        self.records.apply(writes);
        self.show(batch, chunks, staged, &refs[..=chunks.len()])
    }

    /// Makes staged batches of different channels, which came in pieces, durable in one commit, and then visible.
    pub(crate) fn accept_merged(&mut self, parts: &[(&Batch, &[Vec<u8>], &Staged)]) -> Result<(), Error> {
        let packed = |bytes: &[u8]| compress(bytes, MERGED_LEVEL);
        let stripped: Vec<Option<Stripped>> =
            parts.iter().map(|(batch, chunks, staged)| Stripped::of(batch, chunks, staged)).collect();
        let parts: Vec<(&Batch, &[Vec<u8>], &Staged)> = parts
            .iter()
            .zip(&stripped)
            .map(|((batch, chunks, staged), stripped)| match stripped {
                Some(stripped) => (&stripped.batch, &stripped.chunks[..], *staged),
                None => (*batch, *chunks, *staged),
            })
            .collect();
        let metas: Vec<Vec<u8>> = parts.iter().map(|(batch, ..)| packed(&encode_batch(batch))).collect();
        let chunks: Vec<Vec<Vec<u8>>> =
            parts.iter().map(|(_, chunks, _)| chunks.iter().map(|chunk| packed(chunk)).collect()).collect();
        let blocks: Vec<Block<'_>> = metas
            .iter()
            .zip(&chunks)
            .flat_map(|(meta, chunks)| {
                let chunks = chunks.iter().map(|chunk| Block::packed(CHUNK, chunk));
                std::iter::once(Block::packed(META, meta)).chain(chunks)
            })
            .collect();
        let refs = self.commit(&blocks)?;
        let mut rest = &refs[..];
        for (batch, chunks, staged) in parts {
            let (mine, behind) = rest.split_at(1 + chunks.len());
            rest = behind;
            self.show(batch, chunks, staged, mine)?;
        }
        Ok(())
    }

    /// Makes a durable batch visible: index, control log, channel state.
    pub(super) fn show(
        &mut self,
        batch: &Batch,
        chunks: &[Vec<u8>],
        staged: &Staged,
        refs: &[BlockRef],
    ) -> Result<std::ops::Range<u32>, Error> {
        let space = batch.log.space;
        self.spaces.entry(space).or_insert_with(|| SpaceLogs::new(space));
        self.know(&space, &staged.skeletons)?;
        let logs = self.spaces.get_mut(&space).expect("it was just put there");
        if let Some(id) = batch.log.channel {
            logs.channels.entry(id).or_insert_with(|| ChannelLog::new(batch.log));
        }
        let index = logs.index_mut(&batch.log).ok_or(Error::Unknown("the channel"))?;
        let from = index.len();
        index.insert(batch, &staged.fresh, &staged.hashes, refs);
        let to = index.len();
        match &batch.log.channel {
            Some(id) => logs.take_channel(id, from, batch, chunks, &staged.fresh),
            None => {
                let upset = logs.take_control(from, batch, chunks, &staged.fresh);
                if upset.cuts {
                    self.recut(batch.log.space, upset.before.as_deref())?;
                }
                // Of a fork one may have heard before the log it is in was here.
                self.adopt_proofs(&batch.log.space)?;
            }
        }
        Ok(from..to)
    }

    /// Builds a channel's state anew from its events.
    pub(crate) fn rebuild(&mut self, space: SpaceId, channel: &ChannelId) -> Result<(), Error> {
        let Some(mut logs) = self.spaces.remove(&space) else { return Ok(()) };
        let result = logs.rebuild(channel, |index, at| self.payload(index, at));
        self.spaces.insert(space, logs);
        result
    }

    /// Judges a space's channels by what its control log says now that a chain forked, and no longer as `before`.
    pub(crate) fn rejudge(&mut self, space: SpaceId, before: &SpaceState) -> Result<(), Error> {
        self.control(&space)?;
        let Some(mut logs) = self.spaces.remove(&space) else { return Ok(()) };
        let changed = logs.rejudge(|index, at| self.payload(index, at));
        self.spaces.insert(space, logs);
        changed?.into_iter().try_for_each(|id| self.rebuild(space, &id))?;
        self.recut(space, Some(before))
    }

    /// Cuts chains off where the control log says so now.
    fn recut(&mut self, space: SpaceId, before: Option<&SpaceState>) -> Result<(), Error> {
        self.control(&space)?;
        let Some(mut logs) = self.spaces.remove(&space) else { return Ok(()) };
        let changed = logs.recut(before, |index, at| self.payload(index, at));
        self.spaces.insert(space, logs);
        changed?.into_iter().try_for_each(|id| self.rebuild(space, &id))
    }

    /// Who can read what was said in a channel; of one that is not known as of one whose history is shared.
    pub fn history(&self, log: &LogId) -> History {
        let state = self.spaces.get(&log.space).map(|logs| logs.control.state());
        let channel = log.channel.and_then(|id| state?.channels.get(&id));
        channel.map_or(History::default(), |channel| channel.history)
    }

    /// The payload of an event before sealing, or what is left of it.
    pub(crate) fn payload(&self, index: &LogIndex, at: u32) -> Result<Vec<u8>, Error> {
        let stored = self.stored_payload(index, at)?;
        Ok(self.restored(index, at, &stored).map_or(stored, <[u8]>::to_vec))
    }

    /// The same as it stands in its chunk.
    pub(super) fn stored_payload(&self, index: &LogIndex, at: u32) -> Result<Vec<u8>, Error> {
        let event = index.event(at);
        let chunk = self.chunk(index.chunk_of(at))?;
        let (from, to) = (event.offset as usize, (event.offset + event.len) as usize);
        chunk
            .get(from..to)
            .map(<[u8]>::to_vec)
            .ok_or_else(|| Error::Corrupt(format!("event {} lies outside its chunk", index.event_ref(at))))
    }

    pub(crate) fn chunk(&self, at: BlockRef) -> Result<Arc<Vec<u8>>, Error> {
        let mut cache = self.cache.borrow_mut();
        if let Some(found) = cache.iter().rposition(|(key, _)| *key == at) {
            let entry = cache.remove(found);
            cache.push(entry);
        } else {
            let chunk = Arc::new(self.log.read(at)?);
            let mut held = cache.iter().map(|(_, chunk)| chunk.len()).sum::<usize>();
            while !cache.is_empty() && (cache.len() >= CACHE_LEN || held + chunk.len() > CACHE_BYTES) {
                held -= cache.remove(0).1.len();
            }
            cache.push((at, chunk));
        }
        Ok(Arc::clone(&cache.last().expect("one was just put there").1))
    }

    /// Forgets the chunks at hand: blocks have moved.
    pub(super) fn forget_chunks(&self) {
        self.cache.borrow_mut().clear();
    }

    /// Recomputes the hashes of all events of a log from its stored headers and payloads.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when they do not lead to the heads that were signed.
    pub(crate) fn recompute_hashes(&mut self, log: &LogId) -> Result<(), Error> {
        let Some(index) = self.index(log) else { return Ok(()) };
        let hashes = self.hashes(index)?;
        let index = self
            .spaces
            .get_mut(&log.space)
            .and_then(|logs| logs.index_mut(log))
            .expect("it was there a moment ago");
        index.hashes = hashes;
        index.hashes_from = 0;
        Ok(())
    }

    /// The same, if one of them is not at hand.
    pub(crate) fn recompute_missing(&mut self, log: &LogId) -> Result<(), Error> {
        let missing = |index: &LogIndex| (0..index.len()).any(|at| index.hash(at).is_none());
        if self.index(log).is_some_and(missing) { self.recompute_hashes(log) } else { Ok(()) }
    }

    fn hashes(&self, index: &LogIndex) -> Result<Vec<EventHash>, Error> {
        let mut hashes: Vec<EventHash> = Vec::with_capacity(index.len() as usize);
        let (mut header, mut scratch) = (Vec::new(), Vec::new());
        for at in 0..index.len() {
            let event = index.event(at);
            index
                .header(at, |parent| hashes.get(parent as usize).copied(), &mut header)
                .expect("parents come first");
            let before = match index.predecessor(at) {
                Some(before) => hashes[before as usize],
                None => index.start_of(at),
            };
            let prefix = prefix(&before, &header);
            let hash = link(&prefix, &self.hash_payload(index, at, &prefix, &mut scratch)?);
            let head = &index.chains[event.chain as usize].head;
            if head.seq == u64::from(event.seq) && head.hash != hash {
                return Err(Error::Corrupt(format!(
                    "event {} has another hash than its author signed",
                    index.event_ref(at)
                )));
            }
            hashes.push(hash);
        }
        Ok(hashes)
    }

    /// The hash by which the payload of the event at this position stands.
    pub(crate) fn hash_payload(
        &self,
        index: &LogIndex,
        at: u32,
        prefix: &Prefix,
        scratch: &mut Vec<u8>,
    ) -> Result<[u8; 32], Error> {
        let payload = self.payload(index, at)?;
        let Some(id) = index.key(at) else { return Ok(payload_hash(&payload)) };
        let key = self.epoch_key(&index.log, Some(id)).ok_or(Error::NoKey(id.epoch))?;
        Ok(key.commit_body(prefix, &payload, scratch))
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
