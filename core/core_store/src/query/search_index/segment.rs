//! An immutable part of the index, read in place from its bytes. Format: `docs/format/search-index.md`.
mod dictionary;
mod header;
mod postings;
mod writer;

use super::codec::take_varint;
use super::error::Error;
use std::ops::Range;

pub(super) use dictionary::{Entry, Terms};
pub(super) use header::Header;
pub(super) use postings::{BLOCK, Block, List};
pub(super) use writer::SegmentWriter;

/// One sealed segment: the documents `first .. first + span`, each with a weight of zero (absent) to 15.
#[derive(Debug)]
pub(super) struct Segment {
    bytes: Vec<u8>,
    header: Header,
}

impl Segment {
    /// Reads the header; everything else is looked at when it is needed.
    pub(super) fn open(bytes: Vec<u8>) -> Result<Self, Error> {
        let header = Header::read(&bytes)?;
        Ok(Self { bytes, header })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn first(&self) -> u32 {
        self.header.first
    }

    /// One past the last document number.
    pub(super) fn end(&self) -> u32 {
        self.header.first + self.header.span
    }

    pub(super) fn span(&self) -> u32 {
        self.header.span
    }

    /// Documents present when the segment was written.
    pub(super) fn docs(&self) -> u32 {
        self.header.docs
    }

    fn section(&self, range: &Range<usize>) -> &[u8] {
        // The ranges were checked against the bytes when the header was read.
        &self.bytes[range.clone()]
    }

    /// The length class of the document with this number inside the segment; zero if there is none.
    #[inline]
    pub(super) fn class(&self, local: u32) -> u8 {
        let byte = self.section(&self.header.classes).get((local / 2) as usize).copied().unwrap_or(0);
        if local < self.header.span { byte >> (4 * (local % 2)) & 15 } else { 0 }
    }

    /// All terms in order, from the first that is not below `from`.
    pub(super) fn terms_from(&self, from: &[u8]) -> Result<Terms<'_>, Error> {
        Terms::from(self, from)
    }

    /// The postings of exactly this term.
    pub(super) fn find(&self, term: &[u8]) -> Result<Option<List<'_>>, Error> {
        let mut terms = self.terms_from(term)?;
        match terms.next()? {
            Some(entry) if terms.term() == term => Ok(Some(self.list(entry)?)),
            _ => Ok(None),
        }
    }

    /// The postings an entry of the dictionary points to.
    pub(super) fn list(&self, entry: Entry) -> Result<List<'_>, Error> {
        List::new(self.section(&self.header.postings), self.header.span, entry)
    }

    /// Numbers of documents in earlier segments that were removed while this one was being gathered, ascending.
    pub(super) fn removed(&self) -> Result<Vec<u32>, Error> {
        let mut bytes = self.section(&self.header.removed);
        let mut removed = Vec::new();
        let mut next = 0;
        while !bytes.is_empty() {
            let gap = take_varint(&mut bytes).ok_or(Error::Damaged("list of removed documents"))?;
            let doc = u32::checked_add(next, gap).filter(|doc| *doc < self.header.first);
            let doc = doc.ok_or(Error::Damaged("number of a removed document"))?;
            removed.push(doc);
            next = doc + 1;
        }
        Ok(removed)
    }

    /// Reads every byte that a search could read.
    pub(super) fn verify(&self) -> Result<(), Error> {
        let present = (0..self.span()).filter(|&local| self.class(local) > 0).count();
        if present != self.docs() as usize {
            return Err(Error::Damaged("number of documents"));
        }
        self.removed()?;
        let mut terms = self.terms_from(&[])?;
        let mut before = Vec::new();
        let mut count = 0;
        let mut block = Block::default();
        while let Some(entry) = terms.next()? {
            if terms.term() <= &before[..] {
                return Err(Error::Damaged("order of terms"));
            }
            before.clear();
            before.extend_from_slice(terms.term());
            count += 1;
            let mut list = self.list(entry)?;
            while list.next_block(None, &mut block)? {
                if block.docs().iter().any(|&local| self.class(local) == 0) {
                    return Err(Error::Damaged("posting of an absent document"));
                }
            }
        }
        if count == self.header.terms { Ok(()) } else { Err(Error::Damaged("number of terms")) }
    }
}
