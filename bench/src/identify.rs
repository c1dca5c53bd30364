//! One probe against a gallery of vectors: a search beside the machine's memory bandwidth and a plain scan.
use crate::measure::{Spread, time};
use crate::report::Figure;
use anyhow::{Context, Result, ensure};
use std::hint::black_box;
use terachat_template::{
    Body, Candidate, Embedding, Error, Gallery, Metadata, Probe, Template, TemplateId, TemplateType,
    Threshold,
};

const NAME: &str = "identify";
/// Candidates asked for.
const COUNT: usize = 10;
/// Two pictures of one person are at least this alike, as extractors of faces go.
const THRESHOLD: f64 = 0.4;
const BANDWIDTH_AIM: f64 = 0.5;
/// Sums side by side: as many as the processor has registers for them.
const LANES: usize = 64;

/// What to run.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Options {
    /// Vectors in the gallery; fewer where memory does not allow it.
    #[arg(long, default_value_t = 1_000_000)]
    vectors: usize,
    /// Numbers of a vector.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u16).range(1..=4096))]
    dimension: u16,
}

/// Measures.
///
/// # Errors
/// The gallery's, or a search that finds something else than comparing with all does.
pub(crate) fn run(runs: usize, options: Options) -> Result<Vec<Figure>> {
    let dimension = usize::from(options.dimension);
    let vectors = options.vectors.min(affordable(dimension));
    if vectors < options.vectors {
        eprintln!("memory allows {vectors} vectors instead of {}", options.vectors);
    }
    let mut noise = Noise(4711);
    let exact = Matrix::random(&mut noise, vectors, dimension);
    let (gallery, insert) = time(|| exact.gallery());
    let gallery = gallery?;
    let anew = |noise: &mut Noise| noise.unit(dimension);
    let known = {
        let row = exact.row(vectors / 2);
        let other = noise.unit(dimension);
        row.iter().zip(&other).map(|(a, b)| a + 0.8 * b).collect::<Vec<f32>>()
    };
    let probes = [
        ("a person in it, those from 0.4 on", known, COUNT, THRESHOLD),
        ("a stranger, those from 0.4 on", anew(&mut noise), COUNT, THRESHOLD),
        ("a stranger, the 10 most alike", anew(&mut noise), COUNT, -1.0),
        ("a stranger, the 100 most alike", anew(&mut noise), 100, -1.0),
    ];
    let bytes = (vectors * dimension * size_of::<f32>()) as f64;
    let mut stream = Vec::new();
    let mut plain = Vec::new();
    let mut searches = probes.each_ref().map(|_| Search::default());
    for _ in 0..runs {
        let read = time(|| black_box(sum(&exact.numbers))).1.cpu;
        stream.push(read);
        for (at, ((_, probe, count, threshold), search)) in probes.iter().zip(&mut searches).enumerate() {
            search.run(&gallery, &exact, probe, *count, *threshold, read)?;
            if at == 2 {
                let (found, took) = time(|| exact.most_alike(probe, *count));
                plain.push(took.cpu);
                ensure!(search.agrees(&found), "a search and a plain scan disagree");
            }
        }
    }
    let (stream, plain) = (Spread::of(stream), Spread::of(plain));
    let mut figures = vec![
        Figure::once(NAME, format!("vectors of {dimension} numbers"), "", vectors as f64),
        Figure::once(NAME, "insert, a vector", "us", insert.cpu / vectors as f64 * 1e6),
        Figure::new(NAME, "one core reads all vectors (f32) from memory", "GB/s", stream.rate(bytes / 1e9)),
        Figure::new(NAME, "the same, time", "ms", stream.per(1e-3)),
        Figure::new(NAME, "plain scan in f32, the 10 most alike", "ms", plain.per(1e-3))
            .beside("the read", stream.median * 1e3),
    ];
    let scanned = Spread::of(searches[1].took.iter().copied()).rate(bytes / 4e9);
    figures.push(
        Figure::new(NAME, "a search reads its own bytes, one a number, at", "GB/s", scanned)
            .beside("the read", bytes / 1e9 / stream.median),
    );
    for ((name, ..), search) in probes.iter().zip(searches) {
        figures.extend(search.figures(name, &plain));
    }
    Ok(figures)
}

/// Repeated searches for one probe.
#[derive(Default)]
struct Search {
    took: Vec<f64>,
    share: Vec<f64>,
    fetched: usize,
    found: Vec<Candidate>,
}

