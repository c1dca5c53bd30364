//! Points from their encodings, sixteen at a time.
use super::field::Field8;
use super::point::{D, D2, Summands8};
use core::arch::x86_64::*;

/// A square root of -1: 2^((p - 1) / 4).
const SQRT_M1: [u64; 5] = [
    1_718_705_420_411_056,
    234_908_883_556_509,
    2_233_514_472_574_048,
    2_117_202_627_021_982,
    765_476_049_583_133,
];

/// Two times eight: as many as keep the multiplier busy while each waits for its last product.
type Pair = [Field8; 2];

/// Reads twice eight points under the rules of ZIP-215, or `None` if one of them is no point of the curve.
///
/// y may be p or more, and the sign of x = 0 may be either: RFC 8032 refuses those, ZIP-215 does not.
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
pub(super) fn decompress(encodings: [&[[u8; 32]; 8]; 2]) -> Option<[Summands8; 2]> {
    let one = Field8::small(1);
    let d = Field8::splat(D);
    let y = [Field8::from_bytes(encodings[0]), Field8::from_bytes(encodings[1])];
    let yy = square(&y);
    // x^2 = u / v.
    let u = [yy[0].sub(&one), yy[1].sub(&one)];
    let v = mul(&yy, &[d, d]);
    let v = [v[0].add(&one), v[1].add(&one)];
    let v3 = mul(&square(&v), &v);
    let v7 = mul(&square(&v3), &v);
    let x = mul(&mul(&u, &v3), &power_p58(&mul(&u, &v7)));
    let vxx = mul(&square(&x), &v);
    let mut points = [Summands8::ZERO; 2];
    for at in 0..2 {
        points[at] = finish(&x[at], &y[at], &u[at], &vxx[at], signs(encodings[at]))?;
    }
    Some(points)
}

/// The highest bit of each encoding.
fn signs(encodings: &[[u8; 32]; 8]) -> u8 {
    encodings.iter().enumerate().fold(0, |signs, (lane, encoding)| signs | (encoding[31] >> 7) << lane)
}

/// Settles which root x is: v x^2 is u, or -u and then x is to be multiplied by a root of -1, or there is none.
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn finish(x: &Field8, y: &Field8, u: &Field8, vxx: &Field8, signs: __mmask8) -> Option<Summands8> {
    let right = vxx.sub(u).zeros();
    let turned = vxx.add(u).zeros();
    if right | turned != 0xff {
        return None;
    }
    let x = x.select(!right, &x.mul(&Field8::splat(SQRT_M1)).carry());
    let x = x.select(x.odds() ^ signs, &Field8::small(0).sub(&x));
    Some(Summands8 {
        minus: y.sub(&x).store(),
        plus: y.add(&x).store(),
        t2d: x.mul(y).carry().mul(&Field8::splat(D2)).carry().store(),
    })
}

/// To the power of (p - 5) / 8 = 2^252 - 3.
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn power_p58(x: &Pair) -> Pair {
    // `ones_n` is x to the power of 2^n - 1: n ones in binary.
    let ones_2 = mul(&square(x), x);
    let ones_4 = mul(&squares(&ones_2, 2), &ones_2);
    let ones_5 = mul(&square(&ones_4), x);
    let ones_10 = mul(&squares(&ones_5, 5), &ones_5);
    let ones_20 = mul(&squares(&ones_10, 10), &ones_10);
    let ones_40 = mul(&squares(&ones_20, 20), &ones_20);
    let ones_50 = mul(&squares(&ones_40, 10), &ones_10);
    let ones_100 = mul(&squares(&ones_50, 50), &ones_50);
    let ones_200 = mul(&squares(&ones_100, 100), &ones_100);
    let ones_250 = mul(&squares(&ones_200, 50), &ones_50);
    mul(&squares(&ones_250, 2), x)
}

#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn squares(x: &Pair, count: usize) -> Pair {
    let [mut a, mut b] = *x;
    for _ in 0..count {
        a = a.square().carry();
        b = b.square().carry();
    }
    [a, b]
}

#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn square(x: &Pair) -> Pair {
    squares(x, 1)
}

#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn mul(x: &Pair, y: &Pair) -> Pair {
    [x[0].mul(&y[0]).carry(), x[1].mul(&y[1]).carry()]
}

#[cfg(test)]
mod tests;
