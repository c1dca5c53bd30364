mod agreement;
mod dhkem;
mod mlkem;

use super::Seed;
use crate::CipherSuite;
use agreement::Agreement;
use ed25519_zebra::{Signature, VerificationKey};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};

use openmls::prelude::tls_codec::SecretVLBytes;
use openmls_traits::{
    crypto::OpenMlsCrypto,
    random::OpenMlsRand,
    types::{
        AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeCiphertext, HpkeConfig,
        HpkeKeyPair, KemOutput, SignatureScheme,
    },
};
use sha2::{Digest, Sha256};
use terachat_vault::memory::{HASH_DEPTH, burn_after};
use terachat_vault::{Algorithm, Secret, open_once, seal_once};

/// The ciphersuites' cryptography, without a random source of its own.
pub(crate) struct Crypto {
    seed: Option<Seed>,
}

impl Crypto {
    pub(crate) fn new(seed: Option<Seed>) -> Self {
        Self { seed }
    }

    /// Whether anything can be sealed for this public key in groups of this suite.
    pub(crate) fn accepts(suite: CipherSuite, key: &[u8]) -> bool {
        Agreement::of(&suite.engine().hpke_config()).is_ok_and(|agreement| agreement.accepts(key))
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
        CipherSuite::of(suite).map(|_| ()).ok_or(CryptoError::UnsupportedCiphersuite)
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        CipherSuite::ALL.map(CipherSuite::engine).to_vec()
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
        let rng = self.seed()?.ephemeral(&[key, info, aad, plain]);
        Agreement::of(&config)?.seal(key, info, aad, plain, rng)
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        key: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        Agreement::of(&config)?.open(input, key, info, aad)
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        key: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        len: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        let rng = self.seed()?.ephemeral(&[key, info, exporter_context]);
        Agreement::of(&config)?.send(key, info, exporter_context, len, rng)
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
        Agreement::of(&config)?.receive(enc, key, info, exporter_context, len)
    }

    fn derive_hpke_keypair(&self, config: HpkeConfig, ikm: &[u8]) -> Result<HpkeKeyPair, CryptoError> {
        Ok(Agreement::of(&config)?.key_pair(ikm))
    }
}

fn sha256_only(hash: HashType) -> Result<(), CryptoError> {
    if hash == HashType::Sha2_256 { Ok(()) } else { Err(CryptoError::UnsupportedHashAlgorithm) }
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
    mod peer;
    mod vectors;

    use super::*;
    use terachat_vault::Entropy;

    struct Fixed(u8);
    impl Entropy for Fixed {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }

    fn writing(seed: u8) -> Crypto {
        Crypto::new(Some(Seed::draw(&mut Fixed(seed))))
    }

    fn configs() -> [fn() -> HpkeConfig; 2] {
        [|| CipherSuite::X25519.engine().hpke_config(), || CipherSuite::XWing.engine().hpke_config()]
    }

    #[test]
    fn reading_has_no_randomness_to_draw() {
        let reading = Crypto::new(None);
        assert_eq!(reading.random_array::<4>(), Err(CryptoError::InsufficientRandomness));
        for config in configs() {
            let public = reading.derive_hpke_keypair(config(), &[1; 32]).unwrap().public;
            let refused = reading.hpke_seal(config(), &public, b"", b"", b"").unwrap_err();
            assert_eq!(refused, CryptoError::InsufficientRandomness);
        }
    }

    #[test]
    fn an_ephemeral_key_is_never_used_for_two_plaintexts() {
        for config in configs() {
            let crypto = writing(1);
            let pair = crypto.derive_hpke_keypair(config(), &[1; 32]).unwrap();
            let seal = |crypto: &Crypto, info: &[u8], aad: &[u8], plain: &[u8]| {
                let sealed = crypto.hpke_seal(config(), &pair.public, info, aad, plain).unwrap();
                let opened = crypto.hpke_open(config(), &sealed, pair.private.as_ref(), info, aad).unwrap();
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
    }

    #[test]
    fn what_the_hpke_crate_panics_on_is_an_error() {
        for config in configs() {
            let crypto = writing(1);
            let pair = crypto.derive_hpke_keypair(config(), &[1; 32]).unwrap();
            let sealed = crypto.hpke_seal(config(), &pair.public, b"", b"", b"x").unwrap();
            for len in [agreement::INFO_MAX + 1, 1 << 16, 1 << 20] {
                let info = vec![0; len];
                assert!(crypto.hpke_seal(config(), &pair.public, &info, b"", b"x").is_err());
                assert!(crypto.hpke_open(config(), &sealed, pair.private.as_ref(), &info, b"").is_err());
            }
            assert!(crypto.hpke_seal(config(), &pair.public, &[0; agreement::INFO_MAX], b"", b"x").is_ok());
        }
    }

    #[test]
    fn a_key_of_another_length_or_value_is_refused() {
        let crypto = writing(1);
        for (config, suite) in configs().into_iter().zip(CipherSuite::ALL) {
            let pair = crypto.derive_hpke_keypair(config(), &[1; 32]).unwrap();
            assert!(Crypto::accepts(suite, &pair.public));
            let longer = [&pair.public[..], &[0]].concat();
            for key in [&[][..], &pair.public[1..], &longer, &[0; 32], &[0xFF; 1216]] {
                assert!(!Crypto::accepts(suite, key), "{} bytes", key.len());
            }
            let sealed = crypto.hpke_seal(config(), &pair.public, b"", b"", b"x").unwrap();
            let short = &pair.public[1..];
            assert!(crypto.hpke_seal(config(), short, b"", b"", b"x").is_err());
            assert!(crypto.hpke_open(config(), &sealed, &pair.private.as_ref()[1..], b"", b"").is_err());
            for kem_output in [&[][..], &sealed.kem_output.as_slice()[1..], &[0; 2000]] {
                let cut = HpkeCiphertext {
                    kem_output: kem_output.to_vec().into(),
                    ciphertext: sealed.ciphertext.clone(),
                };
                assert!(crypto.hpke_open(config(), &cut, pair.private.as_ref(), b"", b"").is_err());
            }
        }
        assert!(crypto.hpke_seal(configs()[0](), &[0; 32], b"", b"", b"x").is_err(), "the zero point");
        // A coefficient of 4095 is none of the field of 3329 (FIPS 203, section 7.2).
        assert!(crypto.hpke_seal(configs()[1](), &[0xFF; 1216], b"", b"", b"x").is_err());
    }
}
