//! Scalars as signed digits.

/// How many bits a digit has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// Sums of few points: 8 buckets for each of 64 digits.
    Four,
    /// Sums of many points: 128 buckets for each of 32 digits.
    Eight,
}

/// Eight neighbouring digits, the least one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Digits {
    /// Their absolute values: at most half the base.
    pub(super) sizes: [u8; 8],
    /// One bit each: the digit is subtracted.
    pub(super) negative: u8,
}

impl Width {
    pub(super) fn bits(self) -> usize {
        match self {
            Self::Four => 4,
            Self::Eight => 8,
        }
    }

    /// The largest digit.
    pub(super) fn size_max(self) -> usize {
        1 << (self.bits() - 1)
    }

    /// Groups of eight digits that a number of so many bytes has.
    pub(super) fn groups(self, bytes: usize) -> usize {
        bytes / self.bits()
    }

    /// Appends the digits of a little-endian number in groups. Its highest bit is clear.
    pub(super) fn split(self, number: &[u8], groups: &mut Vec<Digits>) {
        let bits = self.bits();
        let mut carry = 0;
        for bytes in number.chunks_exact(bits) {
            let mut group = Digits::default();
            for (at, size) in group.sizes.iter_mut().enumerate() {
                let byte = bytes[at * bits / 8];
                let digit =
                    carry + if bits == 8 { u16::from(byte) } else { u16::from(byte >> (at % 2 * 4) & 0xf) };
                // A digit above half the base is what it lacks to the base, subtracted, and one more in the next digit.
                let negative = digit > 1 << (bits - 1);
                let value = if negative { (1 << bits) - digit } else { digit };
                *size = u8::try_from(value).expect("at most half of 256");
                group.negative |= u8::from(negative) << at;
                carry = u16::from(negative);
            }
            groups.push(group);
        }
        assert_eq!(carry, 0, "the highest bit is clear");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Puts a number together again from its digits, in 33 bytes that may wrap.
    fn joined(width: Width, groups: &[Digits]) -> Vec<u8> {
        let mut sum = [0i32; 33];
        for (at, (group, lane)) in
            groups.iter().flat_map(|group| (0..8).map(move |lane| (group, lane))).enumerate()
        {
            assert!(usize::from(group.sizes[lane]) <= width.size_max());
            let digit = i32::from(group.sizes[lane]) << (at * width.bits() % 8);
            sum[at * width.bits() / 8] += if group.negative >> lane & 1 == 1 { -digit } else { digit };
        }
        let mut carry = 0;
        let bytes = sum.map(|digit| {
            let with_carry = digit + carry;
            carry = with_carry >> 8;
            u8::try_from(with_carry & 0xff).expect("a byte")
        });
        assert_eq!(carry, 0);
        bytes.to_vec()
    }

    fn check(number: [u8; 32], bytes: usize) {
        for width in [Width::Four, Width::Eight] {
            let mut groups = Vec::new();
            width.split(&number[..bytes], &mut groups);
            assert_eq!(groups.len(), width.groups(bytes));
            let joined = joined(width, &groups);
            assert_eq!(joined[..bytes], number[..bytes]);
            assert!(joined[bytes..].iter().all(|byte| *byte == 0));
        }
    }

    proptest! {
        #[test]
        fn digits_join_to_the_number(mut number in prop::array::uniform32(any::<u8>())) {
            number[31] &= 0x7f;
            number[15] &= 0x7f;
            check(number, 32);
            check(number, 16);
        }
    }

    #[test]
    fn every_byte_carries_as_it_should() {
        for byte in 0..=255 {
            let mut number = [byte; 32];
            number[31] &= 0x7f;
            number[15] &= 0x7f;
            check(number, 32);
            check(number, 16);
        }
    }

    #[test]
    #[should_panic(expected = "the highest bit is clear")]
    fn a_number_that_would_lose_its_carry_is_a_bug() {
        Width::Eight.split(&[0xff; 32], &mut Vec::new());
    }
}
