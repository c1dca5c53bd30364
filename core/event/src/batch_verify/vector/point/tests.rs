use super::super::decompress::decompress;
use super::super::model::points;
use super::*;
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use proptest::prelude::*;

/// Eight points as summands.
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn summands(points: &[EdwardsPoint; 8]) -> Summands8 {
    let encodings = points.map(|point| point.compress().0);
    decompress([&encodings; 2]).expect("points")[0]
}

/// Eight points as a sum of nothing and each; Z is not 1.
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn extended(points: &[EdwardsPoint; 8]) -> Point8 {
    let summands = summands(points);
    let load = |rows: &[Row; 5]| Field8([0, 1, 2, 3, 4].map(|at: usize| rows[at].load()));
    let (minus, plus) = (load(&summands.minus), load(&summands.plus));
    let (x2, y2) = (plus.sub(&minus), plus.add(&minus));
    // T = 2x 2y / 2 with Z = 2.
    let half = Field8::splat([(1 << 51) - 9, (1 << 51) - 1, (1 << 51) - 1, (1 << 51) - 1, (1 << 50) - 1]);
    Point8 {
        minus: y2.sub(&x2),
        plus: y2.add(&x2),
        z: Field8::small(2),
        t: x2.mul(&y2).carry().mul(&half).carry(),
    }
}

/// Any point of the curve, those of small order and those with a part of small order among them.
fn point() -> impl Strategy<Value = EdwardsPoint> {
    (0..4u8, any::<u64>(), 0..8usize).prop_map(|(kind, factor, torsion)| match kind {
        0 => EIGHT_TORSION[torsion],
        1 => ED25519_BASEPOINT_POINT * Scalar::from(factor % 3),
        _ => ED25519_BASEPOINT_POINT * Scalar::from(factor) + EIGHT_TORSION[torsion],
    })
}

fn eight() -> impl Strategy<Value = [EdwardsPoint; 8]> {
    prop::array::uniform8(point())
}

vector_test! {
    fn sums_are_dalek_s() {
        proptest!(ProptestConfig::with_cases(40), |(left in eight(), right in eight(), lane in 0..8usize, negative in any::<u8>())| {
            let (a, b) = (extended(&left), extended(&right));
            prop_assert_eq!(points(&a), left);
            prop_assert_eq!(points(&a.add(&b)), std::array::from_fn(|at| left[at] + right[at]));
            prop_assert_eq!(points(&a.double()), left.map(|point| point + point));
            prop_assert_eq!(points(&a.add(&a)), left.map(|point| point + point));
            let sum = points(&a.add_summand(&summands(&right), lane, negative));
            for at in 0..8 {
                let summand = if negative >> at & 1 == 1 { -right[lane] } else { right[lane] };
                prop_assert_eq!(sum[at], left[at] + summand);
            }
            prop_assert_eq!(points(&a.rotate(2))[..6].to_vec(), left[2..].to_vec());
        });
    }

    /// Where incomplete formulas fail: equal, opposite and neutral points, and every pair of small order.
    fn the_formulas_are_complete() {
        let torsion = extended(&EIGHT_TORSION);
        for summand in EIGHT_TORSION {
            for base in [EdwardsPoint::default(), ED25519_BASEPOINT_POINT] {
                let left = EIGHT_TORSION.map(|point| point + base);
                let right = [summand + base; 8];
                let (a, b) = (extended(&left), extended(&right));
                let plus = left.map(|point| point + right[0]);
                let minus = left.map(|point| point - right[0]);
                assert_eq!(points(&a.add(&b)), plus);
                assert_eq!(points(&a.add_summand(&summands(&right), 0, 0)), plus);
                assert_eq!(points(&a.add_summand(&summands(&right), 7, 0xff)), minus);
                assert_eq!(points(&torsion.add(&b)), EIGHT_TORSION.map(|point| point + right[0]));
            }
        }
    }

    fn only_small_orders_are_found_small() {
        assert_eq!(extended(&EIGHT_TORSION).small_orders(), 0xff);
        assert_eq!(extended(&EIGHT_TORSION.map(|point| point + ED25519_BASEPOINT_POINT)).small_orders(), 0);
        let mut mixed = EIGHT_TORSION;
        mixed[3] += ED25519_BASEPOINT_POINT;
        mixed[6] = ED25519_BASEPOINT_POINT * Scalar::from(2u8);
        assert_eq!(extended(&mixed).small_orders(), 0b1011_0111);
    }

    /// What a broken computation may end with. Each looks like x = 0, y = 1 to a careless check.
    fn what_is_no_point_is_not_found_small() {
        let (zero, one) = (Field8::small(0), Field8::small(1));
        let good = Point8::identity();
        assert_eq!(good.small_orders(), 0xff);
        assert_eq!(Point8 { minus: zero, plus: zero, z: zero, t: zero }.small_orders(), 0);
        assert_eq!(Point8 { z: zero, ..good }.small_orders(), 0);
        assert_eq!(Point8 { t: one, ..good }.small_orders(), 0);
        assert_eq!(Point8 { z: Field8::small(2), ..good }.small_orders(), 0);
        assert_eq!(Point8 { minus: zero, plus: zero, ..good }.small_orders(), 0);
    }
}
