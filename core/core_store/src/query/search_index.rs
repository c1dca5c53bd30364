//! Full-text search over short messages: an inverted index of a growing part in memory and sealed, immutable
//! segments that are read in place.
//!
//! It finds numbers; what they stand for, where segments are kept and how they are sealed is the caller's. Format:
//! `docs/format/search-index.md`.
mod codec;
mod cursor;
mod error;
mod find;
mod matching;
mod memtable;
mod merge;
mod query;
mod ranking;
mod removed;
mod segment;
mod tokenizer;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use find::Hit;
pub use matching::highlight;
pub use query::{Filter, FilterKind, Query};

use find::{Finder, Part};
use memtable::Memtable;
use removed::Removed;
use segment::Segment;
use std::collections::BinaryHeap;
use std::ops::Range;
use tokenizer::Tokenizer;

/// An index of documents numbered by the caller in ascending order.
///
/// A message that was edited is removed under its old number and added under a new one. What was added or removed
/// since the last [`freeze`](Self::freeze) is in memory only: after a crash the caller opens the segments it has,
/// adds what is at or above [`next_doc`](Self::next_doc), and removes again what was removed since; removing twice
/// is harmless.
pub struct SearchIndex {
    /// By document number; they do not overlap.
    segments: Vec<Segment>,
    memtable: Memtable,
    /// Documents of the segments that must not be found.
    removed: Removed,
    /// Those of them that no segment says are removed, ascending.
    unsealed_removals: Removed,
    next: u32,
}

/// A sealed part of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentInfo<'a> {
    /// The first document number it covers.
    pub first: u32,
    /// One past the last; equal to `first` if it only says what was removed from others.
    pub end: u32,
    /// What [`SearchIndex::open`] takes.
    pub bytes: &'a [u8],
}

impl std::fmt::Debug for SearchIndex {
    /// Numbers only: terms are what people wrote.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (docs, segments) = (self.docs(), self.segments.len());
        f.debug_struct("SearchIndex")
            .field("docs", &docs)
            .field("segments", &segments)
            .finish_non_exhaustive()
    }
}

