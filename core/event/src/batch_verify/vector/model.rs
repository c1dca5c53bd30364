//! What the tests compare with: numbers modulo p = 2^255 - 19 by grade-school arithmetic, one bit at a time.
use super::field::Field8;
use super::lanes::Row;
use super::point::Point8;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};

/// A number below p in little-endian words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Model([u64; 4]);

const TWO: Model = Model([2, 0, 0, 0]);
const P: [u64; 4] = [u64::MAX - 18, u64::MAX, u64::MAX, u64::MAX >> 1];

impl Model {
    pub(super) const ZERO: Self = Self([0; 4]);
    pub(super) const ONE: Self = Self([1, 0, 0, 0]);

    /// A sum of limbs of any size that stand 51 bits apart.
    pub(super) fn from_limbs(limbs: [u64; 5]) -> Self {
        limbs.iter().rev().fold(Self::ZERO, |sum, limb| {
            let shifted = (0..51).fold(sum, |sum, _| sum.add(sum));
            shifted.add(Self::reduced([*limb, 0, 0, 0]))
        })
    }

    /// The little-endian number in `bytes` without its highest bit.
    pub(super) fn from_bytes(mut bytes: [u8; 32]) -> Self {
        bytes[31] &= 0x7f;
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Self::reduced(words)
    }

    pub(super) fn bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.0) {
            *bytes = word.to_le_bytes();
        }
        bytes
    }

    /// `words` is below 2p.
    fn reduced(words: [u64; 4]) -> Self {
        let (difference, below) = subtract(words, P);
        Self(if below { words } else { difference })
    }

    pub(super) fn add(self, other: Self) -> Self {
        let mut carry = false;
        let mut sum = [0; 4];
        for (at, word) in sum.iter_mut().enumerate() {
            (*word, carry) = self.0[at].carrying_add(other.0[at], carry);
        }
        Self::reduced(sum)
    }

    pub(super) fn sub(self, other: Self) -> Self {
        self.add(Self::reduced(subtract(P, other.0).0))
    }

    pub(super) fn mul(self, other: Self) -> Self {
        (0..256).rev().fold(Self::ZERO, |product, bit| {
            let doubled = product.add(product);
            if self.0[bit / 64] >> (bit % 64) & 1 == 1 { doubled.add(other) } else { doubled }
        })
    }

    /// By Fermat: to the power of p - 2.
    pub(super) fn invert(self) -> Self {
        let exponent = subtract(P, [2, 0, 0, 0]).0;
        (0..256).rev().fold(Self::ONE, |power, bit| {
            let squared = power.mul(power);
            if exponent[bit / 64] >> (bit % 64) & 1 == 1 { squared.mul(self) } else { squared }
        })
    }

    pub(super) fn is_odd(self) -> bool {
        self.0[0] & 1 == 1
    }
}

fn subtract(left: [u64; 4], right: [u64; 4]) -> ([u64; 4], bool) {
    let mut borrow = false;
    let mut difference = [0; 4];
    for (at, word) in difference.iter_mut().enumerate() {
        (*word, borrow) = left[at].borrowing_sub(right[at], borrow);
    }
    (difference, borrow)
}

/// The eight numbers.
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
pub(super) fn numbers(field: &Field8) -> [Model; 8] {
    let rows = field.store();
    std::array::from_fn(|lane| Model::from_limbs(rows.map(|row| row.0[lane])))
}

/// Eight times five limbs as lanes.
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
pub(super) fn lanes(limbs: &[[u64; 5]; 8]) -> Field8 {
    Field8(std::array::from_fn(|at| Row(limbs.map(|limbs| limbs[at])).load()))
}

/// The eight points, after every check that coordinates allow.
#[target_feature(enable = "avx512ifma,avx512dq,avx512bw")]
pub(super) fn points(points: &Point8) -> [EdwardsPoint; 8] {
    let [minus, plus, z, t] = [&points.minus, &points.plus, &points.z, &points.t].map(|field| numbers(field));
    // One inversion for all: of the product of every Z and 2.
    let product = z.into_iter().fold(TWO, Model::mul);
    assert_ne!(product, Model::ZERO, "no Z is zero");
    let inverse = product.invert();
    std::array::from_fn(|lane| {
        let others =
            (0..8).filter(|other| *other != lane).fold(Model::ONE, |others, other| others.mul(z[other]));
        let halved = inverse.mul(others);
        let x = plus[lane].sub(minus[lane]).mul(halved);
        let y = plus[lane].add(minus[lane]).mul(halved);
        assert_eq!(x.mul(y).mul(z[lane]), t[lane], "XY = ZT");
        let mut encoding = y.bytes();
        encoding[31] |= u8::from(x.is_odd()) << 7;
        let point = CompressedEdwardsY(encoding).decompress().expect("on the curve");
        assert_eq!(point.compress().0, encoding);
        point
    })
}
