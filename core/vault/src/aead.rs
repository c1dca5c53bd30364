//! ChaCha20-Poly1305 (RFC 8439): ring natively, RustCrypto in WebAssembly, the same bytes.
use crate::{Error, Secret};

/// Bytes a sealed value is longer than its plaintext: the Poly1305 tag.
pub const TAG_LEN: usize = 16;
/// Bytes of a nonce.
pub const NONCE_LEN: usize = 12;

/// A key that seals and opens. The caller never uses one nonce twice under one key.
pub struct SealKey(imp::Key);

impl SealKey {
    /// The key with these 32 bytes.
    pub fn new(key: &Secret<32>) -> Self {
        Self(imp::key(key.expose_secret()))
    }

    /// Seals `buffer` in place and appends the tag.
    pub fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], buffer: &mut Vec<u8>) {
        imp::seal(&self.0, nonce, aad, buffer);
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
        imp::open(&self.0, nonce, aad, sealed)
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
}

#[cfg(not(target_arch = "wasm32"))]
mod imp {
    use super::{Error, NONCE_LEN};
    use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

    pub(super) type Key = LessSafeKey;

    pub(super) fn key(bytes: &[u8; 32]) -> Key {
        LessSafeKey::new(
            UnboundKey::new(&CHACHA20_POLY1305, bytes).expect("32 bytes are this cipher's key length"),
        )
    }

    pub(super) fn seal(key: &Key, nonce: &[u8; NONCE_LEN], aad: &[u8], buffer: &mut Vec<u8>) {
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), buffer)
            .expect("a Vec grows, and no message here nears the cipher's 256 GiB");
    }

    pub(super) fn open(
        key: &Key,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        sealed: &mut [u8],
    ) -> Result<usize, Error> {
        key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), sealed)
            .map(|plain| plain.len())
            .map_err(|_| Error::Open)
    }
}

#[cfg(any(test, target_arch = "wasm32"))]
#[cfg_attr(not(target_arch = "wasm32"), path = "aead/portable.rs")]
mod portable;
#[cfg(target_arch = "wasm32")]
use portable as imp;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 8439, section 2.8.2.
    #[test]
    fn rfc_8439_vector() {
        let mut key = std::array::from_fn(|i| 0x80 + i as u8);
        let nonce = [0x07, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47];
        let aad = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
        let mut sealed = text.to_vec();
        SealKey::new(&Secret::take(&mut key)).seal(&nonce, &aad, &mut sealed);
        assert_eq!(&sealed[..8], &[0xd3, 0x1a, 0x8d, 0x34, 0x64, 0x8e, 0x60, 0xdb]);
        assert_eq!(
            &sealed[text.len()..],
            &[0x1a, 0xe1, 0x0b, 0x59, 0x4f, 0x09, 0xe2, 0x6a, 0x7e, 0x90, 0x2e, 0xcb, 0xd0, 0x60, 0x06, 0x91]
        );
    }

    proptest! {
        /// The browser's implementation and the native one write and read the same bytes.
        #[test]
        fn both_implementations_agree(mut key: [u8; 32], nonce: [u8; 12], aad: Vec<u8>, text: Vec<u8>, flip: prop::sample::Index) {
            let (mut a, mut b) = (text.clone(), text.clone());
            let other = portable::key(&key);
            let native = SealKey::new(&Secret::take(&mut key));
            native.seal(&nonce, &aad, &mut a);
            portable::seal(&other, &nonce, &aad, &mut b);
            prop_assert_eq!(&a, &b);
            prop_assert_eq!(native.open(&nonce, &aad, &b).unwrap(), text);
            let at = flip.index(a.len());
            a[at] ^= 1;
            prop_assert!(native.open(&nonce, &aad, &a).is_err());
            prop_assert!(portable::open(&other, &nonce, &aad, &mut a).is_err());
        }
    }
}
