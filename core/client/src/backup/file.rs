//! A backup's bytes: `docs/format/store-backup.md`.
use crate::Error;
use crate::bundle_file::take;
use crate::protocol::Frame;
use terachat_vault::{
    Algorithm, NONCE_LEN, SealKey, Secret, SecretBytes, TAG_LEN, derive_key, open_secret_once, seal_once,
};

const MAGIC: &[u8; 8] = b"TCstore\x01";
/// Longest keyring, as of a profile.
const KEYRING_LEN_MAX: usize = 256 * 1024;
/// Bytes in a chunk before sealing; the last one may hold less.
const CHUNK_LEN: usize = 64 * 1024;

/// What a backup holds.
pub(super) struct Content {
    /// Epoch secrets as writes of records.
    pub(super) secrets: SecretBytes,
    /// Frames as in a bundle file, space by space.
    pub(super) frames: Vec<u8>,
}

impl Content {
    /// # Errors
    /// [`Error::Backup`] when its frames are not what a backup holds.
    pub(super) fn check(&self) -> Result<(), Error> {
        let mut rest = self.frames.as_slice();
        while !rest.is_empty() {
            match take(&mut rest) {
                Ok(Frame::Bundle { .. } | Frame::Tree { .. } | Frame::Proof { .. }) => {}
                _ => return Err(Error::Backup("it holds something that no backup holds")),
            }
        }
        Ok(())
    }
}

/// The file: magic, keyring, epoch secrets, frames.
pub(super) fn seal(keyring: &[u8], key: &Secret<32>, content: Content) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    put_len(&mut file, keyring.len());
    file.extend_from_slice(keyring);
    let keys = Keys::new(key, &file);
    // Of its final length at once: a buffer that moves leaves its secrets behind.
    let secrets = content.secrets.expose_secret();
    let mut sealed = Vec::with_capacity(secrets.len() + TAG_LEN);
    sealed.extend_from_slice(secrets);
    seal_once(ALGORITHM, &keys.secrets, &[0; NONCE_LEN], &[], &mut sealed);
    put_len(&mut file, sealed.len());
    file.append(&mut sealed);
    let chunks = content.frames.len().div_ceil(CHUNK_LEN).max(1);
    for number in 0..chunks {
        let from = number * CHUNK_LEN;
        let mut chunk = content.frames[from..content.frames.len().min(from + CHUNK_LEN)].to_vec();
        keys.frames.seal(&nonce(number, number + 1 == chunks), &[], &mut chunk);
        file.append(&mut chunk);
    }
    file
}

/// The keyring that guards a backup.
///
/// # Errors
/// [`Error::Backup`].
pub(super) fn keyring_of(file: &[u8]) -> Result<&[u8], Error> {
    let rest = file.strip_prefix(MAGIC).ok_or_else(|| match file.strip_prefix(&MAGIC[..7]) {
        Some([]) | None => Error::Backup("it is none"),
        Some(_) => Error::Backup("a newer terachat wrote it"),
    })?;
    let (keyring, _) = take_part(rest)?;
    if keyring.len() > KEYRING_LEN_MAX { Err(Error::Backup("its keyring is too long")) } else { Ok(keyring) }
}

/// All that is in it: whoever gets this has the whole file, unchanged.
///
/// # Errors
/// [`Error::Backup`].
pub(super) fn open(file: &[u8], key: &Secret<32>) -> Result<Content, Error> {
    let changed = || Error::Backup("it was changed or is cut short");
    let header_len = MAGIC.len() + 4 + keyring_of(file)?.len();
    let (header, rest) = file.split_at(header_len);
    let keys = Keys::new(key, header);
    let (sealed, mut rest) = take_part(rest)?;
    let secrets =
        open_secret_once(ALGORITHM, &keys.secrets, &[0; NONCE_LEN], &[], sealed).map_err(|_| changed())?;
    let mut frames = Vec::with_capacity(rest.len());
    for number in 0.. {
        let (chunk, after) = rest.split_at(rest.len().min(CHUNK_LEN + TAG_LEN));
        let is_last = after.is_empty();
        let bytes = keys.frames.open(&nonce(number, is_last), &[], chunk).map_err(|_| changed())?;
        frames.extend_from_slice(&bytes);
        if is_last {
            break;
        }
        rest = after;
    }
    Ok(Content { secrets, frames })
}

