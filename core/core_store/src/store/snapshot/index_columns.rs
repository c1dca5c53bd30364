//! A log's index as bytes: `docs/format/store.md`, "Index". Its events are not read here but when they are asked for.
use crate::Error;
use crate::blocks::{Places, Values};
use crate::store::BlockRef;
use crate::store::index::{BLOCK_BITS_MAX, Bounds, Chain, EventBlock, LogIndex, Stub};
use crate::sync::{KeyId, Reader, put, unzigzag, zigzag};
use terachat_event::{DeviceId, EventHash, EventRef, LogId, SignedHead};

/// Hashes of the newest events are kept: they are the parents of what comes next.
const HASHES_KEPT: usize = 1024;

/// Appends the index, with its events among the values. `known` are the ids, ascending, that both sides have already.
pub(super) fn put_index(out: &mut Vec<u8>, values: &mut Values, index: &LogIndex, known: &[DeviceId]) {
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
    index.chains.iter().for_each(|chain| put(out, chain.head.seq));
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
    put(out, u64::from(index.len()));
    put(out, u64::from(index.block_bits));
    put_events(out, values, index);
    put(out, index.heads.len() as u64);
    index.heads.iter().for_each(|at| put(out, u64::from(*at)));
    // A control log is judged by the hashes of all its events.
    let kept = if index.log.channel.is_some() { HASHES_KEPT } else { usize::MAX };
    let kept = &index.hashes[index.hashes.len().saturating_sub(kept)..];
    put(out, kept.len() as u64);
    kept.iter().for_each(|hash| out.extend_from_slice(&hash.0));
}

/// Blocks that the log was opened with and that are still full are what they were; the others are made anew.
fn put_events(out: &mut Vec<u8>, values: &mut Values, index: &LogIndex) {
    let grown = index.len() > index.stored_len;
    let in_block = 1 << index.block_bits;
    let all = index.len().div_ceil(in_block);
    let kept = if grown { index.stored_len / in_block } else { all };
    index.stored.iter().take(kept as usize).for_each(|block| values.put(out, block));
    let new = (kept..all).map(|block| {
        let from = block * in_block;
        EventBlock::of(index, from..from.saturating_add(in_block).min(index.len()))
    });
    let new: Vec<EventBlock> = new.collect();
    new.iter().for_each(|block| values.put_new(out, block));
    if grown {
        values.put_new(out, &index.runs.get().with(kept, index.chains.len(), new.iter()));
    } else {
        values.put(out, &index.runs);
    }
}

/// Reads what [`put_index`] wrote.
///
/// # Errors
/// [`Error::Malformed`].
pub(super) fn read_index(
    reader: &mut Reader<'_>,
    places: &mut Places<'_>,
    log: LogId,
    known: &[DeviceId],
) -> Result<LogIndex, Error> {
    let mut index = LogIndex::new(log);
    let len = reader.rest().len();
    let chains = reader.count(len)?;
    let devices = (0..chains).map(|_| match reader.index(known.len() + 1)? {
        0 => reader.array().map(DeviceId),
        at => Ok(known[at as usize - 1]),
    });
    let devices: Vec<DeviceId> = devices.collect::<Result<_, _>>()?;
    let counts: Vec<u32> = (0..chains).map(|_| checked(reader.number()?)).collect::<Result<_, _>>()?;
    let heads = reader.bytes(chains.checked_mul(96).ok_or(Error::Malformed("too many chains"))?)?;
    index.chains.reserve_exact(chains);
    for ((device, stored), head) in devices.into_iter().zip(counts).zip(heads.chunks_exact(96)) {
        let (hash, signature) = head.split_at(32);
        let hash = EventHash(hash.try_into().expect("32 bytes"));
        let head =
            SignedHead { seq: stored.into(), hash, signature: signature.try_into().expect("64 bytes") };
        index.chains.push(Chain { device, head, stored, fresh: Vec::new() });
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
    index.stored_len = checked(reader.number()?)?;
    index.block_bits = reader.index(BLOCK_BITS_MAX as usize + 1)?;
    let count = index.stored_len as usize;
    let in_chains = index.chains.iter().map(|chain| u64::from(chain.stored)).sum::<u64>();
    if index.batch_ends.last().copied().unwrap_or(0) != index.stored_len || in_chains != count as u64 {
        return Err(Error::Malformed("batches, chains and events"));
    }
    let bounds = Bounds {
        from: 0,
        len: 0,
        chains: checked(chains as u64)?,
        controls: checked(index.controls.len() as u64)?,
        keys: checked(index.keys.len() as u64)?,
        chunks: checked(index.chunks.len() as u64)?,
        stubs: checked(index.stubs.len() as u64)?,
    };
    let in_block = 1 << index.block_bits;
    for from in (0..index.stored_len).step_by(in_block as usize) {
        let bounds = Bounds { from, len: in_block.min(index.stored_len - from), ..bounds };
        index.stored.push(places.next(reader, bounds)?);
    }
    index.runs = places.next(reader, (bounds.chains, checked(index.stored.len() as u64)?))?;
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

fn checked(value: u64) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| Error::Malformed("a number is beyond 32 bits"))
}
