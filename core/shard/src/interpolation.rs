//! Shards as values of one polynomial: which sums of which shards give which others.
//!
//! Byte b of shard i is the value at the point i of the polynomial of degree below k that has byte b of the data
//! shards as its values at 0, 1, … k-1. So says the usual construction (a Vandermonde matrix times the inverse of its
//! upper square), and any k shards give any other by Lagrange's formula. No matrix is inverted, not even a small one:
//! for k shards of which w are wanted it takes k (k + 2 w) additions of logarithms.
use crate::field::{log_of, of_log};

/// The coefficients by which the shards at the points `sources` add up to those at the points `wanted`: for each
/// wanted point a row of as many bytes as there are sources.
///
/// All points differ. None of the coefficients is 0.
pub(crate) fn coefficients(sources: &[u8], wanted: &[u8]) -> Vec<u8> {
    // The logarithm of the product of the differences between a point and all sources but itself, which is left out.
    let differences = |point: u8| -> u32 { sources.iter().map(|source| log_of(point ^ source)).sum() };
    // A sum of 255 logarithms is below 65,025; what is taken away is added as its complement to 255.
    let denominators: Vec<u32> = sources.iter().map(|source| 255 - differences(*source) % 255).collect();
    let mut rows = Vec::with_capacity(sources.len() * wanted.len());
    for point in wanted {
        let numerator = differences(*point) + 255;
        let row = sources.iter().zip(&denominators);
        rows.extend(row.map(|(source, below)| of_log(numerator - log_of(point ^ source) + below)));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naive;

    fn points(range: std::ops::Range<usize>) -> Vec<u8> {
        range.map(|point| u8::try_from(point).unwrap()).collect()
    }

    #[test]
    fn parity_is_that_of_the_vandermonde_matrix() {
        for (k, m) in [(1, 1), (1, 255), (2, 2), (3, 4), (10, 4), (20, 10), (128, 128), (200, 56), (255, 1)] {
            let expected = naive::generator(k, m).split_off(k).concat();
            assert_eq!(coefficients(&points(0..k), &points(k..k + m)), expected, "{k}+{m}");
        }
    }

    #[test]
    fn lost_shards_are_those_of_the_inverted_matrix() {
        for (k, m) in [(1, 2), (2, 2), (4, 3), (5, 4), (10, 6)] {
            for step in 1..k {
                // Every step-th shard from the end stays.
                let mut sources = points(0..k + m);
                sources.rotate_left(step);
                let wanted = sources.split_off(k);
                let expected = naive::decoding_rows(k, m, &sources, &wanted).concat();
                assert_eq!(coefficients(&sources, &wanted), expected, "{k}+{m} from {sources:?}");
            }
        }
    }
}
