use super::Segment;
use super::header::{BLOCK_ENTRY_LEN, TERMS_PER_BLOCK};
use crate::query::search_index::codec::{take_varint, u32_at};
use crate::query::search_index::error::Error;
use crate::query::search_index::tokenizer::TERM_BYTES_MAX;
use std::cmp::Ordering;

const DAMAGED: Error = Error::Damaged("dictionary");

/// Where a term's documents are.
#[derive(Debug, Clone, Copy)]
pub(in crate::query::search_index) enum Entry {
    /// In one document only, named in the dictionary itself.
    Once(u32),
    /// `count` documents, encoded in these bytes of the postings section.
    List { count: u32, at: usize, len: usize },
}

/// Walks the dictionary in the order of terms. Terms stand in blocks of 16, each written as what it shares with
/// the one before and what it does not; a block's first term stands whole, and a table tells where blocks begin.
pub(in crate::query::search_index) struct Terms<'a> {
    segment: &'a Segment,
    /// What is left of the dictionary, from the next term on.
    rest: &'a [u8],
    /// Terms before the next one.
    index: u32,
    /// Where the next list stands in the postings.
    postings: usize,
    term: [u8; TERM_BYTES_MAX],
    len: usize,
    /// Read already, by the search for the first term.
    pending: Option<Entry>,
}

impl<'a> Terms<'a> {
    pub(super) fn from(segment: &'a Segment, from: &[u8]) -> Result<Self, Error> {
        let mut terms = Self {
            segment,
            rest: &[],
            index: 0,
            postings: 0,
            term: [0; TERM_BYTES_MAX],
            len: 0,
            pending: None,
        };
        if segment.header.terms == 0 {
            return Ok(terms);
        }
        // The last block whose first term is not above `from`, or the first.
        let (mut low, mut high) = (0, segment.header.terms.div_ceil(TERMS_PER_BLOCK));
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match terms.first_of(middle)?.cmp(from) {
                Ordering::Greater => high = middle,
                Ordering::Less | Ordering::Equal => low = middle,
            }
        }
        terms.enter(low)?;
        while let Some(entry) = terms.next()? {
            if terms.term() >= from {
                terms.pending = Some(entry);
                break;
            }
        }
        Ok(terms)
    }

    /// The term that `next` returned last.
    pub(in crate::query::search_index) fn term(&self) -> &[u8] {
        &self.term[..self.len]
    }

    /// The next term's entry; the term is then in [`Terms::term`].
    pub(in crate::query::search_index) fn next(&mut self) -> Result<Option<Entry>, Error> {
        if let Some(entry) = self.pending.take() {
            return Ok(Some(entry));
        }
        if self.index >= self.segment.header.terms {
            return Ok(None);
        }
        if self.index.is_multiple_of(TERMS_PER_BLOCK) {
            self.enter(self.index / TERMS_PER_BLOCK)?;
        }
        let (shared, rest) = take_term(&mut self.rest).ok_or(DAMAGED)?;
        let end = shared + rest.len();
        if shared > self.len || end > TERM_BYTES_MAX || end == 0 {
            return Err(DAMAGED);
        }
        self.term[shared..end].copy_from_slice(rest);
        self.len = end;
        self.index += 1;
        let count = take_varint(&mut self.rest).ok_or(DAMAGED)?;
        let value = take_varint(&mut self.rest).ok_or(DAMAGED)?;
        if count == 1 {
            return Ok(Some(Entry::Once(value)));
        }
        let (at, len) = (self.postings, value as usize);
        self.postings = at.checked_add(len).ok_or(DAMAGED)?;
        Ok(Some(Entry::List { count, at, len }))
    }

    fn enter(&mut self, block: u32) -> Result<(), Error> {
        let (rest, postings) = self.block(block)?;
        self.rest = rest;
        self.postings = postings;
        self.index = block * TERMS_PER_BLOCK;
        self.len = 0;
        Ok(())
    }

    fn block(&self, block: u32) -> Result<(&'a [u8], usize), Error> {
        let table = self.segment.section(&self.segment.header.blocks);
        let at = block as usize * BLOCK_ENTRY_LEN;
        let dictionary = u32_at(table, at).ok_or(DAMAGED)? as usize;
        let postings = u32_at(table, at + 4).ok_or(DAMAGED)? as usize;
        let rest = self.segment.section(&self.segment.header.dictionary).get(dictionary..).ok_or(DAMAGED)?;
        Ok((rest, postings))
    }

    fn first_of(&self, block: u32) -> Result<&'a [u8], Error> {
        let (mut rest, _) = self.block(block)?;
        Ok(take_term(&mut rest).ok_or(DAMAGED)?.1)
    }
}

/// A length in four bits; 15 means that a varint with what is above follows.
fn take_length(nibble: u8, bytes: &mut &[u8]) -> Option<usize> {
    let more = if nibble == 15 { take_varint(bytes)?.min(1 << 16) } else { 0 };
    Some(usize::from(nibble) + more as usize)
}

fn take_term<'a>(bytes: &mut &'a [u8]) -> Option<(usize, &'a [u8])> {
    let (&lengths, rest) = bytes.split_first()?;
    *bytes = rest;
    let shared = take_length(lengths & 15, bytes)?;
    let len = take_length(lengths >> 4, bytes)?;
    let (suffix, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some((shared, suffix))
}
