use super::block::StoredBlock;
use super::recover::End;
use super::segments::{Frame, Place, Segments, Window};
use crate::store::Error;

/// The blocks of a log in order: [`CommitLog::blocks`](super::CommitLog::blocks).
///
/// A block that does not open is an error and the next item goes on behind it; where the way itself is lost (a
/// damaged header, a failing medium) the error is the last item.
pub struct Blocks<'a> {
    segments: &'a Segments,
    /// The lengths of all segments, the first being segment 1.
    lens: Vec<u64>,
    window: Window,
    /// `None` once the iteration is over.
    place: Option<Place>,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(segments: &'a Segments, lens: Vec<u64>, place: Place) -> Self {
        let mut blocks = Self { segments, lens, window: Window::new(place.segment, 0), place: Some(place) };
        blocks.window = Window::new(place.segment, blocks.len(place.segment));
        blocks
    }

    fn len(&self, segment: u32) -> u64 {
        self.lens.get(segment as usize - 1).copied().unwrap_or(0)
    }

    /// The next frame; `Ok(None)` for one that holds no block and at the end.
    fn step(&mut self, mut place: Place) -> Result<Option<StoredBlock>, Error> {
        self.place = None;
        while place.offset >= self.window.end() {
            if place.segment as usize >= self.lens.len() {
                return Ok(None);
            }
            place = End::empty(place.segment + 1, None).place;
            self.window = Window::new(place.segment, self.len(place.segment));
        }
        let header =
            self.window.header(self.segments, &place)?.ok_or_else(|| place.damaged("its header changed"))?;
        let next = place.after(&header);
        if next.offset > self.window.end() {
            return Err(place.damaged("the segment ends within it"));
        }
        self.place = Some(next);
        let end = self.window.end();
        let bytes = self.window.get(&*self.segments.storage, place.offset, header.frame_len())?;
        self.segments.open(&place, &Frame { header, bytes }, end)
    }
}

impl Iterator for Blocks<'_> {
    type Item = Result<StoredBlock, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(place) = self.place {
            if let Some(item) = self.step(place).transpose() {
                return Some(item);
            }
        }
        None
    }
}
