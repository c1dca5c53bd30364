//! The committing envelope that records, key pages and keyrings are sealed in: `docs/format/envelope.md`.
use crate::aead::{open_secret_once, seal_once_detached};
use crate::memory::{self, burn_after};
use crate::{Algorithm, Entropy, Error, NONCE_LEN, Secret, SecretBytes, TAG_LEN};

/// Bytes of the random salt from which an envelope's key and nonce are derived.
const SALT_LEN: usize = 24;
/// Bytes of the key commitment: 32, so that finding two keys for one envelope costs 2^128.
const COMMITMENT_LEN: usize = 32;
/// Bytes by which an envelope is longer than its prefix and plaintext.
pub(crate) const OVERHEAD: usize = SALT_LEN + COMMITMENT_LEN + TAG_LEN;

/// Seals `plaintext` under a key used only for envelopes.
///
/// `prefix` is written first and bound: it has a fixed length for each kind of envelope and says what the reader must
/// know before opening. `aad` is bound and not written.
pub(crate) fn seal(
    algorithm: Algorithm,
    key: &Secret<32>,
    prefix: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    entropy: &mut dyn Entropy,
) -> Vec<u8> {
    let body = prefix.len() + SALT_LEN + COMMITMENT_LEN;
    let mut out = Vec::with_capacity(body + plaintext.len() + TAG_LEN);
    out.extend_from_slice(prefix);
    out.resize(body, 0);
    entropy.fill(&mut out[prefix.len()..prefix.len() + SALT_LEN]);
    let once = derive(key, &out[..prefix.len() + SALT_LEN]);
    out[prefix.len() + SALT_LEN..].copy_from_slice(&once.commitment);
    out.extend_from_slice(plaintext);
    let tag = seal_once_detached(algorithm, &once.key, &once.nonce, aad, &mut out[body..]);
    out.extend_from_slice(&tag);
    out
}

/// Opens an envelope whose first `prefix_len` bytes are its prefix, and returns the plaintext, which at
/// no time is anywhere but in pinned memory.
///
/// # Errors
/// [`Error::Envelope`] when it is too short to be one; [`Error::Open`] for another key, other bytes or another `aad`.
pub(crate) fn open(
    algorithm: Algorithm,
    key: &Secret<32>,
    prefix_len: usize,
    aad: &[u8],
    envelope: &[u8],
) -> Result<SecretBytes, Error> {
    let (salted, rest) =
        envelope.split_at_checked(prefix_len + SALT_LEN).ok_or(Error::Envelope("it is cut short"))?;
    let (commitment, sealed) =
        rest.split_at_checked(COMMITMENT_LEN).ok_or(Error::Envelope("it is cut short"))?;
    if sealed.len() < TAG_LEN {
        return Err(Error::Envelope("it is cut short"));
    }
    let once = derive(key, salted);
    // The hash type compares in constant time.
    if blake3::Hash::from_bytes(once.commitment) != *commitment {
        return Err(Error::Open);
    }
    open_secret_once(algorithm, &once.key, &once.nonce, aad, sealed)
}

struct Once {
    key: Secret<32>,
    nonce: [u8; NONCE_LEN],
    commitment: [u8; COMMITMENT_LEN],
}

/// Key, nonce and commitment of the one envelope that begins with `salted` (prefix and salt).
fn derive(key: &Secret<32>, salted: &[u8]) -> Once {
    let (mut nonce, mut commitment) = ([0; NONCE_LEN], [0; COMMITMENT_LEN]);
    let key = Secret::generate(|out| {
        burn_after::<{ memory::HASH_CHUNK_DEPTH }, _>(|| {
            let mut hasher = blake3::Hasher::new_keyed(key.expose_secret());
            hasher.update(salted);
            let mut stream = hasher.finalize_xof();
            stream.fill(out);
            stream.fill(&mut commitment);
            stream.fill(&mut nonce);
        });
    });
    Once { key, nonce, commitment }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Counting;
    use proptest::prelude::*;

    fn key(byte: u8) -> Secret<32> {
        Secret::take(&mut [byte; 32])
    }

    proptest! {
            #[test]
            fn opens_as_it_was_sealed_and_not_otherwise(
                text: Vec<u8>, aad: Vec<u8>, aes: bool, flip: prop::sample::Index, bit in 0..8u8, cut: prop::sample::Index,
            ) {
                let algorithm = if aes { Algorithm::Aes256Gcm } else { Algorithm::ChaCha20Poly1305 };
                let sealed = seal(algorithm, &key(1), b"prefix", &aad, &text, &mut Counting(0));
                prop_assert_eq!(sealed.len(), 6 + text.len() + OVERHEAD);
    let opened = open(algorithm, &key(1), 6, &aad, &sealed).unwrap();
                prop_assert_eq!(opened.expose_secret(), &text);
                prop_assert_eq!(open(algorithm, &key(2), 6, &aad, &sealed).err(), Some(Error::Open));
                let other = [aad.as_slice(), b"x"].concat();
                prop_assert_eq!(open(algorithm, &key(1), 6, &other, &sealed).err(), Some(Error::Open));
                let mut damaged = sealed.clone();
                damaged[flip.index(sealed.len())] ^= 1 << bit;
                prop_assert_eq!(open(algorithm, &key(1), 6, &aad, &damaged).err(), Some(Error::Open));
                prop_assert!(open(algorithm, &key(1), 6, &aad, &sealed[..cut.index(sealed.len())]).is_err());
            }
        }
}
