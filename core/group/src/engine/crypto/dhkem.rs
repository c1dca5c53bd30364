//! DHKEM(X25519, HKDF-SHA256) of RFC 9180, section 4.1, that reckons the ephemeral public key once.
//!
//! The HPKE crate's own makes a key pair, forgets the public half and reckons it again from the private one: one of three
//! multiplications on the curve for each recipient, and a commit after a bulk add has a recipient for each member.
use hkdf::HkdfExtract;
use hpke::kem::{SharedSecret, X25519HkdfSha256};
use hpke::rand_core::CryptoRng;
use hpke::{Deserializable, HpkeError, Kem, Serializable};
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// `"KEM" ‖ I2OSP(kem_id, 2)`.
const SUITE: &[u8] = b"KEM\x00\x20";
const VERSION: &[u8] = b"HPKE-v1";

/// The points of small order, each written as it can be with the highest bit clear (RFC 7748, section 5, masks it): whatever is agreed on
/// with one is zeros.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    first(1),
    [
        0xE0, 0xEB, 0x7A, 0x7C, 0x3B, 0x41, 0xB8, 0xAE, 0x16, 0x56, 0xE3, 0xFA, 0xF1, 0x9F, 0xC4, 0x6A, 0xDA,
        0x09, 0x8D, 0xEB, 0x9C, 0x32, 0xB1, 0xFD, 0x86, 0x62, 0x05, 0x16, 0x5F, 0x49, 0xB8, 0x00,
    ],
    [
        0x5F, 0x9C, 0x95, 0xBC, 0xA3, 0x50, 0x8C, 0x24, 0xB1, 0xD0, 0xB1, 0x55, 0x9C, 0x83, 0xEF, 0x5B, 0x04,
        0x44, 0x5C, 0xC4, 0x58, 0x1C, 0x8E, 0x86, 0xD8, 0x22, 0x4E, 0xDD, 0xD0, 0x9F, 0x11, 0x57,
    ],
    near_the_prime(0xEC),
    near_the_prime(0xED),
    near_the_prime(0xEE),
];

const fn first(byte: u8) -> [u8; 32] {
    let mut point = [0; 32];
    point[0] = byte;
    point
}

/// 2^255 - 256 + `byte`; the prime is 2^255 - 19.
const fn near_the_prime(byte: u8) -> [u8; 32] {
    let mut point = [0xFF; 32];
    (point[0], point[31]) = (byte, 0x7F);
    point
}

/// Whether nothing can be sealed for this key, though it has the right length.
pub(super) fn is_of_small_order(key: &[u8]) -> bool {
    let mut point: [u8; 32] = match key.try_into() {
        Ok(point) => point,
        Err(_) => return false,
    };
    point[31] &= 0x7F;
    SMALL_ORDER.contains(&point)
}

/// The KEM, with the HPKE crate's types. Base mode only: a sender's identity is refused.
pub(super) struct Dhkem;

impl Kem for Dhkem {
    type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
    type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
    type EncappedKey = <X25519HkdfSha256 as Kem>::EncappedKey;
    type NSecret = <X25519HkdfSha256 as Kem>::NSecret;
    const KEM_ID: u16 = X25519HkdfSha256::KEM_ID;

    fn sk_to_pk(private: &Self::PrivateKey) -> Self::PublicKey {
        X25519HkdfSha256::sk_to_pk(private)
    }

    fn derive_keypair(ikm: &[u8]) -> (Self::PrivateKey, Self::PublicKey) {
        X25519HkdfSha256::derive_keypair(ikm)
    }

    fn decap(
        private: &Self::PrivateKey,
        sender: Option<&Self::PublicKey>,
        encapped: &Self::EncappedKey,
    ) -> Result<SharedSecret<Self>, HpkeError> {
        let shared = X25519HkdfSha256::decap(private, sender, encapped)?;
        Ok(SharedSecret(shared.0))
    }

