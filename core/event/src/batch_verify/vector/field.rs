//! Eight numbers modulo p = 2^255 - 19 side by side, in five limbs of 51 bits.
use super::lanes::{Lanes, Row, splat};
use core::arch::x86_64::*;

const MASK: u64 = (1 << 51) - 1;
/// The limbs of p.
const P: [u64; 5] = [MASK - 18, MASK, MASK, MASK, MASK];

/// Eight field elements. Each limb is below 2^52, which is what the multiplier reads of it; the value is any
/// representative below 2^256.
#[derive(Clone, Copy)]
pub(super) struct Field8(pub(super) [Lanes; 5]);

/// Eight field elements whose limbs are not carried yet: sums of products.
///
/// A product's limbs stay below 2^60.1, so a sum or a difference of two products stays below 2^62.
#[derive(Clone, Copy)]
pub(super) struct Wide8([Lanes; 5]);

impl Field8 {
    /// The same element in all lanes; its limbs are below 2^52.
    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn splat(limbs: [u64; 5]) -> Self {
        Self([splat(limbs[0]), splat(limbs[1]), splat(limbs[2]), splat(limbs[3]), splat(limbs[4])])
    }

    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn small(number: u64) -> Self {
        Self::splat([number, 0, 0, 0, 0])
    }

    /// Little-endian numbers of 255 bits; the highest bit of each is left out. Numbers from p on are taken modulo p.
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn from_bytes(encodings: &[[u8; 32]; 8]) -> Self {
        let mut words = [Row::ZERO; 4];
        for (lane, encoding) in encodings.iter().enumerate() {
            for (word, bytes) in words.iter_mut().zip(encoding.as_chunks::<8>().0) {
                word.0[lane] = u64::from_le_bytes(*bytes);
            }
        }
        let [a, b, c, d] = [words[0].load(), words[1].load(), words[2].load(), words[3].load()];
        let mask = splat(MASK);
        let limb = |low, high| _mm512_and_si512(_mm512_or_si512(low, high), mask);
        Self([
            _mm512_and_si512(a, mask),
            limb(_mm512_srli_epi64::<51>(a), _mm512_slli_epi64::<13>(b)),
            limb(_mm512_srli_epi64::<38>(b), _mm512_slli_epi64::<26>(c)),
            limb(_mm512_srli_epi64::<25>(c), _mm512_slli_epi64::<39>(d)),
            _mm512_and_si512(_mm512_srli_epi64::<12>(d), mask),
        ])
    }

    /// The limbs in memory.
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn store(&self) -> [Row; 5] {
        let [a, b, c, d, e] = self.0;
        [Row::store(a), Row::store(b), Row::store(c), Row::store(d), Row::store(e)]
    }

    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn wide(&self) -> Wide8 {
        Wide8(self.0)
    }

    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn add(&self, other: &Self) -> Self {
        self.wide().add(&other.wide()).carry()
    }

    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn sub(&self, other: &Self) -> Self {
        self.wide().sub(&other.wide()).carry()
    }

    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn mul(&self, other: &Self) -> Wide8 {
        self.debug_check();
        other.debug_check();
        let (a, b) = (&self.0, &other.0);
        let mut columns = [_mm512_setzero_si512(); 10];
        // The multiplier splits a product at 2^52, the limbs are 2^51 apart: a high half counts twice in the next
        // column.
        for i in 0..5 {
            for j in 0..5 {
                columns[i + j + 1] = _mm512_madd52hi_epu64(columns[i + j + 1], a[i], b[j]);
            }
        }
        for column in &mut columns[1..] {
            *column = _mm512_add_epi64(*column, *column);
        }
        for i in 0..5 {
            for j in 0..5 {
                columns[i + j] = _mm512_madd52lo_epu64(columns[i + j], a[i], b[j]);
            }
        }
        Wide8::fold(columns)
    }

    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn square(&self) -> Wide8 {
        self.debug_check();
        let a = &self.0;
        let mut columns = [_mm512_setzero_si512(); 10];
        // What counts four times, twice and once, with a doubling between: as in `mul`, a high half counts twice, and
        // so does a product of two different limbs.
        for i in 0..5 {
            for j in i + 1..5 {
                columns[i + j + 1] = _mm512_madd52hi_epu64(columns[i + j + 1], a[i], a[j]);
            }
        }
        for column in &mut columns[2..9] {
            *column = _mm512_add_epi64(*column, *column);
        }
        for i in 0..5 {
            columns[i + i + 1] = _mm512_madd52hi_epu64(columns[i + i + 1], a[i], a[i]);
            for j in i + 1..5 {
                columns[i + j] = _mm512_madd52lo_epu64(columns[i + j], a[i], a[j]);
            }
        }
        for column in &mut columns[1..] {
            *column = _mm512_add_epi64(*column, *column);
        }
        for i in 0..5 {
            columns[i + i] = _mm512_madd52lo_epu64(columns[i + i], a[i], a[i]);
        }
        Wide8::fold(columns)
    }

