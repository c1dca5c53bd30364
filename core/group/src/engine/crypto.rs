use super::Seed;
use crate::policy::SUITE;
use ed25519_zebra::{Signature, VerificationKey};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256,
    kem::X25519HkdfSha256, setup_receiver, setup_sender_with_rng,
};
use openmls::prelude::tls_codec::SecretVLBytes;
use openmls_traits::{
    crypto::OpenMlsCrypto,
    random::OpenMlsRand,
    types::{
        AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeAeadType, HpkeCiphertext,
        HpkeConfig, HpkeKdfType, HpkeKemType, HpkeKeyPair, KemOutput, SignatureScheme,
    },
};
use sha2::{Digest, Sha256};
use terachat_vault::memory::{AGREEMENT_DEPTH, HASH_DEPTH, burn_after};
use terachat_vault::{Algorithm, Secret, open_once, seal_once};

/// The HPKE crate panics on 65,531 bytes of `info` and more (RFC 9180 leaves the limit to the KDF, section 7.2.1).
/// Here it is a group context or an encrypted group info, both a few hundred bytes in our groups.
const HPKE_INFO_MAX: usize = 60_000;

type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
type Encapped = <X25519HkdfSha256 as Kem>::EncappedKey;

/// The one ciphersuite's cryptography, without a random source of its own.
pub(crate) struct Crypto {
    seed: Option<Seed>,
}

impl Crypto {
    pub(crate) fn new(seed: Option<Seed>) -> Self {
        Self { seed }
    }

    fn seed(&self) -> Result<&Seed, CryptoError> {
        self.seed.as_ref().ok_or(CryptoError::InsufficientRandomness)
    }
}

impl OpenMlsRand for Crypto {
    type Error = CryptoError;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], CryptoError> {
        let mut out = [0; N];
        self.seed()?.fill(&mut out);
        Ok(out)
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, CryptoError> {
        let mut out = vec![0; len];
        self.seed()?.fill(&mut out);
        Ok(out)
    }
}

impl OpenMlsCrypto for Crypto {
    fn supports(&self, suite: Ciphersuite) -> Result<(), CryptoError> {
        if suite == SUITE { Ok(()) } else { Err(CryptoError::UnsupportedCiphersuite) }
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        vec![SUITE]
    }

    fn hkdf_extract(&self, hash: HashType, salt: &[u8], ikm: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        burn_after::<HASH_DEPTH, _>(|| {
            sha256_only(hash)?;
            Ok(Hkdf::<Sha256>::extract(Some(salt), ikm).0.as_slice().into())
        })
    }

