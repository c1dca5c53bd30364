use super::Entry;
use crate::query::search_index::codec::{
    RICE_MAX, RiceReader, RiceWriter, put_varint, rice_parameter, take_varint,
};
use crate::query::search_index::error::Error;

/// Documents in a block of postings, the last one excepted.
pub(in crate::query::search_index) const BLOCK: usize = 128;

const DAMAGED: Error = Error::Damaged("postings");

/// Up to [`BLOCK`] document numbers, newest first.
pub(in crate::query::search_index) struct Block {
    docs: [u32; BLOCK],
    len: usize,
}

impl Default for Block {
    fn default() -> Self {
        Self { docs: [0; BLOCK], len: 0 }
    }
}

impl Block {
    pub(in crate::query::search_index) fn docs(&self) -> &[u32] {
        &self.docs[..self.len]
    }

    pub(in crate::query::search_index) fn clear(&mut self) {
        self.len = 0;
    }

    pub(in crate::query::search_index) fn is_full(&self) -> bool {
        self.len == BLOCK
    }

    pub(in crate::query::search_index) fn push(&mut self, doc: u32) {
        self.docs[self.len] = doc;
        self.len += 1;
    }

    pub(in crate::query::search_index) fn reverse(&mut self) {
        self.docs[..self.len].reverse();
    }

    #[expect(clippy::cast_possible_truncation, reason = "what does not fit is refused at the end")]
    /// Fills up with `count` documents below `previous`, of which the bytes hold the gaps.
    fn read(&mut self, bytes: &[u8], previous: u32, count: usize) -> Result<(), Error> {
        let (&k, bytes) = bytes.split_first().filter(|(k, _)| **k <= RICE_MAX).ok_or(DAMAGED)?;
        let mut reader = RiceReader::new(bytes, k);
        // Only ever falls: if it has not left the numbers at the end, it never had.
        let mut doc = i64::from(previous);
        for slot in self.docs.get_mut(self.len..self.len + count).ok_or(DAMAGED)? {
            doc -= i64::from(reader.take()) + 1;
            *slot = (doc & i64::from(u32::MAX)) as u32;
        }
        self.len += count;
        if doc >= 0 && reader.is_within() { Ok(()) } else { Err(DAMAGED) }
    }
}

/// Reads a term's documents newest first, in blocks, and can pass over blocks without decoding them.
pub(in crate::query::search_index) struct List<'a> {
    /// Documents not yet read.
    left: u32,
    count: u32,
    /// Above every document not yet read.
    previous: u32,
    source: Source<'a>,
}

enum Source<'a> {
    Once(u32),
    Single(&'a [u8]),
    Many { table: &'a [u8], blocks: &'a [u8] },
}

impl<'a> List<'a> {
    pub(super) fn new(postings: &'a [u8], span: u32, entry: Entry) -> Result<Self, Error> {
        let (count, source) = match entry {
            Entry::Once(doc) if doc < span => (1, Source::Once(doc)),
            Entry::Once(_) => return Err(DAMAGED),
            Entry::List { count, at, len } => {
                let end = at.checked_add(len).ok_or(DAMAGED)?;
                let mut bytes = postings.get(at..end).ok_or(DAMAGED)?;
                if count < 2 || count > span {
                    return Err(DAMAGED);
                }
                if count as usize <= BLOCK {
                    (count, Source::Single(bytes))
                } else {
                    let table_len = take_varint(&mut bytes).ok_or(DAMAGED)?;
                    let (table, blocks) = bytes.split_at_checked(table_len as usize).ok_or(DAMAGED)?;
                    (count, Source::Many { table, blocks })
                }
            }
        };
        Ok(Self { left: count, count, previous: span, source })
    }

    /// In how many documents the term is.
    pub(in crate::query::search_index) fn count(&self) -> u32 {
        self.count
    }

    /// Reads the next block into `block`, with `until` the next one that may hold a document not above it.
    /// False at the end.
    pub(in crate::query::search_index) fn next_block(
        &mut self,
        until: Option<u32>,
        block: &mut Block,
    ) -> Result<bool, Error> {
        block.clear();
        if self.left == 0 {
            return Ok(false);
        }
        match &mut self.source {
            Source::Once(doc) => block.push(*doc),
            Source::Single(bytes) => block.read(bytes, self.previous, self.left as usize)?,
            Source::Many { table, blocks } => loop {
                let (top, len) = take_skip(table, self.previous)?;
                let (bytes, rest) = blocks.split_at_checked(len).ok_or(DAMAGED)?;
                *blocks = rest;
                let count = (self.left as usize).min(BLOCK);
                self.left -= u32::try_from(count).unwrap_or(self.left);
                self.previous = top;
                // What follows tells how low this block may reach.
                let next = if self.left > 0 { take_skip(&mut { *table }, top)?.0 } else { 0 };
                if self.left > 0 && until.is_some_and(|until| next >= until) {
                    continue;
                }
                block.push(top);
                block.read(bytes, top, count - 1)?;
                if self.left > 0 && block.docs().last().is_some_and(|&oldest| next >= oldest) {
                    return Err(DAMAGED);
                }
                return Ok(true);
            },
        }
        self.left = 0;
        Ok(true)
    }
}

/// A block's newest document and its length in bytes.
fn take_skip(table: &mut &[u8], previous: u32) -> Result<(u32, usize), Error> {
    let gap = take_varint(table).ok_or(DAMAGED)?;
    let top = previous.checked_sub(gap).and_then(|top| top.checked_sub(1)).ok_or(DAMAGED)?;
    Ok((top, take_varint(table).ok_or(DAMAGED)? as usize))
}

/// Appends the list of `docs` (newest first, at least two, all below `span`) to `out`.
pub(super) fn put_list(out: &mut Vec<u8>, span: u32, docs: &[u32]) {
    if docs.len() <= BLOCK {
        put_gaps(out, span, docs);
        return;
    }
    let (mut table, mut blocks) = (Vec::new(), Vec::new());
    let mut previous = span;
    for block in docs.chunks(BLOCK) {
        let before = blocks.len();
        put_gaps(&mut blocks, block[0], &block[1..]);
        put_varint(&mut table, previous - 1 - block[0]);
        put_varint(&mut table, u32::try_from(blocks.len() - before).unwrap_or(u32::MAX));
        previous = block[0];
    }
    put_varint(out, u32::try_from(table.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(&table);
    out.extend_from_slice(&blocks);
}

fn put_gaps(out: &mut Vec<u8>, previous: u32, docs: &[u32]) {
    let mut gaps = [0; BLOCK];
    let mut previous = previous;
    for (gap, &doc) in gaps.iter_mut().zip(docs) {
        *gap = previous - 1 - doc;
        previous = doc;
    }
    let gaps = &gaps[..docs.len()];
    let k = rice_parameter(gaps);
    out.push(k);
    let mut writer = RiceWriter::new(out, k);
    gaps.iter().for_each(|&gap| writer.put(gap));
    writer.finish();
}
