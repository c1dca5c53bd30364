//! The kernel that runs everywhere: multiplication bit by bit, on eight bytes of a word at once.
use super::lanes::Lanes;

/// Needs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plain;

/// Words of a block; the compiler makes wider registers of them where there are any.
const WORDS: usize = 4;
/// Each byte of a word 1.
const ONES: u64 = 0x0101_0101_0101_0101;

impl Lanes for Plain {
    const STEP: usize = WORDS * 8;
    const ALIGN: usize = 0;
    const ROWS_MAX: usize = 4;
    type Block = [u64; WORDS];
    /// The block times 1, 2, 4, … 128.
    type Split = [[u64; WORDS]; 8];
    type Table = u8;

    #[inline(always)]
    fn zero(self) -> Self::Block {
        [0; WORDS]
    }

    #[inline(always)]
    fn load(self, from: &[u8], at: usize) -> Self::Block {
        let (words, _) = from[at..at + Self::STEP].as_chunks::<8>();
        let mut block = [0; WORDS];
        for (word, bytes) in block.iter_mut().zip(words) {
            *word = u64::from_le_bytes(*bytes);
        }
        block
    }

    #[inline(always)]
    fn store(self, block: Self::Block, to: &mut [u8], at: usize) {
        let (words, _) = to[at..at + Self::STEP].as_chunks_mut::<8>();
        for (bytes, word) in words.iter_mut().zip(block) {
            *bytes = word.to_le_bytes();
        }
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
        let mut power = block;
        for row in &mut powers[1..] {
            for word in &mut power {
                // Twice as much; what leaves a byte comes back as the polynomial.
                let carries = *word >> 7 & ONES;
                let polynomial = (carries << 8).wrapping_sub(carries) & (ONES * 0x1D);
                *word = (*word << 1 & (ONES * 0xFE)) ^ polynomial;
            }
            *row = power;
        }
        powers
    }

    #[inline(always)]
    fn add_product(self, mut sum: Self::Block, powers: Self::Split, coefficient: &u8) -> Self::Block {
        for (bit, power) in powers.iter().enumerate() {
            let mask = u64::from(coefficient >> bit & 1).wrapping_neg();
            for (sum, word) in sum.iter_mut().zip(power) {
                *sum ^= word & mask;
            }
        }
        sum
    }
}
