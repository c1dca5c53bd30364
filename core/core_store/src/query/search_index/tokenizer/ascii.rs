use super::{TERM_BYTES_MAX, Token, TokenKind};

/// The path nearly all text takes: 64 bytes at a time become one word of bits that says where letters and digits
/// stand, in loops the compiler turns into vector code, and tokens are cut by counting zeros.
#[derive(Default)]
pub(super) struct Ascii {
    /// The text with bit 5 set, which lower-cases letters and leaves digits alone; what it does to the separators
    /// is never seen. Longer than the text, so that eight bytes can be read from any place in it.
    lower: Vec<u8>,
    /// One bit a byte: letter or digit. Ends with a zero word.
    words: Vec<u64>,
}

impl Ascii {
    #[inline]
    pub(super) fn run(&mut self, text: &[u8], mut each: impl FnMut(Token<'_>)) {
        let blocks = text.len().div_ceil(64);
        if self.words.len() <= blocks {
            self.words.resize(blocks + 1, 0);
            self.lower.resize(blocks * 64 + 8, 0);
        }
        let (full, rest) = text.as_chunks::<64>();
        let lowers = self.lower.as_chunks_mut::<64>().0;
        for ((block, lower), words) in full.iter().zip(lowers.iter_mut()).zip(&mut self.words) {
            *words = classify(block, lower);
        }
        if !rest.is_empty() {
            let mut block = [0; 64];
            block[..rest.len()].copy_from_slice(rest);
            self.words[full.len()] = classify(&block, &mut lowers[full.len()]);
        }
        self.words[blocks] = 0;

        let words = &self.words[..=blocks];
        let mut at = 0;
        while let Some(start) = next_one(words, at) {
            let end = next_zero(words, start);
            let len = (end - start).min(TERM_BYTES_MAX);
            let mut head = [0; 8];
            head.copy_from_slice(&self.lower[start..start + 8]);
            let unused = 64 - 8 * len.min(8);
            each(Token {
                term: &self.lower[start..start + len],
                head: u64::from_le_bytes(head) & (u64::MAX >> unused),
                start,
                middle: end,
                end,
                kind: TokenKind::Word,
            });
            at = end;
        }
    }
}

/// Lower-cases 64 bytes and marks which of them are letters or digits.
#[inline]
fn classify(block: &[u8; 64], lower: &mut [u8; 64]) -> u64 {
    let mut is_word = [0u8; 64];
    for ((&byte, lower), is_word) in block.iter().zip(lower.iter_mut()).zip(&mut is_word) {
        *lower = byte | 0x20;
        let letter = lower.wrapping_sub(b'a') < 26;
        let digit = byte.wrapping_sub(b'0') < 10;
        *is_word = u8::from(letter | digit);
    }
    let mut bits = 0;
    for (at, eight) in is_word.as_chunks::<8>().0.iter().enumerate() {
        // Multiplying moves the lowest bit of byte i to bit 56 + i, without carries.
        bits |= (u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * at);
    }
    bits
}

#[inline]
fn next_one(words: &[u64], at: usize) -> Option<usize> {
    let mut index = at / 64;
    let mut word = words.get(index)? & (u64::MAX << (at % 64));
    while word == 0 {
        index += 1;
        word = *words.get(index)?;
    }
    Some(index * 64 + word.trailing_zeros() as usize)
}

/// The last word is zero, so there always is one.
#[inline]
fn next_zero(words: &[u64], at: usize) -> usize {
    let mut index = at / 64;
    let mut word = !words[index] & (u64::MAX << (at % 64));
    while word == 0 {
        index += 1;
        word = !words[index];
    }
    index * 64 + word.trailing_zeros() as usize
}
