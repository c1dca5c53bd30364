use super::Source;
use crate::query::search_index::error::Error;
use crate::query::search_index::segment::{BLOCK, Block};

/// Documents that are gathered from the long lists in one go.
const WINDOW: u32 = 1 << 14;

/// The documents of several terms, as a bitmap. Short lists are gathered at once, long ones only as far down as
/// somebody looks: a search that is content with the newest hits never sees their rest.
pub(in crate::query::search_index) struct Union<'a> {
    words: Vec<u64>,
    long: Vec<Long<'a>>,
    /// No more than so many documents in all.
    pub(super) count: u32,
    span: u32,
    /// Everything at or above it was handed out, or passed over.
    end: u32,
    /// Everything at or above it, and below `end`, is in the bitmap.
    gathered: u32,
}

struct Long<'a> {
    source: Source<'a>,
    /// The last document that was read.
    reached: u32,
}

impl<'a> Union<'a> {
    /// An empty set of numbers below `span`.
    pub(in crate::query::search_index) fn new(span: u32) -> Self {
        let words = vec![0; span.div_ceil(64) as usize];
        Self { words, long: Vec::new(), count: 0, span, end: span, gathered: span }
    }

    /// Adds a term's documents; not after the first was taken.
    pub(in crate::query::search_index) fn add(&mut self, source: Source<'a>) -> Result<(), Error> {
        let count = source.count();
        self.count = self.count.saturating_add(count).min(self.span);
        if count as usize > BLOCK {
            self.long.push(Long { source, reached: self.span });
            return Ok(());
        }
        let (mut source, mut block) = (source, Block::default());
        while source.next_block(None, &mut block)? {
            insert(&mut self.words, block.docs());
        }
        Ok(())
    }

    /// Fills `block` with the next documents that are not above `until`.
    pub(super) fn next_block(&mut self, until: Option<u32>, block: &mut Block) -> Result<bool, Error> {
        block.clear();
        if let Some(until) = until {
            self.end = self.end.min(until.saturating_add(1));
        }
        while !block.is_full() && self.end > 0 {
            if self.end <= self.gathered {
                self.gather()?;
            }
            match self.take() {
                Some(doc) => block.push(doc),
                None => self.end = self.gathered,
            }
        }
        Ok(!block.docs().is_empty())
    }

    /// Gathers the next window below `end`.
    fn gather(&mut self) -> Result<(), Error> {
        let floor = self.end.saturating_sub(WINDOW);
        let until = self.end - 1;
        let mut block = Block::default();
        for long in &mut self.long {
            while long.reached > floor && long.source.next_block(Some(until), &mut block)? {
                insert(&mut self.words, block.docs());
                long.reached = block.docs().last().copied().unwrap_or(0);
            }
        }
        self.gathered = floor;
        Ok(())
    }

    /// The newest document below `end` that was gathered.
    fn take(&mut self) -> Option<u32> {
        let last = self.end.checked_sub(1)?;
        let mut index = last / 64;
        let mut word = self.words.get(index as usize)? & (u64::MAX >> (63 - last % 64));
        while word == 0 && index > self.gathered / 64 {
            index -= 1;
            word = self.words[index as usize];
        }
        let doc = (index * 64 + 63)
            .checked_sub(word.leading_zeros())
            .filter(|doc| word > 0 && *doc >= self.gathered)?;
        self.end = doc;
        Some(doc)
    }
}

fn insert(words: &mut [u64], docs: &[u32]) {
    for &doc in docs {
        if let Some(word) = words.get_mut((doc / 64) as usize) {
            *word |= 1 << (doc % 64);
        }
    }
}
