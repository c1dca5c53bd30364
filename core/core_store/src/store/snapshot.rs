//! The state at one place of the commit log: `docs/format/store.md`. Everything in it follows from the log; a damaged or
//! foreign one is ignored and built anew.
use super::index::{Chain, EventMeta, LogIndex, Stub};
use super::local_store::LocalStore;
use super::records;
use super::space_logs::{ChannelLog, SpaceLogs, control_event};
use super::{BlockRef, Error as StoreError};
use crate::Error;
use crate::model::{ControlLog, Rank};
use crate::query::search_index::SearchIndex;
use crate::sync::{KeyId, Reader, put, unzigzag, zigzag};
use terachat_event::{ChannelId, DeviceId, EventHash, EventRef, LogId, SignedHead, SpaceId};
use terachat_vault::SecretBytes;
use zeroize::Zeroize;

const VERSION: u8 = 1;
/// Hashes of the newest events are kept: they are the parents of what comes next.
const HASHES_KEPT: usize = 1024;
/// A snapshot is worth its writing when the tail holds this many bytes more than are quickly replayed.
const TAIL_LEN_MAX: u64 = 512 * 1024;

impl LocalStore {
    /// Writes a snapshot if the tail since the last one takes noticeable time to replay.
    ///
    /// # Errors
    /// As [`LocalStore::snapshot`].
    pub fn snapshot_if_due(&mut self) -> Result<(), Error> {
        if self.tail_len > TAIL_LEN_MAX { self.snapshot() } else { Ok(()) }
    }

    /// Writes a snapshot of everything, so that the next opening replays nothing.
    ///
    /// # Errors
    /// [`Error::Store`]; the old snapshot is still there.
    pub fn snapshot(&mut self) -> Result<(), Error> {
        self.index_texts()?;
        let mut out = vec![VERSION];
        out.extend_from_slice(self.records.encode_all().expose_secret());
        put(&mut out, self.spaces.len() as u64);
        for (space, logs) in &mut self.spaces {
            out.extend_from_slice(&space.0);
            put_index(&mut out, &logs.control_index);
            put_settled(&mut out, &logs.control);
            put(&mut out, logs.channels.len() as u64);
            for (id, channel) in &mut logs.channels {
                out.extend_from_slice(&id.0);
                put_channel(&mut out, channel);
            }
        }
        self.log.replace_snapshot(SecretBytes::take(out).expose_secret())?;
        self.tail_len = 0;
        Ok(())
    }

