use super::*;
use crate::{Metadata, verify};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn template(values: &[f32]) -> Template {
    let metadata = Metadata::new("ann".parse().unwrap(), TemplateType::Face);
    Template::new(metadata, Body::Vector(Embedding::take(values.to_vec()).unwrap())).unwrap()
}

fn probe(values: &[f32]) -> Probe {
    Probe::new(TemplateType::Face, Body::Vector(Embedding::take(values.to_vec()).unwrap())).unwrap()
}

fn id(number: usize) -> TemplateId {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&(number as u64).to_be_bytes());
    TemplateId(id)
}

fn threshold(score: f64) -> Threshold {
    Threshold::new(score).unwrap()
}

/// A gallery beside the plainest thing that it could be: all vectors, compared one by one.
struct Pair {
    gallery: Gallery,
    model: BTreeMap<TemplateId, Vec<f32>>,
}

impl Pair {
    fn new(dimension: usize) -> Self {
        Self { gallery: Gallery::new(TemplateType::Face, dimension).unwrap(), model: BTreeMap::new() }
    }

    fn insert(&mut self, number: usize, values: &[f32]) {
        let had = self.model.insert(id(number), values.to_vec()).is_some();
        assert_eq!(self.gallery.insert(id(number), &template(values)), Ok(had));
    }

    fn remove(&mut self, number: usize) {
        assert_eq!(self.gallery.remove(id(number)), self.model.remove(&id(number)).is_some());
    }

    /// Compares each kernel's search with the model's; gives how many exact vectors were fetched at most.
    #[track_caller]
    fn agree(&mut self, probe_values: &[f32], count: usize, limit: f64) -> usize {
        let probe = probe(probe_values);
        let compare = |(id, values): (&TemplateId, &Vec<f32>)| {
            let compared = verify(&probe, &template(values), threshold(limit)).unwrap();
            compared.matched.then_some(Candidate { id: *id, score: compared.score })
        };
        let mut expected: Vec<Candidate> = self.model.iter().filter_map(compare).collect();
        expected.sort();
        expected.truncate(count);
        let mut most = 0;
        for kernel in Kernel::available() {
            self.gallery.kernel = kernel;
            let mut fetched = 0;
            let found = self.gallery.identify(&probe, count, threshold(limit), |id| {
                fetched += 1;
                Ok::<_, Error>(template(&self.model[&id]))
            });
            assert_eq!(found, Ok(expected.clone()), "{kernel:?}");
            most = most.max(fetched);
        }
        assert_eq!(self.gallery.len(), self.model.len());
        assert!(self.model.keys().all(|id| self.gallery.contains(*id)));
        most
    }
}

/// Few different numbers, so that there are ties, opposite vectors and equal directions of different length.
fn coarse(dimension: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(prop::sample::select(vec![-2.0f32, -1.0, 0.0, 1.0, 2.0]), dimension)
        .prop_filter("a zero vector", |values| values.iter().any(|value| *value != 0.0))
}

/// Numbers of all sizes, where rounding loses most.
fn uneven(dimension: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(
        (-30..30i32, -1.0f32..1.0).prop_map(|(power, part)| part * 2f32.powi(power)),
        dimension,
    )
    .prop_filter("a zero vector", |values| values.iter().any(|value| *value != 0.0))
}

fn vectors() -> impl Strategy<Value = Vec<Vec<f32>>> {
    (1..140usize).prop_flat_map(|dimension| {
        let some = prop_oneof![coarse(dimension).boxed(), uneven(dimension).boxed()];
        prop::collection::vec(some, 2..60)
    })
}

proptest! {
    /// Inserting, replacing, removing and searching in any order gives what the model gives, ties included.
    #[test]
    fn a_search_finds_what_comparing_with_all_finds(
        vectors in vectors(),
        steps in prop::collection::vec((0..20usize, 0..4u8, any::<prop::sample::Index>()), 1..80),
        count in 1..8usize,
        limit in -1.0..1.0f64,
    ) {
        let mut pair = Pair::new(vectors[0].len());
        for (number, step, which) in steps {
            match step {
                0 => pair.remove(number),
                _ => pair.insert(number, &vectors[which.index(vectors.len())]),
            }
        }
        pair.agree(&vectors[0], count, limit);
        pair.agree(&vectors[1], count, -1.0);
    }
}

/// Numbers that repeat in every run, roughly normal.
struct Noise(u64);

impl Noise {
    fn number(&mut self) -> f32 {
        (0..4).map(|_| self.uniform()).sum()
    }

    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u32 << 24) as f32 - 0.5
    }

    fn vector(&mut self, dimension: usize) -> Vec<f32> {
        (0..dimension).map(|_| self.number()).collect()
    }
}

#[test]
fn several_chunks_are_searched_and_few_vectors_fetched() {
    let mut noise = Noise(1);
    let mut pair = Pair::new(200);
    for number in 0..5000 {
        pair.insert(number, &noise.vector(200));
    }
    let somebody: Vec<f32> = pair.model[&id(4500)].iter().map(|value| value + 0.3 * noise.number()).collect();
    let fetched = pair.agree(&somebody, 1, 0.5);
    assert_eq!(fetched, 1, "one stands out");
    let fetched = pair.agree(&noise.vector(200), 10, -1.0);
    assert!(fetched < 40, "{fetched} fetched for ten of 5,000 strangers");
    for number in (0..5000).step_by(3) {
        pair.remove(number);
    }
    pair.agree(&somebody, 20, -1.0);
    assert_eq!(pair.agree(&noise.vector(200), 10, 0.5), 0, "a stranger");
}

