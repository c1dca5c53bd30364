//! ChaCha20-Poly1305 (RFC 8439) and AES-256-GCM (NIST SP 800-38D): ring natively, RustCrypto in WebAssembly, the same
//! bytes.
use crate::memory::{AEAD_DEPTH, AEAD_KEY_DEPTH, burn_after};
use crate::{Error, Secret, SecretBytes};

/// Bytes a sealed value is longer than its plaintext: the tag.
pub const TAG_LEN: usize = 16;
/// Bytes of a nonce.
pub const NONCE_LEN: usize = 12;

/// The AEAD; both have keys of 32 bytes, nonces of 12 and tags of 16. The number is what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Algorithm {
    /// ChaCha20-Poly1305, RFC 8439.
    ChaCha20Poly1305 = 1,
    /// AES-256-GCM, NIST SP 800-38D.
    Aes256Gcm = 2,
}

impl Algorithm {
    /// The algorithm with this number; `None` for one that this version does not know.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::ChaCha20Poly1305, Self::Aes256Gcm].into_iter().find(|algorithm| *algorithm as u8 == number)
    }
}

/// A key that seals and opens. The caller never uses one nonce twice under one key.
///
/// Key and tables are in pinned memory ([`crate::memory`]), and the stack below each call is burnt.
pub struct SealKey(imp::Key);

impl SealKey {
    /// The key with these 32 bytes, made ready. For a key that is used once there are [`seal_once`] and [`open_once`].
    pub fn new(algorithm: Algorithm, key: &Secret<32>) -> Self {
        Self(imp::Key::new(algorithm, key))
    }

    /// Seals `buffer` in place and appends the tag.
    pub fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], buffer: &mut Vec<u8>) {
        let tag = burn_after::<AEAD_DEPTH, _>(|| self.0.seal(nonce, aad, buffer));
        append(buffer, &tag);
    }

    /// Opens `sealed` (ciphertext and tag) in place and returns the plaintext's length.
    ///
    /// # Errors
    /// [`Error::Open`] when the key, nonce, associated data or bytes differ from those that were sealed; the
    /// buffer's content is then unspecified.
    pub fn open_in_place(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        sealed: &mut [u8],
    ) -> Result<usize, Error> {
        burn_after::<AEAD_DEPTH, _>(|| self.0.open(nonce, aad, sealed))
    }

    /// Opens `sealed` into a new vector.
    ///
    /// # Errors
    /// As [`SealKey::open_in_place`].
    pub fn open(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let mut buffer = sealed.to_vec();
        let len = self.open_in_place(nonce, aad, &mut buffer)?;
        buffer.truncate(len);
        Ok(buffer)
    }

    /// Opens `sealed` into pinned memory: the plaintext is at no time anywhere else. For keys and what holds them.
    ///
    /// # Errors
    /// As [`SealKey::open_in_place`].
    pub fn open_secret(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<SecretBytes, Error> {
        into_secret(sealed, |buffer| self.open_in_place(nonce, aad, buffer))
    }
}

/// Seals `buffer` in place, and appends the tag, with a key that is used this once: no key object is kept.
pub fn seal_once(
    algorithm: Algorithm,
    key: &Secret<32>,
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    buffer: &mut Vec<u8>,
) {
    let tag = burnt_once(algorithm, || imp::seal_once(algorithm, key.expose_secret(), nonce, aad, buffer));
    append(buffer, &tag);
}

/// Seals a part of a buffer in place and gives the tag. For callers that burn the stack themselves, [`AEAD_KEY_DEPTH`]
/// deep.
pub(crate) fn seal_once_unburnt(
    algorithm: Algorithm,
    key: &[u8; 32],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    buffer: &mut [u8],
) -> [u8; TAG_LEN] {
    imp::seal_once(algorithm, key, nonce, aad, buffer)
}

/// The same for opening; gives the plaintext's length.
pub(crate) fn open_once_unburnt(
    algorithm: Algorithm,
    key: &[u8; 32],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    sealed: &mut [u8],
) -> Result<usize, Error> {
    imp::open_once(algorithm, key, nonce, aad, sealed)
}

/// Opens `sealed` (ciphertext and tag) in place, with a key that is used this once, and returns the plaintext's
/// length.
///
/// # Errors
/// As [`SealKey::open_in_place`].
pub fn open_once(
    algorithm: Algorithm,
    key: &Secret<32>,
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    sealed: &mut [u8],
) -> Result<usize, Error> {
    burnt_once(algorithm, || imp::open_once(algorithm, key.expose_secret(), nonce, aad, sealed))
}

/// Opens `sealed` into pinned memory, with a key that is used this once.
///
/// # Errors
/// As [`SealKey::open_in_place`].
pub fn open_secret_once(
    algorithm: Algorithm,
    key: &Secret<32>,
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    sealed: &[u8],
) -> Result<SecretBytes, Error> {
    into_secret(sealed, |buffer| open_once(algorithm, key, nonce, aad, buffer))
}

fn burnt_once<R>(algorithm: Algorithm, work: impl FnOnce() -> R) -> R {
    match algorithm {
        Algorithm::ChaCha20Poly1305 => burn_after::<AEAD_DEPTH, _>(work),
        Algorithm::Aes256Gcm => burn_after::<AEAD_KEY_DEPTH, _>(work),
    }
}

fn into_secret(
    sealed: &[u8],
    open: impl FnOnce(&mut [u8]) -> Result<usize, Error>,
) -> Result<SecretBytes, Error> {
    let mut secret = SecretBytes::copy_from(sealed);
    let len = open(secret.bytes_mut())?;
    secret.truncate(len);
    Ok(secret)
}

/// By now the buffer holds ciphertext only, so it may move where it likes.
fn append(buffer: &mut Vec<u8>, tag: &[u8; TAG_LEN]) {
    buffer.extend_from_slice(tag);
}

#[cfg(not(target_arch = "wasm32"))]
#[path = "aead/native.rs"]
mod imp;

#[cfg(any(test, target_arch = "wasm32"))]
#[cfg_attr(not(target_arch = "wasm32"), path = "aead/portable.rs")]
mod portable;
#[cfg(target_arch = "wasm32")]
use portable as imp;

#[cfg(test)]
mod tests;