    /// Restores the last snapshot, if there is one that can be read, and gives back up to where it covers the log.
    pub(super) fn restore_snapshot(&mut self) -> Result<Option<BlockRef>, Error> {
        let snapshot = match self.log.snapshot() {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) | Err(StoreError::Snapshot { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = snapshot.bytes;
        let result = self.read_snapshot(&bytes);
        // The records, right behind the version, are all that is secret in it.
        let secret_len = (1 + self.records.encode_all().expose_secret().len()).min(bytes.len());
        bytes[..secret_len].zeroize();
        drop(bytes);
        match result {
            Ok(()) => Ok(snapshot.covers),
            Err(Error::Malformed(_) | Error::Corrupt(_)) => {
                // Written by another version, or by a bug: the log has it all.
                self.records = records::Records::default();
                self.spaces.clear();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn read_snapshot(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != [VERSION] {
            return Err(Error::Malformed("another snapshot version"));
        }
        self.records.apply(records::read(&mut reader)?);
        for _ in 0..reader.count(bytes.len())? {
            let space = SpaceId(reader.array()?);
            let mut logs = SpaceLogs::new(space);
            logs.control_index = read_index(&mut reader, LogId::control(space))?;
            let settled = read_settled(&mut reader, logs.control_index.events.len())?;
            for _ in 0..reader.count(bytes.len())? {
                let id = ChannelId(reader.array()?);
                let seed = self.seed();
                logs.channels.insert(id, read_channel(&mut reader, LogId::channel(space, id), seed)?);
            }
            self.spaces.insert(space, logs);
            self.restore_control(space, settled)?;
        }
        reader.end()
    }

    /// Builds a space's control log from its events, judging them anew unless the snapshot says how that ended.
    fn restore_control(&mut self, space: SpaceId, settled: Option<Vec<Rank>>) -> Result<(), Error> {
        self.recompute_hashes(&LogId::control(space))?;
        let Some(mut logs) = self.spaces.remove(&space) else { return Ok(()) };
        let index = &logs.control_index;
        let events = (0..index.len())
            .map(|at| Ok(control_event(index, at, &self.payload(index, at)?)))
            .collect::<Result<Vec<_>, Error>>()?;
        let is_unsettled = settled.is_none();
        match settled {
            Some(ranks) => logs.control = ControlLog::restore(events, ranks),
            None => events.into_iter().for_each(|event| logs.control.insert(event)),
        }
        // Where every control event counts and everybody may write, nothing is cut off.
        if is_unsettled || logs.control.state().has_silenced() {
            logs.restore_cuts();
        }
        self.spaces.insert(space, logs);
        Ok(())
    }
}

fn put_settled(out: &mut Vec<u8>, control: &ControlLog) {
    let ranks = control.settled().unwrap_or_default();
    put(out, ranks.len() as u64);
    ranks.iter().for_each(|rank| out.push(rank.get()));
}

/// The ranks under which the control events were made, if all of them count.
fn read_settled(reader: &mut Reader<'_>, events: usize) -> Result<Option<Vec<Rank>>, Error> {
    let count = reader.count(events)?;
    if count != events {
        return if count == 0 { Ok(None) } else { Err(Error::Malformed("a rank for each control event")) };
    }
    let rank = |byte: &u8| Rank::new(*byte).ok_or(Error::Malformed("a rank"));
    reader.bytes(count)?.iter().map(rank).collect::<Result<_, _>>().map(Some)
}

fn put_channel(out: &mut Vec<u8>, channel: &mut ChannelLog) {
    put_index(out, &channel.index);
    put(out, channel.void_by_right.len() as u64);
    channel.void_by_right.keys().for_each(|at| put(out, u64::from(*at)));
    let state = postcard::to_allocvec(&channel.state).expect("plain values encode into a growing buffer");
    put_bytes(out, &state);
    let segments = channel.search.as_mut().map(seal_texts).unwrap_or_default();
    put(out, segments.len() as u64);
    segments.iter().for_each(|segment| put_bytes(out, segment));
}

/// The text index as segments; without any it is built anew from the log.
fn seal_texts(search: &mut SearchIndex) -> Vec<Vec<u8>> {
    if search.freeze().is_err() {
        return Vec::new();
    }
    while let Some(range) = search.merge_due() {
        if search.merge(range).is_err() {
            break;
        }
    }
    search.segments().map(|segment| segment.bytes.to_vec()).collect()
}

fn read_channel(reader: &mut Reader<'_>, log: LogId, seed: u64) -> Result<ChannelLog, Error> {
    let index = read_index(reader, log)?;
    let mut channel = ChannelLog::new(log);
    for _ in 0..reader.count(index.events.len())? {
        let at = reader.index(index.events.len())?;
        channel.void_by_right.insert(at, "its author had no right to it when it was made");
    }
    channel.index = index;
    channel.state =
        postcard::from_bytes(read_bytes(reader)?).map_err(|_| Error::Malformed("a channel's state"))?;
    let len = reader.rest().len();
    let segments = (0..reader.count(len)?)
        .map(|_| read_bytes(reader).map(<[u8]>::to_vec))
        .collect::<Result<Vec<_>, _>>()?;
    if !segments.is_empty() {
        // A damaged index is built anew by the next search.
        channel.search = SearchIndex::open(seed, segments).ok();
    }
    Ok(channel)
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn read_bytes<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Error> {
    let len = reader.count(reader.rest().len())?;
    reader.bytes(len)
}

fn put_index(out: &mut Vec<u8>, index: &LogIndex) {
    put(out, index.chains.len() as u64);
    for chain in &index.chains {
        out.extend_from_slice(&chain.device.0);
    }
    for chain in &index.chains {
        out.extend_from_slice(&chain.head.hash.0);
        out.extend_from_slice(&chain.head.signature);
    }
    put(out, index.controls.len() as u64);
    for list in &index.controls {
        put(out, list.len() as u64);
        list.iter().for_each(|hash| out.extend_from_slice(&hash.0));
    }
    put(out, index.keys.len() as u64);
    for key in &index.keys {
        out.extend_from_slice(&key.commit.0);
        put(out, key.epoch);
    }
    for blocks in [&index.chunks, &index.metas] {
        put(out, blocks.len() as u64);
        blocks.iter().for_each(|block| out.extend_from_slice(&block.to_bytes()));
    }
    index.batch_ends.iter().for_each(|end| put(out, u64::from(*end)));
    put(out, index.stubs.len() as u64);
    for stub in &index.stubs {
        out.extend_from_slice(&stub.event.author.0);
        put(out, stub.event.seq);
        out.extend_from_slice(&stub.hash.0);
        put(out, stub.lamport);
    }
    put_events(out, index);
    put(out, index.heads.len() as u64);
    index.heads.iter().for_each(|at| put(out, u64::from(*at)));
    let kept = &index.hashes[index.hashes.len().saturating_sub(HASHES_KEPT)..];
    put(out, kept.len() as u64);
    kept.iter().for_each(|hash| out.extend_from_slice(&hash.0));
}

fn put_events(out: &mut Vec<u8>, index: &LogIndex) {
    put(out, index.events.len() as u64);
    let mut last = Guess::default();
    for (at, event) in (0..).zip(&index.events) {
        put(out, u64::from(event.chain));
        put(out, zigzag(last.lamport + 1, event.lamport));
        put(out, zigzag(last.wall_ms, event.wall_ms));
        put(out, u64::from(event.control));
        put(out, u64::from(event.key));
        put(out, u64::from(event.chunk - last.chunk));
        put(out, zigzag(last.offset(event.chunk), event.offset.into()));
        put(out, u64::from(event.len));
        let parents = index.parents_of(at);
        put(out, parents.len() as u64);
        for parent in parents {
            match index.stub(*parent) {
                None => put(out, u64::from(at - parent)),
                Some(stub) => {
                    put(out, 0);
                    let number = index.stubs.iter().position(|known| known == stub);
                    put(out, number.expect("the index holds its own stubs") as u64);
                }
            }
        }
        last = Guess::after(event);
    }
}

fn read_index(reader: &mut Reader<'_>, log: LogId) -> Result<LogIndex, Error> {
    let mut index = LogIndex::new(log);
    let len = reader.rest().len();
    let chains = reader.count(len / 32)?;
    let devices: Vec<DeviceId> =
        (0..chains).map(|_| reader.array().map(DeviceId)).collect::<Result<_, _>>()?;
    for device in devices {
        let head = SignedHead { seq: 0, hash: EventHash(reader.array()?), signature: reader.array()? };
        index.chains.push(Chain { device, head, events: Vec::new() });
    }
    for _ in 0..reader.count(len)? {
        let heads = reader.count(len)?;
        index.controls.push((0..heads).map(|_| reader.array().map(EventHash)).collect::<Result<_, _>>()?);
    }
    for _ in 0..reader.count(len)? {
        index.keys.push(KeyId { commit: EventHash(reader.array()?), epoch: reader.number()? });
    }
    index.chunks = read_blocks(reader)?;
    index.metas = read_blocks(reader)?;
    for _ in 0..index.metas.len() {
        index.batch_ends.push(reader.index(u32::MAX as usize)?);
    }
    for _ in 0..reader.count(len / 66)? {
        let event = EventRef { author: DeviceId(reader.array()?), seq: reader.number()? };
        index.stubs.push(Stub { event, hash: EventHash(reader.array()?), lamport: reader.number()? });
    }
    read_events(reader, &mut index)?;
    let count = index.events.len();
    for _ in 0..reader.count(count)? {
        index.heads.insert(reader.index(count)?);
    }
    let kept = reader.count(count)?;
    index.hashes = (0..kept).map(|_| reader.array().map(EventHash)).collect::<Result<_, _>>()?;
    index.hashes_from = u32::try_from(count - kept).map_err(|_| Error::Malformed("too many events"))?;
    for chain in &mut index.chains {
        chain.head.seq = chain.events.len() as u64;
    }
    index.relink();
    Ok(index)
}

fn read_blocks(reader: &mut Reader<'_>) -> Result<Vec<BlockRef>, Error> {
    let count = reader.count(reader.rest().len() / BlockRef::LEN)?;
    (0..count).map(|_| reader.array().map(BlockRef::from_bytes)).collect()
}

fn read_events(reader: &mut Reader<'_>, index: &mut LogIndex) -> Result<(), Error> {
    let count = reader.count(reader.rest().len() / 8)?;
    index.events.reserve(count);
    let mut last = Guess::default();
    for at in 0..count {
        let chain = reader.index(index.chains.len())?;
        let lamport = unzigzag(last.lamport + 1, reader.number()?);
        let wall_ms = unzigzag(last.wall_ms, reader.number()?);
        let control = reader.index(index.controls.len().max(1))?;
        let key = reader.index(index.keys.len().max(1))?;
        let chunk = last.chunk + reader.index(index.chunks.len())?;
        if chunk as usize >= index.chunks.len() {
            return Err(Error::Malformed("a chunk that is not there"));
        }
        let offset = u32::try_from(unzigzag(last.offset(chunk), reader.number()?))
            .map_err(|_| Error::Malformed("an offset"))?;
        let len = reader.index(u32::MAX as usize)?;
        for _ in 0..reader.count(terachat_event::PARENTS_MAX)? {
            let parent = match reader.index(at + 1)? {
                0 => {
                    let number = reader.index(index.stubs.len())?;
                    let stub = index.stubs[number as usize];
                    index.stub_parent(stub)
                }
                back => u32::try_from(at).map_err(|_| Error::Malformed("too many events"))? - back,
            };
            index.parents.push(parent);
        }
        let events = &mut index.chains[chain as usize].events;
        events.push(u32::try_from(at).map_err(|_| Error::Malformed("too many events"))?);
        let event = EventMeta {
            chain,
            seq: u32::try_from(events.len()).map_err(|_| Error::Malformed("too many events"))?,
            lamport,
            wall_ms,
            control,
            key,
            parents_end: u32::try_from(index.parents.len())
                .map_err(|_| Error::Malformed("too many parents"))?,
            chunk,
            offset,
            len,
        };
        last = Guess::after(&event);
        index.events.push(event);
    }
    Ok(())
}

/// What the next event most likely looks like.
#[derive(Default)]
struct Guess {
    lamport: u64,
    wall_ms: u64,
    chunk: u32,
    end: u32,
}

impl Guess {
    fn after(event: &EventMeta) -> Self {
        Self {
            lamport: event.lamport,
            wall_ms: event.wall_ms,
            chunk: event.chunk,
            end: event.offset + event.len,
        }
    }

    fn offset(&self, chunk: u32) -> u64 {
        if chunk == self.chunk { self.end.into() } else { 0 }
    }
}
