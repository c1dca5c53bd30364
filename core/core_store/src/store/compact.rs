//! Small commits, put together: `docs/format/store.md`, "Compaction". A message that came alone costs hundreds of bytes of
//! ids, signature and framing; among others it costs a few.
use super::commit_log::{Blocks, StoredBlock};
use super::erasure::{Erasure, Stripped};
use super::index::{Moved, Places};
use super::local_store::{CHUNK, DROP, LocalStore, META, RECORDS};
use super::records::{self, Write};
use super::validator::Payloads;
use super::{Block, BlockRef, Error as StoreError, compress, level_for};
use crate::Error;
use crate::sync::{
    Batch, Limits, MERGED_EVENTS_MAX as EVENTS_MAX, MERGED_PAYLOADS_MAX as PAYLOADS_MAX, cut, decode_batch,
    encode_batch,
};
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use terachat_event::{EventRef, LogId};
use terachat_vault::SecretBytes;

/// Batches with fewer events are worth putting together.
const SMALL: usize = 64;
/// Small batches that make a closed segment worth rewriting.
const SMALL_MIN: usize = 1024;
/// Small batches that make the current segment worth closing: some 1.4 MB, rewritten in some ten milliseconds.
const SMALL_DUE: usize = 4 * 1024;
/// Contents to be erased that make the current segment worth closing; of a closed one a single content does, but only one
/// segment at a time.
const DOOMED_DUE: u64 = 256;
/// How hard what was put together is compressed (Zstandard): harder than what somebody waits for, since it is done once. What
/// stays as it came stays as small as it was: a segment may be full of it, and seconds would go to save a few hundredths.
const LEVEL: i32 = 9;
/// Most bytes of records put together, but for a single one that is larger.
const RECORDS_MAX: usize = 1 << 20;

impl LocalStore {
    /// Puts commits of few events together where that saves space, erases the content of deleted messages, and writes a
    /// snapshot if there was any of it. Nothing else is lost by it: not an event, not a signature that a peer may ask for, and
    /// not the log if the power goes meanwhile.
    ///
    /// # Errors
    /// [`Error::Store`]: drop this value and open the store anew, it holds what it held.
    pub fn compact(&mut self) -> Result<Erasure, Error> {
        self.require_sound()?;
        let mut erasure = Erasure { erased: self.empty_records()?, ..Erasure::default() };
        let (any, erased) = self.rewrite_segments(SMALL_MIN, SMALL_MIN, 1, usize::MAX)?;
        // A crash may have come between an earlier rewriting and its snapshot: the one before it still has the words.
        if any || erasure.erased > 0 || self.log.has_void_snapshot()? {
            self.snapshot()?;
        }
        erasure.erased += erased;
        erasure.pending = self.doomed_by_segment()?.values().sum();
        erasure.held = self.held_count()?;
        Ok(erasure)
    }

    /// What [`LocalStore::snapshot`] does of it by itself, once it is due.
    ///
    /// # Errors
    /// As [`LocalStore::compact`]; but a segment that cannot be read stays as it is, and whoever reads it is told.
    pub(super) fn compact_if_due(&mut self) -> Result<(), Error> {
        self.empty_records()?;
        match self.rewrite_segments(SMALL_DUE, SMALL_MIN, DOOMED_DUE, 1) {
            // Of what was dropped nothing may be forgotten before it is off the disk.
            Err(Error::Corrupt(_) | Error::Malformed(_) | Error::Store(StoreError::Damaged { .. }))
                if self.dropped_batches() == 0 =>
            {
                Ok(())
            }
            result => result.map(drop),
        }
    }

    /// Rewrites each closed segment with `min` small batches, once, and at most `most` of those from which something is to be
    /// erased, first where that is the most. Closes the current one for it when it holds `due` small batches, or `doomed` that
    /// is to be erased. Gives back whether there was any, and how much was erased. What is behind in the log stays where it is,
    /// so the cost is the segments'.
    pub(super) fn rewrite_segments(
        &mut self,
        due: usize,
        min: usize,
        doomed: u64,
        most: usize,
    ) -> Result<(bool, u64), Error> {
        let dropped = self.rewrite_dropped()?;
        let (small, to_erase) = (self.small_batches(), self.doomed_by_segment()?);
        let current = self.log.closed_segments() + 1;
        if small.get(&current).is_some_and(|count| *count >= due)
            || to_erase.get(&current).is_some_and(|count| *count >= doomed)
        {
            self.log.roll()?;
        }
        let closed = self.log.closed_segments();
        let worth = |(segment, count): (u32, usize)| {
            (segment <= closed && count >= min && !self.log.is_rewritten(segment)).then_some(segment)
        };
        let mut segments: BTreeSet<u32> = small.into_iter().filter_map(worth).collect();
        let mut to_erase: Vec<(u32, u64)> =
            to_erase.into_iter().filter(|(segment, _)| *segment <= closed).collect();
        to_erase.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        segments.extend(to_erase.iter().take(most).map(|(segment, _)| *segment));
        let mut erased = 0;
        for segment in &segments {
            erased += self.rewrite_segment(*segment)?;
        }
        self.drop_emptied(&segments)?;
        Ok((dropped || !segments.is_empty(), erased))
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

    /// Changes nothing unless the segment was rewritten. Gives how many contents were erased.
    pub(super) fn rewrite_segment(&mut self, segment: u32) -> Result<u64, Error> {
        let leavings = self.leavings(segment)?;
        let mut plan = Plan {
            store: self,
            segment,
            leavings: &leavings,
            next: BTreeMap::new(),
            open: BTreeMap::new(),
            out: Out::default(),
        };
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
        for (log, left) in &leavings {
            self.note_erased(log, left.keys().copied());
        }
        Ok(leavings.values().map(|left| left.len() as u64).sum())
    }
}

/// What a segment becomes, as it is read.
struct Plan<'a> {
    store: &'a LocalStore,
    segment: u32,
    /// What is left of the contents that are erased.
    leavings: &'a BTreeMap<LogId, BTreeMap<u32, Vec<u8>>>,
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
    payloads: Vec<Vec<u8>>,
    payload_len: usize,
    /// Each chain's newest number and the signature on it.
    signatures: HashMap<u32, (u64, [u8; 64])>,
}

