//! The kernel that runs everywhere: multiplication bit by bit, on as many bytes as the compiler finds registers for.
use super::lanes::Lanes;

/// Needs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plain;

impl Lanes for Plain {
    const STEP: usize = 32;
    const STREAM_ALIGN: usize = 0;
    const ROWS_MAX: usize = 4;
    type Block = [u8; 32];
    /// The block times 1, 2, 4, … 128.
    type Split = [[u8; 32]; 8];
    type Table = u8;

    #[inline(always)]
    fn zero(self) -> Self::Block {
        [0; 32]
    }

    #[inline(always)]
    fn load(self, from: &[u8], at: usize) -> Self::Block {
        let mut block = [0; 32];
        block.copy_from_slice(&from[at..at + 32]);
        block
    }

    #[inline(always)]
    fn store(self, block: Self::Block, to: &mut [u8], at: usize) {
        to[at..at + 32].copy_from_slice(&block);
    }

    #[inline(always)]
    fn stream(self, block: Self::Block, to: &mut [u8], at: usize) {
        self.store(block, to, at);
    }

    #[inline(always)]
    fn fence(self) {}

    #[inline(always)]
    fn split(self, block: Self::Block) -> Self::Split {
        let mut powers = [block; 8];
        for bit in 1..8 {
            // Twice as much; what leaves a byte comes back as the polynomial.
            powers[bit] = powers[bit - 1].map(|byte| byte << 1 ^ (byte >> 7).wrapping_neg() & 0x1D);
        }
        powers
    }

    #[inline(always)]
    fn add_product(self, mut sum: Self::Block, powers: Self::Split, coefficient: &u8) -> Self::Block {
        for (bit, power) in powers.iter().enumerate() {
            let mask = (coefficient >> bit & 1).wrapping_neg();
            for (sum, byte) in sum.iter_mut().zip(power) {
                *sum ^= byte & mask;
            }
        }
        sum
    }
}
