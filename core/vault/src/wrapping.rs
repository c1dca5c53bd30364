//! One key wrapped by another: `docs/format/wrapped-key.md`.
use crate::{Algorithm, Entropy, Secret, SourceError, SourceKind, envelope};

const MAGIC: &[u8; 4] = b"TCw\x01";
const PREFIX_LEN: usize = MAGIC.len() + 1;
const ALGORITHM: Algorithm = Algorithm::ChaCha20Poly1305;
/// Bytes of a wrapped key.
pub const WRAPPED_KEY_LEN: usize = PREFIX_LEN + envelope::OVERHEAD + 32;

/// A vault's id: random, not secret. What is wrapped for one vault does not open in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VaultId(pub [u8; 16]);

/// Wraps `key` by the source's own key `by`, bound to the source's kind and to the vault.
pub fn wrap_key(
    by: &Secret<32>,
    kind: SourceKind,
    vault: &VaultId,
    key: &Secret<32>,
    entropy: &mut dyn Entropy,
) -> Vec<u8> {
    envelope::seal(ALGORITHM, by, &prefix(kind), &vault.0, key.expose_secret(), entropy)
}

/// Opens what [`wrap_key`] gave.
///
/// # Errors
/// [`SourceError::Refused`]: not a wrapped key, wrapped by another kind of source, or by another key of this kind or for
/// another vault, which cannot be told from changed bytes.
pub fn unwrap_key(
    by: &Secret<32>,
    kind: SourceKind,
    vault: &VaultId,
    wrapped: &[u8],
) -> Result<Secret<32>, SourceError> {
    let refused = |reason: &str| SourceError::Refused { kind, reason: reason.to_owned() };
    if wrapped.len() != WRAPPED_KEY_LEN || !wrapped.starts_with(MAGIC) {
        return Err(refused(
            "what is stored is not a wrapped key of this version; was it made by a newer terachat?",
        ));
    }
    if wrapped[..PREFIX_LEN] != prefix(kind) {
        return Err(refused("the stored key was wrapped by another kind of source"));
    }
    let opened = envelope::open(ALGORITHM, by, PREFIX_LEN, &vault.0, wrapped);
    let opened = opened.map_err(|_| {
        refused(
            "it holds another key than the one that wrapped this vault's, or the stored bytes were changed",
        )
    })?;
    Ok(Secret::generate(|key| key.copy_from_slice(opened.expose_secret())))
}

fn prefix(kind: SourceKind) -> [u8; PREFIX_LEN] {
    let mut prefix = [kind as u8; PREFIX_LEN];
    prefix[..MAGIC.len()].copy_from_slice(MAGIC);
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Counting;
    use proptest::prelude::*;

    const VAULT: VaultId = VaultId([9; 16]);

    fn key(byte: u8) -> Secret<32> {
        Secret::take(&mut [byte; 32])
    }

    fn wrapped() -> Vec<u8> {
        wrap_key(&key(1), SourceKind::File, &VAULT, &key(7), &mut Counting(0))
    }

    #[test]
    fn published_vector() {
        let hex: String = wrapped().iter().map(|byte| format!("{byte:02x}")).collect();
        let document = include_str!("../../../docs/format/wrapped-key.md");
        assert!(document.contains(&hex), "docs/format/wrapped-key.md lacks {hex}");
        let opened = unwrap_key(&key(1), SourceKind::File, &VAULT, &wrapped()).ok().unwrap();
        assert_eq!(opened.expose_secret(), &[7; 32]);
    }

    #[test]
    fn kind_key_and_vault_are_bound() {
        #[track_caller]
        fn case(by: u8, kind: SourceKind, vault: u8, says: &str) {
            let error = unwrap_key(&key(by), kind, &VaultId([vault; 16]), &wrapped()).err().unwrap();
            assert!(error.to_string().contains(says), "{error}");
        }
        case(2, SourceKind::File, 9, "another key");
        case(1, SourceKind::File, 8, "another key");
        case(1, SourceKind::Tpm, 9, "another kind of source");
        let mut relabelled = wrapped();
        relabelled[MAGIC.len()] = SourceKind::Tpm as u8;
        assert!(unwrap_key(&key(1), SourceKind::Tpm, &VAULT, &relabelled).is_err());
    }

    proptest! {
        #[test]
        fn damage_is_an_error(at: prop::sample::Index, bit in 0..8u8, cut: prop::sample::Index) {
            let mut wrapped = wrapped();
            let at = at.index(wrapped.len());
            wrapped[at] ^= 1 << bit;
            prop_assert!(unwrap_key(&key(1), SourceKind::File, &VAULT, &wrapped).is_err());
            wrapped[at] ^= 1 << bit;
            wrapped.truncate(cut.index(wrapped.len()));
            prop_assert!(unwrap_key(&key(1), SourceKind::File, &VAULT, &wrapped).is_err());
        }
    }
}
