//! ring's implementation.
use super::{Algorithm, Error, NONCE_LEN, TAG_LEN};
use crate::Secret;
use crate::memory::{AEAD_KEY_DEPTH, Pinned};
use ring::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

/// What is kept of a key between calls. ring's object for ChaCha20 is the 32 bytes again and takes no time to make, so
/// only the bytes are kept; AES has tables worth keeping.
pub(super) enum Key {
    ChaCha20(Secret<32>),
    Aes(Pinned<LessSafeKey>),
}

impl Key {
    pub(super) fn new(algorithm: Algorithm, key: &Secret<32>) -> Self {
        match algorithm {
            Algorithm::ChaCha20Poly1305 => Self::ChaCha20(key.duplicate_secret()),
            Algorithm::Aes256Gcm => {
                Self::Aes(Pinned::new::<AEAD_KEY_DEPTH>(|| ready(algorithm, key.expose_secret())))
            }
        }
    }

    pub(super) fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], buffer: &mut [u8]) -> [u8; TAG_LEN] {
        match self {
            Self::ChaCha20(key) => {
                seal_once(Algorithm::ChaCha20Poly1305, key.expose_secret(), nonce, aad, buffer)
            }
            Self::Aes(key) => seal(key, nonce, aad, buffer),
        }
    }

    pub(super) fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        sealed: &mut [u8],
    ) -> Result<usize, Error> {
        match self {
            Self::ChaCha20(key) => {
                open_once(Algorithm::ChaCha20Poly1305, key.expose_secret(), nonce, aad, sealed)
            }
            Self::Aes(key) => open(key, nonce, aad, sealed),
        }
    }
}

/// On the stack: for callers that burn it.
pub(super) fn seal_once(
    algorithm: Algorithm,
    key: &[u8; 32],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    buffer: &mut [u8],
) -> [u8; TAG_LEN] {
    seal(&ready(algorithm, key), nonce, aad, buffer)
}

/// On the stack: for callers that burn it.
pub(super) fn open_once(
    algorithm: Algorithm,
    key: &[u8; 32],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    sealed: &mut [u8],
) -> Result<usize, Error> {
    open(&ready(algorithm, key), nonce, aad, sealed)
}

fn ready(algorithm: Algorithm, key: &[u8; 32]) -> LessSafeKey {
    let cipher = match algorithm {
        Algorithm::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        Algorithm::Aes256Gcm => &AES_256_GCM,
    };
    LessSafeKey::new(UnboundKey::new(cipher, key).expect("32 bytes are both ciphers' key length"))
}

fn seal(key: &LessSafeKey, nonce: &[u8; NONCE_LEN], aad: &[u8], buffer: &mut [u8]) -> [u8; TAG_LEN] {
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), buffer)
        .expect("no message here nears the ciphers' limit of 64 GiB");
    tag.as_ref().try_into().expect("both ciphers' tags have 16 bytes")
}

fn open(key: &LessSafeKey, nonce: &[u8; NONCE_LEN], aad: &[u8], sealed: &mut [u8]) -> Result<usize, Error> {
    key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), sealed)
        .map(|plain| plain.len())
        .map_err(|_| Error::Open)
}