const ALGORITHM: Algorithm = Algorithm::ChaCha20Poly1305;

/// Another header, which is another keyring, is other keys.
struct Keys {
    secrets: Secret<32>,
    frames: SealKey,
}

impl Keys {
    fn new(key: &Secret<32>, header: &[u8]) -> Self {
        let header = blake3::hash(header);
        let derive = |context| derive_key(context, key, &[header.as_bytes()]);
        Self {
            secrets: derive("terachat 2026-11 store backup secrets"),
            frames: SealKey::new(ALGORITHM, &derive("terachat 2026-11 store backup frames")),
        }
    }
}

/// The key is used for one file, so a chunk's number is used once; the last one says that it is.
fn nonce(number: usize, is_last: bool) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&(number as u64).to_le_bytes());
    nonce[8] = u8::from(is_last);
    nonce
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).expect("keys take far less than 4 GiB");
    out.extend_from_slice(&len.to_le_bytes());
}

/// A length and as many bytes, and what is behind them.
fn take_part(bytes: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let parts = bytes
        .split_first_chunk()
        .and_then(|(len, rest)| rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?));
    parts.ok_or(Error::Backup("it is cut short"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> Secret<32> {
        Secret::take(&mut [3; 32])
    }

    fn content(secrets: &[u8], len: usize) -> Content {
        let frames = (0..len).map(|n| (n / 7) as u8).collect();
        Content { secrets: SecretBytes::copy_from(secrets), frames }
    }

    #[track_caller]
    fn opens(file: &[u8], expected: &Content) {
        let opened = open(file, &key()).unwrap();
        assert_eq!(opened.frames, expected.frames);
        assert_eq!(opened.secrets.expose_secret(), expected.secrets.expose_secret());
    }

    #[test]
    fn it_reads_what_it_wrote_at_every_edge_of_a_chunk() {
        for len in [0, 1, CHUNK_LEN - 1, CHUNK_LEN, CHUNK_LEN + 1, 3 * CHUNK_LEN] {
            let file = seal(b"the keyring", &key(), content(b"secrets", len));
            assert_eq!(keyring_of(&file).unwrap(), b"the keyring");
            opens(&file, &content(b"secrets", len));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn changed_moved_or_cut_it_is_refused(len in 0..3 * CHUNK_LEN, at: prop::sample::Index, bit in 0..8u8) {
            let file = seal(b"the keyring", &key(), content(b"secrets", len));
            let mut changed = file.clone();
            changed[at.index(file.len())] ^= 1 << bit;
            prop_assert!(open(&changed, &key()).is_err());
            prop_assert!(open(&file[..at.index(file.len())], &key()).is_err());
            let mut longer = file.clone();
            longer.push(0);
            prop_assert!(open(&longer, &key()).is_err());
            let sealed = CHUNK_LEN + TAG_LEN;
            if len > 2 * CHUNK_LEN {
                let start = file.len() - (len - 2 * CHUNK_LEN + TAG_LEN) - 2 * sealed;
                let mut swapped = file.clone();
                swapped[start..start + 2 * sealed].rotate_left(sealed);
                prop_assert!(open(&swapped, &key()).is_err());
                // Cut where a chunk ends.
                prop_assert!(open(&file[..start + sealed], &key()).is_err());
            }
        }

        #[test]
        fn random_bytes_are_refused(bytes: Vec<u8>) {
            prop_assert!(open(&bytes, &key()).is_err());
            prop_assert!(open(&[&MAGIC[..], &bytes].concat(), &key()).is_err());
        }
    }
}
