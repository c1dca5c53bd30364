//! Sums of points times numbers, by buckets (Pippenger 1976; Bernstein, Doumen, Lange, Oosterwijk 2012).
//!
//! Eight digits of a number are taken together: each lane has its own digit and so its own buckets, and all lanes add the
//! same point.
use super::digits::{Digits, Width};
use super::field::Field8;
use super::lanes::{Lanes, Row, transpose};
use super::point::{Point8, Summands8};
use core::arch::x86_64::*;

/// Points and what each is taken times.
pub(super) struct Terms {
    /// The points, eight in each.
    pub(super) points: Vec<Summands8>,
    /// The digits of each point's factor, `groups` for each.
    pub(super) digits: Vec<Digits>,
    /// Eight digits each.
    pub(super) groups: usize,
}

impl Terms {
    /// None yet, and room for `count`.
    pub(super) fn with_capacity(count: usize, groups: usize) -> Self {
        let points = Vec::with_capacity(count.div_ceil(8));
        Self { points, digits: Vec::with_capacity(count * groups), groups }
    }
}

/// The sum over all terms, in the first lane.
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
pub(super) fn sum(width: Width, lists: [&Terms; 2]) -> Point8 {
    let mut buckets = Buckets::new(width.size_max());
    let mut sum = Point8::identity();
    let groups = lists[0].groups.max(lists[1].groups);
    for group in (0..groups).rev() {
        buckets.clear();
        for terms in lists.iter().filter(|terms| group < terms.groups) {
            for (at, digits) in terms.digits.chunks_exact(terms.groups).enumerate() {
                buckets.add(&digits[group], &terms.points[at / 8], at % 8);
            }
        }
        if group + 1 < groups {
            // What is summed so far stands eight digits above this group.
            for _ in 0..8 * width.bits() {
                sum = sum.double();
            }
        }
        sum = sum.add(&buckets.total());
    }
    // Now each lane counts `bits` bits more than the one before: lanes are added in pairs, fours, eights.
    for distance in [1, 2, 4] {
        let mut above = sum.rotate(distance);
        for _ in 0..distance * width.bits() {
            above = above.double();
        }
        sum = sum.add(&above);
    }
    sum
}

/// The buckets of eight lanes.
struct Buckets {
    /// A lane's buckets stand together; the first of them takes what has the digit 0.
    buckets: Vec<Bucket>,
    /// How many there are in a lane.
    count: usize,
}

/// One lane of a [`Point8`]: 20 limbs and four words that are not used.
#[derive(Clone, Copy)]
struct Bucket([Row; 3]);

impl Bucket {
    /// x = 0, y = 1.
    const IDENTITY: Self = Self([Row([1, 0, 0, 0, 0, 1, 0, 0]), Row([0, 0, 1, 0, 0, 0, 0, 0]), Row::ZERO]);
}

impl Buckets {
    fn new(size_max: usize) -> Self {
        let count = size_max + 1;
        Self { buckets: vec![Bucket::IDENTITY; 8 * count], count }
    }

    fn clear(&mut self) {
        self.buckets.fill(Bucket::IDENTITY);
    }

    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    fn add(&mut self, digits: &Digits, summands: &Summands8, lane: usize) {
        let mut at = [0; 8];
        for (lane, (at, size)) in at.iter_mut().zip(digits.sizes).enumerate() {
            *at = lane * self.count + usize::from(size);
        }
        let point = self.load(at).add_summand(summands, lane, digits.negative);
        self.store(at, &point);
    }

    /// The sum of all buckets, each times its digit.
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    fn total(&self) -> Point8 {
        let (mut from_here, mut total) = (Point8::identity(), Point8::identity());
        for size in (1..self.count).rev() {
            let mut at = [0; 8];
            for (lane, at) in at.iter_mut().enumerate() {
                *at = lane * self.count + size;
            }
            from_here = from_here.add(&self.load(at));
            total = total.add(&from_here);
        }
        total
    }

    /// One bucket of each lane.
    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    fn load(&self, at: [usize; 8]) -> Point8 {
        let rows = [
            &self.buckets[at[0]],
            &self.buckets[at[1]],
            &self.buckets[at[2]],
            &self.buckets[at[3]],
            &self.buckets[at[4]],
            &self.buckets[at[5]],
            &self.buckets[at[6]],
            &self.buckets[at[7]],
        ];
        let [m0, m1, m2, m3, m4, p0, p1, p2] = transpose(part(rows, 0));
        let [p3, p4, z0, z1, z2, z3, z4, t0] = transpose(part(rows, 1));
        let [t1, t2, t3, t4, ..] = transpose(part(rows, 2));
        Point8 {
            minus: Field8([m0, m1, m2, m3, m4]),
            plus: Field8([p0, p1, p2, p3, p4]),
            z: Field8([z0, z1, z2, z3, z4]),
            t: Field8([t0, t1, t2, t3, t4]),
        }
    }

    #[inline]
    #[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
    fn store(&mut self, at: [usize; 8], point: &Point8) {
        let [m0, m1, m2, m3, m4] = point.minus.0;
        let [p0, p1, p2, p3, p4] = point.plus.0;
        let [z0, z1, z2, z3, z4] = point.z.0;
        let [t0, t1, t2, t3, t4] = point.t.0;
        let zero = _mm512_setzero_si512();
        let first = transpose([m0, m1, m2, m3, m4, p0, p1, p2]);
        let second = transpose([p3, p4, z0, z1, z2, z3, z4, t0]);
        let third = transpose([t1, t2, t3, t4, zero, zero, zero, zero]);
        for lane in 0..8 {
            let Bucket([a, b, c]) = &mut self.buckets[at[lane]];
            *a = Row::store(first[lane]);
            *b = Row::store(second[lane]);
            *c = Row::store(third[lane]);
        }
    }
}

/// One row of each bucket.
#[inline]
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
fn part(buckets: [&Bucket; 8], row: usize) -> [Lanes; 8] {
    let [a, b, c, d, e, f, g, h] = buckets;
    [
        a.0[row].load(),
        b.0[row].load(),
        c.0[row].load(),
        d.0[row].load(),
        e.0[row].load(),
        f.0[row].load(),
        g.0[row].load(),
        h.0[row].load(),
    ]
}

#[cfg(test)]
mod tests;
