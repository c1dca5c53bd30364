use crate::query::search_index::codec::u32_at;
use crate::query::search_index::segment::{BLOCK, Block};

/// Sizes of chunks, their head included; a term's first is the smallest, and each further one larger. The largest
/// cannot hold more documents than a block.
const SIZES: [u8; 4] = [16, 32, 64, 128];
/// The chunk before this one, as an offset with this chunk's size class in its two lowest bits; the chunk's first
/// document.
const HEAD: usize = 8;

/// The documents of all terms, as chunks that are never moved: each names the one before it and holds gaps.
#[derive(Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
}

/// Where a term's newest chunk stands and how much of it is used; unused while the term is in one document only.
#[derive(Clone, Copy, Default)]
pub(super) struct Tail {
    at: u32,
    used: u8,
    class: u8,
}

impl Arena {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Adds `doc` behind `last`.
    #[inline]
    pub(super) fn push(&mut self, tail: &mut Tail, last: u32, doc: u32) {
        if tail.used == 0 {
            *tail = self.chunk(0, 0, last);
        }
        let gap = doc - last;
        let at = tail.at as usize + usize::from(tail.used);
        if gap < 0x80 && tail.used < SIZES[usize::from(tail.class)] {
            self.bytes[at] = (gap & 0x7f) as u8;
            tail.used += 1;
            return;
        }
        self.push_slow(tail, gap, doc);
    }

    fn push_slow(&mut self, tail: &mut Tail, gap: u32, doc: u32) {
        let len = gap.max(1).ilog2() / 7 + 1;
        if u32::from(tail.used) + len > u32::from(SIZES[usize::from(tail.class)]) {
            *tail = self.chunk(tail.at, (tail.class + 1).min(3), doc);
            return;
        }
        for byte in 0..len {
            let more = if byte + 1 < len { 0x80 } else { 0 };
            self.bytes[tail.at as usize + usize::from(tail.used)] = (gap >> (7 * byte) & 0x7f) as u8 | more;
            tail.used += 1;
        }
    }

    /// A new chunk whose first document is `doc`. The gaps' place is zero, which is no gap, so a chunk left
    /// half-full ends by itself. Offsets start behind a first unused chunk: zero means that there is none before.
    fn chunk(&mut self, before: u32, class: u8, doc: u32) -> Tail {
        if self.bytes.is_empty() {
            self.bytes.resize(usize::from(SIZES[0]), 0);
        }
        let at = u32::try_from(self.bytes.len()).expect("Memtable::add keeps the arena under 2^31 bytes");
        self.bytes.extend_from_slice(&(before | u32::from(class)).to_le_bytes());
        self.bytes.extend_from_slice(&doc.to_le_bytes());
        self.bytes.resize(at as usize + usize::from(SIZES[usize::from(class)]), 0);
        Tail { at, used: 8, class }
    }

    pub(super) fn chunks(&self, tail: Tail, last: u32, count: u32) -> Chunks<'_> {
        let at = if tail.used == 0 { None } else { Some(tail.at) };
        Chunks { arena: self, at, only: at.is_none().then_some(last), count }
    }
}

/// Reads a term's documents chunk by chunk, newest first.
pub(in crate::query::search_index) struct Chunks<'a> {
    arena: &'a Arena,
    at: Option<u32>,
    /// The document of a term that is in one only.
    only: Option<u32>,
    count: u32,
}

impl Chunks<'_> {
    /// In how many documents the term is.
    pub(in crate::query::search_index) fn count(&self) -> u32 {
        self.count
    }

    /// Reads the next chunk into `block`, with `until` the next one that may hold a document not above it.
    pub(in crate::query::search_index) fn next_block(
        &mut self,
        until: Option<u32>,
        block: &mut Block,
    ) -> bool {
        block.clear();
        if let Some(doc) = self.only.take() {
            block.push(doc);
            return true;
        }
        while let Some(at) = self.at {
            let bytes = self.arena.bytes.get(at as usize..).unwrap_or(&[]);
            let (Some(before), Some(first)) = (u32_at(bytes, 0), u32_at(bytes, 4)) else { return false };
            self.at = Some(before & !3).filter(|at| *at > 0);
            if until.is_some_and(|until| first > until) {
                continue;
            }
            let end = usize::from(SIZES[(before & 3) as usize]);
            read_gaps(first, bytes.get(HEAD..end).unwrap_or(&[]), block);
            return true;
        }
        false
    }
}

fn read_gaps(first: u32, mut bytes: &[u8], block: &mut Block) {
    let mut doc = first;
    block.push(doc);
    while let [byte, rest @ ..] = bytes {
        let mut gap = u32::from(byte & 0x7f);
        bytes = rest;
        if *byte >= 0x80 {
            let mut shift = 7;
            while let [byte, rest @ ..] = bytes {
                bytes = rest;
                gap |= u32::from(byte & 0x7f) << shift;
                shift += 7;
                if *byte < 0x80 {
                    break;
                }
            }
        }
        if gap == 0 {
            break;
        }
        doc += gap;
        block.push(doc);
    }
    block.reverse();
}

const _: () = assert!(SIZES[3] as usize - HEAD < BLOCK);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn documents_come_back_newest_first(gaps in proptest::collection::vec((1u32..1 << 22, 0u32..22), 1..600)) {
            let mut arena = Arena::default();
            let (mut tail, mut docs) = (Tail::default(), vec![7]);
            for (gap, shift) in gaps {
                let (last, gap) = (docs[docs.len() - 1], (gap >> shift).max(1));
                if last + gap > 1 << 30 {
                    break;
                }
                arena.push(&mut tail, last, last + gap);
                docs.push(last + gap);
            }
            let mut chunks = arena.chunks(tail, docs[docs.len() - 1], 0);
            let (mut block, mut read) = (Block::default(), Vec::new());
            while chunks.next_block(None, &mut block) {
                read.extend_from_slice(block.docs());
            }
            docs.reverse();
            prop_assert_eq!(read, docs);
        }
    }
}