    /// In a build with debug assertions: the multiplier reads all there is of each limb.
    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    fn debug_check(&self) {
        for limb in self.0 {
            debug_assert_eq!(_mm512_cmpgt_epu64_mask(limb, splat((1 << 52) - 1)), 0, "a limb is below 2^52");
        }
    }

    /// The number below p itself.
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn canonical(&self) -> Self {
        let mask = splat(MASK);
        let mut limbs = self.wide().carry().0;
        // One of the limbs may still be above 51 bits by a little, so the value is below 2p: it is p or more exactly if
        // adding 19 reaches 2^255.
        let mut carry = splat(19);
        for limb in &limbs {
            carry = _mm512_srli_epi64::<51>(_mm512_add_epi64(*limb, carry));
        }
        carry = _mm512_mullo_epi64(carry, splat(19));
        for limb in &mut limbs {
            let sum = _mm512_add_epi64(*limb, carry);
            *limb = _mm512_and_si512(sum, mask);
            carry = _mm512_srli_epi64::<51>(sum);
        }
        Self(limbs)
    }

    /// The lanes that are zero modulo p.
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn zeros(&self) -> __mmask8 {
        let [a, b, c, d, e] = self.canonical().0;
        let any = _mm512_or_si512(_mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d)), e);
        _mm512_testn_epi64_mask(any, any)
    }

    /// The lanes whose number below p is odd.
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn odds(&self) -> __mmask8 {
        _mm512_test_epi64_mask(self.canonical().0[0], splat(1))
    }

    /// Each lane takes the place of the one `distance` below it, the first ones go to the end.
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn rotate(&self, distance: usize) -> Self {
        let mut rows = self.store();
        for row in &mut rows {
            row.0.rotate_left(distance);
        }
        Self([rows[0].load(), rows[1].load(), rows[2].load(), rows[3].load(), rows[4].load()])
    }

    /// `other` in the lanes of `mask`.
    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn select(&self, mask: __mmask8, other: &Self) -> Self {
        let (a, b) = (&self.0, &other.0);
        Self([
            _mm512_mask_blend_epi64(mask, a[0], b[0]),
            _mm512_mask_blend_epi64(mask, a[1], b[1]),
            _mm512_mask_blend_epi64(mask, a[2], b[2]),
            _mm512_mask_blend_epi64(mask, a[3], b[3]),
            _mm512_mask_blend_epi64(mask, a[4], b[4]),
        ])
    }
}

impl Wide8 {
    /// Ten columns, of which the higher five count 2^255 = 19 times in the lower ones.
    ///
    /// Of operands below 2^52, column `k` holds at most five low halves and five doubled high halves, each half below
    /// 2^52: the first one, the largest after folding, 1 + 19 * 14 of them, which is below 2^60.1.
    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    fn fold(columns: [Lanes; 10]) -> Self {
        let nineteen = splat(19);
        let mut limbs = [_mm512_setzero_si512(); 5];
        for k in 0..5 {
            limbs[k] = _mm512_add_epi64(columns[k], _mm512_mullo_epi64(columns[k + 5], nineteen));
        }
        Self(limbs)
    }

    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn add(&self, other: &Self) -> Self {
        let mut limbs = self.0;
        for (limb, other) in limbs.iter_mut().zip(&other.0) {
            *limb = _mm512_add_epi64(*limb, *other);
        }
        Self(limbs)
    }

    /// The difference; `other` is at most a product, so that 2^10 p keeps every limb from going below zero.
    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn sub(&self, other: &Self) -> Self {
        let mut limbs = self.0;
        for k in 0..5 {
            debug_assert_eq!(_mm512_cmpgt_epu64_mask(other.0[k], splat(P[k] << 10)), 0, "at most a product");
            let above = _mm512_add_epi64(limbs[k], splat(P[k] << 10));
            limbs[k] = _mm512_sub_epi64(above, other.0[k]);
        }
        Self(limbs)
    }

    /// Carries each limb into the next one, once. Whatever the limbs were, they are below 2^51 + 2^18 then.
    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn carry(&self) -> Field8 {
        let mask = splat(MASK);
        let [a, b, c, d, e] = self.0;
        let low = |limb| _mm512_and_si512(limb, mask);
        let up = |limb| _mm512_srli_epi64::<51>(limb);
        Field8([
            _mm512_madd52lo_epu64(low(a), up(e), splat(19)),
            _mm512_add_epi64(low(b), up(a)),
            _mm512_add_epi64(low(c), up(b)),
            _mm512_add_epi64(low(d), up(c)),
            _mm512_add_epi64(low(e), up(d)),
        ])
    }
}

#[cfg(test)]
mod tests;