impl Plan<'_> {
    fn take(&mut self, block: StoredBlock, blocks: &mut Blocks<'_>) -> Result<(), Error> {
        match block.kind {
            RECORDS => {
                let is_gone = |name: &[u8], value: &[u8]| {
                    // What was erased since is as if it had never been here; an emptied record stands in a later write.
                    self.store.is_emptied(name) && value.len() > 4 || self.store.is_spent(name, value)
                };
                self.out.take_records(SecretBytes::take(block.body), is_gone)
            }
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
        // What was built beside a fork is kept as it came, but for what is erased.
        if positions.len() >= SMALL || !index.frozen.is_empty() {
            self.close(&log)?;
            if self.leavings.get(&log).is_some_and(|left| left.range(positions.clone()).next().is_some()) {
                return self.take_without(batch, &chunks, positions);
            }
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
                && merger.payload_len < PAYLOADS_MAX
        });
        if !goes_on {
            self.close(&log)?;
        }
        let start = positions.start;
        let merger = self.open.entry(log).or_insert_with(|| Merger {
            from: start,
            to: start,
            payloads: Vec::new(),
            payload_len: 0,
            signatures: HashMap::new(),
        });
        let left = self.leavings.get(&log);
        let mut payloads = Payloads::new(batch, &chunks);
        let is_all_new = positions.len() == batch.events.len();
        for (n, at) in positions.clone().enumerate() {
            let payload = match left.and_then(|left| left.get(&at)) {
                // Otherwise it repeated events that were here.
                None if is_all_new => payloads.next(n, &batch.events[n]).to_vec(),
                None => store.stored_payload(index, at)?,
                Some(left) => {
                    payloads.next(n, &batch.events[n]);
                    left.clone()
                }
            };
            merger.payload_len += payload.len();
            merger.payloads.push(payload);
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
        let mut batch =
            index.batch(&positions, signature).ok_or_else(|| corrupt("a batch without a signature"))?;
        if batch.events.len() != merger.payloads.len() {
            return Err(corrupt("payloads do not fit their events"));
        }
        batch.set_payloads(&merger.payloads);
        let bodies = std::iter::once(Body::new(META, encode_batch(&batch)))
            .chain(cut(&batch, &merger.payloads).into_iter().map(|chunk| Body::new(CHUNK, chunk)));
        self.out.batches.push((self.out.commits.len(), *log, merger.to, Places::New(places(&batch))));
        self.out.commits.push(bodies.collect());
        Ok(())
    }

    /// A batch that stays by itself, without the contents that are erased.
    fn take_without(&mut self, batch: &Batch, chunks: &[Vec<u8>], new: Range<u32>) -> Result<(), Error> {
        let store = self.store;
        let index = store.index(&batch.log).ok_or_else(|| corrupt("a batch of an unknown log"))?;
        let mut next: Vec<u64> = batch.authors.iter().map(|author| author.first_seq).collect();
        let positions: Vec<Option<u32>> = batch
            .events
            .iter()
            .map(|event| {
                let seq = &mut next[event.author as usize];
                *seq += 1;
                index.find(&EventRef { author: batch.authors[event.author as usize].device, seq: *seq - 1 })
            })
            .collect();
        let left = self.leavings.get(&batch.log);
        let left_at = |at: usize| left?.get(&positions[at]?).map(Vec::as_slice);
        let stripped = Stripped::without(batch, chunks, left_at);
        // It may have repeated events that were here.
        let places: Vec<(u32, u32, u32)> = places(&stripped.batch)
            .into_iter()
            .zip(&positions)
            .filter_map(|(place, at)| at.filter(|at| new.contains(at)).map(|_| place))
            .collect();
        if places.len() != new.len() {
            return Err(corrupt("payloads do not fit their events"));
        }
        let bodies = std::iter::once(Body::as_it_was(META, encode_batch(&stripped.batch)))
            .chain(stripped.chunks.into_iter().map(|chunk| Body::as_it_was(CHUNK, chunk)));
        self.out.batches.push((self.out.commits.len(), batch.log, new.end, Places::New(places)));
        self.out.commits.push(bodies.collect());
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
    fn take_records(
        &mut self,
        body: SecretBytes,
        is_gone: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error> {
        for (name, value) in records::decode(body.expose_secret())? {
            if value.as_ref().is_some_and(|value| is_gone(&name, value.expose_secret())) {
                continue;
            }
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

/// For each event of a batch: which of its chunks, where in it, and how long its payload is.
fn places(batch: &Batch) -> Vec<(u32, u32, u32)> {
    let (mut places, mut from) = (Vec::with_capacity(batch.events.len()), 0);
    for (chunk, end) in (0..).zip(batch.chunk_ends()) {
        let mut offset = 0;
        for event in &batch.events[from..end] {
            places.push((chunk, offset, event.payload_len));
            offset += event.payload_len;
        }
        from = end;
    }
    places
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
