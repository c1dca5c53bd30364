//! Keys that follow from a public key and a secret factor: whoever knows both computes the public half, and only the public
//! key's owner signs. Whoever knows the blinded key alone cannot tell whose it is (as Tor's onion services have it,
//! rend-spec-v3, appendix A.2).
use crate::DeviceKey;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use sha2::{Digest as _, Sha512};
use terachat_vault::Secret;
use terachat_vault::memory::{Pinned, SIGN_DEPTH, burn_after};

/// The secret half, in pinned memory.
struct Halves {
    scalar: Scalar,
    prefix: [u8; 32],
}

/// A key blinded by a factor. Its signatures are Ed25519's: [`verify`](crate::verify) checks them.
pub struct BlindedKey {
    halves: Pinned<Halves>,
    id: [u8; 32],
}

impl DeviceKey {
    /// This key blinded by `factor`.
    pub fn blinded(&self, factor: &Secret<32>) -> BlindedKey {
        let halves = Pinned::new::<SIGN_DEPTH>(|| {
            let expanded: [u8; 64] = Sha512::digest(self.seed()).into();
            let mut own: [u8; 32] = *expanded.first_chunk().expect("half of 64 bytes");
            // RFC 8032, section 5.1.5.
            own[0] &= 248;
            own[31] &= 127;
            own[31] |= 64;
            let scalar = Scalar::from_bytes_mod_order(own) * multiplier(factor) * Scalar::from(8_u8);
            let mut hasher = blake3::Hasher::new_derive_key("terachat 2026-11 blinded key nonce");
            hasher.update(factor.expose_secret()).update(&expanded[32..]);
            let prefix = *hasher.finalize().as_bytes();
            Halves { scalar, prefix }
        });
        let id = burn_after::<SIGN_DEPTH, _>(|| EdwardsPoint::mul_base(&halves.scalar).compress().0);
        BlindedKey { halves, id }
    }
}

impl BlindedKey {
    /// The public half.
    pub fn id(&self) -> [u8; 32] {
        self.id
    }

    /// As [`DeviceKey::sign`].
    pub fn sign(&self, context: &str, bytes: &[u8]) -> [u8; 64] {
        let message = blake3::derive_key(context, bytes);
        burn_after::<SIGN_DEPTH, _>(|| {
            // RFC 8032, section 5.1.6.
            let nonce = of_parts(&[&self.halves.prefix, &message]);
            let point = EdwardsPoint::mul_base(&nonce).compress().0;
            let challenge = of_parts(&[&point, &self.id, &message]);
            let s = nonce + challenge * self.halves.scalar;
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&point);
            signature[32..].copy_from_slice(s.as_bytes());
            signature
        })
    }
}

/// The public half of what [`DeviceKey::blinded`] makes of this public key; `None` where that is no point of the curve, or one of
/// small order, which blinding leaves nothing of.
pub fn blinded_id(public: &[u8; 32], factor: &Secret<32>) -> Option<[u8; 32]> {
    let point = CompressedEdwardsY(*public).decompress()?;
    // Eight times, so that nothing of small order in the public key outlasts it.
    let blinded = (point * multiplier(factor)).mul_by_cofactor();
    (!blinded.is_identity()).then(|| blinded.compress().0)
}

fn multiplier(factor: &Secret<32>) -> Scalar {
    let mut wide = [0; 64];
    blake3::Hasher::new_derive_key("terachat 2026-11 blinded key factor")
        .update(factor.expose_secret())
        .finalize_xof()
        .fill(&mut wide);
    Scalar::from_bytes_mod_order_wide(&wide)
}

fn of_parts(parts: &[&[u8]]) -> Scalar {
    let mut hasher = Sha512::new();
    parts.iter().for_each(|part| hasher.update(part));
    Scalar::from_bytes_mod_order_wide(&hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify;
    use proptest::prelude::*;

    fn key(n: u8) -> DeviceKey {
        DeviceKey::from_seed(&Secret::take(&mut [n; 32]))
    }

    #[test]
    fn others_compute_the_public_half_and_cannot_sign() {
        let (ada, factor, other) = (key(1), Secret::take(&mut [7; 32]), Secret::take(&mut [8; 32]));
        let blinded = ada.blinded(&factor);
        assert_eq!(blinded_id(&ada.id().0, &factor), Some(blinded.id()));
        let signature = blinded.sign("test", b"words");
        assert!(verify(&blinded.id(), "test", b"words", &signature));
        assert!(!verify(&blinded.id(), "test", b"other words", &signature));
        assert!(!verify(&blinded.id(), "elsewhere", b"words", &signature));
        // Neither the own key nor another factor's, and nobody else's with the same factor.
        assert!(!verify(&ada.id().0, "test", b"words", &signature));
        for stranger in [ada.blinded(&other), key(2).blinded(&factor)] {
            assert_ne!(stranger.id(), blinded.id());
            assert!(!verify(&blinded.id(), "test", b"words", &stranger.sign("test", b"words")));
        }
        assert!(!verify(&blinded.id(), "test", b"words", &ada.sign("test", b"words")));
    }

    /// Under one key no two messages share a nonce, nor do one message's under two.
    #[test]
    fn nonces_differ_and_signing_is_deterministic() {
        let (ada, factor) = (key(1), Secret::take(&mut [7; 32]));
        let point =
            |bytes: &[u8], factor: &Secret<32>| ada.blinded(factor).sign("test", bytes)[..32].to_vec();
        assert_eq!(point(b"a", &factor), point(b"a", &factor));
        assert_ne!(point(b"a", &factor), point(b"b", &factor));
        assert_ne!(point(b"a", &factor), point(b"a", &Secret::take(&mut [8; 32])));
    }

    #[test]
    fn what_is_no_key_has_no_blinded_one() {
        let factor = Secret::take(&mut [7; 32]);
        let mut of_order_one = [0; 32];
        of_order_one[0] = 1;
        let of_order_two = {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (0xec, 0x7f);
            bytes
        };
        for public in [of_order_one, of_order_two, [2; 32]] {
            assert_eq!(blinded_id(&public, &factor), None, "{public:02x?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_halves_fit(seed: [u8; 32], factor: [u8; 32], bytes: Vec<u8>) {
            let (mut seed, mut factor) = (seed, factor);
            let (key, factor) = (DeviceKey::from_seed(&Secret::take(&mut seed)), Secret::take(&mut factor));
            let blinded = key.blinded(&factor);
            prop_assert_eq!(blinded_id(&key.id().0, &factor), Some(blinded.id()));
            prop_assert!(verify(&blinded.id(), "test", &bytes, &blinded.sign("test", &bytes)));
        }
    }
}
