//! What can be wrong with an ML-KEM-768 encapsulation key (FIPS 203, section 7.2), without making it ready to encapsulate with.
//!
//! The library's own reading of a key hashes it, which is most of the work; a tree has as many keys as members and more.

/// Three polynomials of 256 coefficients of 12 bits; the seed behind them may be anything.
const COEFFICIENTS_LEN: usize = 3 * 256 * 12 / 8;
const KEY_LEN: usize = COEFFICIENTS_LEN + 32;
/// Behind it stands a point of X25519, any 32 bytes.
const X_WING_LEN: usize = KEY_LEN + 32;
const Q: u16 = 3329;

/// Whether X-Wing can encapsulate for this key: it has the right length, and no coefficient is as large as the field.
pub(super) fn is_x_wing_key(key: &[u8]) -> bool {
    let is_reduced = |three: &[u8]| {
        let [a, b, c] = [three[0], three[1], three[2]].map(u16::from);
        (a | (b & 0x0F) << 8) < Q && (b >> 4 | c << 4) < Q
    };
    key.len() == X_WING_LEN && key[..COEFFICIENTS_LEN].chunks_exact(3).all(is_reduced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hpke::{Deserializable, Kem, Serializable, kem::XWing};
    use proptest::prelude::*;

    proptest! {
        /// Beside the crate that encapsulates: keys with any coefficient set to any number of 12 bits.
        #[test]
        fn it_says_what_the_library_says(ikm: [u8; 32], at in 0_usize..768, coefficient in 0_u16..4096, len in 1210_usize..1220) {
            let (_, public) = XWing::derive_keypair(&ikm);
            let mut key = public.to_bytes().to_vec();
            let library = |key: &[u8]| <XWing as Kem>::PublicKey::from_bytes(key).is_ok();
            prop_assert!(is_x_wing_key(&key) && library(&key));
            let (three, bytes) = (at / 2 * 3, coefficient.to_le_bytes());
            if at % 2 == 0 {
                key[three] = bytes[0];
                key[three + 1] = key[three + 1] & 0xF0 | bytes[1];
            } else {
                key[three + 1] = key[three + 1] & 0x0F | bytes[0] << 4;
                key[three + 2] = bytes[0] >> 4 | bytes[1] << 4;
            }
            prop_assert_eq!(is_x_wing_key(&key), coefficient < Q);
            prop_assert_eq!(library(&key), coefficient < Q);
            key.resize(len, 0);
            prop_assert_eq!(is_x_wing_key(&key), library(&key));
        }
    }
}
