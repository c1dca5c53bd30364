//! The state at one place of the commit log: `docs/format/store.md`. Everything in it follows from the log; a damaged or
//! foreign one is ignored and built anew.
mod index_columns;

use super::commit_log::PackedPart;
use super::control::{Control, Settled};
use super::local_store::LocalStore;
use super::records;
use super::space_logs::{CUT, ChannelLog, EQUIVOCATED, SpaceLogs, StateHashes, vouch};
use super::{BlockRef, Error as StoreError, Snapshot};
use crate::Error;
use crate::blocks::{Places, Source, Values};
use crate::model::{Authority, ChannelState, ControlLog, Permissions, Rank, Roles, SpaceState};
use crate::query::search_index::SearchIndex;
use crate::query::{Mark, StateTree};
use crate::sync::{Reader, put};
use index_columns::{put_index, read_index};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use terachat_event::{ChannelId, DeviceId, EventHash, LogId, SpaceId};
use terachat_vault::SecretBytes;
use zeroize::Zeroize;

const VERSION: u8 = 13;
/// Why events were cut off, in the order of the lists of them.
const CUTS: [&str; 2] = [CUT, EQUIVOCATED];
/// Texts indexed in one slice: some milliseconds.
const TEXTS_A_SLICE: u32 = 4096;
/// A snapshot is worth its writing when the tail holds this many bytes more than are quickly replayed.
const TAIL_LEN_MAX: u64 = 512 * 1024;

impl LocalStore {
    /// Writes a snapshot if the tail since the last one takes noticeable time to replay.
    ///
    /// # Errors
    /// As [`LocalStore::snapshot`].
    pub fn snapshot_if_due(&mut self) -> Result<(), Error> {
        if self.tail_len > TAIL_LEN_MAX && self.halted().is_none() { self.snapshot() } else { Ok(()) }
    }

    /// Writes a snapshot of everything, so that the next opening replays nothing.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Halted`]; the old snapshot is still there.
    pub fn snapshot(&mut self) -> Result<(), Error> {
        self.require_sound()?;
        self.compact_if_due()?;
        // Also reads what of the old snapshot was not read yet.
        self.index_texts()?;
        self.complete_stored_trees();
        let root = PackedPart::new(self.put_root().expose_secret());
        let mut prepared = std::mem::take(&mut self.prepared);
        let mut controls = Vec::new();
        for logs in self.spaces.values_mut() {
            let mut out = Vec::new();
            let mut values = Values::default();
            put_control(&mut out, &mut values, logs);
            controls.push([PackedPart::new(&out), PackedPart::plain(values.into_bytes())]);
            let devices: Vec<DeviceId> = known_devices(&logs.control).copied().collect();
            for channel in logs.channels.values_mut() {
                let ahead = prepared.remove(&channel.index.log);
                prepared.insert(channel.index.log, PreparedChannel::complete(channel, &devices, ahead));
            }
        }
        let mut parts = vec![&root];
        for (logs, control) in self.spaces.values().zip(&controls) {
            parts.extend(control);
            for channel in logs.channels.values() {
                parts.extend(prepared[&channel.index.log].parts());
            }
        }
        self.log.replace_snapshot_packed(&parts)?;
        self.snapshot = None;
        self.tail_len = 0;
        Ok(())
    }

    /// Does a slice of what the next [`LocalStore::snapshot`] would do at once, if one is due: a few thousand texts, or one
    /// channel's parts. Gives whether there is more to do at once; when there is nothing left it writes the snapshot. To be
    /// called between other work: what changes meanwhile is done again for its channel alone.
    ///
    /// # Errors
    /// As [`LocalStore::snapshot`].
    pub fn go_on_with_snapshot(&mut self) -> Result<bool, Error> {
        if self.tail_len <= TAIL_LEN_MAX || self.halted().is_some() {
            self.prepared.clear();
            return Ok(false);
        }
        for log in self.logs() {
            let Some(id) = log.channel.filter(|_| !self.prepared.contains_key(&log)) else { continue };
            if self.index_some_texts(log.space, id, TEXTS_A_SLICE)? {
                self.prepare_channel(log);
            }
            return Ok(true);
        }
        self.snapshot().map(|()| false)
    }

