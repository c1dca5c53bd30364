//! The field GF(2^8) with the polynomial x^8 + x^4 + x^3 + x^2 + 1, and what kernels multiply by.
//!
//! Everything here is a table that the compiler makes.

/// The field's polynomial, as Backblaze, klauspost and reed-solomon-erasure have it. Not AES's, which is 0x11B.
const POLYNOMIAL: u16 = 0x11D;

/// Powers of the generator 2. Twice over, so that a sum of two logarithms needs no remainder.
const EXP: [u8; 510] = exp();
/// Logarithms to the base 2. 0 has none; it stands as 0, as if it were 1.
const LOG: [u8; 256] = log();

#[allow(clippy::cast_possible_truncation, reason = "a value below the polynomial's degree has eight bits")]
const fn exp() -> [u8; 510] {
    let mut table = [0; 510];
    let (mut at, mut value) = (0, 1u16);
    while at < 510 {
        table[at] = value as u8;
        value <<= 1;
        if value & 0x100 != 0 {
            value ^= POLYNOMIAL;
        }
        at += 1;
    }
    table
}

#[allow(clippy::cast_possible_truncation, reason = "logarithms are below 255")]
const fn log() -> [u8; 256] {
    let exp = exp();
    let mut table = [0; 256];
    let mut at = 0;
    while at < 255 {
        table[exp[at] as usize] = at as u8;
        at += 1;
    }
    table
}

/// The product of two elements.
pub(crate) const fn product(a: u8, b: u8) -> u8 {
    if a == 0 || b == 0 { 0 } else { EXP[LOG[a as usize] as usize + LOG[b as usize] as usize] }
}

/// The logarithm of an element: products become sums, taken modulo 255. A factor of 0 is left out.
pub(crate) fn log_of(element: u8) -> u32 {
    u32::from(LOG[usize::from(element)])
}

/// The element with this logarithm.
pub(crate) fn of_log(log: u32) -> u8 {
    EXP[(log % 255) as usize]
}

/// Products of one coefficient with each low and each high half of a byte: what byte shuffles look up.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(32))]
pub(crate) struct Nibbles {
    pub(crate) low: [u8; 16],
    pub(crate) high: [u8; 16],
}

/// For each coefficient.
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "not every architecture has registers for it")
)]
pub(crate) static NIBBLES: [Nibbles; 256] = nibbles();

#[allow(clippy::cast_possible_truncation, reason = "both count to below 256")]
const fn nibbles() -> [Nibbles; 256] {
    let mut table = [Nibbles { low: [0; 16], high: [0; 16] }; 256];
    let mut coefficient = 0;
    while coefficient < 256 {
        let mut half = 0;
        while half < 16 {
            table[coefficient].low[half] = product(coefficient as u8, half as u8);
            table[coefficient].high[half] = product(coefficient as u8, (half as u8) << 4);
            half += 1;
        }
        coefficient += 1;
    }
    table
}

/// Multiplication by each coefficient as a matrix of bits, in the order of the instruction `gf2p8affineqb`: the bits
/// of byte 7 - i say which bits of a factor add up to bit i of the product.
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "not every architecture has registers for it")
)]
pub(crate) static MATRICES: [u64; 256] = matrices();

#[allow(clippy::cast_possible_truncation, reason = "it counts to below 256")]
const fn matrices() -> [u64; 256] {
    let mut table = [0; 256];
    let mut coefficient = 0;
    while coefficient < 256 {
        let mut from = 0;
        while from < 8 {
            let column = product(coefficient as u8, 1 << from);
            let mut to = 0;
            while to < 8 {
                if column >> to & 1 == 1 {
                    table[coefficient] |= 1 << ((7 - to) * 8 + from);
                }
                to += 1;
            }
            from += 1;
        }
        coefficient += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the book: shift and add, then the remainder.
    fn slowly(a: u8, b: u8) -> u8 {
        let mut sum = 0u16;
        for bit in 0..8 {
            if b >> bit & 1 == 1 {
                sum ^= u16::from(a) << bit;
            }
        }
        for bit in (8..16).rev() {
            if sum >> bit & 1 == 1 {
                sum ^= POLYNOMIAL << (bit - 8);
            }
        }
        u8::try_from(sum).unwrap()
    }

    /// What the manual says that `gf2p8affineqb` does to a byte.
    fn affine(matrix: u64, byte: u8) -> u8 {
        let bit = |to: usize| (matrix.to_le_bytes()[7 - to] & byte).count_ones() as u8 & 1;
        (0..8).fold(0, |sum, to| sum | bit(to) << to)
    }

    #[test]
    fn every_product_in_every_form() {
        for a in 0..=255u8 {
            for b in 0..=255u8 {
                let expected = slowly(a, b);
                assert_eq!(product(a, b), expected, "{a} x {b}");
                let nibbles = &NIBBLES[usize::from(a)];
                let looked_up = nibbles.low[usize::from(b & 15)] ^ nibbles.high[usize::from(b >> 4)];
                assert_eq!(looked_up, expected, "{a} x {b} by halves");
                assert_eq!(affine(MATRICES[usize::from(a)], b), expected, "{a} x {b} by bits");
                if expected != 0 {
                    assert_eq!(of_log(log_of(a) + log_of(b)), expected, "{a} x {b} by logarithms");
                }
            }
        }
    }
}