impl SearchIndex {
    /// An empty index. `seed` keys the hash table, so that nobody who does not know it can write messages whose
    /// words collide: draw it at random, anew for each index. It has no influence on results or segments.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let (segments, removed, unsealed_removals) = Default::default();
        Self { segments, memtable: Memtable::new(seed), removed, unsealed_removals, next: 0 }
    }

    /// The index that these segments make up, in any order. Only their headers and lists of removals are read;
    /// the rest is looked at when a search needs it, and stays in the vectors handed in.
    ///
    /// # Errors
    /// [`Error::Version`], [`Error::Damaged`] and [`Error::Overlap`]: in each case the index is to be rebuilt.
    pub fn open(seed: u64, segments: Vec<Vec<u8>>) -> Result<Self, Error> {
        let mut index = Self::new(seed);
        index.segments = segments.into_iter().map(Segment::open).collect::<Result<_, _>>()?;
        index.segments.sort_by_key(|segment| (segment.first(), segment.end()));
        for segment in &index.segments {
            if segment.first() < index.next {
                return Err(Error::Overlap(segment.first()));
            }
            index.next = segment.end().max(index.next);
        }
        for at in 0..index.segments.len() {
            for doc in index.segments[at].removed()? {
                if index.sealed_class(doc) > 0 {
                    index.removed.insert(doc);
                }
            }
        }
        Ok(index)
    }

    /// Adds a document. Its number must be at least [`next_doc`](Self::next_doc) and below 2^32 - 1; numbers may be
    /// left out, but each costs half a byte.
    ///
    /// # Errors
    /// [`Error::DocOrder`], and [`Error::Full`] if the part in memory must be frozen first (after 4 million
    /// documents or 2 GiB): nothing was added.
    #[inline]
    pub fn add(&mut self, doc: u32, text: &str) -> Result<(), Error> {
        if doc < self.next {
            return Err(Error::DocOrder { doc, next: self.next });
        }
        let next = doc.checked_add(1).ok_or(Error::Full("document numbers"))?;
        self.memtable.add(doc, text)?;
        self.next = next;
        Ok(())
    }

    /// Makes a document unfindable. False if there is none of that number.
    pub fn remove(&mut self, doc: u32) -> bool {
        if self.memtable.span() > 0 && doc >= self.memtable.first() {
            return self.memtable.remove(doc - self.memtable.first());
        }
        if self.sealed_class(doc) == 0 || !self.removed.insert(doc) {
            return false;
        }
        self.unsealed_removals.insert(doc)
    }

    /// The smallest number that [`add`](Self::add) takes.
    #[must_use]
    pub fn next_doc(&self) -> u32 {
        self.next
    }

    /// Documents that can be found.
    #[must_use]
    pub fn docs(&self) -> u64 {
        let sealed: u64 = self.segments.iter().map(|segment| u64::from(segment.docs())).sum();
        (sealed + u64::from(self.memtable.docs())).saturating_sub(self.removed.len() as u64)
    }

    /// Heap bytes of the part in memory: a measure for when to [`freeze`](Self::freeze). Segments are not counted.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.memtable.memory()
    }

    /// The best `limit` documents that match `query`, best first: shorter and newer ones (see the module
    /// `ranking`), ties in favour of the newer. A query without words finds what its filters leave.
    ///
    /// `accept` is asked about candidates only, newest first, and answers for the query's filters and for what the
    /// reader may see; `text_of` is asked for a text only where a phrase must be checked, and `None` (the text is
    /// gone) means that it does not match.
    ///
    /// # Errors
    /// [`Error::Damaged`]: a segment contradicts itself; the index is to be rebuilt.
    pub fn search(
        &self,
        query: &Query,
        limit: usize,
        accept: impl FnMut(u32) -> bool,
        text_of: impl FnMut(u32) -> Option<String>,
    ) -> Result<Vec<Hit>, Error> {
        if limit == 0 || query.is_empty() {
            return Ok(Vec::new());
        }
        let newest = self.next.saturating_sub(1);
        let (removed, tokenizer, best) = (&self.removed, Tokenizer::default(), BinaryHeap::new());
        let mut finder = Finder { query, limit, removed, newest, accept, text_of, tokenizer, best };
        let mut more = finder.look(Part::Memtable(&self.memtable))?;
        for segment in self.segments.iter().rev() {
            if !more {
                break;
            }
            more = finder.look(Part::Segment(segment))?;
        }
        Ok(finder.hits())
    }

    /// Turns what is in memory into a segment and gives its bytes for the caller to keep; `None` if there is
    /// nothing new. The index goes on with the same bytes.
    ///
    /// # Errors
    /// [`Error::Full`] if the segment would exceed its format; nothing changed.
    pub fn freeze(&mut self) -> Result<Option<SegmentInfo<'_>>, Error> {
        if self.memtable.span() == 0 && self.unsealed_removals.len() == 0 {
            return Ok(None);
        }
        let removed: Vec<u32> = self.unsealed_removals.iter().collect();
        let bytes = self.memtable.freeze(self.next, &removed)?;
        self.segments.push(Segment::open(bytes)?);
        self.unsealed_removals = Removed::default();
        Ok(self.segments().next_back())
    }

    /// All segments, oldest first.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = SegmentInfo<'_>> + ExactSizeIterator {
        self.segments.iter().map(|segment| {
            let (first, end, bytes) = (segment.first(), segment.end(), segment.bytes());
            SegmentInfo { first, end, bytes }
        })
    }

    /// Segments that are worth merging now, so that there are one or two of each size, and each posting is
    /// rewritten about as often as the logarithm of their number.
    #[must_use]
    pub fn merge_due(&self) -> Option<Range<usize>> {
        merge::due(&self.segments)
    }

    /// Replaces the segments of a range by one that holds the same without what was removed, and gives its bytes.
    /// The caller replaces its copies in one step: with old and new ones together [`open`](Self::open) fails.
    ///
    /// # Errors
    /// [`Error::SegmentRange`], [`Error::Damaged`], [`Error::Full`]; nothing changed.
    pub fn merge(&mut self, range: Range<usize>) -> Result<SegmentInfo<'_>, Error> {
        let (first, end, count) = (range.start, range.end, self.segments.len());
        let merged = match self.segments.get(range.clone()) {
            Some(segments) if !segments.is_empty() => Segment::open(merge::merge(segments, &self.removed)?)?,
            _ => return Err(Error::SegmentRange { first, end, count }),
        };
        let covered = merged.first()..merged.end();
        self.removed.retain(|doc| !covered.contains(&doc));
        self.unsealed_removals.retain(|doc| !covered.contains(&doc));
        self.segments.splice(range, [merged]);
        let merged = &self.segments[first];
        Ok(SegmentInfo { first: merged.first(), end: merged.end(), bytes: merged.bytes() })
    }

    /// Reads every byte of every segment that any search could read.
    ///
    /// # Errors
    /// [`Error::Damaged`] if one of them contradicts itself.
    pub fn verify(&self) -> Result<(), Error> {
        self.segments.iter().try_for_each(Segment::verify)
    }

    /// The length class of a document in a segment, removed or not; zero if there is none.
    fn sealed_class(&self, doc: u32) -> u8 {
        let after = self.segments.partition_point(|segment| segment.first() <= doc);
        let holder = self.segments[..after].iter().rev().find(|segment| segment.span() > 0);
        holder.map_or(0, |segment| segment.class(doc - segment.first()))
    }
}
