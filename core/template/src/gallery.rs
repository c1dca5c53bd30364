use crate::rounded::Rounded;
use crate::rows::Rows;
use crate::scan::{Kernel, PROBE_MAX, ProbeLines, ROW_MAX, lines_of};
use crate::shortlist::{Entry, Shortlist};
use crate::{
    Body, BodyKind, CANDIDATES_MAX, Candidate, DIMENSION_MAX, Embedding, Error, Probe, Template, TemplateId,
    TemplateType, Threshold,
};
use std::collections::BinaryHeap;
use std::collections::hash_map::{self, HashMap};

/// What arithmetic in `f64` adds to the distance between a bound and a computed score: sums of at most 4,096 terms are
/// wrong by less than 1e-12.
const SLACK: f64 = 1e-9;
/// Rows whose inner products are computed at once: the results stay in the nearest cache.
const BATCH_ROWS: usize = 256;

/// Vectors of one type and one dimension, to be searched (1:N).
///
/// It keeps one byte for each number and not the vectors themselves, so it takes a quarter of their memory and of the
/// time to read them; those that may be candidates are then fetched from the caller and compared exactly. A gallery of
/// 1,000,000 vectors of 512 numbers takes 0.6 GB. It is wiped on drop.
///
/// A search runs on the caller's thread. To use several, keep several galleries, search each, and merge the candidates:
/// their order is total.
pub struct Gallery {
    template_type: TemplateType,
    dimension: usize,
    rows: Rows,
    places: HashMap<TemplateId, u32>,
    kernel: Kernel,
}

impl Gallery {
    /// An empty one.
    ///
    /// # Errors
    /// [`Error::Dimension`] when `dimension` is not 1 to [`DIMENSION_MAX`].
    pub fn new(template_type: TemplateType, dimension: usize) -> Result<Self, Error> {
        if !(1..=DIMENSION_MAX).contains(&dimension) {
            return Err(Error::Dimension(dimension));
        }
        let kernel = Kernel::available().next().expect("the plain one runs everywhere");
        Ok(Self { template_type, dimension, rows: Rows::new(dimension), places: HashMap::new(), kernel })
    }

    /// What of a person its vectors describe.
    pub fn template_type(&self) -> TemplateType {
        self.template_type
    }

    /// How many numbers its vectors have.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// How many vectors it has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it has this template's vector.
    pub fn contains(&self, id: TemplateId) -> bool {
        self.places.contains_key(&id)
    }

    /// Adds a template's vector, or puts it in the place of the one it had under this id. Tells whether it had one.
    ///
    /// # Errors
    /// [`Error::TypeMismatch`], [`Error::KindMismatch`], [`Error::DimensionMismatch`] when the template is not of the
    /// gallery's; [`Error::GalleryFull`]. Nothing changed.
    pub fn insert(&mut self, id: TemplateId, template: &Template) -> Result<bool, Error> {
        let vector = self.vector(template.metadata().template_type, template.body())?;
        let rounded = Rounded::new(vector, ROW_MAX);
        match self.places.entry(id) {
            hash_map::Entry::Occupied(place) => {
                self.rows.set(*place.get() as usize, &rounded);
                Ok(true)
            }
            hash_map::Entry::Vacant(place) => {
                place.insert(u32::try_from(self.rows.len()).map_err(|_| Error::GalleryFull)?);
                self.rows.push(id, &rounded);
                Ok(false)
            }
        }
    }

    /// Takes a template's vector out and wipes it. Tells whether there was one.
    pub fn remove(&mut self, id: TemplateId) -> bool {
        let Some(place) = self.places.remove(&id) else { return false };
        if let Some(moved) = self.rows.swap_remove(place as usize) {
            self.places.insert(moved, place);
        }
        true
    }

