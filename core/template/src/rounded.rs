use crate::Embedding;
use zeroize::Zeroizing;

/// A vector of length one, rounded to small integers: `scale` times them is what stands for it.
pub(crate) struct Rounded {
    /// Whole numbers, none greater than the limit.
    pub(crate) numbers: Zeroizing<Vec<i16>>,
    /// What one of them is worth.
    pub(crate) scale: f32,
    /// How far (Euclidean) what stands for the vector is from it, measured and not estimated.
    pub(crate) error: f64,
}

impl Rounded {
    /// Rounds so that the greatest number becomes `limit`.
    pub(crate) fn new(embedding: &Embedding, limit: i16) -> Self {
        let norm = embedding.norm_squared().sqrt();
        let unit = || embedding.values().iter().map(|value| f64::from(*value) / norm);
        let limit = f64::from(limit);
        let greatest = unit().fold(0.0, |greatest: f64, number| greatest.max(number.abs()));
        #[allow(
            clippy::cast_possible_truncation,
            reason = "any scale will do: the error is measured with this one"
        )]
        let scale = (greatest / limit) as f32;
        let worth = f64::from(scale);
        #[allow(clippy::cast_possible_truncation, reason = "whole, and no greater than an i16")]
        let round = |number: f64| (number / worth).round().clamp(-limit, limit) as i16;
        let numbers: Zeroizing<Vec<i16>> = Zeroizing::new(unit().map(round).collect());
        let apart = unit().zip(numbers.iter()).map(|(unit, number)| unit - worth * f64::from(*number));
        Self { error: apart.map(|apart| apart * apart).sum::<f64>().sqrt(), scale, numbers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_error_is_the_distance(values in prop::collection::vec(-1e3f32..1e3, 1..300), wide: bool) {
            let Ok(embedding) = Embedding::take(values) else { return Ok(()) };
            let limit = if wide { i16::MAX } else { 127 };
            let rounded = Rounded::new(&embedding, limit);
            prop_assert_eq!(rounded.numbers.iter().map(|number| number.abs()).max(), Some(limit));
            // Half a step each at most.
            let bound = f64::from(rounded.scale) / 2.0 * (embedding.dimension() as f64).sqrt();
            prop_assert!(rounded.error <= bound * 1.0001, "{} {bound}", rounded.error);
        }
    }

    #[test]
    fn extremes_are_rounded() {
        for values in [
            vec![f32::MAX; 4096],
            vec![f32::from_bits(1); 4096],
            vec![f32::MAX, f32::from_bits(1)],
            vec![-1.0],
        ] {
            let rounded = Rounded::new(&Embedding::take(values).unwrap(), 127);
            assert_eq!(rounded.numbers[0].abs(), 127);
            assert!(rounded.error < 1e-6, "{}", rounded.error);
        }
    }
}