impl Search {
    fn run(
        &mut self,
        gallery: &Gallery,
        exact: &Matrix,
        probe: &[f32],
        count: usize,
        threshold: f64,
        read: f64,
    ) -> Result<()> {
        let probe = Probe::new(TemplateType::Face, Body::Vector(Embedding::take(probe.to_vec())?))?;
        let threshold = Threshold::new(threshold)?;
        let mut fetched = 0;
        let fetch = |id| {
            fetched += 1;
            exact.template(id)
        };
        let (found, took) = time(|| gallery.identify(&probe, count, threshold, fetch));
        self.found = found.context("the search failed")?;
        self.took.push(took.cpu);
        self.share.push(read / took.cpu);
        self.fetched = fetched;
        Ok(())
    }

    /// Whether the same are found; two scans of different exactness may order near equals differently.
    fn agrees(&self, plain: &[(f32, usize)]) -> bool {
        self.found.len() == plain.len()
            && self.found.iter().zip(plain).all(|(a, b)| (a.score - f64::from(b.0)).abs() < 1e-5)
    }

    fn figures(self, name: &str, plain: &Spread) -> [Figure; 3] {
        let took = Spread::of(self.took);
        [
            Figure::new(NAME, name, "ms", took.per(1e-3)).beside("the plain scan", plain.median * 1e3),
            Figure::new(NAME, format!("{name}: share of the bandwidth"), "x", Spread::of(self.share))
                .at_least(BANDWIDTH_AIM),
            Figure::once(NAME, format!("{name}: compared exactly"), "", self.fetched as f64),
        ]
    }
}

/// The exact vectors, of length one, row after row: what a vault keeps sealed.
struct Matrix {
    numbers: Vec<f32>,
    dimension: usize,
}

impl Matrix {
    fn random(noise: &mut Noise, vectors: usize, dimension: usize) -> Self {
        let mut numbers = Vec::with_capacity(vectors * dimension);
        (0..vectors).for_each(|_| numbers.extend(noise.unit(dimension)));
        Self { numbers, dimension }
    }

    fn row(&self, at: usize) -> &[f32] {
        &self.numbers[at * self.dimension..][..self.dimension]
    }

    fn template(&self, id: TemplateId) -> Result<Template, Error> {
        let at = usize::try_from(u128::from_be_bytes(id.0)).map_err(|_| Error::Id)?;
        let metadata = Metadata::new("somebody".parse()?, TemplateType::Face);
        Template::new(metadata, Body::Vector(Embedding::take(self.row(at).to_vec())?))
    }

    fn gallery(&self) -> Result<Gallery> {
        let mut gallery = Gallery::new(TemplateType::Face, self.dimension)?;
        for at in 0..self.numbers.len() / self.dimension {
            let id = TemplateId((at as u128).to_be_bytes());
            gallery.insert(id, &self.template(id)?)?;
        }
        Ok(gallery)
    }

    /// What one would write first: all inner products in `f32`, and the best kept.
    fn most_alike(&self, probe: &[f32], count: usize) -> Vec<(f32, usize)> {
        let length = probe.iter().map(|number| number * number).sum::<f32>().sqrt();
        let probe: Vec<f32> = probe.iter().map(|number| number / length).collect();
        let mut best: Vec<(f32, usize)> = Vec::new();
        for (at, row) in self.numbers.chunks_exact(self.dimension).enumerate() {
            let score = inner_product(row, &probe);
            if best.len() < count || best.last().is_some_and(|last| score > last.0) {
                best.insert(best.partition_point(|better| better.0 >= score), (score, at));
                best.truncate(count);
            }
        }
        best
    }
}

fn inner_product(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum()
}

fn sum(numbers: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    for part in numbers.chunks(LANES) {
        sums.iter_mut().zip(part).for_each(|(sum, number)| *sum += number);
    }
    sums.iter().sum()
}

/// How many vectors fit: the exact ones and a byte for each number, in three quarters of what is free.
fn affordable(dimension: usize) -> usize {
    let available = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()
    });
    available.map_or(usize::MAX, |kib| kib / 4 * 3 * 1024 / (5 * dimension + 64))
}

/// Numbers that repeat in every run, roughly normal.
struct Noise(u64);

impl Noise {
    /// A vector of length one in a random direction.
    fn unit(&mut self, dimension: usize) -> Vec<f32> {
        let mut vector: Vec<f32> = (0..dimension).map(|_| self.number()).collect();
        let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|number| *number /= length);
        vector
    }

    /// The sum of four even ones.
    fn number(&mut self) -> f32 {
        // xorshift64*, whose upper bits are good enough.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d);
        let part = |shift: u32| ((bits >> shift) & 0x7fff) as f32 / 32_767.0 - 0.5;
        part(4) + part(19) + part(34) + part(49)
    }
}
