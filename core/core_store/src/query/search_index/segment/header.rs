use crate::query::search_index::codec::u32_at;
use crate::query::search_index::error::Error;
use std::ops::Range;

const MAGIC: [u8; 4] = *b"TCSX";
/// Changes with the layout and with the tokenizer's rules.
const VERSION: u16 = 1;
pub(super) const HEADER_LEN: usize = 44;
/// Terms in a block of the dictionary.
pub(super) const TERMS_PER_BLOCK: u32 = 16;
/// Bytes in the table of dictionary blocks for each block.
pub(super) const BLOCK_ENTRY_LEN: usize = 8;

/// A segment's first bytes, checked against the length of the whole.
#[derive(Debug)]
pub(in crate::query::search_index) struct Header {
    pub(super) first: u32,
    pub(super) span: u32,
    pub(super) docs: u32,
    pub(super) terms: u32,
    pub(super) classes: Range<usize>,
    pub(super) removed: Range<usize>,
    pub(super) blocks: Range<usize>,
    pub(super) dictionary: Range<usize>,
    pub(super) postings: Range<usize>,
}

/// What the writer knows at its end; lengths of sections follow from it.
pub(super) struct Lengths {
    pub(super) first: u32,
    pub(super) span: u32,
    pub(super) docs: u32,
    pub(super) terms: u32,
    pub(super) removed: usize,
    pub(super) dictionary: usize,
    pub(super) postings: usize,
}

impl Header {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Error> {
        const SHORT: Error = Error::Damaged("shorter than its header");
        let (magic, rest) = bytes.split_first_chunk().ok_or(SHORT)?;
        if *magic != MAGIC {
            return Err(Error::Damaged("not a search segment"));
        }
        let version = u16::from_le_bytes(*rest.first_chunk().ok_or(SHORT)?);
        if version != VERSION {
            return Err(Error::Version(version));
        }
        if bytes.get(6..8).ok_or(SHORT)? != [0, 0] {
            return Err(Error::Damaged("reserved bytes"));
        }
        let word = |index: usize| u32_at(bytes, 8 + 4 * index).ok_or(SHORT);
        let (first, span, docs, terms) = (word(0)?, word(1)?, word(2)?, word(3)?);
        if docs > span || first.checked_add(span).is_none() {
            return Err(Error::Damaged("document numbers"));
        }
        let lens = [
            span.div_ceil(2) as usize,
            word(4)? as usize,
            terms.div_ceil(TERMS_PER_BLOCK) as usize * BLOCK_ENTRY_LEN,
            word(5)? as usize,
            word(6)? as usize,
        ];
        if word(7)? != 0 || word(8)? != 0 {
            return Err(Error::Damaged("reserved bytes"));
        }
        let mut at = HEADER_LEN;
        let mut sections = [const { 0..0 }; 5];
        for (section, len) in sections.iter_mut().zip(lens) {
            let end = at.checked_add(len).filter(|end| *end <= bytes.len());
            *section = at..end.ok_or(Error::Damaged("shorter than its sections"))?;
            at = section.end;
        }
        if at != bytes.len() {
            return Err(Error::Damaged("longer than its sections"));
        }
        let [classes, removed, blocks, dictionary, postings] = sections;
        Ok(Self { first, span, docs, terms, classes, removed, blocks, dictionary, postings })
    }
}

impl Lengths {
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let word =
            |len: usize| u32::try_from(len).map_err(|_| Error::Full("a segment's section is over 4 GiB"));
        let (removed, dictionary, postings) =
            (word(self.removed)?, word(self.dictionary)?, word(self.postings)?);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        for value in [self.first, self.span, self.docs, self.terms, removed, dictionary, postings, 0, 0] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        Ok(())
    }
}
