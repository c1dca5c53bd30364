//! The committing envelope that records, key pages and keyrings are sealed in: `docs/format/envelope.md`.
use crate::aead::{open_once_unburnt, seal_once_unburnt};
use crate::memory::{AEAD_KEY_DEPTH, burn_after};
use crate::{Algorithm, Entropy, Error, NONCE_LEN, Secret, SecretBytes, TAG_LEN};

/// Bytes of the random salt from which an envelope's key and nonce are derived.
const SALT_LEN: usize = 24;
/// Bytes of the key commitment: 32, so that finding two keys for one envelope costs 2^128.
const COMMITMENT_LEN: usize = 32;
/// Bytes between the prefix and the plaintext.
pub(crate) const HEAD_LEN: usize = SALT_LEN + COMMITMENT_LEN;
/// Bytes by which an envelope is longer than its prefix and plaintext.
pub(crate) const OVERHEAD: usize = HEAD_LEN + TAG_LEN;

/// Where the key of an envelope comes from: a key that is there, or one that is derived where it is used.
pub(crate) trait EnvelopeKey {
    /// Hands the key out. What is derived for it stays on the stack below the caller, who burns it.
    fn with_key<R>(&self, work: impl FnOnce(&[u8; 32]) -> R) -> R;
}

impl EnvelopeKey for Secret<32> {
    fn with_key<R>(&self, work: impl FnOnce(&[u8; 32]) -> R) -> R {
        work(self.expose_secret())
    }
}

/// Seals `plaintext` under a key used only for envelopes.
///
/// `prefix` is written first and bound: it has a fixed length for each kind of envelope and says what the reader must
/// know before opening. `aad` is bound and not written.
pub(crate) fn seal(
    algorithm: Algorithm,
    key: &impl EnvelopeKey,
    prefix: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    entropy: &mut dyn Entropy,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(plaintext.len() + prefix.len() + OVERHEAD);
    out.resize(prefix.len() + HEAD_LEN, 0);
    out.extend_from_slice(plaintext);
    out.resize(out.len() + TAG_LEN, 0);
    seal_in_place(algorithm, key, prefix, aad, &mut out, entropy);
    out
}

/// Seals in place what `out` holds: room for the prefix and for [`HEAD_LEN`] bytes, the plaintext, room for the tag.
pub(crate) fn seal_in_place(
    algorithm: Algorithm,
    key: &impl EnvelopeKey,
    prefix: &[u8],
    aad: &[u8],
    out: &mut [u8],
    entropy: &mut dyn Entropy,
) {
    let (head, body) = out.split_at_mut(prefix.len() + HEAD_LEN);
    let (body, tag) = body.split_at_mut(body.len() - TAG_LEN);
    let (salted, commitment) = head.split_at_mut(prefix.len() + SALT_LEN);
    salted[..prefix.len()].copy_from_slice(prefix);
    entropy.fill(&mut salted[prefix.len()..]);
    // One burning for all that is below: the key where it is derived, this envelope's own, the cipher's tables.
    burn_after::<{ AEAD_KEY_DEPTH }, _>(|| {
        let once = Once::derive(key, salted);
        commitment.copy_from_slice(&once.commitment);
        tag.copy_from_slice(&seal_once_unburnt(algorithm, &once.key, &once.nonce, aad, body));
    });
}

/// Opens an envelope whose first `prefix_len` bytes are its prefix, and returns the plaintext, which at
/// no time is anywhere but in pinned memory.
///
/// # Errors
/// [`Error::Envelope`] when it is too short to be one; [`Error::Open`] for another key, other bytes or another `aad`.
pub(crate) fn open(
    algorithm: Algorithm,
    key: &impl EnvelopeKey,
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
    let mut plaintext = SecretBytes::copy_from(sealed);
    let len = burn_after::<{ AEAD_KEY_DEPTH }, _>(|| {
        let once = Once::derive(key, salted);
        // The hash type compares in constant time.
        if blake3::Hash::from_bytes(once.commitment) != *commitment {
            return Err(Error::Open);
        }
        open_once_unburnt(algorithm, &once.key, &once.nonce, aad, plaintext.bytes_mut())
    })?;
    plaintext.truncate(len);
    Ok(plaintext)
}

/// Lives on the stack, in a frame that is burnt.
struct Once {
    key: [u8; 32],
    nonce: [u8; NONCE_LEN],
    commitment: [u8; COMMITMENT_LEN],
}

impl Once {
    /// Key, nonce and commitment of the one envelope that begins with `salted` (prefix and salt).
    fn derive(key: &impl EnvelopeKey, salted: &[u8]) -> Self {
        let mut once = Self { key: [0; 32], nonce: [0; NONCE_LEN], commitment: [0; COMMITMENT_LEN] };
        key.with_key(|key| {
            let mut hasher = blake3::Hasher::new_keyed(key);
            hasher.update(salted);
            let mut stream = hasher.finalize_xof();
            stream.fill(&mut once.key);
            stream.fill(&mut once.commitment);
            stream.fill(&mut once.nonce);
        });
        once
    }
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
