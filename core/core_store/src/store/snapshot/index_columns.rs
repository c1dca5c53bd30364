//! A log's index as bytes: `docs/format/store.md`, "Index". Events stand in pages of columns, so that reading writes
//! each event once, while its page is near.
use crate::Error;
use crate::store::BlockRef;
use crate::store::index::{Chain, EventMeta, LogIndex, Positions, Stub};
use crate::sync::{KeyId, Reader, put, unzigzag, zigzag};
use std::ops::Range;
use terachat_event::{DeviceId, EventHash, EventRef, LogId, PARENTS_MAX, SignedHead};

/// Hashes of the newest events are kept: they are the parents of what comes next.
const HASHES_KEPT: usize = 1024;
/// Events in a page.
const PAGE: usize = 1024;

/// Appends the index. `known` are the ids, ascending, that both sides have already.
pub(super) fn put_index(out: &mut Vec<u8>, index: &LogIndex, known: &[DeviceId]) {
    put(out, index.chains.len() as u64);
    for chain in &index.chains {
        match known.binary_search(&chain.device) {
            Ok(at) => put(out, at as u64 + 1),
            Err(_) => {
                put(out, 0);
                out.extend_from_slice(&chain.device.0);
            }
        }
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
    put_blocks(out, &index.chunks);
    put_blocks(out, &index.metas);
    let mut last = 0;
    for end in &index.batch_ends {
        put(out, u64::from(end - last));
        last = *end;
    }
    put(out, index.stubs.len() as u64);
    for stub in &index.stubs {
        out.extend_from_slice(&stub.event.author.0);
        put(out, stub.event.seq);
        out.extend_from_slice(&stub.hash.0);
        put(out, stub.lamport);
    }
    put(out, index.events.len() as u64);
    put(out, index.parents.len() as u64);
    let mut last = Guess::default();
    for from in (0..index.events.len()).step_by(PAGE) {
        last = put_page(out, index, from..(from + PAGE).min(index.events.len()), last);
    }
    put(out, index.heads.len() as u64);
    index.heads.iter().for_each(|at| put(out, u64::from(*at)));
    // A control log is judged by the hashes of all its events.
    let kept = if index.log.channel.is_some() { HASHES_KEPT } else { usize::MAX };
    let kept = &index.hashes[index.hashes.len().saturating_sub(kept)..];
    put(out, kept.len() as u64);
    kept.iter().for_each(|hash| out.extend_from_slice(&hash.0));
}

/// Reads what [`put_index`] wrote.
///
/// # Errors
/// [`Error::Malformed`].
pub(super) fn read_index(reader: &mut Reader<'_>, log: LogId, known: &[DeviceId]) -> Result<LogIndex, Error> {
    let mut index = LogIndex::new(log);
    let len = reader.rest().len();
    let chains = reader.count(len)?;
    let devices = (0..chains).map(|_| match reader.index(known.len() + 1)? {
        0 => reader.array().map(DeviceId),
        at => Ok(known[at as usize - 1]),
    });
    let devices: Vec<DeviceId> = devices.collect::<Result<_, _>>()?;
    let heads = reader.bytes(chains.checked_mul(96).ok_or(Error::Malformed("too many chains"))?)?;
    index.chains.reserve_exact(chains);
    for (device, head) in devices.into_iter().zip(heads.chunks_exact(96)) {
        let (hash, signature) = head.split_at(32);
        let hash = EventHash(hash.try_into().expect("32 bytes"));
        let head = SignedHead { seq: 0, hash, signature: signature.try_into().expect("64 bytes") };
        index.chains.push(Chain { device, head, events: Positions::default() });
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
    let mut last = 0;
    for _ in 0..index.metas.len() {
        last = checked(u64::from(last) + reader.number()?)?;
        index.batch_ends.push(last);
    }
    for _ in 0..reader.count(len / 66)? {
        let event = EventRef { author: DeviceId(reader.array()?), seq: reader.number()? };
        index.stubs.push(Stub { event, hash: EventHash(reader.array()?), lamport: reader.number()? });
    }
    let count = reader.count(len)?;
    let parents = reader.count(len)?;
    let mut counts = vec![0; chains];
    index.events.reserve_exact(count);
    index.parents.reserve_exact(parents);
    let mut last = Guess::default();
    for from in (0..count).step_by(PAGE) {
        last = read_page(reader, &mut index, from..(from + PAGE).min(count), last, &mut counts)?;
    }
    if index.batch_ends.last().copied().unwrap_or(0) as usize != count {
        return Err(Error::Malformed("batches and events"));
    }
    index.thread_chains(&counts);
    for _ in 0..reader.count(count)? {
        index.heads.insert(reader.index(count)?);
    }
    let kept = reader.count(count)?;
    index.hashes = (0..kept).map(|_| reader.array().map(EventHash)).collect::<Result<_, _>>()?;
    index.hashes_from = checked((count - kept) as u64)?;
    if log.channel.is_none() && kept != count {
        return Err(Error::Malformed("a control log keeps all its hashes"));
    }
    Ok(index)
}

/// Block references that follow each other in the log mostly differ in their offsets only.
fn put_blocks(out: &mut Vec<u8>, blocks: &[BlockRef]) {
    put(out, blocks.len() as u64);
    let mut last = [0u32; 4];
    for block in blocks {
        let fields = block.fields();
        for (last, field) in last.iter().zip(fields) {
            put(out, zigzag(u64::from(*last), u64::from(field)));
        }
        last = fields;
    }
}

fn read_blocks(reader: &mut Reader<'_>) -> Result<Vec<BlockRef>, Error> {
    let count = reader.count(reader.rest().len() / 4)?;
    let mut last = [0u32; 4];
    let mut blocks = Vec::with_capacity(count);
    for _ in 0..count {
        for field in &mut last {
            *field = checked(unzigzag(u64::from(*field), reader.number()?))?;
        }
        blocks.push(BlockRef::from_fields(last));
    }
    Ok(blocks)
}

fn put_page(out: &mut Vec<u8>, index: &LogIndex, page: Range<usize>, before: Guess) -> Guess {
    let events = &index.events[page.clone()];
    let guesses = || std::iter::once(before).chain(events.iter().map(Guess::after));
    let column = |out: &mut Vec<u8>, value: &dyn Fn(Guess, &EventMeta) -> u64| {
        guesses().zip(events).for_each(|(guess, event)| put(out, value(guess, event)));
    };
    column(out, &|_, event| u64::from(event.chain));
    column(out, &|guess, event| zigzag(guess.lamport + 1, event.lamport));
    column(out, &|guess, event| zigzag(guess.wall_ms, event.wall_ms));
    column(out, &|_, event| u64::from(event.len));
    let positions = page.clone().map(|at| u32::try_from(at).expect("positions have 32 bits"));
    positions.clone().for_each(|at| put(out, index.parents_of(at).len() as u64));
    for at in positions {
        for parent in index.parents_of(at) {
            match index.stub(*parent) {
                None => put(out, u64::from(at - parent)),
                Some(stub) => {
                    put(out, 0);
                    let number = index.stubs.iter().position(|known| known == stub);
                    put(out, number.expect("the index holds its own stubs") as u64);
                }
            }
        }
    }
    // What stays the same for long: each value, and how often it follows.
    let runs = |out: &mut Vec<u8>, value: &dyn Fn(Guess, &EventMeta) -> u64| {
        let values: Vec<u64> = guesses().zip(events).map(|(guess, event)| value(guess, event)).collect();
        for run in values.chunk_by(|a, b| a == b) {
            put(out, run[0]);
            put(out, run.len() as u64);
        }
    };
    runs(out, &|_, event| u64::from(event.control));
    runs(out, &|_, event| u64::from(event.key));
    runs(out, &|guess, event| u64::from(event.chunk - guess.chunk));
    runs(out, &|guess, event| zigzag(guess.offset(event.chunk), event.offset.into()));
    events.last().map_or(before, Guess::after)
}

fn read_page(
    reader: &mut Reader<'_>,
    index: &mut LogIndex,
    page: Range<usize>,
    mut last: Guess,
    counts: &mut [u32],
) -> Result<Guess, Error> {
    let mut columns = [[0u64; PAGE]; 4];
    let n = page.len();
    for column in &mut columns {
        for value in &mut column[..n] {
            *value = reader.number()?;
        }
    }
    let mut parents = [0u32; PAGE];
    for count in &mut parents[..n] {
        *count = checked(reader.count(PARENTS_MAX)? as u64)?;
    }
    for (at, count) in page.clone().zip(&mut parents) {
        for _ in 0..*count {
            let parent = match reader.index(at + 1)? {
                0 => {
                    let number = reader.index(index.stubs.len())?;
                    LogIndex::nth_stub(number)
                }
                back => checked(at as u64)? - back,
            };
            index.parents.push(parent);
        }
        *count = checked(index.parents.len() as u64)?;
    }
    let mut runs = [[0u64; PAGE]; 4];
    for column in &mut runs {
        let mut rest = &mut column[..n];
        while !rest.is_empty() {
            let value = reader.number()?;
            let run = reader.count(rest.len())?;
            if run == 0 {
                return Err(Error::Malformed("a run of nothing"));
            }
            let (head, behind) = rest.split_at_mut(run);
            head.fill(value);
            rest = behind;
        }
    }
    let ([chains, lamports, walls, lens], [controls, keys, chunks, offsets]) = (&columns, &runs);
    let (controls_max, keys_max) = (index.controls.len().max(1), index.keys.len().max(1));
    for at in 0..n {
        let chain = below(chains[at], counts.len())?;
        let count = &mut counts[chain as usize];
        *count += 1;
        let chunk = checked(u64::from(last.chunk).saturating_add(chunks[at]))?;
        let event = EventMeta {
            chain,
            seq: *count,
            lamport: unzigzag(last.lamport + 1, lamports[at]),
            wall_ms: unzigzag(last.wall_ms, walls[at]),
            control: below(controls[at], controls_max)?,
            key: below(keys[at], keys_max)?,
            parents_end: parents[at],
            chunk: below(u64::from(chunk), index.chunks.len())?,
            offset: checked(unzigzag(last.offset(chunk), offsets[at]))?,
            len: checked(lens[at])?,
        };
        if event.lamport == u64::MAX || event.offset.checked_add(event.len).is_none() {
            return Err(Error::Malformed("an event's time or place"));
        }
        last = Guess::after(&event);
        index.events.push(event);
    }
    Ok(last)
}

fn checked(value: u64) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| Error::Malformed("a number is beyond 32 bits"))
}

fn below(value: u64, end: usize) -> Result<u32, Error> {
    if value < end as u64 { checked(value) } else { Err(Error::Malformed("an index points nowhere")) }
}

/// What the next event most likely looks like.
#[derive(Default, Clone, Copy)]
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
