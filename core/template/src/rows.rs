use crate::TemplateId;
use crate::rounded::Rounded;
use crate::scan::{LINE, Line, lines_of};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Rows of one chunk. Chunks are allocated whole and never grow, so that no copy of a row stays behind in freed memory.
const CHUNK_ROWS: usize = 4096;

/// Vectors of one dimension as bytes, packed in the order of their insertion.
pub(crate) struct Rows {
    lines_per_row: usize,
    chunks: Vec<Chunk>,
}

/// Up to [`CHUNK_ROWS`] rows: what a scan reads lies side by side. Wiped on drop.
#[derive(ZeroizeOnDrop)]
pub(crate) struct Chunk {
    /// The rows' numbers, row after row.
    pub(crate) lines: Vec<Line>,
    /// What one of a row's numbers is worth.
    pub(crate) scales: Vec<f32>,
    /// How far a row is from its vector; no less than that.
    pub(crate) errors: Vec<f32>,
    #[zeroize(skip)]
    ids: Vec<TemplateId>,
}

impl Rows {
    pub(crate) fn new(dimension: usize) -> Self {
        Self { lines_per_row: lines_of(dimension), chunks: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK_ROWS + last.ids.len())
    }

    pub(crate) fn id(&self, row: usize) -> TemplateId {
        self.chunks[row / CHUNK_ROWS].ids[row % CHUNK_ROWS]
    }

    /// The chunks, each with the number of its first row.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = (usize, &Chunk)> {
        (0..).step_by(CHUNK_ROWS).zip(&self.chunks)
    }

    pub(crate) fn push(&mut self, id: TemplateId, rounded: &Rounded) {
        if self.len() == self.chunks.len() * CHUNK_ROWS {
            self.chunks.push(Chunk {
                lines: Vec::with_capacity(CHUNK_ROWS * self.lines_per_row),
                scales: Vec::with_capacity(CHUNK_ROWS),
                errors: Vec::with_capacity(CHUNK_ROWS),
                ids: Vec::with_capacity(CHUNK_ROWS),
            });
        }
        let last = self.chunks.last_mut().expect("one was just made if there was none with room");
        last.ids.push(id);
        last.scales.push(0.0);
        last.errors.push(0.0);
        last.lines.resize(last.ids.len() * self.lines_per_row, Line([0; LINE]));
        let row = self.len() - 1;
        self.set(row, rounded);
    }

    /// Puts another vector in the place of one.
    pub(crate) fn set(&mut self, row: usize, rounded: &Rounded) {
        let (chunk, at) = (&mut self.chunks[row / CHUNK_ROWS], row % CHUNK_ROWS);
        chunk.scales[at] = rounded.scale;
        chunk.errors[at] = bound(rounded);
        let lines = &mut chunk.lines[at * self.lines_per_row..][..self.lines_per_row];
        for (line, numbers) in lines.iter_mut().zip(rounded.numbers.chunks(LINE)) {
            for (to, number) in line.0.iter_mut().zip(numbers) {
                *to = i8::try_from(*number).expect("rows are rounded to -127 to 127");
            }
        }
    }

    /// Whether this row came from that vector.
    pub(crate) fn holds(&self, row: usize, rounded: &Rounded) -> bool {
        let (chunk, at) = (&self.chunks[row / CHUNK_ROWS], row % CHUNK_ROWS);
        let lines = &chunk.lines[at * self.lines_per_row..][..self.lines_per_row];
        let numbers = lines.iter().flat_map(|line| line.0).take(rounded.numbers.len());
        chunk.scales[at] == rounded.scale && numbers.map(i16::from).eq(rounded.numbers.iter().copied())
    }

    /// Removes a row by moving the last one into its place; gives the moved one's id.
    pub(crate) fn swap_remove(&mut self, row: usize) -> Option<TemplateId> {
        let last = self.pop();
        if row == self.len() {
            return None;
        }
        let (chunk, at) = (&mut self.chunks[row / CHUNK_ROWS], row % CHUNK_ROWS);
        chunk.lines[at * self.lines_per_row..][..self.lines_per_row].copy_from_slice(&last.lines);
        (chunk.scales[at], chunk.errors[at], chunk.ids[at]) = (last.scale, last.error, last.id);
        Some(last.id)
    }

    /// Takes the last row out and wipes its place.
    fn pop(&mut self) -> Row {
        let end = "a row is there to be taken out";
        let chunk = self.chunks.last_mut().expect(end);
        let (id, scale) = (chunk.ids.pop().expect(end), chunk.scales.pop().expect(end));
        let error = chunk.errors.pop().expect(end);
        let from = chunk.ids.len() * self.lines_per_row;
        let lines = Zeroizing::new(chunk.lines[from..].to_vec());
        chunk.lines[from..].iter_mut().zeroize();
        chunk.lines.truncate(from);
        if chunk.ids.is_empty() {
            self.chunks.pop();
        }
        Row { id, scale, error, lines }
    }
}

struct Row {
    id: TemplateId,
    scale: f32,
    error: f32,
    lines: Zeroizing<Vec<Line>>,
}

/// The error as it is kept: in half the bytes, and not a bit less.
fn bound(rounded: &Rounded) -> f32 {
    #[allow(clippy::cast_possible_truncation, reason = "the next greater one outweighs the rounding")]
    let near = rounded.error as f32;
    near.next_up()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Embedding;

    fn rounded(seed: usize) -> Rounded {
        let values = (0..70).map(|at| ((seed * 31 + at * 17) % 101) as f32 - 50.0).collect();
        Rounded::new(&Embedding::take(values).unwrap(), 127)
    }

    fn id(seed: usize) -> TemplateId {
        TemplateId([seed as u8; 16])
    }

    #[test]
    fn the_last_row_takes_the_place_of_a_removed_one() {
        let mut rows = Rows::new(70);
        for seed in 0..CHUNK_ROWS + 2 {
            rows.push(id(seed), &rounded(seed));
        }
        assert_eq!((rows.len(), rows.chunks.len()), (CHUNK_ROWS + 2, 2));
        assert_eq!(rows.swap_remove(5), Some(id(CHUNK_ROWS + 1)));
        assert!(rows.holds(5, &rounded(CHUNK_ROWS + 1)) && !rows.holds(5, &rounded(5)));
        assert_eq!(rows.swap_remove(CHUNK_ROWS), None);
        assert_eq!((rows.len(), rows.chunks.len()), (CHUNK_ROWS, 1));
        assert_eq!(rows.chunks[0].lines.capacity(), 2 * CHUNK_ROWS, "a chunk never grows");
        while rows.len() > 1 {
            rows.swap_remove(0);
        }
        assert!(rows.holds(0, &rounded(1)), "the second was moved when two were left");
        rows.set(0, &rounded(7));
        assert!(rows.holds(0, &rounded(7)));
        assert_eq!(rows.swap_remove(0), None);
        assert_eq!((rows.len(), rows.chunks().count()), (0, 0));
    }

    #[test]
    fn the_kept_error_is_no_less_than_the_measured_one() {
        for seed in 0..100 {
            let rounded = rounded(seed);
            assert!(f64::from(bound(&rounded)) > rounded.error);
        }
    }
}
