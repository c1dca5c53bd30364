//! How the index follows a segment that was rewritten.
use super::LogIndex;
use crate::store::BlockRef;
use std::ops::Range;

/// A stored batch where it is since its segment was rewritten.
pub(in crate::store) struct Moved {
    pub(in crate::store) meta: BlockRef,
    pub(in crate::store) chunks: Vec<BlockRef>,
    /// The position behind its last event.
    pub(in crate::store) end: u32,
    pub(in crate::store) places: Places,
}

/// Where a moved batch's payloads lie in it.
pub(in crate::store) enum Places {
    /// As before; this was the number of its first chunk.
    Same { first_chunk: u32 },
    /// For each event: which of its chunks, the offset there, and the payload's length, which is another where content was
    /// erased.
    New(Vec<(u32, u32, u32)>),
}

impl LogIndex {
    /// Notes where this log's blocks of a segment are now that it was rewritten: `moved` are all its batches there.
    pub(in crate::store) fn relocate(&mut self, segment: u32, moved: Vec<Moved>) {
        let within = |blocks: &[BlockRef]| {
            blocks.partition_point(|block| block.segment() < segment)
                ..blocks.partition_point(|block| block.segment() <= segment)
        };
        let (batches, old) = (within(&self.metas), within(&self.chunks));
        let number = |chunk: usize| u32::try_from(chunk).expect("fewer chunks than events");
        let mut at = batches.start.checked_sub(1).map_or(0, |before| self.batch_ends[before]);
        let (mut metas, mut ends, mut chunks) = (Vec::new(), Vec::new(), Vec::new());
        for batch in moved {
            let first = number(old.start + chunks.len());
            match batch.places {
                Places::New(places) => {
                    for (at, (chunk, offset, len)) in (at..batch.end).zip(places) {
                        let event = self.event_mut(at);
                        (event.chunk, event.offset, event.len) = (first + chunk, offset, len);
                    }
                }
                Places::Same { first_chunk } => self.shift_chunks(at..batch.end, first_chunk, first),
            }
            at = batch.end;
            metas.push(batch.meta);
            ends.push(batch.end);
            chunks.extend(batch.chunks);
        }
        let (before, after) = (number(old.len()), number(chunks.len()));
        self.shift_chunks(at..self.len(), before, after);
        self.batch_ends.splice(batches.clone(), ends);
        self.metas.splice(batches, metas);
        self.chunks.splice(old, chunks);
    }

    /// The chunks of the events at these positions are by `to - from` further on in the list. Where they are not, nothing is read.
    fn shift_chunks(&mut self, positions: Range<u32>, from: u32, to: u32) {
        if from != to {
            for at in positions {
                let event = self.event_mut(at);
                event.chunk = event.chunk - from + to;
            }
        }
    }
}