    fn hmac(&self, hash: HashType, key: &[u8], message: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        burn_after::<HASH_DEPTH, _>(|| {
            sha256_only(hash)?;
            let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| CryptoError::InvalidLength)?;
            mac.update(message);
            Ok(mac.finalize().into_bytes().as_slice().into())
        })
    }

    fn hkdf_expand(
        &self,
        hash: HashType,
        prk: &[u8],
        info: &[u8],
        len: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        burn_after::<HASH_DEPTH, _>(|| {
            sha256_only(hash)?;
            let mut out = vec![0; len];
            Hkdf::<Sha256>::from_prk(prk)
                .map_err(|_| CryptoError::HkdfOutputLengthInvalid)?
                .expand(info, &mut out)
                .map_err(|_| CryptoError::HkdfOutputLengthInvalid)?;
            Ok(out.into())
        })
    }

    fn hash(&self, hash: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        sha256_only(hash)?;
        Ok(Sha256::digest(data).to_vec())
    }

    fn aead_encrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let (algorithm, key, nonce) = aead(alg, key, nonce)?;
        let mut buffer = Vec::with_capacity(data.len() + terachat_vault::TAG_LEN);
        buffer.extend_from_slice(data);
        seal_once(algorithm, &key, &nonce, aad, &mut buffer);
        Ok(buffer)
    }

    fn aead_decrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        sealed: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let (algorithm, key, nonce) = aead(alg, key, nonce)?;
        let mut buffer = sealed.to_vec();
        let len = open_once(algorithm, &key, &nonce, aad, &mut buffer)
            .map_err(|_| CryptoError::AeadDecryptionError)?;
        buffer.truncate(len);
        Ok(buffer)
    }

    fn signature_key_gen(&self, _: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        // Device keys are made by the identity's owner, never here.
        Err(CryptoError::UnsupportedSignatureScheme)
    }

    fn verify_signature(
        &self,
        alg: SignatureScheme,
        data: &[u8],
        key: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        if alg != SignatureScheme::ED25519 {
            return Err(CryptoError::UnsupportedSignatureScheme);
        }
        let key = VerificationKey::try_from(key).map_err(|_| CryptoError::InvalidPublicKey)?;
        let signature = Signature::try_from(signature).map_err(|_| CryptoError::InvalidSignature)?;
        key.verify(&signature, data).map_err(|_| CryptoError::InvalidSignature)
    }

    fn sign(&self, _: SignatureScheme, _: &[u8], _: &[u8]) -> Result<Vec<u8>, CryptoError> {
        // The library signs through `DeviceSigner`, which alone knows the key.
        Err(CryptoError::UnsupportedSignatureScheme)
    }

    fn hpke_seal(
        &self,
        config: HpkeConfig,
        key: &[u8],
        info: &[u8],
        aad: &[u8],
        plain: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        burn_after::<AGREEMENT_DEPTH, _>(|| {
            let key = recipient(&config, key, info)?;
            let mut rng = self.seed()?.ephemeral(&[&key.to_bytes(), info, aad, plain]);
            let (kem_output, mut context) = setup_sender_with_rng::<
                ChaCha20Poly1305,
                HkdfSha256,
                X25519HkdfSha256,
            >(&OpModeS::Base, &key, info, &mut rng)
            .map_err(|_| CryptoError::SenderSetupError)?;
            let ciphertext = context.seal(plain, aad).map_err(|_| CryptoError::HpkeEncryptionError)?;
            Ok(HpkeCiphertext {
                kem_output: kem_output.to_bytes().to_vec().into(),
                ciphertext: ciphertext.into(),
            })
        })
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        key: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        burn_after::<AGREEMENT_DEPTH, _>(|| {
            let (key, enc) = receiver(&config, key, input.kem_output.as_slice(), info)?;
            setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(&OpModeR::Base, &key, &enc, info)
                .and_then(|mut context| context.open(input.ciphertext.as_slice(), aad))
                .map_err(|_| CryptoError::HpkeDecryptionError)
        })
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        key: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        len: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        burn_after::<AGREEMENT_DEPTH, _>(|| {
            let key = recipient(&config, key, info)?;
            let mut rng = self.seed()?.ephemeral(&[&key.to_bytes(), info, exporter_context]);
            let (kem_output, context) =
                setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
                    &OpModeS::Base,
                    &key,
                    info,
                    &mut rng,
                )
                .map_err(|_| CryptoError::SenderSetupError)?;
            let mut secret = vec![0; len];
            context.export(exporter_context, &mut secret).map_err(|_| CryptoError::ExporterError)?;
            Ok((kem_output.to_bytes().to_vec(), secret.into()))
        })
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        enc: &[u8],
        key: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        len: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        burn_after::<AGREEMENT_DEPTH, _>(|| {
            let (key, enc) = receiver(&config, key, enc, info)?;
            let mut secret = vec![0; len];
            setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
                &OpModeR::Base,
                &key,
                &enc,
                info,
            )
            .map_err(|_| CryptoError::ReceiverSetupError)?
            .export(exporter_context, &mut secret)
            .map_err(|_| CryptoError::ExporterError)?;
            Ok(secret.into())
        })
    }

    fn derive_hpke_keypair(&self, config: HpkeConfig, ikm: &[u8]) -> Result<HpkeKeyPair, CryptoError> {
        burn_after::<AGREEMENT_DEPTH, _>(|| {
            x25519_only(&config)?;
            let (private, public) = X25519HkdfSha256::derive_keypair(ikm);
            Ok(HpkeKeyPair {
                private: private.to_bytes().as_slice().into(),
                public: public.to_bytes().to_vec(),
            })
        })
    }
}

fn sha256_only(hash: HashType) -> Result<(), CryptoError> {
    if hash == HashType::Sha2_256 { Ok(()) } else { Err(CryptoError::UnsupportedHashAlgorithm) }
}

fn x25519_only(config: &HpkeConfig) -> Result<(), CryptoError> {
    match config {
        HpkeConfig(HpkeKemType::DhKem25519, HpkeKdfType::HkdfSha256, HpkeAeadType::ChaCha20Poly1305) => {
            Ok(())
        }
        _ => Err(CryptoError::UnsupportedCiphersuite),
    }
}

fn recipient(config: &HpkeConfig, key: &[u8], info: &[u8]) -> Result<PublicKey, CryptoError> {
    x25519_only(config)?;
    if info.len() > HPKE_INFO_MAX {
        return Err(CryptoError::TooMuchData);
    }
    PublicKey::from_bytes(key).map_err(|_| CryptoError::InvalidPublicKey)
}

