//! Small commits, put together: `docs/format/store.md`, "Compaction". A message that came alone costs hundreds of bytes of
//! ids, signature and framing; among others it costs a few.
use super::commit_log::{Blocks, StoredBlock};
use super::index::{Moved, Places};
use super::local_store::{CHUNK, DROP, LocalStore, META, RECORDS};
use super::records::{self, Write};
use super::{Block, BlockRef, Error as StoreError, compress, level_for};
use crate::Error;
use crate::sync::{
    Batch, Limits, MERGED_EVENTS_MAX as EVENTS_MAX, MERGED_PAYLOADS_MAX as PAYLOADS_MAX, decode_batch,
    encode_batch,
};
use hashbrown::HashMap;
use std::collections::BTreeMap;
use terachat_event::LogId;
use terachat_vault::SecretBytes;

/// Batches with fewer events are worth putting together.
const SMALL: usize = 64;
/// Small batches that make a closed segment worth rewriting.
const SMALL_MIN: usize = 1024;
/// Small batches that make the current segment worth closing: some 1.4 MB, rewritten in some ten milliseconds.
const SMALL_DUE: usize = 4 * 1024;
/// How hard what was put together is compressed (Zstandard): harder than what somebody waits for, since it is done once. What
/// stays as it came stays as small as it was: a segment may be full of it, and seconds would go to save a few hundredths.
const LEVEL: i32 = 9;
/// Most bytes of records put together, but for a single one that is larger.
const RECORDS_MAX: usize = 1 << 20;

impl LocalStore {
    /// Puts commits of few events together and writes a snapshot, where that saves space. Nothing is lost by it: not an
    /// event, not a signature that a peer may ask for, and not the log if the power goes meanwhile.
    ///
    /// # Errors
    /// [`Error::Store`]: drop this value and open the store anew, it holds what it held.
    pub fn compact(&mut self) -> Result<(), Error> {
        self.require_sound()?;
        if self.rewrite_segments(SMALL_MIN, SMALL_MIN)? { self.snapshot() } else { Ok(()) }
    }

    /// What [`LocalStore::snapshot`] does of it by itself, once it is due.
    ///
    /// # Errors
    /// As [`LocalStore::compact`]; but a segment that cannot be read stays as it is, and whoever reads it is told.
    pub(super) fn compact_if_due(&mut self) -> Result<(), Error> {
        match self.rewrite_segments(SMALL_DUE, SMALL_MIN) {
            // Of what was dropped nothing may be forgotten before it is off the disk.
            Err(Error::Corrupt(_) | Error::Malformed(_) | Error::Store(StoreError::Damaged { .. }))
                if self.dropped_batches() == 0 =>
            {
                Ok(())
            }
            result => result.map(drop),
        }
    }

    /// Rewrites each closed segment with `min` small batches, once, and closes the current one for it when it holds `due`;
    /// gives back whether there was any. What is behind in the log stays where it is, so the cost is the segment's.
    pub(super) fn rewrite_segments(&mut self, due: usize, min: usize) -> Result<bool, Error> {
        let dropped = self.rewrite_dropped()?;
        let small = self.small_batches();
        let current = self.log.closed_segments() + 1;
        if small.get(&current).is_some_and(|count| *count >= due) {
            self.log.roll()?;
        }
        let closed = self.log.closed_segments();
        let worth = |(segment, count): (u32, usize)| {
            (segment <= closed && count >= min && !self.log.is_rewritten(segment)).then_some(segment)
        };
        let segments: Vec<u32> = small.into_iter().filter_map(worth).collect();
        for segment in &segments {
            self.rewrite_segment(*segment)?;
        }
        Ok(dropped || !segments.is_empty())
    }

    /// How many small batches each segment holds.
    fn small_batches(&self) -> BTreeMap<u32, usize> {
        let mut small = BTreeMap::new();
        for log in self.logs() {
            let Some(index) = self.index(&log) else { continue };
            for batch in 0..index.metas.len() {
                if index.positions_of(batch).len() < SMALL {
                    *small.entry(index.metas[batch].segment()).or_default() += 1;
                }
            }
        }
        small
    }

