mod union;

use super::error::Error;
use super::memtable::Chunks;
use super::segment::{Block, List};

pub(super) use union::Union;

/// Walks document numbers of one part of the index from the newest to the oldest.
pub(super) struct Cursor<'a> {
    source: Source<'a>,
    block: Block,
    at: usize,
    count: u32,
}

/// Where documents come from.
pub(super) enum Source<'a> {
    Chunks(Chunks<'a>),
    List(List<'a>),
    Union(Union<'a>),
}

impl<'a> Cursor<'a> {
    pub(super) fn new(source: Source<'a>) -> Result<Self, Error> {
        let count = source.count();
        let mut cursor = Self { source, block: Block::default(), at: 0, count };
        cursor.load(None)?;
        Ok(cursor)
    }

    /// How many documents there are in all.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Where the cursor stands; `None` behind the oldest.
    #[inline]
    pub(super) fn doc(&self) -> Option<u32> {
        self.block.docs().get(self.at).copied()
    }

    /// Goes to the newest document that is not above `until`.
    #[inline]
    pub(super) fn seek(&mut self, until: u32) -> Result<Option<u32>, Error> {
        loop {
            let docs = &self.block.docs()[self.at..];
            match docs.last() {
                Some(&oldest) if oldest > until => self.load(Some(until))?,
                Some(_) => {
                    if docs[0] > until {
                        self.at += docs.partition_point(|&doc| doc > until);
                    }
                    return Ok(self.doc());
                }
                None => return Ok(None),
            }
        }
    }

    fn load(&mut self, until: Option<u32>) -> Result<(), Error> {
        self.at = 0;
        self.source.next_block(until, &mut self.block)?;
        Ok(())
    }
}

impl Source<'_> {
    /// In how many documents, at most.
    fn count(&self) -> u32 {
        match self {
            Self::Chunks(chunks) => chunks.count(),
            Self::List(list) => list.count(),
            Self::Union(union) => union.count,
        }
    }

    /// Fills `block` with what comes next; empty at the end.
    fn next_block(&mut self, until: Option<u32>, block: &mut Block) -> Result<bool, Error> {
        match self {
            Self::Chunks(chunks) => Ok(chunks.next_block(until, block)),
            Self::List(list) => list.next_block(until, block),
            Self::Union(union) => union.next_block(until, block),
        }
    }
}
