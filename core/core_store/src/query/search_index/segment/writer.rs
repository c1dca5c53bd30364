use super::header::{BLOCK_ENTRY_LEN, HEADER_LEN, Lengths, TERMS_PER_BLOCK};
use super::postings::put_list;
use crate::query::search_index::codec::put_varint;
use crate::query::search_index::error::Error;

/// Builds a segment's bytes from terms in ascending order.
pub(in crate::query::search_index) struct SegmentWriter {
    first: u32,
    span: u32,
    terms: u32,
    blocks: Vec<u8>,
    dictionary: Vec<u8>,
    postings: Vec<u8>,
    last: Vec<u8>,
}

impl SegmentWriter {
    pub(in crate::query::search_index) fn new(first: u32, span: u32) -> Self {
        let (blocks, dictionary, postings, last) = Default::default();
        Self { first, span, terms: 0, blocks, dictionary, postings, last }
    }

    /// Adds a term above all former ones and its documents, newest first, numbered from the segment's first one.
    /// No documents: no term.
    pub(in crate::query::search_index) fn put(&mut self, term: &[u8], docs: &[u32]) {
        if docs.is_empty() {
            return;
        }
        let shared = if self.terms.is_multiple_of(TERMS_PER_BLOCK) {
            for at in [self.dictionary.len(), self.postings.len()] {
                // A section over 4 GiB is refused at the end.
                self.blocks.extend_from_slice(&u32::try_from(at).unwrap_or(u32::MAX).to_le_bytes());
            }
            0
        } else {
            self.last.iter().zip(term).take_while(|(a, b)| a == b).count()
        };
        self.last.clear();
        self.last.extend_from_slice(term);
        self.terms += 1;
        let suffix = &term[shared..];
        self.dictionary.push(nibble(shared) | nibble(suffix.len()) << 4);
        for len in [shared, suffix.len()] {
            if len >= 15 {
                put_varint(&mut self.dictionary, u32::try_from(len - 15).unwrap_or(u32::MAX));
            }
        }
        self.dictionary.extend_from_slice(suffix);
        put_varint(&mut self.dictionary, u32::try_from(docs.len()).unwrap_or(u32::MAX));
        if let [doc] = docs {
            put_varint(&mut self.dictionary, *doc);
            return;
        }
        let before = self.postings.len();
        put_list(&mut self.postings, self.span, docs);
        put_varint(&mut self.dictionary, u32::try_from(self.postings.len() - before).unwrap_or(u32::MAX));
    }

    /// The segment. `classes`: one a document number, zero for absent ones; `removed`: ascending numbers of
    /// documents in earlier segments.
    pub(in crate::query::search_index) fn finish(
        self,
        classes: impl Iterator<Item = u8>,
        removed: &[u32],
    ) -> Result<Vec<u8>, Error> {
        let mut packed = vec![0; self.span.div_ceil(2) as usize];
        let mut docs = 0;
        for (at, class) in classes.enumerate() {
            packed[at / 2] |= (class & 15) << (4 * (at % 2));
            docs += u32::from(class > 0);
        }
        let mut gone = Vec::new();
        let mut next = 0;
        for &doc in removed {
            put_varint(&mut gone, doc - next);
            next = doc + 1;
        }
        let lengths = Lengths {
            first: self.first,
            span: self.span,
            docs,
            terms: self.terms,
            removed: gone.len(),
            dictionary: self.dictionary.len(),
            postings: self.postings.len(),
        };
        debug_assert_eq!(self.blocks.len(), self.terms.div_ceil(TERMS_PER_BLOCK) as usize * BLOCK_ENTRY_LEN);
        let sections = [packed, gone, self.blocks, self.dictionary, self.postings];
        let mut out = Vec::with_capacity(HEADER_LEN + sections.iter().map(Vec::len).sum::<usize>());
        lengths.write(&mut out)?;
        sections.iter().for_each(|section| out.extend_from_slice(section));
        Ok(out)
    }
}

fn nibble(len: usize) -> u8 {
    u8::try_from(len.min(15)).unwrap_or(15)
}