    /// Changes nothing unless the segment was rewritten.
    pub(super) fn rewrite_segment(&mut self, segment: u32) -> Result<(), Error> {
        let mut plan =
            Plan { store: self, segment, next: BTreeMap::new(), open: BTreeMap::new(), out: Out::default() };
        let mut blocks = self.log.blocks_of(segment);
        while let Some(block) = blocks.next() {
            plan.take(block?, &mut blocks)?;
        }
        let out = plan.finish()?;
        let commits: Vec<Vec<Block<'_>>> =
            out.commits.iter().map(|commit| commit.iter().map(Body::block).collect()).collect();
        let places = self.log.rewrite(segment, &commits)?;
        drop(commits);
        self.forget_chunks();
        let mut moved: BTreeMap<LogId, Vec<Moved>> = BTreeMap::new();
        for (commit, log, end, places_of) in out.batches {
            let at: &[BlockRef] = &places[commit];
            let batch = Moved { meta: at[0], chunks: at[1..].to_vec(), end, places: places_of };
            moved.entry(log).or_default().push(batch);
        }
        for (log, batches) in moved {
            let index = self.spaces.get_mut(&log.space).and_then(|logs| logs.index_mut(&log));
            index.expect("its batches were found in it").relocate(segment, batches);
        }
        Ok(())
    }
}

/// What a segment becomes, as it is read.
struct Plan<'a> {
    store: &'a LocalStore,
    segment: u32,
    /// For each log, the next of its stored batches and of its chunks.
    next: BTreeMap<LogId, (usize, u32)>,
    /// Batches that are being put together. Never of a control log and a channel at once: channels build on it.
    open: BTreeMap<LogId, Merger>,
    out: Out,
}

#[derive(Default)]
struct Out {
    commits: Vec<Vec<Body>>,
    /// For each batch: its commit, its log, the position behind its last event, where its payloads are in it.
    batches: Vec<(usize, LogId, u32, Places)>,
    /// The last write of each record in the segment.
    records: BTreeMap<Vec<u8>, Option<SecretBytes>>,
    /// Epoch secrets that were deleted later in the segment: what lies between cannot be judged without.
    secrets: Vec<Write>,
}

/// A block to write, compressed as soon as it is there.
struct Body {
    kind: u8,
    bytes: SecretBytes,
    is_packed: bool,
}

/// Small batches of one log and one epoch, one behind the other.
struct Merger {
    from: u32,
    to: u32,
    payloads: Vec<u8>,
    /// Each chain's newest number and the signature on it.
    signatures: HashMap<u32, (u64, [u8; 64])>,
}