    /// The `count` templates most like the probe, of those that reach the threshold; the best first, equals by id.
    ///
    /// `exact` fetches the template of an id as it was inserted. It is asked for the few whose bounds let them be
    /// candidates, in falling order of what they may reach: some ten more than `count` among a million vectors that
    /// have nothing to do with each other. Where many are nearly the same, all of these are asked for. The scores are
    /// those of [`verify`](crate::verify), to the bit, and no template that belongs in the list is missing.
    ///
    /// # Errors
    /// [`Error::Candidates`] when `count` is not 1 to [`CANDIDATES_MAX`]; [`Error::TypeMismatch`],
    /// [`Error::KindMismatch`], [`Error::DimensionMismatch`] when the probe is not of the gallery's;
    /// [`Error::Stale`] when `exact` gives another template than the one inserted; whatever `exact` fails with.
    pub fn identify<E: From<Error>>(
        &self,
        probe: &Probe,
        count: usize,
        threshold: Threshold,
        mut exact: impl FnMut(TemplateId) -> Result<Template, E>,
    ) -> Result<Vec<Candidate>, E> {
        if !(1..=CANDIDATES_MAX).contains(&count) {
            return Err(Error::Candidates(count).into());
        }
        let probe = self.vector(probe.template_type(), probe.body())?;
        let mut best = BinaryHeap::with_capacity(count + 1);
        for entry in self.scan(probe, count, threshold) {
            // The greatest of the heap is the last of the list.
            let last: Option<&Candidate> = best.peek().filter(|_| best.len() == count);
            if last.is_some_and(|last| entry.upper < last.score) {
                break;
            }
            let id = self.rows.id(entry.row);
            let template = exact(id)?;
            let score = probe.cosine(self.inserted(entry.row, id, &template)?);
            if score >= threshold.score() {
                best.push(Candidate { id, score });
            }
            if best.len() > count {
                best.pop();
            }
        }
        Ok(best.into_sorted_vec())
    }

    /// All rows that may be among the candidates, the one that may reach most first.
    ///
    /// Let u and p be the vector and the probe at length one, û and p̂ what they were rounded to. Then
    /// ⟨u, p⟩ - ⟨û, p̂⟩ = ⟨u - û, p⟩ + ⟨û, p - p̂⟩, and by Cauchy and Schwarz its size is at most
    /// ‖u - û‖ + ‖û‖ ‖p - p̂‖, with ‖û‖ at most 1 + ‖u - û‖.
    fn scan(&self, probe: &Embedding, count: usize, threshold: Threshold) -> Vec<Entry> {
        let rounded = Rounded::new(probe, PROBE_MAX);
        let (lines, worth) = (ProbeLines::new(&rounded), f64::from(rounded.scale));
        let apart = |row: f64| row + (1.0 + row) * rounded.error + SLACK;
        let mut shortlist = Shortlist::new(count, threshold.score());
        let mut products = [0; BATCH_ROWS];
        for (first, chunk) in self.rows.chunks() {
            let batches = chunk.lines.chunks(BATCH_ROWS * lines_of(self.dimension));
            let known = chunk.scales.chunks(BATCH_ROWS).zip(chunk.errors.chunks(BATCH_ROWS));
            for ((first, rows), (scales, errors)) in (first..).step_by(BATCH_ROWS).zip(batches).zip(known) {
                let products = &mut products[..scales.len()];
                self.kernel.inner_products(rows, &lines, products);
                for (at, ((product, scale), error)) in products.iter().zip(scales).zip(errors).enumerate() {
                    let near = *product as f64 * (f64::from(*scale) * worth);
                    let apart = apart(f64::from(*error));
                    if near + apart >= shortlist.bar() {
                        shortlist.add(Entry { row: first + at, lower: near - apart, upper: near + apart });
                    }
                }
            }
        }
        shortlist.into_entries()
    }

    /// The vector of a template that was fetched, if it is the one that was inserted.
    fn inserted<'a>(
        &self,
        row: usize,
        id: TemplateId,
        template: &'a Template,
    ) -> Result<&'a Embedding, Error> {
        let stale = Error::Stale(id);
        let vector = self.vector(template.metadata().template_type, template.body()).map_err(|_| stale)?;
        if self.rows.holds(row, &Rounded::new(vector, ROW_MAX)) { Ok(vector) } else { Err(stale) }
    }

    /// The vector in a body, if it is of this gallery's type and dimension.
    fn vector<'a>(&self, template_type: TemplateType, body: &'a Body) -> Result<&'a Embedding, Error> {
        if template_type != self.template_type {
            return Err(Error::TypeMismatch { probe: template_type, template: self.template_type });
        }
        let Body::Vector(vector) = body else {
            return Err(Error::KindMismatch { probe: body.kind(), template: BodyKind::Vector });
        };
        if vector.dimension() != self.dimension {
            return Err(Error::DimensionMismatch { probe: vector.dimension(), template: self.dimension });
        }
        Ok(vector)
    }
}

impl std::fmt::Debug for Gallery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gallery({} {} vectors of {} numbers)", self.len(), self.template_type, self.dimension)
    }
}

#[cfg(test)]
mod tests;
