//! Whether all signatures of a batch verify, at a fraction of what each costs alone.
//!
//! Signatures are judged under the rules of ZIP-215, for which "in a batch" and "alone" are the same
//! (`docs/adr/0008-signatures-zip215-and-blinding.md`). Everything here is public, so nothing runs in constant time.

mod blinding;
#[cfg(target_arch = "x86_64")]
mod vector;

use blinding::Blinding;
use ed25519_zebra::{VerificationKeyBytes, batch};

/// An Ed25519 signature with what it is about.
pub(crate) struct Signed<const LEN: usize> {
    /// What its challenge is the hash of: nonce (the signature's first half), key, message.
    pub(crate) hashed: [u8; LEN],
    /// The signature's second half.
    pub(crate) s: [u8; 32],
}

impl<const LEN: usize> Signed<LEN> {
    fn nonce(&self) -> &[u8; 32] {
        self.hashed.first_chunk().expect("the nonce stands first")
    }

    fn key(&self) -> &[u8; 32] {
        self.hashed[32..].first_chunk().expect("the key stands behind the nonce")
    }
}

/// Below so many signatures the vectors' fixed cost is more than what they save.
const VECTOR_MIN: usize = 3;

/// Whether all signatures verify, up to a chance of 2^-127. `false` does not say which do not.
pub(crate) fn verify<const LEN: usize>(batch: &[Signed<LEN>]) -> bool {
    let vector = if batch.len() < VECTOR_MIN { None } else { verify_vector(batch) };
    vector.unwrap_or_else(|| verify_portable(batch))
}

/// With vector instructions; `None` where the processor lacks them.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "calls code for a processor that was asked what it can")]
fn verify_vector<const LEN: usize>(batch: &[Signed<LEN>]) -> Option<bool> {
    // SAFETY: the processor has every instruction set that `vector::verify` is compiled for.
    vector::available().then(|| unsafe { vector::verify(batch) })
}

#[cfg(not(target_arch = "x86_64"))]
fn verify_vector<const LEN: usize>(_: &[Signed<LEN>]) -> Option<bool> {
    None
}

/// By ed25519-zebra.
fn verify_portable<const LEN: usize>(batch: &[Signed<LEN>]) -> bool {
    let mut verifier = batch::Verifier::new();
    let mut transcript = Vec::with_capacity(batch.len() * (LEN + 32));
    for signed in batch {
        transcript.extend_from_slice(&signed.hashed);
        transcript.extend_from_slice(&signed.s);
        let signature = ed25519_zebra::Signature::from_components(*signed.nonce(), signed.s);
        verifier.queue((VerificationKeyBytes::from(*signed.key()), signature, &signed.hashed[64..]));
    }
    verifier.verify(Blinding::new(&transcript)).is_ok()
}

#[cfg(test)]
mod tests;