    /// Has the next chance for a snapshot taken, however little is behind the last one.
    pub(super) fn make_snapshot_due(&mut self) {
        self.tail_len = self.tail_len.max(TAIL_LEN_MAX + 1);
    }

    fn prepare_channel(&mut self, log: LogId) {
        let Some(logs) = self.spaces.get_mut(&log.space) else { return };
        let devices: Vec<DeviceId> = known_devices(&logs.control).copied().collect();
        let channel = log.channel.and_then(|id| logs.channels.get_mut(&id));
        let prepared = channel.map(|channel| PreparedChannel::complete(channel, &devices, None));
        self.prepared.extend(prepared.map(|prepared| (log, prepared)));
    }

    fn put_root(&self) -> SecretBytes {
        let mut ids = Vec::new();
        put(&mut ids, self.spaces.len() as u64);
        for (space, logs) in &self.spaces {
            ids.extend_from_slice(&space.0);
            put(&mut ids, logs.channels.len() as u64);
            logs.channels.keys().for_each(|id| ids.extend_from_slice(&id.0));
        }
        let records = self.records.encode_all();
        // Of its final length at once: a buffer that moves leaves its secrets behind.
        let mut out = Vec::with_capacity(1 + ids.len() + records.expose_secret().len());
        out.push(VERSION);
        out.extend_from_slice(&ids);
        out.extend_from_slice(records.expose_secret());
        SecretBytes::take(out)
    }