impl Plan<'_> {
    fn take(&mut self, block: StoredBlock, blocks: &mut Blocks<'_>) -> Result<(), Error> {
        match block.kind {
            RECORDS => self.out.take_records(SecretBytes::take(block.body)),
            META => {
                let batch = decode_batch(&block.body, Limits { events: 1 << 22, payload_len: 1 << 30 })?;
                let mut chunks = Vec::new();
                for _ in batch.chunk_ends() {
                    let chunk = blocks.next().ok_or_else(|| corrupt("a batch lacks payloads"))??;
                    if chunk.kind != CHUNK {
                        return Err(corrupt("a batch lacks payloads"));
                    }
                    chunks.push(chunk.body);
                }
                self.take_batch(block, &batch, chunks)
            }
            DROP => {
                // Nothing of that log is being put together across it: what stood before it is left out.
                self.out.commits.push(vec![Body::as_it_was(DROP, block.body)]);
                Ok(())
            }
            _ => Err(corrupt("a block that is not a batch's")),
        }
    }

    fn take_batch(&mut self, block: StoredBlock, batch: &Batch, chunks: Vec<Vec<u8>>) -> Result<(), Error> {
        let store = self.store;
        let index = store.index(&batch.log).ok_or_else(|| corrupt("a batch of an unknown log"))?;
        let segment = self.segment;
        let next = self.next.entry(batch.log).or_insert_with(|| {
            let before = |blocks: &[BlockRef]| blocks.partition_point(|block| block.segment() < segment);
            let chunk = u32::try_from(before(&index.chunks)).expect("fewer chunks than events");
            (before(&index.metas), chunk)
        });
        let (number, first_chunk) = *next;
        if index.metas.get(number) != Some(&block.at) {
            let is_dropped = store.is_dropped(&batch.log, block.at);
            return is_dropped.then_some(()).ok_or_else(|| corrupt("a batch that is not in the index"));
        }
        *next = (number + 1, first_chunk + u32::try_from(chunks.len()).expect("few chunks"));
        let positions = index.positions_of(number);
        let (is_control, log) = (batch.log.channel.is_none(), batch.log);
        while let Some(other) = self.open.keys().find(|other| other.channel.is_none() != is_control).copied()
        {
            self.close(&other)?;
        }
        // What was built beside a fork is kept as it came.
        if positions.len() >= SMALL || !index.frozen.is_empty() {
            self.close(&log)?;
            let places = Places::Same { first_chunk };
            let bodies = std::iter::once(Body::as_it_was(META, block.body))
                .chain(chunks.into_iter().map(|chunk| Body::as_it_was(CHUNK, chunk)));
            self.out.batches.push((self.out.commits.len(), log, positions.end, places));
            self.out.commits.push(bodies.collect());
            return Ok(());
        }
        let goes_on = self.open.get(&log).is_some_and(|merger| {
            index.key(merger.from) == index.key(positions.start)
                && (merger.to - merger.from) as usize + positions.len() <= EVENTS_MAX
                && merger.payloads.len() < PAYLOADS_MAX
        });
        if !goes_on {
            self.close(&log)?;
        }
        let start = positions.start;
        let merger = self.open.entry(log).or_insert_with(|| Merger {
            from: start,
            to: start,
            payloads: Vec::new(),
            signatures: HashMap::new(),
        });
        if positions.len() == batch.events.len() {
            chunks.iter().for_each(|chunk| merger.payloads.extend_from_slice(chunk));
        } else {
            // It repeated events that were here.
            for at in positions.clone() {
                merger.payloads.append(&mut store.payload(index, at)?);
            }
        }
        merger.to = positions.end;
        for author in batch.authors.iter().filter(|author| author.count > 0) {
            let chain = index.chain_of(&author.device).ok_or_else(|| corrupt("an author without a chain"))?;
            let last = author.first_seq + u64::from(author.count) - 1;
            let newest = merger.signatures.entry(chain).or_insert((last, author.signature));
            if last > newest.0 {
                *newest = (last, author.signature);
            }
        }
        Ok(())
    }

    /// Ends what is being put together of this log.
    fn close(&mut self, log: &LogId) -> Result<(), Error> {
        let Some(merger) = self.open.remove(log) else { return Ok(()) };
        let index = self.store.index(log).ok_or_else(|| corrupt("a batch of an unknown log"))?;
        let positions: Vec<u32> = (merger.from..merger.to).collect();
        let signature = |chain: u32, seq: u64| {
            merger.signatures.get(&chain).filter(|(last, _)| *last == seq).map(|(_, signature)| *signature)
        };
        let batch =
            index.batch(&positions, signature).ok_or_else(|| corrupt("a batch without a signature"))?;
        let mut bodies = vec![Body::new(META, encode_batch(&batch))];
        let (mut places, mut event, mut offset) = (Vec::with_capacity(positions.len()), 0, 0);
        for (chunk, end) in (0..).zip(batch.chunk_ends()) {
            let start = offset;
            for event in &batch.events[event..end] {
                places.push((chunk, u32::try_from(offset - start).expect("a chunk is small")));
                offset += event.payload_len as usize;
            }
            event = end;
            let bytes = merger.payloads.get(start..offset).ok_or_else(|| corrupt("payloads are missing"))?;
            bodies.push(Body::new(CHUNK, bytes.to_vec()));
        }
        if offset != merger.payloads.len() {
            return Err(corrupt("payloads do not fit their events"));
        }
        self.out.batches.push((self.out.commits.len(), *log, merger.to, Places::New(places)));
        self.out.commits.push(bodies);
        Ok(())
    }

    fn finish(mut self) -> Result<Out, Error> {
        while let Some(log) = self.open.keys().next().copied() {
            self.close(&log)?;
        }
        for (log, (next, _)) in &self.next {
            let index = self.store.index(log).ok_or_else(|| corrupt("a batch of an unknown log"))?;
            if index.metas.get(*next).is_some_and(|meta| meta.segment() == self.segment) {
                return Err(corrupt("the index has a batch that is not there"));
            }
        }
        self.out.close_records();
        if self.out.commits.is_empty() {
            // All that was in it was dropped, and a segment is never without a commit.
            self.out.commits.push(vec![Body::secret(records::encode(&[]))]);
        }
        Ok(self.out)
    }
}

