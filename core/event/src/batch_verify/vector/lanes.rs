//! Eight numbers of 64 bits side by side.
use core::arch::x86_64::*;

/// Eight lanes.
pub(super) type Lanes = __m512i;

/// Eight lanes in memory: one cache line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Row(pub(super) [u64; 8]);

impl Row {
    pub(super) const ZERO: Self = Self([0; 8]);

    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    #[allow(unsafe_code, reason = "the language has no safe way to read an array into a vector")]
    pub(super) fn load(&self) -> Lanes {
        // SAFETY: both types are 64 bytes of plain integers, for which every bit pattern is valid.
        unsafe { core::mem::transmute::<[u64; 8], Lanes>(self.0) }
    }

    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    #[allow(unsafe_code, reason = "the language has no safe way to write a vector into an array")]
    pub(super) fn store(lanes: Lanes) -> Self {
        // SAFETY: both types are 64 bytes of plain integers, for which every bit pattern is valid.
        Self(unsafe { core::mem::transmute::<Lanes, [u64; 8]>(lanes) })
    }
}

/// The same number in all lanes.
#[inline]
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
pub(super) fn splat(number: u64) -> Lanes {
    _mm512_set1_epi64(number.cast_signed())
}

/// Lane `j` of vector `i` becomes lane `i` of vector `j`.
#[inline]
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
pub(super) fn transpose(rows: [Lanes; 8]) -> [Lanes; 8] {
    let [a, b, c, d, e, f, g, h] = rows;
    // Pairs of rows, then of pairs, then of halves: each step doubles the run of numbers from one column.
    let (ab, ab1) = (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    let (cd, cd1) = (_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
    let (ef, ef1) = (_mm512_unpacklo_epi64(e, f), _mm512_unpackhi_epi64(e, f));
    let (gh, gh1) = (_mm512_unpacklo_epi64(g, h), _mm512_unpackhi_epi64(g, h));
    let [row0, row4, row2, row6] = quarters(ab, cd, ef, gh);
    let [row1, row5, row3, row7] = quarters(ab1, cd1, ef1, gh1);
    [row0, row1, row2, row3, row4, row5, row6, row7]
}

/// The quarters 0, 2, 1 and 3 of four vectors.
#[inline]
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn quarters(ab: Lanes, cd: Lanes, ef: Lanes, gh: Lanes) -> [Lanes; 4] {
    const EVEN: i32 = 0b10_00_10_00;
    const ODD: i32 = 0b11_01_11_01;
    let (left, right) = (_mm512_shuffle_i64x2::<EVEN>(ab, cd), _mm512_shuffle_i64x2::<EVEN>(ef, gh));
    let (left1, right1) = (_mm512_shuffle_i64x2::<ODD>(ab, cd), _mm512_shuffle_i64x2::<ODD>(ef, gh));
    [
        _mm512_shuffle_i64x2::<EVEN>(left, right),
        _mm512_shuffle_i64x2::<ODD>(left, right),
        _mm512_shuffle_i64x2::<EVEN>(left1, right1),
        _mm512_shuffle_i64x2::<ODD>(left1, right1),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    vector_test! {
        fn a_table_is_turned() {
            let table: [[u64; 8]; 8] = std::array::from_fn(|i| std::array::from_fn(|j| (i * 8 + j) as u64));
            let turned = transpose([0, 1, 2, 3, 4, 5, 6, 7].map(|row: usize| Row(table[row]).load()));
            for (i, row) in turned.into_iter().enumerate() {
                assert_eq!(Row::store(row).0, std::array::from_fn(|j| (j * 8 + i) as u64));
            }
            assert_eq!(Row::store(splat(u64::MAX - 1)).0, [u64::MAX - 1; 8]);
        }
    }
}
