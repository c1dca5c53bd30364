//! HPKE beside another implementation of it over other implementations of X25519 and ML-KEM (hpke-rs over libcrux).
use super::super::*;
use super::{configs, writing};
use hpke_rs::hpke_types::{AeadAlgorithm, KdfAlgorithm, KemAlgorithm};
use hpke_rs::libcrux::HpkeLibcrux;
use hpke_rs::{Hpke, HpkePrivateKey, HpkePublicKey, Mode};

#[test]
fn another_implementation_opens_what_this_one_seals_and_the_other_way() {
    for (config, kem) in configs().into_iter().zip([KemAlgorithm::DhKem25519, KemAlgorithm::XWingDraft06]) {
        let mut peer = Hpke::<HpkeLibcrux>::new(
            Mode::Base,
            kem,
            KdfAlgorithm::HkdfSha256,
            AeadAlgorithm::ChaCha20Poly1305,
        );
        for round in 0..20 {
            let crypto = writing(round);
            let ours = crypto.derive_hpke_keypair(config(), &[round; 32]).unwrap();
            let (public, private) = (
                HpkePublicKey::new(ours.public.clone()),
                HpkePrivateKey::new(ours.private.as_ref().to_vec()),
            );
            let text = [round; 48];

            let sealed = crypto.hpke_seal(config(), &ours.public, b"info", b"aad", &text).unwrap();
            let (output, ciphertext) = (sealed.kem_output.as_slice(), sealed.ciphertext.as_slice());
            let opened = peer.open(output, &private, b"info", b"aad", ciphertext, None, None, None);
            assert_eq!(opened.unwrap(), text);

            let (output, ciphertext) = peer.seal(&public, b"info", b"aad", &text, None, None, None).unwrap();
            let sealed = HpkeCiphertext { kem_output: output.into(), ciphertext: ciphertext.into() };
            let opened = crypto.hpke_open(config(), &sealed, ours.private.as_ref(), b"info", b"aad").unwrap();
            assert_eq!(opened, text);

            let (output, secret) = crypto
                .hpke_setup_sender_and_export(config(), &ours.public, b"info", b"exported", 32)
                .unwrap();
            let theirs = peer.receiver_export(&output, &private, b"info", None, None, None, b"exported", 32);
            assert_eq!(theirs.unwrap(), secret.as_ref());
        }
    }
}
