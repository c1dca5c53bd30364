use crate::DeviceId;
use ed25519_zebra::{SigningKey, VerificationKeyBytes};
use openmls::prelude::{BasicCredential, CredentialWithKey};
use openmls_traits::{
    signatures::{Signer, SignerError},
    types::SignatureScheme,
};
use terachat_vault::Secret;
use terachat_vault::memory::{Pinned, SIGN_DEPTH, burn_after};

/// A device's signing key, ready to sign. In pinned memory, zeroized on drop, without `Debug` and `Clone`.
pub struct DeviceSigner {
    key: Pinned<SigningKey>,
    device: DeviceId,
}

impl DeviceSigner {
    /// The signer of the device with this Ed25519 seed (RFC 8032, section 5.1.5).
    pub fn new(seed: &Secret<32>) -> Self {
        let key = Pinned::new::<SIGN_DEPTH>(|| SigningKey::from_bytes(seed.expose_secret()));
        let device = VerificationKeyBytes::from(&*key).into();
        Self { key, device }
    }

    /// The device: its public key.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    pub(crate) fn engine(&self) -> EngineSigner<'_> {
        EngineSigner(self)
    }

    pub(crate) fn credential(&self) -> CredentialWithKey {
        self.credential_of(&self.device)
    }

    /// One with another name in it than the device's own.
    pub(crate) fn credential_of(&self, identity: &[u8]) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(identity.to_vec()).into(),
            signature_key: self.device.to_vec().into(),
        }
    }
}

/// The same signer as the MLS library wants it; apart, so that its trait stays out of the public type.
pub(crate) struct EngineSigner<'a>(&'a DeviceSigner);

impl Signer for EngineSigner<'_> {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(burn_after::<SIGN_DEPTH, _>(|| self.0.key.sign(payload).to_bytes()).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
