//! Many vectors of bytes against one: the inner products that a search begins with.
//!
//! Whole numbers, so that every kernel gives the same ones, whatever registers it has.
use crate::rounded::Rounded;
use zeroize::{Zeroize, ZeroizeOnDrop};

#[cfg(target_arch = "x86_64")]
mod x86;

/// Numbers that lie in one cache line; vectors are padded with zeros to whole lines.
pub(crate) const LINE: usize = 64;
/// Greatest number of a row.
pub(crate) const ROW_MAX: i16 = 127;
/// Greatest number of a probe.
pub(crate) const PROBE_MAX: i16 = i16::MAX;

/// 64 numbers of a row, on the boundaries of a cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [i8; LINE]);

impl Zeroize for Line {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// How many lines a vector of this dimension takes.
pub(crate) fn lines_of(dimension: usize) -> usize {
    dimension.div_ceil(LINE)
}

/// A probe's numbers: more exact than a row's, because there is only one of it. Wiped on drop.
#[derive(ZeroizeOnDrop)]
pub(crate) struct ProbeLines(Vec<ProbeLine>);

/// 64 numbers of a probe.
#[repr(C, align(64))]
struct ProbeLine([i16; LINE]);

impl Zeroize for ProbeLine {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl ProbeLines {
    pub(crate) fn new(rounded: &Rounded) -> Self {
        let line = |numbers: &[i16]| {
            let mut line = ProbeLine([0; LINE]);
            line.0[..numbers.len()].copy_from_slice(numbers);
            line
        };
        Self(rounded.numbers.chunks(LINE).map(line).collect())
    }
}

/// For which registers the inner products on this machine are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// Registers of 64 bytes.
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
    /// Registers of 32 bytes.
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    /// Those that every processor of this architecture has.
    Plain,
}

impl Kernel {
    /// Those that run here, the quickest first.
    pub(crate) fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let wide = [x86::Avx512::detect().map(Self::Avx512), x86::Avx2::detect().map(Self::Avx2)];
        #[cfg(not(target_arch = "x86_64"))]
        let wide: [Option<Self>; 0] = [];
        wide.into_iter().flatten().chain([Self::Plain])
    }

    /// The inner product of the probe with each row. `rows` are as many lines for each element of `out` as the probe
    /// has.
    pub(crate) fn inner_products(self, rows: &[Line], probe: &ProbeLines, out: &mut [i64]) {
        assert_eq!(rows.len(), out.len() * probe.0.len(), "rows and probe have one dimension");
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(avx512) => avx512.inner_products(rows, probe, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.inner_products(rows, probe, out),
            Self::Plain => plain(rows, probe, out),
        }
    }
}

/// Written so that compilers see what it is, an inner product of two arrays of fixed length, and use the widest
/// registers they may. Always inlined, so that they may use those of the function that calls it.
#[inline(always)]
fn plain(rows: &[Line], probe: &ProbeLines, out: &mut [i64]) {
    for (row, out) in rows.chunks_exact(probe.0.len()).zip(out) {
        // 64 products of 127 * 32,767 at most stay far below 2^31.
        let line = |(line, probe): (&Line, &ProbeLine)| {
            line.0.iter().zip(&probe.0).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum::<i32>()
        };
        *out = row.iter().zip(&probe.0).map(line).map(i64::from).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    fn probe(numbers: Vec<i16>) -> ProbeLines {
        ProbeLines::new(&Rounded { numbers: Zeroizing::new(numbers), scale: 1.0, error: 0.0 })
    }

    fn row(numbers: &[i8]) -> Vec<Line> {
        let line = |part: &[i8]| Line(std::array::from_fn(|at| part.get(at).copied().unwrap_or(0)));
        numbers.chunks(LINE).map(line).collect()
    }

    #[track_caller]
    fn every_kernel_gives(rows: &[Vec<i8>], numbers: Vec<i16>) {
        let product =
            |row: &Vec<i8>| row.iter().zip(&numbers).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
        let expected: Vec<i64> = rows.iter().map(product).collect();
        let lines: Vec<Line> = rows.iter().flat_map(|numbers| row(numbers)).collect();
        let probe = probe(numbers);
        for kernel in Kernel::available() {
            let mut out = vec![0; rows.len()];
            kernel.inner_products(&lines, &probe, &mut out);
            assert_eq!(out, expected, "{kernel:?}");
        }
    }

    proptest! {
        #[test]
        fn kernels_agree_with_plain_sums(
            (rows, probe) in (1..300usize, 0..6usize).prop_flat_map(|(dimension, rows)| (
                prop::collection::vec(prop::collection::vec(-127..=127i8, dimension), rows),
                prop::collection::vec(-PROBE_MAX..=PROBE_MAX, dimension),
            ))
        ) {
            every_kernel_gives(&rows, probe);
        }
    }

    /// The greatest sums there can be, of each sign: nothing overflows, nothing saturates.
    #[test]
    fn the_greatest_vectors_do_not_overflow() {
        for (row, probe) in [(127, PROBE_MAX), (-127, PROBE_MAX), (127, -PROBE_MAX), (-127, -PROBE_MAX)] {
            every_kernel_gives(&[vec![row; 4096], vec![row; 4096], vec![0; 4096]], vec![probe; 4096]);
        }
    }
}
