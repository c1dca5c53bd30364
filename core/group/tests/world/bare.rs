//! What the bare library wants of whoever signs for its members.
use ed25519_zebra::SigningKey;
use openmls::prelude::Ciphersuite;
use openmls_traits::{
    signatures::{Signer, SignerError},
    types::SignatureScheme,
};

pub(crate) const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;

pub(crate) struct BareSigner(pub(crate) SigningKey);

impl Signer for BareSigner {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_bytes().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
