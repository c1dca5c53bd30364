//! HPKE (RFC 9180) in base mode with HKDF-SHA256 and ChaCha20-Poly1305, over each suite's KEM.
use super::dhkem::{Dhkem, is_of_small_order};
use super::mlkem::is_x_wing_key;
use crate::engine::random::Stream;
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256, kem::XWing,
    setup_receiver, setup_sender_with_rng,
};
use openmls_traits::types::{
    CryptoError, ExporterSecret, HpkeAeadType, HpkeCiphertext, HpkeConfig, HpkeKdfType, HpkeKemType,
    HpkeKeyPair, KemOutput,
};
use terachat_vault::memory::{AGREEMENT_DEPTH, ENCAPSULATION_DEPTH, burn_after};

/// The HPKE crate panics on 65,531 bytes of `info` and more (RFC 9180 leaves the limit to the KDF, section 7.2.1).
/// Here it is a group context or an encrypted group info, both a few hundred bytes in our groups.
pub(super) const INFO_MAX: usize = 60_000;

/// A suite's way to agree on a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Agreement {
    X25519,
    XWing,
}

/// Calls a function of this module for the KEM, and burns the stack as deep as that one goes.
macro_rules! by_kem {
    ($agreement:expr, $function:ident ( $($argument:expr),* )) => {
        match $agreement {
            Agreement::X25519 => burn_after::<AGREEMENT_DEPTH, _>(|| $function::<Dhkem>($($argument),*)),
            Agreement::XWing => burn_after::<ENCAPSULATION_DEPTH, _>(|| $function::<XWing>($($argument),*)),
        }
    };
}

impl Agreement {
    pub(super) fn of(config: &HpkeConfig) -> Result<Self, CryptoError> {
        match config {
            HpkeConfig(kem, HpkeKdfType::HkdfSha256, HpkeAeadType::ChaCha20Poly1305) => match kem {
                HpkeKemType::DhKem25519 => Ok(Self::X25519),
                HpkeKemType::XWingKemDraft6 => Ok(Self::XWing),
                _ => Err(CryptoError::UnsupportedCiphersuite),
            },
            _ => Err(CryptoError::UnsupportedCiphersuite),
        }
    }

    /// A key pair from 32 bytes and more of secret input.
    pub(super) fn key_pair(self, ikm: &[u8]) -> HpkeKeyPair {
        by_kem!(self, key_pair(ikm))
    }

    /// Whether anything can be sealed for this public key.
    pub(super) fn accepts(self, key: &[u8]) -> bool {
        match self {
            Self::X25519 => recipient::<Dhkem>(key, &[]).is_ok() && !is_of_small_order(key),
            Self::XWing => is_x_wing_key(key),
        }
    }

    /// Seals `plain` for whoever has the private key.
    pub(super) fn seal(
        self,
        key: &[u8],
        info: &[u8],
        aad: &[u8],
        plain: &[u8],
        rng: Stream,
    ) -> Result<HpkeCiphertext, CryptoError> {
        by_kem!(self, seal(key, info, aad, plain, rng))
    }

    pub(super) fn open(
        self,
        sealed: &HpkeCiphertext,
        key: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        by_kem!(self, open(sealed, key, info, aad))
    }

    /// A secret of `len` bytes that whoever has the private key gets from the output by [`Agreement::receive`].
    pub(super) fn send(
        self,
        key: &[u8],
        info: &[u8],
        context: &[u8],
        len: usize,
        rng: Stream,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        by_kem!(self, send(key, info, context, len, rng))
    }

    pub(super) fn receive(
        self,
        output: &[u8],
        key: &[u8],
        info: &[u8],
        context: &[u8],
        len: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        by_kem!(self, receive(output, key, info, context, len))
    }
}

fn key_pair<K: Kem>(ikm: &[u8]) -> HpkeKeyPair {
    let (private, public) = K::derive_keypair(ikm);
    HpkeKeyPair { private: private.to_bytes().as_slice().into(), public: public.to_bytes().to_vec() }
}

fn seal<K: Kem>(
    key: &[u8],
    info: &[u8],
    aad: &[u8],
    plain: &[u8],
    mut rng: Stream,
) -> Result<HpkeCiphertext, CryptoError> {
    let key = recipient::<K>(key, info)?;
    let (kem_output, mut context) =
        setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, K>(&OpModeS::Base, &key, info, &mut rng)
            .map_err(|_| CryptoError::SenderSetupError)?;
    let ciphertext = context.seal(plain, aad).map_err(|_| CryptoError::HpkeEncryptionError)?;
    Ok(HpkeCiphertext { kem_output: kem_output.to_bytes().to_vec().into(), ciphertext: ciphertext.into() })
}

fn open<K: Kem>(
    sealed: &HpkeCiphertext,
    key: &[u8],
    info: &[u8],
    aad: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let (key, output) = receiver::<K>(key, sealed.kem_output.as_slice(), info)?;
    setup_receiver::<ChaCha20Poly1305, HkdfSha256, K>(&OpModeR::Base, &key, &output, info)
        .and_then(|mut context| context.open(sealed.ciphertext.as_slice(), aad))
        .map_err(|_| CryptoError::HpkeDecryptionError)
}

fn send<K: Kem>(
    key: &[u8],
    info: &[u8],
    exporter_context: &[u8],
    len: usize,
    mut rng: Stream,
) -> Result<(KemOutput, ExporterSecret), CryptoError> {
    let key = recipient::<K>(key, info)?;
    let (output, context) =
        setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, K>(&OpModeS::Base, &key, info, &mut rng)
            .map_err(|_| CryptoError::SenderSetupError)?;
    let mut secret = vec![0; len];
    context.export(exporter_context, &mut secret).map_err(|_| CryptoError::ExporterError)?;
    Ok((output.to_bytes().to_vec(), secret.into()))
}

fn receive<K: Kem>(
    output: &[u8],
    key: &[u8],
    info: &[u8],
    exporter_context: &[u8],
    len: usize,
) -> Result<ExporterSecret, CryptoError> {
    let (key, output) = receiver::<K>(key, output, info)?;
    let mut secret = vec![0; len];
    setup_receiver::<ChaCha20Poly1305, HkdfSha256, K>(&OpModeR::Base, &key, &output, info)
        .map_err(|_| CryptoError::ReceiverSetupError)?
        .export(exporter_context, &mut secret)
        .map_err(|_| CryptoError::ExporterError)?;
    Ok(secret.into())
}

fn recipient<K: Kem>(key: &[u8], info: &[u8]) -> Result<K::PublicKey, CryptoError> {
    if info.len() > INFO_MAX {
        return Err(CryptoError::TooMuchData);
    }
    K::PublicKey::from_bytes(key).map_err(|_| CryptoError::InvalidPublicKey)
}

fn receiver<K: Kem>(
    key: &[u8],
    output: &[u8],
    info: &[u8],
) -> Result<(K::PrivateKey, K::EncappedKey), CryptoError> {
    if info.len() > INFO_MAX {
        return Err(CryptoError::TooMuchData);
    }
    let key = K::PrivateKey::from_bytes(key).map_err(|_| CryptoError::InvalidLength)?;
    let output = K::EncappedKey::from_bytes(output).map_err(|_| CryptoError::HpkeDecryptionError)?;
    Ok((key, output))
}
