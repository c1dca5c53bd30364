use crate::{NodeId, StripeId};
use std::cmp::Ordering;
use std::num::NonZeroU32;

const CONTEXT: &str = "terachat 2026-11 shard placement";
/// Bits behind the point of a logarithm.
const FRACTION: u32 = 32;

/// What a node draws for a stripe: -log2(u) / weight. Smaller is better; equal ones are told apart by the number.
///
/// Whole numbers throughout, so that it is the same on every machine, whatever its `ln` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lot {
    /// -log2(u), times 2^32.
    drawn: u64,
    weight: NonZeroU32,
    node: NodeId,
}

impl Lot {
    pub(super) fn draw(stripe: StripeId, node: NodeId, weight: NonZeroU32) -> Self {
        let mut input = [0; 20];
        input[..16].copy_from_slice(&stripe.0);
        input[16..].copy_from_slice(&node.0.get().to_le_bytes());
        let hash = blake3::derive_key(CONTEXT, &input);
        let mut low = [0; 8];
        low.copy_from_slice(&hash[..8]);
        Self { drawn: minus_log2(u64::from_le_bytes(low)), weight, node }
    }

    pub(super) fn node(&self) -> NodeId {
        self.node
    }
}

impl Ord for Lot {
    fn cmp(&self, other: &Self) -> Ordering {
        // a / v < b / w where a w < b v: products of 39 and 32 bits.
        let ours = u128::from(self.drawn) * u128::from(other.weight.get());
        let theirs = u128::from(other.drawn) * u128::from(self.weight.get());
        ours.cmp(&theirs).then(self.node.cmp(&other.node))
    }
}

impl PartialOrd for Lot {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// -log2((n + 1) / 2^64) times 2^32, rounded up: 0 for the largest n, 64 × 2^32 for 0.
///
/// Bit by bit: squaring a number between 1 and 2 doubles its logarithm, and whether the square is 2 or more is the
/// logarithm's next bit.
fn minus_log2(n: u64) -> u64 {
    let Some(n) = n.checked_add(1) else { return 0 };
    let whole = 63 - n.leading_zeros();
    // Between 1 and 2, with 63 bits behind the point.
    let mut mantissa = n << n.leading_zeros();
    let mut log = u64::from(whole);
    for _ in 0..FRACTION {
        let square = u128::from(mantissa) * u128::from(mantissa);
        // 126 bits behind the point; from 2 on the 127th is set.
        let bit = (square >> 127) as u64;
        mantissa = high_bits(square >> (63 + bit));
        log = log << 1 | bit;
    }
    (64u64 << FRACTION) - log
}

#[allow(clippy::cast_possible_truncation, reason = "the square was shifted to 64 bits")]
fn high_bits(square: u128) -> u64 {
    square as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_those_of_floats() {
        let tenths = (0..10_000u64).map(|at| at.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for n in tenths.chain([0, 1, 2, 3, u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1]) {
            let expected = 64.0 - (n as f64 + 1.0).log2();
            let found = minus_log2(n) as f64 / (1u64 << FRACTION) as f64;
            assert!((found - expected).abs() < 1e-9, "{n}: {found}, {expected}");
        }
        assert_eq!(minus_log2(u64::MAX), 0);
        assert_eq!(minus_log2(0), 64 << FRACTION);
        assert_eq!(minus_log2((1 << 63) - 1), 1 << FRACTION);
    }

    /// What other machines must draw as well.
    #[test]
    fn lots_are_the_same_everywhere() {
        let one = NonZeroU32::MIN;
        let drawn = |stripe: u8, node| {
            let node = NodeId(NonZeroU32::new(node).unwrap());
            Lot::draw(StripeId([stripe; 16]), node, one).drawn
        };
        assert_eq!(
            [drawn(0, 1), drawn(0, 2), drawn(1, 1), drawn(255, u32::MAX)],
            [1_989_613_446, 5_142_585_529, 5_857_481_916, 1_744_866_660]
        );
    }
}