#[test]
fn equal_vectors_are_listed_by_id() {
    let mut pair = Pair::new(3);
    for number in (0..3000).rev() {
        pair.insert(number, &[1.0, 2.0, (number % 3) as f32]);
    }
    pair.agree(&[1.0, 2.0, 0.0], 7, 0.0);
    pair.agree(&[1.0, 2.0, 0.0], CANDIDATES_MAX, 0.0);
}

#[test]
fn the_widest_vectors_are_searched() {
    let mut pair = Pair::new(DIMENSION_MAX);
    pair.insert(1, &[1.0; DIMENSION_MAX]);
    pair.insert(2, &[-1.0; DIMENSION_MAX]);
    pair.insert(3, &[f32::MAX; DIMENSION_MAX]);
    pair.insert(4, &[f32::from_bits(1); DIMENSION_MAX]);
    pair.agree(&[1.0; DIMENSION_MAX], 9, -1.0);
    pair.agree(&[-1e-30; DIMENSION_MAX], 9, -1.0);
}

#[test]
fn an_empty_gallery_finds_nobody() {
    let mut pair = Pair::new(2);
    assert_eq!(pair.agree(&[1.0, 0.0], 3, -1.0), 0);
    pair.insert(1, &[1.0, 0.0]);
    pair.remove(1);
    assert_eq!(pair.agree(&[1.0, 0.0], 3, -1.0), 0);
}

#[test]
fn what_does_not_belong_is_refused() {
    assert_eq!(Gallery::new(TemplateType::Face, 0).err(), Some(Error::Dimension(0)));
    assert_eq!(Gallery::new(TemplateType::Face, 4097).err(), Some(Error::Dimension(4097)));
    let mut gallery = Gallery::new(TemplateType::Face, 2).unwrap();
    let voice = Metadata::new("ann".parse().unwrap(), TemplateType::Voice);
    let vector = || Body::Vector(Embedding::take(vec![1.0, 0.0]).unwrap());
    let opaque = || Body::Opaque(crate::Opaque::take(vec![1]).unwrap());
    let face = || voice.clone();
    let as_face = |body| {
        let mut metadata = face();
        metadata.template_type = TemplateType::Face;
        Template::new(metadata, body).unwrap()
    };
    let types = Error::TypeMismatch { probe: TemplateType::Voice, template: TemplateType::Face };
    let kinds = Error::KindMismatch { probe: BodyKind::Opaque, template: BodyKind::Vector };
    let dimensions = Error::DimensionMismatch { probe: 3, template: 2 };
    assert_eq!(gallery.insert(id(1), &Template::new(face(), vector()).unwrap()), Err(types));
    assert_eq!(gallery.insert(id(1), &as_face(opaque())), Err(kinds));
    assert_eq!(gallery.insert(id(1), &template(&[1.0; 3])), Err(dimensions));
    assert!(gallery.is_empty());
    gallery.insert(id(1), &template(&[1.0, 0.0])).unwrap();
    let search = |probe: Probe, count| {
        gallery.identify(&probe, count, threshold(0.0), |_| Ok::<_, Error>(template(&[1.0, 0.0])))
    };
    assert_eq!(search(Probe::new(TemplateType::Voice, vector()).unwrap(), 1), Err(types));
    assert_eq!(search(Probe::new(TemplateType::Face, opaque()).unwrap(), 1), Err(kinds));
    assert_eq!(search(probe(&[1.0; 3]), 1), Err(dimensions));
    assert_eq!(search(probe(&[1.0; 2]), 0), Err(Error::Candidates(0)));
    assert_eq!(search(probe(&[1.0; 2]), 1025), Err(Error::Candidates(1025)));
    assert_eq!(search(probe(&[1.0; 2]), 1).unwrap().len(), 1);
}

#[test]
fn a_fetch_that_fails_or_gives_another_template_is_told() {
    let mut gallery = Gallery::new(TemplateType::Face, 2).unwrap();
    gallery.insert(id(1), &template(&[1.0, 0.0])).unwrap();
    let search = |answer: fn() -> Result<Template, Error>| {
        gallery.identify(&probe(&[1.0, 0.1]), 1, threshold(0.0), |_| answer())
    };
    assert_eq!(search(|| Err(Error::Id)), Err(Error::Id));
    assert_eq!(search(|| Ok(template(&[1.0, 0.5]))), Err(Error::Stale(id(1))));
    assert_eq!(search(|| Ok(template(&[1.0, 0.0, 0.0]))), Err(Error::Stale(id(1))));
    assert_eq!(search(|| Ok(template(&[1.0, 0.0]))).unwrap().len(), 1);
}

#[test]
fn debug_shows_no_number() {
    let mut gallery = Gallery::new(TemplateType::Iris, 300).unwrap();
    assert_eq!(format!("{gallery:?}"), "Gallery(0 iris vectors of 300 numbers)");
    assert!(!gallery.remove(id(1)));
}