fn receiver(
    config: &HpkeConfig,
    key: &[u8],
    enc: &[u8],
    info: &[u8],
) -> Result<(PrivateKey, Encapped), CryptoError> {
    x25519_only(config)?;
    if info.len() > HPKE_INFO_MAX {
        return Err(CryptoError::TooMuchData);
    }
    let key = PrivateKey::from_bytes(key).map_err(|_| CryptoError::InvalidLength)?;
    let enc = Encapped::from_bytes(enc).map_err(|_| CryptoError::HpkeDecryptionError)?;
    Ok((key, enc))
}

fn aead(alg: AeadType, key: &[u8], nonce: &[u8]) -> Result<(Algorithm, Secret<32>, [u8; 12]), CryptoError> {
    if alg != AeadType::ChaCha20Poly1305 {
        return Err(CryptoError::UnsupportedAeadAlgorithm);
    }
    if key.len() != 32 {
        return Err(CryptoError::InvalidLength);
    }
    let nonce = nonce.try_into().map_err(|_| CryptoError::InvalidLength)?;
    Ok((Algorithm::ChaCha20Poly1305, Secret::generate(|out| out.copy_from_slice(key)), nonce))
}

#[cfg(test)]
mod tests {
    mod vectors;

    use super::*;
    use terachat_vault::Entropy;

    struct Fixed(u8);
    impl Entropy for Fixed {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }

    const CONFIG: fn() -> HpkeConfig =
        || HpkeConfig(HpkeKemType::DhKem25519, HpkeKdfType::HkdfSha256, HpkeAeadType::ChaCha20Poly1305);

    fn writing(seed: u8) -> Crypto {
        Crypto::new(Some(Seed::draw(&mut Fixed(seed))))
    }

    #[test]
    fn reading_has_no_randomness_to_draw() {
        let reading = Crypto::new(None);
        let public = reading.derive_hpke_keypair(CONFIG(), &[1; 32]).unwrap().public;
        assert_eq!(reading.random_array::<4>(), Err(CryptoError::InsufficientRandomness));
        assert_eq!(
            reading.hpke_seal(CONFIG(), &public, b"", b"", b"").unwrap_err(),
            CryptoError::InsufficientRandomness
        );
    }

    #[test]
    fn an_ephemeral_key_is_never_used_for_two_plaintexts() {
        let crypto = writing(1);
        let pair = crypto.derive_hpke_keypair(CONFIG(), &[1; 32]).unwrap();
        let seal = |crypto: &Crypto, info: &[u8], aad: &[u8], plain: &[u8]| {
            let sealed = crypto.hpke_seal(CONFIG(), &pair.public, info, aad, plain).unwrap();
            let opened = crypto.hpke_open(CONFIG(), &sealed, pair.private.as_ref(), info, aad).unwrap();
            assert_eq!(opened, plain);
            sealed.kem_output.as_slice().to_vec()
        };
        let first = seal(&crypto, b"ab", b"", b"x");
        assert_eq!(first, seal(&crypto, b"ab", b"", b"x"), "whatever the order of the threads");
        assert_ne!(first, seal(&crypto, b"ab", b"", b"y"));
        assert_ne!(first, seal(&crypto, b"a", b"b", b"x"));
        assert_ne!(first, seal(&writing(2), b"ab", b"", b"x"));
        assert_ne!(crypto.random_array::<8>(), crypto.random_array::<8>());
    }

    #[test]
    fn what_the_hpke_crate_panics_on_is_an_error() {
        let crypto = writing(1);
        let pair = crypto.derive_hpke_keypair(CONFIG(), &[1; 32]).unwrap();
        let sealed = crypto.hpke_seal(CONFIG(), &pair.public, b"", b"", b"x").unwrap();
        for len in [HPKE_INFO_MAX + 1, 1 << 16, 1 << 20] {
            let info = vec![0; len];
            assert!(crypto.hpke_seal(CONFIG(), &pair.public, &info, b"", b"x").is_err());
            assert!(crypto.hpke_open(CONFIG(), &sealed, pair.private.as_ref(), &info, b"").is_err());
        }
        assert!(crypto.hpke_seal(CONFIG(), &pair.public, &[0; HPKE_INFO_MAX], b"", b"x").is_ok());
        assert!(crypto.hpke_seal(CONFIG(), &[0; 32], b"", b"", b"x").is_err(), "the zero point");
    }
}
