//! The all-or-nothing package that a batch is sealed into before it is cut: `docs/format/package.md`.
//!
//! AONT-RS (Resch and Plank, FAST 2011), with the tail kept apart: the batch is sealed under a key of its own, and that key
//! stands in the metadata only as its difference from a hash of everything that was sealed. Whoever has the metadata and fewer
//! than k shards does not get at the key; whoever has all shards and not the metadata neither. Destroying 32 bytes of metadata
//! forgets the batch on every disk.
use crate::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use terachat_shard::StripeId;
use terachat_vault::{Algorithm, Entropy, NONCE_LEN, Secret, TAG_LEN, derive_key, open_once, seal_once};

const MASK: &str = "terachat 2026-11 cluster package mask";
const HASH: &str = "terachat 2026-11 cluster package hash";
/// A key seals one batch, so its nonce need not differ.
const NONCE: [u8; NONCE_LEN] = [0; NONCE_LEN];

/// Bytes that a package has more than its batch.
pub const PACKAGE_OVERHEAD: usize = TAG_LEN;

/// The key of a batch, hidden behind the hash of its package: what the cluster's metadata keeps. Worth nothing without k shards.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageKey(pub [u8; 32]);

/// Shows nothing: with the shards it opens the batch.
impl fmt::Debug for PackageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PackageKey(..)")
    }
}

/// Seals a batch as the bytes of this stripe, and gives what opens it.
pub(crate) fn wrap(stripe: StripeId, mut batch: Vec<u8>, entropy: &mut dyn Entropy) -> (Vec<u8>, PackageKey) {
    let key = Secret::generate(|out| entropy.fill(out));
    seal_once(Algorithm::ChaCha20Poly1305, &key, &NONCE, &stripe.0, &mut batch);
    let hidden = hide(key.expose_secret(), stripe, &batch);
    (batch, PackageKey(hidden))
}

/// The batch of a whole package.
///
/// # Errors
/// [`Error::Package`]: it is not the package of this stripe and key.
pub(crate) fn unwrap(stripe: StripeId, mut package: Vec<u8>, key: &PackageKey) -> Result<Vec<u8>, Error> {
    let key = Secret::generate(|out| *out = hide(&key.0, stripe, &package));
    let opened = open_once(Algorithm::ChaCha20Poly1305, &key, &NONCE, &stripe.0, &mut package);
    let len = opened.map_err(|_| Error::Package { stripe })?;
    package.truncate(len);
    Ok(package)
}

/// A key's difference from the package's hash; of the difference, the key.
fn hide(key: &[u8; 32], stripe: StripeId, package: &[u8]) -> [u8; 32] {
    let hash = Secret::take(&mut blake3::derive_key(HASH, package));
    let mask = derive_key(MASK, &hash, &[&stripe.0]);
    let mut out = *key;
    out.iter_mut().zip(mask.expose_secret()).for_each(|(byte, mask)| *byte ^= mask);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Dice;
    use proptest::prelude::*;

    const STRIPE: StripeId = StripeId([3; 16]);

    proptest! {
        #[test]
        fn only_the_whole_package_opens(batch in prop::collection::vec(any::<u8>(), 1..300), at: prop::sample::Index, bit in 0..8u8) {
            let (package, key) = wrap(STRIPE, batch.clone(), &mut Dice(7));
            prop_assert_eq!(package.len(), batch.len() + PACKAGE_OVERHEAD);
            prop_assert_eq!(unwrap(STRIPE, package.clone(), &key), Ok(batch));
            let mut changed = package.clone();
            let at = at.index(changed.len());
            changed[at] ^= 1 << bit;
            prop_assert_eq!(unwrap(STRIPE, changed, &key), Err(Error::Package { stripe: STRIPE }));
            let other = StripeId([4; 16]);
            prop_assert_eq!(unwrap(other, package.clone(), &key), Err(Error::Package { stripe: other }));
            let mut wrong = key;
            wrong.0[usize::from(bit)] ^= 1;
            prop_assert!(unwrap(STRIPE, package, &wrong).is_err());
        }
    }

    /// The same batch twice has nothing in common on the disks, and the metadata's key does not show the real one.
    #[test]
    fn keys_are_drawn_anew() {
        let mut dice = Dice(1);
        let (first, key) = wrap(STRIPE, vec![0; 64], &mut dice);
        let (second, other) = wrap(STRIPE, vec![0; 64], &mut dice);
        assert_ne!((first, key), (second, other));
        assert_eq!(format!("{key:?}"), "PackageKey(..)");
    }
}