    /// Restores the last snapshot, if there is one that can be read, and gives back up to where it covers the log.
    pub(super) fn restore_snapshot(&mut self) -> Result<Option<BlockRef>, Error> {
        let snapshot = match self.log.snapshot() {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) | Err(StoreError::Snapshot { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match self.read_snapshot(&snapshot) {
            Ok(()) => {
                let covers = snapshot.covers;
                self.snapshot = Some(snapshot);
                Ok(covers)
            }
            Err(Error::Malformed(_) | Error::Corrupt(_) | Error::Store(StoreError::Snapshot { .. })) => {
                // Damaged, written by another version, or by a bug: the log has it all.
                self.records = records::Records::default();
                self.spaces.clear();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn read_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        let mut root = self.log.snapshot_part(snapshot, 0)?;
        let spaces = self.read_root(&root);
        root.zeroize();
        let mut numbers = 1..;
        let mut next = || numbers.next().expect("there is always a next number");
        for (space, channels) in spaces? {
            let part = self.log.snapshot_part(snapshot, next())?;
            let values = Source::new(self.log.snapshot_part(snapshot, next())?, &self.reading);
            self.read_control(space, &part, &values)?;
            for id in channels {
                let part = self.log.snapshot_part(snapshot, next())?;
                let values = Source::new(self.log.snapshot_part(snapshot, next())?, &self.reading);
                let log = LogId::channel(space, id);
                let logs = self.spaces.get_mut(&space).ok_or(Error::Malformed("a space"))?;
                let devices: Vec<DeviceId> = known_devices(&logs.control).copied().collect();
                let mut channel = read_channel(&part, &values, log, &devices)?;
                channel.stored_search = Some(next());
                channel.hashes.stored.set(Some(next()));
                logs.channels.insert(id, channel);
            }
        }
        if next() == snapshot.parts() { Ok(()) } else { Err(Error::Malformed("a number of parts")) }
    }

    /// Takes the records in and gives the spaces with their channels.
    fn read_root(&mut self, bytes: &[u8]) -> Result<Vec<(SpaceId, Vec<ChannelId>)>, Error> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != [VERSION] {
            return Err(Error::Malformed("another snapshot version"));
        }
        let spaces = (0..reader.count(bytes.len() / 32)?).map(|_| {
            let space = SpaceId(reader.array()?);
            let count = reader.count(bytes.len() / 32)?;
            let channels = (0..count).map(|_| reader.array().map(ChannelId));
            Ok((space, channels.collect::<Result<_, Error>>()?))
        });
        let spaces = spaces.collect::<Result<_, Error>>()?;
        self.records.apply(records::read(&mut reader)?);
        reader.end()?;
        Ok(spaces)
    }

    fn read_control(&mut self, space: SpaceId, bytes: &[u8], values: &Arc<Source>) -> Result<(), Error> {
        let (mut reader, mut places) = (Reader::new(bytes), Places::new(values));
        let mut logs = SpaceLogs::new(space);
        let state = match reader.array()? {
            [0] => None,
            [1] => Some(SpaceState::read(&mut reader)?),
            _ => return Err(Error::Malformed("a control log")),
        };
        let devices: Vec<DeviceId> = state.iter().flat_map(|state| state.devices.keys()).copied().collect();
        logs.control_index = read_index(&mut reader, &mut places, LogId::control(space), &devices)?;
        let index = &logs.control_index;
        if let Some(state) = state {
            let authors = read_authors(&mut reader, index.len() as usize, !state.roles().is_plain())?;
            let hash = |at| index.hash(at).expect("a control log keeps all its hashes");
            let mut heads: Vec<EventHash> = index.heads().map(hash).collect();
            heads.sort_unstable();
            logs.control = Control::settled(Settled { state: Arc::new(state), heads, authors });
        } else {
            let mut log = ControlLog::default();
            let mut events = self.control_events(index)?;
            vouch(&mut events);
            events.into_iter().for_each(|event| log.insert(event));
            *logs.control.history_mut() = log;
        }
        reader.end()?;
        places.end()?;
        self.spaces.insert(space, logs);
        Ok(())
    }

    /// The text index that the snapshot holds for a channel and that was not read yet; a damaged one is built anew.
    pub(crate) fn stored_texts(
        &mut self,
        space: SpaceId,
        id: ChannelId,
    ) -> Result<Option<SearchIndex>, Error> {
        let seed = self.seed();
        let channel = self.spaces.get_mut(&space).and_then(|logs| logs.channels.get_mut(&id));
        let Some(number) = channel.and_then(|channel| channel.stored_search.take()) else { return Ok(None) };
        let Some(snapshot) = &self.snapshot else { return Ok(None) };
        match self.log.snapshot_part(snapshot, number) {
            Ok(bytes) => Ok(read_texts(&bytes, seed)),
            Err(StoreError::Snapshot { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The hashes that the snapshot holds of a channel's state and that were not read yet; damaged ones are computed anew.
    pub(crate) fn stored_hashes(&self, channel: &ChannelLog) -> Option<StateTree> {
        let number = channel.hashes.stored.take()?;
        read_hashes(&self.log.snapshot_part(self.snapshot.as_ref()?, number).ok()?)
    }
}

/// A channel's four parts of a snapshot, made ahead.
pub(super) struct PreparedChannel {
    state: PackedPart,
    values: PackedPart,
    texts: PackedPart,
    hashes: PackedPart,
    /// Up to where the channel's changes are in it.
    stands: Stand,
}

/// What a channel's part depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stand {
    events: u32,
    heads: Vec<u32>,
    changes: Mark,
    first_chunk: Option<BlockRef>,
    last_chunk: Option<BlockRef>,
    devices: [u8; 32],
}

impl Stand {
    fn of(channel: &ChannelLog, devices: &[DeviceId]) -> Self {
        let mut hasher = blake3::Hasher::new();
        devices.iter().for_each(|device| _ = hasher.update(&device.0));
        let chunks = &channel.index.chunks;
        Self {
            events: channel.index.len(),
            heads: channel.index.heads().collect(),
            changes: channel.journal.mark(),
            first_chunk: chunks.first().copied(),
            last_chunk: chunks.last().copied(),
            devices: *hasher.finalize().as_bytes(),
        }
    }
}

impl PreparedChannel {
    /// The parts as the channel stands now. Texts that came since are not in the index that was made ahead: whoever searches
    /// adds them.
    fn complete(channel: &mut ChannelLog, devices: &[DeviceId], ahead: Option<Self>) -> Self {
        let stands = Stand::of(channel, devices);
        if let Some(ahead) = ahead {
            if ahead.stands == stands {
                return ahead;
            }
            return Self::with_texts(channel, devices, stands, ahead.texts);
        }
        let texts = PackedPart::new(&put_texts(channel));
        Self::with_texts(channel, devices, stands, texts)
    }

    fn with_texts(channel: &ChannelLog, devices: &[DeviceId], stands: Stand, texts: PackedPart) -> Self {
        let (mut out, mut values) = (Vec::new(), Values::default());
        put_channel(&mut out, &mut values, channel, devices);
        let (state, values) = (PackedPart::new(&out), PackedPart::plain(values.into_bytes()));
        Self { state, values, texts, hashes: PackedPart::new(&put_hashes(&channel.hashes)), stands }
    }

    fn parts(&self) -> [&PackedPart; 4] {
        [&self.state, &self.values, &self.texts, &self.hashes]
    }
}

/// Devices whose ids need not be repeated: a settled control log's.
fn known_devices(control: &Control) -> impl Iterator<Item = &DeviceId> {
    let settled = control.is_settled();
    control.state().devices.keys().filter(move |_| settled)
}

fn put_control(out: &mut Vec<u8>, values: &mut Values, logs: &SpaceLogs) {
    let devices: Vec<DeviceId> = known_devices(&logs.control).copied().collect();
    let authors = logs.control.authors();
    out.push(u8::from(authors.is_some()));
    if authors.is_some() {
        logs.control.state().put(out);
    }
    put_index(out, values, &logs.control_index, &devices);
    if let Some(authors) = authors {
        put_authors(out, &authors, !logs.control.state().roles().is_plain());
    }
}

/// Ranks, and where roles were changed what they permitted: each list of roles once, then which it was for each author.
fn put_authors(out: &mut Vec<u8>, authors: &[Authority], changed: bool) {
    authors.iter().for_each(|author| out.push(author.rank.get()));
    if !changed {
        return;
    }
    let all: BTreeSet<&Roles> = authors.iter().map(|author| &author.roles).collect();
    put(out, all.len() as u64);
    for roles in &all {
        put(out, roles.changed().count() as u64);
        for (rank, permissions) in roles.changed() {
            out.push(rank.get());
            put(out, permissions.bits());
        }
    }
    let places: BTreeMap<&Roles, u64> = all.into_iter().zip(0..).collect();
    authors.iter().for_each(|author| put(out, places[&author.roles]));
}

fn read_authors(reader: &mut Reader<'_>, count: usize, changed: bool) -> Result<Vec<Authority>, Error> {
    let rank = |byte: u8| Rank::new(byte).ok_or(Error::Malformed("a rank"));
    let ranks: Vec<Rank> = reader.bytes(count)?.iter().map(|byte| rank(*byte)).collect::<Result<_, _>>()?;
    if !changed {
        return Ok(ranks.into_iter().map(|rank| Authority { rank, roles: Roles::default() }).collect());
    }
    let lists = (0..reader.count(reader.rest().len())?).map(|_| {
        let changed = (0..reader.count(reader.rest().len())?).map(|_| {
            let [byte] = reader.array()?;
            Ok((rank(byte)?, Permissions::from_bits(reader.number()?)))
        });
        Ok(Roles::new(changed.collect::<Result<Vec<_>, Error>>()?))
    });
    let lists: Vec<Roles> = lists.collect::<Result<_, Error>>()?;
    let author = |rank| Ok(Authority { rank, roles: lists[reader.index(lists.len())? as usize].clone() });
    ranks.into_iter().map(author).collect()
}

fn put_channel(out: &mut Vec<u8>, values: &mut Values, channel: &ChannelLog, devices: &[DeviceId]) {
    put_index(out, values, &channel.index, devices);
    put(out, channel.void_by_right.len() as u64);
    channel.void_by_right.keys().for_each(|at| put(out, u64::from(*at)));
    for why in CUTS {
        let cut = || channel.void_by_cut.iter().filter(|(_, reason)| **reason == why);
        put(out, cut().count() as u64);
        cut().for_each(|(at, _)| put(out, u64::from(*at)));
    }
    put(out, channel.bare.len() as u64);
    channel.bare.iter().for_each(|at| put(out, u64::from(*at)));
    values.put(out, &channel.revises);
    channel.state.put(out, values);
}

fn read_channel(
    bytes: &[u8],
    values: &Arc<Source>,
    log: LogId,
    devices: &[DeviceId],
) -> Result<ChannelLog, Error> {
    let (mut reader, mut places) = (Reader::new(bytes), Places::new(values));
    let mut channel = ChannelLog::new(log);
    channel.index = read_index(&mut reader, &mut places, log, devices)?;
    let events = channel.index.len() as usize;
    for _ in 0..reader.count(events)? {
        let at = reader.index(events)?;
        channel.void_by_right.insert(at, "its author had no right to it when it was made");
    }
    for why in CUTS {
        for _ in 0..reader.count(events)? {
            channel.void_by_cut.insert(reader.index(events)?, why);
        }
    }
    for _ in 0..reader.count(events)? {
        channel.bare.insert(reader.index(events)?);
    }
    channel.revises = places.next(&mut reader, channel.index.len())?;
    channel.state = ChannelState::read(&mut reader, &mut places, channel.index.len())?;
    reader.end()?;
    places.end()?;
    Ok(channel)
}

/// Hashes of a channel's state, if somebody asked for them; nothing otherwise.
fn put_hashes(hashes: &StateHashes) -> Vec<u8> {
    let mut out = Vec::new();
    if !hashes.is_whole.get() {
        return out;
    }
    let mut next = 0;
    for (leaf, hash) in hashes.tree.borrow().leaves() {
        put(&mut out, leaf - next);
        out.push(u8::from(hash.is_some()));
        hash.iter().for_each(|hash| out.extend_from_slice(hash));
        next = leaf + 1;
    }
    out
}

fn read_hashes(bytes: &[u8]) -> Option<StateTree> {
    let mut reader = Reader::new(bytes);
    let (mut leaves, mut next) = (Vec::new(), 0u64);
    while !reader.rest().is_empty() {
        let leaf = next.checked_add(reader.number().ok()?)?;
        let hash = match reader.array().ok()? {
            [0] => None,
            [1] => Some(reader.array().ok()?),
            _ => return None,
        };
        leaves.push((leaf, hash));
        next = leaf.checked_add(1)?;
    }
    if leaves.is_empty() { None } else { Some(StateTree::of(leaves)) }
}

/// The text index as segments; without any it is built anew from the log.
fn put_texts(channel: &mut ChannelLog) -> Vec<u8> {
    let mut out = Vec::new();
    let Some(search) = channel.search.as_mut() else { return out };
    if search.freeze().is_err() {
        return out;
    }
    while let Some(range) = search.merge_due() {
        if search.merge(range).is_err() {
            break;
        }
    }
    for segment in search.segments() {
        put(&mut out, segment.bytes.len() as u64);
        out.extend_from_slice(segment.bytes);
    }
    out
}

fn read_texts(bytes: &[u8], seed: u64) -> Option<SearchIndex> {
    let mut reader = Reader::new(bytes);
    let mut segments = Vec::new();
    while !reader.rest().is_empty() {
        let len = reader.count(reader.rest().len()).ok()?;
        segments.push(reader.bytes(len).ok()?.to_vec());
    }
    // A damaged index is built anew.
    if segments.is_empty() { None } else { SearchIndex::open(seed, segments).ok() }
}
