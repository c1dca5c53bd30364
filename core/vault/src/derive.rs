use crate::Secret;
use crate::memory::{HASH_DEPTH, burn_after};

/// Derives a key for one purpose (BLAKE3 `derive_key` mode, section 2.3 of the BLAKE3 paper).
///
/// `context` is a hard-coded, globally unique string such as `"terachat 2026-11 store block key"`; whatever
/// varies at run time belongs into `parts`, each of which is length-prefixed so that no two lists collide.
pub fn derive_key(context: &str, key: &Secret<32>, parts: &[&[u8]]) -> Secret<32> {
    Secret::generate(|out| {
        burn_after::<HASH_DEPTH, _>(|| {
            let mut hasher = blake3::Hasher::new_derive_key(context);
            hasher.update(key.expose_secret());
            for part in parts {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
            hasher.finalize_xof().fill(out);
        });
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_separates() {
        let key = Secret::take(&mut [1; 32]);
        let base = derive_key("a", &key, &[b"x", b"y"]);
        for other in [
            derive_key("b", &key, &[b"x", b"y"]),
            derive_key("a", &Secret::take(&mut [2; 32]), &[b"x", b"y"]),
            derive_key("a", &key, &[b"xy", b""]),
            derive_key("a", &key, &[b"x"]),
        ] {
            assert_ne!(base.expose_secret(), other.expose_secret());
        }
    }
}
