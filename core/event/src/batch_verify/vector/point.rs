//! Eight points of the curve -x^2 + y^2 = 1 + d x^2 y^2 side by side.
use super::field::Field8;
use super::lanes::Row;
use core::arch::x86_64::*;

/// d = -121665/121666.
pub(super) const D: [u64; 5] = [
    929_955_233_495_203,
    466_365_720_129_213,
    1_662_059_464_998_953,
    2_033_849_074_728_123,
    1_442_794_654_840_575,
];
/// 2d.
pub(super) const D2: [u64; 5] = [
    1_859_910_466_990_425,
    932_731_440_258_426,
    1_072_319_116_312_658,
    1_815_898_335_770_999,
    633_789_495_995_903,
];

/// Eight points in extended coordinates (Hisil, Wong, Carter, Dawson 2008), x = X/Z, y = Y/Z, xy = T/Z, with X and Y kept as
/// what the addition wants of them.
#[derive(Clone, Copy)]
pub(super) struct Point8 {
    /// Y - X.
    pub(super) minus: Field8,
    /// Y + X.
    pub(super) plus: Field8,
    pub(super) z: Field8,
    pub(super) t: Field8,
}

/// Eight points as summands: x and y themselves, in five limbs of 51 bits each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Summands8 {
    /// y - x.
    pub(super) minus: [Row; 5],
    /// y + x.
    pub(super) plus: [Row; 5],
    /// 2dxy.
    pub(super) t2d: [Row; 5],
}

impl Point8 {
    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn identity() -> Self {
        let (zero, one) = (Field8::small(0), Field8::small(1));
        Self { minus: one, plus: one, z: one, t: zero }
    }

    /// The sum. The formulas are complete: they hold for every pair of points, equal ones and those of small order too.
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn add(&self, other: &Self) -> Self {
        let a = self.minus.mul(&other.minus);
        let b = self.plus.mul(&other.plus);
        let c = self.t.mul(&other.t).carry().mul(&Field8::splat(D2));
        let zz = self.z.mul(&other.z);
        let d = zz.add(&zz);
        Self::from_completed(&b.sub(&a).carry(), &d.sub(&c).carry(), &d.add(&c).carry(), &b.add(&a).carry())
    }

    /// Adds one point to all lanes, negated in the lanes of `negative`.
    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn add_summand(&self, summands: &Summands8, lane: usize, negative: __mmask8) -> Self {
        let (minus, plus) = (broadcast(&summands.minus, lane), broadcast(&summands.plus, lane));
        let t2d = broadcast(&summands.t2d, lane);
        // -(x, y) = (-x, y): y - x and y + x change places, and so do the two sums with 2dxy.
        let a = self.minus.mul(&minus.select(negative, &plus));
        let b = self.plus.mul(&plus.select(negative, &minus));
        let c = self.t.mul(&t2d);
        let d = self.z.wide().add(&self.z.wide());
        let (f, g) = (d.sub(&c).carry(), d.add(&c).carry());
        Self::from_completed(
            &b.sub(&a).carry(),
            &f.select(negative, &g),
            &g.select(negative, &f),
            &b.add(&a).carry(),
        )
    }

    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn double(&self) -> Self {
        // With p = Y + X and m = Y - X: 4XY = p^2 - m^2, 2(Y^2 + X^2) = p^2 + m^2, Y^2 - X^2 = pm. All four factors of
        // "dbl-2008-hwcd" are taken twice, two of them negated: all four products by the same, which is the same point.
        let pp = self.plus.square();
        let mm = self.minus.square();
        let pm = self.plus.mul(&self.minus).carry().wide();
        let zz = self.z.square().carry().wide();
        let (g, zz2) = (pm.add(&pm), zz.add(&zz));
        let e = pp.sub(&mm).carry();
        let f = zz2.add(&zz2).sub(&g).carry();
        Self::from_completed(&e, &f, &g.carry(), &pp.add(&mm).carry())
    }

    /// Each lane takes the place of the one `distance` below it.
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn rotate(&self, distance: usize) -> Self {
        Self {
            minus: self.minus.rotate(distance),
            plus: self.plus.rotate(distance),
            z: self.z.rotate(distance),
            t: self.t.rotate(distance),
        }
    }

    /// The lanes whose points have an order that divides eight; none that is not on the curve is among them.
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    pub(super) fn small_orders(&self) -> __mmask8 {
        let eightfold = self.double().double().double();
        let (x2, y2) = (eightfold.plus.sub(&eightfold.minus), eightfold.plus.add(&eightfold.minus));
        let z2 = eightfold.z.add(&eightfold.z);
        x2.zeros() & y2.sub(&z2).zeros() & !z2.zeros() & self.on_curve()
    }

    /// The lanes for which Y^2 - X^2 = Z^2 + d T^2, XY = ZT and Z is not zero.
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    fn on_curve(&self) -> __mmask8 {
        // Twice X and twice Y, so the other coordinates are doubled as well.
        let (x, y) = (self.plus.sub(&self.minus), self.plus.add(&self.minus));
        let (z, t) = (self.z.add(&self.z), self.t.add(&self.t));
        let difference = self.plus.mul(&self.minus).carry();
        let four = Field8::small(4);
        let left = difference.mul(&four).carry();
        let dtt = t.square().carry().mul(&Field8::splat(D)).carry();
        let right = z.square().carry().add(&dtt);
        let (xy, zt) = (x.mul(&y).carry(), z.mul(&t).carry());
        left.sub(&right).zeros() & xy.sub(&zt).zeros() & !z.zeros()
    }

    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    fn from_completed(e: &Field8, f: &Field8, g: &Field8, h: &Field8) -> Self {
        let (x, y) = (e.mul(f), g.mul(h));
        Self { minus: y.sub(&x).carry(), plus: y.add(&x).carry(), z: f.mul(g).carry(), t: e.mul(h).carry() }
    }
}

/// One lane's element in all lanes.
#[inline]
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn broadcast(limbs: &[Row; 5], lane: usize) -> Field8 {
    let [a, b, c, d, e] = limbs;
    Field8::splat([a.0[lane], b.0[lane], c.0[lane], d.0[lane], e.0[lane]])
}

impl Summands8 {
    pub(super) const ZERO: Self = Self { minus: [Row::ZERO; 5], plus: [Row::ZERO; 5], t2d: [Row::ZERO; 5] };
}

#[cfg(test)]
mod tests;
