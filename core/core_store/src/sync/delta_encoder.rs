use super::batch::{Batch, ChunkLen};
use crate::wire::{put, zigzag};

/// First byte of an encoded batch in short chunks.
pub(super) const VERSION: u8 = 1;
/// The same in long ones.
pub(super) const VERSION_LONG: u8 = 2;
/// A parent list that is exactly the event before this one in the batch.
pub(super) const PARENT_IS_PREVIOUS: u64 = 1;

/// The bytes of a batch without its payloads: `docs/format/batch.md`.
///
/// Columns of like things stand together, as differences where they grow, so that compression finds them.
pub fn encode_batch(batch: &Batch) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + batch.authors.len() * 98 + batch.events.len() * 8);
    out.push(match batch.chunk_len {
        ChunkLen::Short => VERSION,
        ChunkLen::Long => VERSION_LONG,
    });
    out.extend_from_slice(&batch.log.space.0);
    match &batch.log.channel {
        None => out.push(0),
        Some(channel) => {
            out.push(1);
            out.extend_from_slice(&channel.0);
        }
    }
    match &batch.key {
        None => out.push(0),
        Some(key) => {
            out.push(1);
            out.extend_from_slice(&key.commit.0);
            put(&mut out, key.epoch);
        }
    }
    put(&mut out, batch.authors.len() as u64);
    put(&mut out, batch.controls.len() as u64);
    put(&mut out, batch.events.len() as u64);
    for author in &batch.authors {
        out.extend_from_slice(&author.device.0);
    }
    for author in &batch.authors {
        put(&mut out, author.first_seq);
    }
    for author in &batch.authors {
        put(&mut out, u64::from(author.count));
    }
    for author in batch.authors.iter().filter(|author| author.count > 0) {
        out.extend_from_slice(&author.signature);
    }
    for list in &batch.controls {
        put(&mut out, list.len() as u64);
        list.iter().for_each(|hash| out.extend_from_slice(&hash.0));
    }
    put(&mut out, batch.stubs.len() as u64);
    for stub in &batch.stubs {
        put(&mut out, u64::from(stub.author));
        put(&mut out, stub.seq);
        out.extend_from_slice(&stub.hash.0);
        put(&mut out, stub.lamport);
    }
    put(&mut out, batch.skeletons.len() as u64);
    for skeleton in &batch.skeletons {
        out.extend_from_slice(&skeleton.author.0);
        out.extend_from_slice(&skeleton.previous.0);
        out.extend_from_slice(&skeleton.step.payload_hash);
        put(&mut out, skeleton.step.header.len() as u64);
        out.extend_from_slice(&skeleton.step.header);
    }
    batch.events.iter().for_each(|event| put(&mut out, u64::from(event.author)));
    batch.events.iter().for_each(|event| put(&mut out, u64::from(event.control)));
    batch.events.iter().for_each(|event| put(&mut out, u64::from(event.payload_len)));
    let mut last = 0;
    for event in &batch.events {
        put(&mut out, zigzag(last, event.lamport));
        last = event.lamport;
    }
    last = 0;
    for event in &batch.events {
        put(&mut out, zigzag(last, event.wall_ms));
        last = event.wall_ms;
    }
    encode_parents(batch, &mut out);
    out
}

fn encode_parents(batch: &Batch, out: &mut Vec<u8>) {
    let mut next: Vec<u64> = batch.authors.iter().map(|author| author.first_seq).collect();
    let mut parents = batch.parents.iter();
    let mut previous = None;
    for event in &batch.events {
        let mine: Vec<(u32, u64)> = parents.by_ref().take(event.parents as usize).copied().collect();
        if mine.len() == 1 && Some(mine[0]) == previous {
            put(out, PARENT_IS_PREVIOUS);
        } else {
            // 0 parents: 0; n parents: n + 1, so that 1 is free for the commonest case.
            put(out, if mine.is_empty() { 0 } else { mine.len() as u64 + 1 });
            for (author, seq) in mine {
                put(out, u64::from(author));
                put(out, zigzag(next[author as usize], seq));
            }
        }
        let author = event.author as usize;
        previous = Some((event.author, next[author]));
        next[author] += 1;
    }
}
