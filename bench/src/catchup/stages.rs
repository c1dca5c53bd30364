//! What the steps inside a catch-up take when they are done alone, by the same public functions.
use super::NAME;
use crate::measure::{Spread, Took, time};
use crate::report::Figure;
use crate::sender::{Prepared, Seeded, epoch_secret};
use anyhow::Result;
use std::hint::black_box;
use terachat_core_store::model::{ChannelOp, EpochKey};
use terachat_core_store::store::compress::compress;
use terachat_core_store::store::{Block, CommitLog};
use terachat_core_store::sync::{Batch, Bundle, Limits, encode_batch};
use terachat_event::{
    DeviceId, EventHash, Header, Kind, SignedHead, chain_start, link, prefix, verify_heads,
};
use terachat_host::Disk;
use terachat_vault::Secret;

/// The step that no design can do without.
pub(super) const SIGNATURES: &str = "step: verify the newest signature of each author";

/// Messages of a shared channel that are to be opened in a second.
const OPENED: f64 = 500_000.0;

/// Measures each step over the channel's bundles.
///
/// # Errors
/// The store's and the disk's.
pub(super) fn run(prepared: &Prepared, runs: usize) -> Result<Vec<Figure>> {
    let channel = prepared.log.channel.expect("the conversation is in a channel");
    let key = EpochKey::derive(&epoch_secret(), &channel);
    let mut steps: Vec<(&'static str, Vec<Took>)> = Vec::new();
    let mut note = |name: &'static str, took: Took| match steps.iter_mut().find(|(known, _)| *known == name) {
        Some((_, list)) => list.push(took),
        None => steps.push((name, vec![took])),
    };
    // Of each run, what opening takes: from sealed bytes to operations that are bound to their authors.
    let (mut opened, mut events) = (Vec::new(), 0);
    for _ in 0..runs {
        let mut opening = 0.0;
        events = 0;
        for bytes in &prepared.channel {
            let bundle = Bundle::decode(bytes, Limits::PEER)?;
            let (chunks, took) = time(|| bundle.open_chunks(Some(&key)));
            let chunks = chunks?;
            opening += took.cpu;
            events += bundle.batch.events.len();
            note("step: open and unpack payloads", took);
            let (heads, took) = time(|| hash_all(&bundle.batch, &chunks, &key));
            opening += took.cpu;
            note("step: write headers and hash every event", took);
            let (bad, took) = time(|| verify_heads(&bundle.batch.log, &heads));
            assert!(bad.is_empty(), "the sender's signatures verify");
            opening += took.cpu;
            note(SIGNATURES, took);
            let (meta, took) = time(|| encode_batch(&bundle.batch));
            note("step: encode the batch's columns for the disk", took);
            let folder = tempfile::tempdir()?;
            let disk = Box::new(Disk::open(folder.path())?);
            let (mut log, _) = CommitLog::open(disk, &Secret::take(&mut [1; 32]), &mut Seeded::new(3))?;
            // As they came: the store does not compress again what a bundle brought compressed.
            let packed: Vec<_> =
                std::iter::once(&meta).chain(&chunks).map(|part| compress(part, 3)).collect();
            let blocks: Vec<_> = packed.iter().map(|body| Block::packed(1, body)).collect();
            let (result, took) = time(|| log.commit(&blocks));
            result?;
            note("step: seal, write and sync what came compressed", took);
            let ((), took) = time(|| decode_all(&bundle.batch, &chunks));
            opening += took.cpu;
            note("step: decode every operation", took);
        }
        opened.push(opening);
    }
    let bundles = prepared.channel.len();
    let steps = steps.into_iter().map(|(name, list)| {
        let runs = list.chunks(bundles).map(|run| run.iter().map(|took| took.cpu).sum());
        Figure::new(NAME, name, "ms CPU", Spread::of(runs).per(1e-3))
    });
    let name = "messages of a shared channel opened, on one core";
    let opened = Figure::new(NAME, name, "/s", Spread::of(opened).rate(events as f64)).at_least(OPENED);
    Ok(steps.chain([opened]).collect())
}

/// Follows every chain of a batch that stands at its log's beginning, as a validator has to.
fn hash_all(batch: &Batch, chunks: &[Vec<u8>], key: &EpochKey) -> Vec<(DeviceId, SignedHead)> {
    struct At {
        seq: u64,
        hash: EventHash,
        events: Vec<u32>,
    }
    let mut chains: Vec<At> = batch
        .authors
        .iter()
        .map(|author| At { seq: 0, hash: chain_start(&batch.log, &author.device), events: Vec::new() })
        .collect();
    let mut hashes: Vec<EventHash> = Vec::with_capacity(batch.events.len());
    let (mut header, mut scratch, mut parents) = (Vec::new(), Vec::new(), Vec::new());
    let mut named = batch.parents.iter();
    for_payloads(batch, chunks, |at, payload| {
        let event = &batch.events[at];
        parents.clear();
        parents.extend(named.by_ref().take(event.parents as usize).filter_map(|(author, seq)| {
            let place = usize::try_from(*seq).ok()?.checked_sub(1)?;
            hashes.get(*chains[*author as usize].events.get(place)? as usize).copied()
        }));
        parents.sort_unstable();
        let chain = &mut chains[event.author as usize];
        chain.seq += 1;
        header.clear();
        Header {
            kind: Kind::Sealed,
            seq: chain.seq,
            lamport: event.lamport,
            wall_ms: event.wall_ms,
            epoch: batch.key.map(|key| key.epoch),
            parents: &parents,
            control: &batch.controls[event.control as usize],
        }
        .write(&mut header);
        let prefix = prefix(&chain.hash, &header);
        chain.hash = link(&prefix, &key.commit_body(&prefix, payload, &mut scratch));
        chain.events.push(u32::try_from(at).expect("fewer events than 2^32"));
        hashes.push(chain.hash);
    });
    let signed = batch.authors.iter().zip(&chains).filter(|(author, _)| author.count > 0);
    signed
        .map(|(author, at)| {
            (author.device, SignedHead { seq: at.seq, hash: at.hash, signature: author.signature })
        })
        .collect()
}

fn decode_all(batch: &Batch, chunks: &[Vec<u8>]) {
    for_payloads(batch, chunks, |_, payload| {
        black_box(ChannelOp::decode(payload).is_ok());
    });
}

fn for_payloads(batch: &Batch, chunks: &[Vec<u8>], mut work: impl FnMut(usize, &[u8])) {
    let mut at = 0;
    for (chunk, end) in chunks.iter().zip(batch.chunk_ends()) {
        let mut rest = chunk.as_slice();
        for event in at..end {
            let (payload, behind) = rest.split_at(batch.events[event].payload_len as usize);
            rest = behind;
            work(event, payload);
        }
        at = end;
    }
}
