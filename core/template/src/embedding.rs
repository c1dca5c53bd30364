use crate::Error;
use std::fmt;
use zeroize::ZeroizeOnDrop;

/// Most numbers of one vector.
pub const DIMENSION_MAX: usize = 4096;

/// A feature vector that a neural network made of a face, a voice, an iris: its direction is what counts.
///
/// 1 to [`DIMENSION_MAX`] finite numbers, not all zero. Wiped on drop, without `Clone`; `Debug` shows the dimension
/// only.
#[derive(PartialEq, ZeroizeOnDrop)]
pub struct Embedding {
    values: Vec<f32>,
    norm_squared: f64,
}

impl Embedding {
    /// Takes the numbers over without copying them. What is refused is wiped too.
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotFinite`], [`Error::ZeroVector`].
    pub fn take(values: Vec<f32>) -> Result<Self, Error> {
        let mut embedding = Self { values, norm_squared: 0.0 };
        embedding.check()?;
        embedding.norm_squared = dot(&embedding.values, &embedding.values);
        Ok(embedding)
    }

    fn check(&self) -> Result<(), Error> {
        if !(1..=DIMENSION_MAX).contains(&self.values.len()) {
            return Err(Error::Dimension(self.values.len()));
        }
        if let Some(at) = self.values.iter().position(|value| !value.is_finite()) {
            return Err(Error::NotFinite { at });
        }
        if self.values.iter().all(|value| *value == 0.0) {
            return Err(Error::ZeroVector);
        }
        Ok(())
    }

    /// How many numbers it has.
    pub fn dimension(&self) -> usize {
        self.values.len()
    }

    /// The numbers, as they were given. Never log, format or store what this gives unsealed.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Its length, squared: above zero and finite, because the square of the least `f32` and the sum of the squares
    /// of 4,096 of the greatest are ordinary `f64`.
    pub(crate) fn norm_squared(&self) -> f64 {
        self.norm_squared
    }

    /// The cosine of the angle between two vectors of one dimension, from -1 to 1. A vector with itself gives exactly
    /// 1, and the order of the two does not matter. The same bits on every machine: products of two `f32` are exact in
    /// `f64`, so neither the width of the registers nor fused multiplication changes a sum.
    pub(crate) fn cosine(&self, other: &Self) -> f64 {
        debug_assert_eq!(self.dimension(), other.dimension());
        let cosine = dot(&self.values, &other.values) / (self.norm_squared * other.norm_squared).sqrt();
        cosine.clamp(-1.0, 1.0)
    }
}

impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Embedding({} numbers)", self.values.len())
    }
}

const LANES: usize = 8;

/// Eight sums side by side, in an order that is part of the result and lets compilers use the widest registers.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0; LANES];
    let mut add = |a: &[f32], b: &[f32]| {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += f64::from(*a) * f64::from(*b);
        }
    };
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    a.iter().zip(b).for_each(|(a, b)| add(a, b));
    add(a_rest, b_rest);
    let [s0, s1, s2, s3, s4, s5, s6, s7] = sums;
    ((s0 + s4) + (s1 + s5)) + ((s2 + s6) + (s3 + s7))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn refused(values: Vec<f32>, expected: Error) {
        assert_eq!(Embedding::take(values), Err(expected));
    }

    #[test]
    fn only_vectors_with_a_direction_are_taken() {
        refused(vec![], Error::Dimension(0));
        refused(vec![1.0; 4097], Error::Dimension(4097));
        refused(vec![0.0, f32::NAN], Error::NotFinite { at: 1 });
        refused(vec![f32::INFINITY], Error::NotFinite { at: 0 });
        refused(vec![1.0, f32::NEG_INFINITY], Error::NotFinite { at: 1 });
        refused(vec![0.0, -0.0], Error::ZeroVector);
        assert!(Embedding::take(vec![f32::from_bits(1); 4096]).is_ok(), "the least of all numbers");
    }

    #[test]
    fn debug_shows_no_number() {
        assert_eq!(format!("{:?}", Embedding::take(vec![0.25; 3]).unwrap()), "Embedding(3 numbers)");
    }

    #[track_caller]
    fn cosine(a: &[f32], b: &[f32], expected: f64) {
        let [a, b] = [a, b].map(|values| Embedding::take(values.to_vec()).unwrap());
        assert!((a.cosine(&b) - expected).abs() < 1e-15, "{}", a.cosine(&b));
    }

    #[test]
    fn known_angles() {
        cosine(&[1.0, 0.0], &[0.0, 3.0], 0.0);
        cosine(&[1.0, 0.0], &[-7.0, 0.0], -1.0);
        cosine(&[1.0, 1.0], &[0.0, 3.0], 0.5f64.sqrt());
        cosine(&[f32::MAX; 9], &[f32::MIN_POSITIVE; 9], 1.0);
        cosine(&[f32::MAX; 4096], &[f32::from_bits(1); 4096], 1.0);
    }

    proptest! {
        #[test]
        fn the_cosine_is_that_of_a_plain_sum(a in prop::collection::vec(-1e3f32..1e3, 1..100), seed in prop::collection::vec(-1e3f32..1e3, 100)) {
            let b = seed[..a.len()].to_vec();
            let plain = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            let expected = plain(&a, &b) / (plain(&a, &a).sqrt() * plain(&b, &b).sqrt());
            let (Ok(a), Ok(b)) = (Embedding::take(a), Embedding::take(b)) else { return Ok(()) };
            prop_assert!((a.cosine(&b) - expected).abs() < 1e-12);
            prop_assert_eq!(a.cosine(&b).to_bits(), b.cosine(&a).to_bits());
            prop_assert_eq!(a.cosine(&a), 1.0);
        }
    }
}
