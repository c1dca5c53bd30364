//! The pure Rust implementation, for targets where ring does not go.
use super::{Error, NONCE_LEN};
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};

pub(super) type Key = ChaCha20Poly1305;

pub(super) fn key(bytes: &[u8; 32]) -> Key {
    ChaCha20Poly1305::new(bytes.into())
}

pub(super) fn seal(key: &Key, nonce: &[u8; NONCE_LEN], aad: &[u8], buffer: &mut Vec<u8>) {
    let tag = key
        .encrypt_inout_detached(nonce.into(), aad, buffer.as_mut_slice().into())
        .expect("no message here nears the cipher's 256 GiB");
    buffer.extend_from_slice(&tag);
}

pub(super) fn open(
    key: &Key,
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    sealed: &mut [u8],
) -> Result<usize, Error> {
    let len = sealed.len().checked_sub(super::TAG_LEN).ok_or(Error::Open)?;
    let (text, tag) = sealed.split_at_mut(len);
    let tag = chacha20poly1305::Tag::try_from(&*tag).map_err(|_| Error::Open)?;
    key.decrypt_inout_detached(nonce.into(), aad, text.into(), &tag).map_err(|_| Error::Open)?;
    Ok(len)
}