    fn encap_with_rng(
        recipient: &Self::PublicKey,
        sender: Option<(&Self::PrivateKey, &Self::PublicKey)>,
        rng: &mut impl CryptoRng,
    ) -> Result<(SharedSecret<Self>, Self::EncappedKey), HpkeError> {
        if sender.is_some() {
            return Err(HpkeError::EncapError);
        }
        let (ephemeral, public) = Self::gen_keypair_with_rng(rng);
        let (public, recipient) = (public.to_bytes(), recipient.to_bytes());
        let private = Zeroizing::new(ephemeral.to_bytes().0);
        let shared = StaticSecret::from(*private).diffie_hellman(&PublicKey::from(recipient.0));
        // RFC 9180, section 7.1.4: a recipient's key of small order gives zeros.
        if !shared.was_contributory() {
            return Err(HpkeError::EncapError);
        }
        let mut secret = SharedSecret::<Self>::default();
        // ExtractAndExpand.
        let mut extract = HkdfExtract::<Sha256>::new(None);
        for part in [VERSION, SUITE, b"eae_prk", shared.as_bytes()] {
            extract.input_ikm(part);
        }
        let (_, prk) = extract.finalize();
        let info = [&[0, 32], VERSION, SUITE, b"shared_secret", &public.0, &recipient.0];
        prk.expand_multi_info(&info, &mut secret.0).map_err(|_| HpkeError::EncapError)?;
        Ok((secret, Self::EncappedKey::from_bytes(&public)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hpke::rand_core::{TryCryptoRng, TryRng};
    use proptest::prelude::*;
    use std::convert::Infallible;

    /// Draws these bytes, once.
    struct Fixed([u8; 32]);

    impl TryRng for Fixed {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            unreachable!("bytes are drawn")
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            unreachable!("bytes are drawn")
        }

        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
            out.copy_from_slice(&self.0);
            Ok(())
        }
    }

    impl TryCryptoRng for Fixed {}

    fn bytes(hex: &str) -> [u8; 32] {
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
    }

    fn encap<K: Kem>(recipient: &[u8; 32], drawn: [u8; 32]) -> Result<(Vec<u8>, Vec<u8>), HpkeError> {
        let recipient = K::PublicKey::from_bytes(recipient)?;
        let (secret, encapped) = K::encap_with_rng(&recipient, None, &mut Fixed(drawn))?;
        Ok((secret.0.to_vec(), encapped.to_bytes().to_vec()))
    }

    /// RFC 9180, appendix A.2.1: `pkRm`, `ikmE`, `shared_secret`, `enc`.
    #[test]
    fn the_rfcs_vector_holds() {
        let recipient = bytes("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a");
        let drawn = bytes("909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b");
        let secret = bytes("0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7");
        let encapped = bytes("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
        assert_eq!(encap::<Dhkem>(&recipient, drawn).unwrap(), (secret.to_vec(), encapped.to_vec()));
    }

    #[test]
    fn a_recipient_of_small_order_is_refused() {
        for mut point in SMALL_ORDER {
            for mask in [0, 0x80] {
                point[31] ^= mask;
                assert!(is_of_small_order(&point));
                assert!(encap::<Dhkem>(&point, [7; 32]).is_err(), "{point:?}");
            }
        }
        let (private, public) = Dhkem::derive_keypair(&[1; 32]);
        let sender = Some((&private, &public));
        assert!(Dhkem::encap_with_rng(&public, sender, &mut Fixed([7; 32])).is_err(), "base mode only");
    }

    proptest! {
        #[test]
        fn what_is_not_listed_is_of_no_small_order(point: [u8; 32]) {
            prop_assert!(!is_of_small_order(&point));
            prop_assert!(encap::<Dhkem>(&point, [7; 32]).is_ok());
        }

        #[test]
        fn it_is_what_the_crates_own_is(ikm: [u8; 32], drawn: [u8; 32]) {
            let (private, public) = X25519HkdfSha256::derive_keypair(&ikm);
            let public: [u8; 32] = public.to_bytes().into();
            let (secret, encapped) = encap::<Dhkem>(&public, drawn).unwrap();
            prop_assert_eq!(encap::<X25519HkdfSha256>(&public, drawn).unwrap(), (secret.clone(), encapped.clone()));
            let encapped = <Dhkem as Kem>::EncappedKey::from_bytes(&encapped).unwrap();
            prop_assert_eq!(Dhkem::decap(&private, None, &encapped).unwrap().0.to_vec(), secret);
        }
    }
}