impl Out {
    fn take_records(&mut self, body: SecretBytes) -> Result<(), Error> {
        for (name, value) in records::decode(body.expose_secret())? {
            let before = self.records.insert(name.clone(), value);
            if let (Some(Some(secret)), true) = (before, super::keyring::is_secret(&name)) {
                self.secrets.push((name, Some(secret)));
            }
        }
        Ok(())
    }

    /// Records come first, for what follows may need them; deletions last, for the same reason.
    fn close_records(&mut self) {
        let (values, deletions): (Vec<Write>, Vec<Write>) =
            std::mem::take(&mut self.records).into_iter().partition(|(_, value)| value.is_some());
        let mut first = std::mem::take(&mut self.secrets);
        first.extend(values);
        let first = put_together(first);
        self.batches.iter_mut().for_each(|(commit, ..)| *commit += first.len());
        self.commits.splice(0..0, first);
        self.commits.extend(put_together(deletions));
    }
}

/// Commits of these writes, none much larger than it has to be.
fn put_together(writes: Vec<Write>) -> Vec<Vec<Body>> {
    let mut commits = Vec::new();
    let (mut some, mut len) = (Vec::new(), 0);
    for write in writes {
        let more = write.0.len() + write.1.as_ref().map_or(0, |value| value.expose_secret().len());
        if !some.is_empty() && len + more > RECORDS_MAX {
            commits.push(vec![Body::secret(records::encode(&std::mem::take(&mut some)))]);
            len = 0;
        }
        len += more;
        some.push(write);
    }
    if !some.is_empty() {
        commits.push(vec![Body::secret(records::encode(&some))]);
    }
    commits
}

impl Body {
    fn new(kind: u8, bytes: Vec<u8>) -> Self {
        Self::packed(kind, bytes, LEVEL)
    }

    fn as_it_was(kind: u8, bytes: Vec<u8>) -> Self {
        let level = level_for(bytes.len());
        Self::packed(kind, bytes, level)
    }

    fn packed(kind: u8, bytes: Vec<u8>, level: i32) -> Self {
        let packed = compress(&bytes, level);
        let is_packed = packed.len() < bytes.len();
        Self { kind, bytes: SecretBytes::take(if is_packed { packed } else { bytes }), is_packed }
    }

    fn secret(bytes: SecretBytes) -> Self {
        Self { kind: RECORDS, bytes, is_packed: false }
    }

    fn block(&self) -> Block<'_> {
        Block { kind: self.kind, body: self.bytes.expose_secret(), is_packed: self.is_packed }
    }
}

fn corrupt(what: &str) -> Error {
    Error::Corrupt(what.to_owned())
}

#[cfg(test)]
mod tests;
