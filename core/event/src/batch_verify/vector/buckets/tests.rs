use super::super::decompress::decompress;
use super::super::model::points;
use super::*;
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use proptest::prelude::*;

/// Terms with factors of `bytes` bytes.
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn terms(width: Width, bytes: usize, list: &[(EdwardsPoint, [u8; 32])]) -> Terms {
    let mut terms = Terms::with_capacity(list.len(), width.groups(bytes));
    for eight in list.chunks(8) {
        let mut encodings = [EIGHT_TORSION[1].compress().0; 8];
        for (encoding, (point, factor)) in encodings.iter_mut().zip(eight) {
            *encoding = point.compress().0;
            width.split(&factor[..bytes], &mut terms.digits);
        }
        terms.points.push(decompress([&encodings; 2]).expect("points")[0]);
    }
    terms
}

/// What the terms are by doubling and adding.
fn expected(lists: [&[(EdwardsPoint, [u8; 32])]; 2]) -> EdwardsPoint {
    lists
        .into_iter()
        .flatten()
        .map(|(point, factor)| {
            factor.iter().rev().fold(EdwardsPoint::default(), |sum, byte| {
                (0..8).rev().fold(sum, |sum, bit| {
                    let doubled = sum + sum;
                    if byte >> bit & 1 == 1 { doubled + point } else { doubled }
                })
            })
        })
        .sum()
}

/// A factor of so many bytes with its highest bit clear, most often one that carries far.
fn factor(bytes: usize) -> impl Strategy<Value = [u8; 32]> {
    (0..8u8, prop::array::uniform32(any::<u8>())).prop_map(move |(kind, mut factor)| {
        match kind {
            0 => factor.fill(0),
            1 => factor.fill(0xff),
            2 => factor.fill(0x80),
            3 => factor.fill(0x7f),
            4 => factor.fill(0x88),
            5 => factor[1..].fill(0),
            _ => {}
        }
        factor[bytes..].fill(0);
        factor[bytes - 1] &= 0x7f;
        factor
    })
}

fn list(bytes: usize, count: usize) -> impl Strategy<Value = Vec<(EdwardsPoint, [u8; 32])>> {
    let point = (any::<u32>(), 0..8usize).prop_map(|(number, torsion)| {
        ED25519_BASEPOINT_POINT * Scalar::from(number % 40) + EIGHT_TORSION[torsion]
    });
    prop::collection::vec((point, factor(bytes)), 0..count)
}

vector_test! {
    fn sums_are_dalek_s() {
        proptest!(ProptestConfig::with_cases(48), |(short in list(16, 30), long in list(32, 30))| {
            for width in [Width::Four, Width::Eight] {
                let found = sum(width, [&terms(width, 16, &short), &terms(width, 32, &long)]);
                prop_assert_eq!(points(&found)[0], expected([&short, &long]));
            }
        });
    }

    /// One point again and again, so that buckets are written and read back at once.
    fn the_same_bucket_is_hit_in_a_row() {
        for byte in [0x01, 0x7f, 0x80, 0x81, 0x11, 0x88, 0xff] {
            let mut factor = [byte; 32];
            factor[31] &= 0x7f;
            let list: Vec<_> = (0..600).map(|_| (ED25519_BASEPOINT_POINT, factor)).collect();
            let total = expected([&list[..1], &[]]) * Scalar::from(600u32);
            for width in [Width::Four, Width::Eight] {
                let none = terms(width, 16, &[]);
                assert_eq!(points(&sum(width, [&none, &terms(width, 32, &list)]))[0], total);
            }
        }
    }
}
