use super::super::model::points;
use super::super::point::Point8;
use super::*;
use curve25519_dalek::constants::{ED25519_BASEPOINT_COMPRESSED, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use proptest::prelude::*;

/// Reads one encoding in the given lane among fifteen others that are points.
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn read(encoding: [u8; 32], at: usize) -> Option<EdwardsPoint> {
    let mut encodings = [[ED25519_BASEPOINT_COMPRESSED.0; 8]; 2];
    encodings[at / 8][at % 8] = encoding;
    let read = decompress([&encodings[0], &encodings[1]])?;
    let mut sum = Point8::identity();
    sum = sum.add_summand(&read[at / 8], at % 8, 0);
    Some(points(&sum)[0])
}

/// The same verdict and the same point as curve25519-dalek's, which is what ed25519-zebra asks.
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn agree(encoding: [u8; 32], at: usize) -> bool {
    let point = read(encoding, at);
    assert_eq!(point, CompressedEdwardsY(encoding).decompress(), "{encoding:02x?} in lane {at}");
    point.is_some()
}

/// y and the sign of x as an encoding.
fn encoding(y: [u8; 32], sign: u8) -> [u8; 32] {
    let mut encoding = y;
    encoding[31] |= sign << 7;
    encoding
}

vector_test! {
    fn every_encoding_reads_as_with_dalek() {
        proptest!(|(encoding in prop::array::uniform32(any::<u8>()), at in 0..16usize)| { agree(encoding, at); });
    }

    /// y from p to 2^255 - 1, as far below p, and from 0 on, with both signs: all that is not canonical is among them.
    fn edges_read_as_with_dalek() {
        let mut accepted = 0;
        for number in 0..=60u8 {
            let mut small = [0; 32];
            small[0] = number;
            let mut large = [0xff; 32];
            (large[0], large[31]) = (0xff - number, 0x7f);
            for sign in [0, 1] {
                accepted += usize::from(agree(encoding(small, sign), usize::from(number % 16)));
                accepted += usize::from(agree(encoding(large, sign), usize::from(number % 16)));
            }
        }
        assert!((60..180).contains(&accepted), "about half of them are points: {accepted}");
    }

    /// x = 0 at y = 1 and y = -1; RFC 8032 refuses the second sign.
    fn zero_may_have_either_sign() {
        let mut one = [0; 32];
        one[0] = 1;
        let mut minus_one = [0xff; 32];
        (minus_one[0], minus_one[31]) = (0xec, 0x7f);
        for y in [one, minus_one] {
            assert!(agree(encoding(y, 0), 3) && agree(encoding(y, 1), 11));
        }
    }

    fn small_orders_are_read() {
        for point in EIGHT_TORSION {
            for at in 0..16 {
                assert!(agree(point.compress().0, at));
            }
        }
    }

    fn sixteen_different_points_keep_their_places() {
        let base = curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
        let mut next = base;
        let expected: [[EdwardsPoint; 8]; 2] = std::array::from_fn(|_| std::array::from_fn(|_| { next += base; -next }));
        let encodings = expected.map(|eight| eight.map(|point| point.compress().0));
        let read = decompress([&encodings[0], &encodings[1]]).expect("points");
        for (read, expected) in read.iter().zip(expected) {
            for (lane, expected) in expected.into_iter().enumerate() {
                assert_eq!(points(&Point8::identity().add_summand(read, lane, 0)), [expected; 8]);
            }
        }
    }
}
