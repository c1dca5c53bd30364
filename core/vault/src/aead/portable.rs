//! The pure Rust implementation, for targets where ring does not go.
use super::{Algorithm, Error, NONCE_LEN, TAG_LEN};
use crate::Secret;
use crate::memory::{AEAD_KEY_DEPTH, Pinned};
use aes_gcm::Aes256Gcm;
use chacha20poly1305::aead::consts::{U12, U16};
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Tag};

pub(super) enum Key {
    ChaCha20(Pinned<ChaCha20Poly1305>),
    Aes(Pinned<Aes256Gcm>),
}

impl Key {
    pub(super) fn new(algorithm: Algorithm, key: &Secret<32>) -> Self {
        let key = key.expose_secret();
        match algorithm {
            Algorithm::ChaCha20Poly1305 => {
                Self::ChaCha20(Pinned::new::<AEAD_KEY_DEPTH>(|| ChaCha20Poly1305::new(key.into())))
            }
            Algorithm::Aes256Gcm => Self::Aes(Pinned::new::<AEAD_KEY_DEPTH>(|| Aes256Gcm::new(key.into()))),
        }
    }

    pub(super) fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], buffer: &mut [u8]) -> [u8; TAG_LEN] {
        match self {
            Self::ChaCha20(key) => seal(&**key, nonce, aad, buffer),
            Self::Aes(key) => seal(&**key, nonce, aad, buffer),
        }
    }

    pub(super) fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        sealed: &mut [u8],
    ) -> Result<usize, Error> {
        match self {
            Self::ChaCha20(key) => open(&**key, nonce, aad, sealed),
            Self::Aes(key) => open(&**key, nonce, aad, sealed),
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
    match algorithm {
        Algorithm::ChaCha20Poly1305 => seal(&ChaCha20Poly1305::new(key.into()), nonce, aad, buffer),
        Algorithm::Aes256Gcm => seal(&Aes256Gcm::new(key.into()), nonce, aad, buffer),
    }
}

/// On the stack: for callers that burn it.
pub(super) fn open_once(
    algorithm: Algorithm,
    key: &[u8; 32],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    sealed: &mut [u8],
) -> Result<usize, Error> {
    match algorithm {
        Algorithm::ChaCha20Poly1305 => open(&ChaCha20Poly1305::new(key.into()), nonce, aad, sealed),
        Algorithm::Aes256Gcm => open(&Aes256Gcm::new(key.into()), nonce, aad, sealed),
    }
}

fn seal(
    cipher: &impl AeadInOut<NonceSize = U12, TagSize = U16>,
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    buffer: &mut [u8],
) -> [u8; TAG_LEN] {
    let tag = cipher.encrypt_inout_detached(nonce.into(), aad, buffer.into());
    tag.expect("no message here nears the ciphers' limit of 64 GiB").into()
}

fn open(
    cipher: &impl AeadInOut<NonceSize = U12, TagSize = U16>,
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    sealed: &mut [u8],
) -> Result<usize, Error> {
    let len = sealed.len().checked_sub(TAG_LEN).ok_or(Error::Open)?;
    let (text, tag) = sealed.split_at_mut(len);
    let tag = Tag::try_from(&*tag).map_err(|_| Error::Open)?;
    cipher.decrypt_inout_detached(nonce.into(), aad, text.into(), &tag).map_err(|_| Error::Open)?;
    Ok(len)
}
