//! The one sum of a batch that needs no modulus until its end.
use curve25519_dalek::scalar::Scalar;

/// The order of the base point, 2^252 + 27742317777372353535851937790883648493, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Whether a little-endian number is below the order, as ZIP-215 wants `s` to be.
pub(super) fn is_below_order(number: &[u8; 32]) -> bool {
    number.iter().rev().lt(ORDER.iter().rev())
}

/// A sum of products, in little-endian words: room for 2^128 products of numbers of 128 and 256 bits.
#[derive(Default)]
pub(super) struct Products([u64; 8]);

impl Products {
    /// Adds `factor` times `number`, which is little-endian.
    pub(super) fn add(&mut self, factor: u128, number: &[u8; 32]) {
        let number = number.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        for (at, factor) in factor.to_le_bytes().as_chunks().0.iter().enumerate() {
            let factor = u64::from_le_bytes(*factor);
            let mut carry = 0;
            for (word, other) in self.0[at..].iter_mut().zip(number.clone().chain([0; 4])) {
                (*word, carry) = factor.carrying_mul_add(other, *word, carry);
            }
        }
    }

    /// The sum modulo the order.
    pub(super) fn scalar(&self) -> Scalar {
        let mut bytes = [0; 64];
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.0) {
            *bytes = word.to_le_bytes();
        }
        Scalar::from_bytes_mod_order_wide(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers that carry far, and any others.
    fn number() -> impl Strategy<Value = [u8; 32]> {
        prop_oneof![Just([0; 32]), Just([0xff; 32]), Just(ORDER), prop::array::uniform32(any::<u8>())]
    }

    fn factor() -> impl Strategy<Value = u128> {
        prop_oneof![Just(0), Just(u128::MAX), Just(1 << 64), Just(u128::from(u64::MAX)), any::<u128>()]
    }

    proptest! {
        #[test]
        fn sums_are_dalek_s(products in prop::collection::vec((factor(), number()), 0..40)) {
            let mut sum = Products::default();
            let mut expected = Scalar::ZERO;
            for (factor, number) in products {
                sum.add(factor, &number);
                expected += Scalar::from(factor) * Scalar::from_bytes_mod_order(number);
            }
            prop_assert_eq!(sum.scalar(), expected);
        }

        #[test]
        fn below_the_order_is_what_dalek_finds_canonical(number in number(), byte in 0..32usize, change in any::<u8>()) {
            let mut near = ORDER;
            near[byte] = near[byte].wrapping_add(change);
            for number in [number, near] {
                prop_assert_eq!(is_below_order(&number), bool::from(Scalar::from_canonical_bytes(number).is_some()));
            }
        }
    }

    #[test]
    fn the_order_is_the_first_number_that_is_not_below_it() {
        let mut last = ORDER;
        last[0] -= 1;
        assert_eq!(
            Scalar::from_canonical_bytes(last).map(|scalar| scalar + Scalar::ONE).unwrap(),
            Scalar::ZERO
        );
        assert!(is_below_order(&last) && !is_below_order(&ORDER));
    }
}
