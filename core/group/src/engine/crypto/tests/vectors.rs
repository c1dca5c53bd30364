//! The working group's vectors (`crate::testing`) through this crate's cryptography.
#![allow(clippy::cast_possible_truncation, reason = "lengths that the vectors name are small")]
mod treekem;

use super::super::*;
use crate::DeviceSigner;
use crate::testing::{SUITE, bytes, context, each, number, sized, skip, take};
use openmls_traits::signatures::Signer as _;
use serde_json::Value;

const CHACHA: AeadType = AeadType::ChaCha20Poly1305;

fn labelled(label: &str, content: &[u8]) -> Vec<u8> {
    [sized(format!("MLS 1.0 {label}").as_bytes()), sized(content)].concat()
}

fn crypto() -> Crypto {
    Crypto::new(None)
}

fn hash(data: &[u8]) -> Vec<u8> {
    crypto().hash(HashType::Sha2_256, data).unwrap()
}

fn mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    crypto().hmac(HashType::Sha2_256, key, data).unwrap().as_slice().to_vec()
}

fn extract(salt: &[u8], ikm: &[u8]) -> Vec<u8> {
    crypto().hkdf_extract(HashType::Sha2_256, salt, ikm).unwrap().as_slice().to_vec()
}

/// ExpandWithLabel of RFC 9420, section 8.
fn expand(secret: &[u8], label: &str, context: &[u8], len: usize) -> Vec<u8> {
    let info = [&(len as u16).to_be_bytes()[..], &labelled(label, context)].concat();
    crypto().hkdf_expand(HashType::Sha2_256, secret, &info, len).unwrap().as_slice().to_vec()
}

fn derive(secret: &[u8], label: &str) -> Vec<u8> {
    expand(secret, label, &[], 32)
}

fn derive_tree(secret: &[u8], label: &str, generation: u32, len: usize) -> Vec<u8> {
    expand(secret, label, &generation.to_be_bytes(), len)
}

/// RefHash of section 5.2.
fn reference(label: &[u8], value: &[u8]) -> Vec<u8> {
    hash(&[sized(label), sized(value)].concat())
}

fn config() -> HpkeConfig {
    SUITE.hpke_config()
}

/// DecryptWithLabel of section 5.1.3.
fn decrypt(key: &[u8], label: &str, context: &[u8], kem_output: &[u8], ciphertext: &[u8]) -> Vec<u8> {
    let sealed =
        HpkeCiphertext { kem_output: kem_output.to_vec().into(), ciphertext: ciphertext.to_vec().into() };
    crypto().hpke_open(config(), &sealed, key, &labelled(label, context), &[]).unwrap()
}

fn verify(key: &[u8], label: &str, content: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
    crypto().verify_signature(SignatureScheme::ED25519, &labelled(label, content), key, signature)
}

#[test]
fn crypto_basics() {
    each("crypto-basics.json", 1, |vector| {
        let v = &vector["ref_hash"];
        assert_eq!(reference(v["label"].as_str().unwrap().as_bytes(), &bytes(&v["value"])), bytes(&v["out"]));
        let label = |v: &Value| v["label"].as_str().unwrap().to_owned();
        let v = &vector["expand_with_label"];
        let out = expand(&bytes(&v["secret"]), &label(v), &bytes(&v["context"]), number(&v["length"]));
        assert_eq!(out, bytes(&v["out"]));
        let v = &vector["derive_secret"];
        assert_eq!(derive(&bytes(&v["secret"]), &label(v)), bytes(&v["out"]));
        let v = &vector["derive_tree_secret"];
        let generation = number(&v["generation"]) as u32;
        let out = derive_tree(&bytes(&v["secret"]), &label(v), generation, number(&v["length"]));
        assert_eq!(out, bytes(&v["out"]));

        let v = &vector["sign_with_label"];
        let mut seed: [u8; 32] = bytes(&v["priv"]).try_into().unwrap();
        let signer = DeviceSigner::new(&Secret::take(&mut seed));
        assert_eq!(signer.device().to_vec(), bytes(&v["pub"]));
        let signature = signer.engine().sign(&labelled(&label(v), &bytes(&v["content"]))).unwrap();
        assert_eq!(signature, bytes(&v["signature"]));
        verify(&bytes(&v["pub"]), &label(v), &bytes(&v["content"]), &signature).unwrap();
        assert!(verify(&bytes(&v["pub"]), "another", &bytes(&v["content"]), &signature).is_err());

        let v = &vector["encrypt_with_label"];
        let (key, context) = (bytes(&v["priv"]), bytes(&v["context"]));
        let opened = decrypt(&key, &label(v), &context, &bytes(&v["kem_output"]), &bytes(&v["ciphertext"]));
        assert_eq!(opened, bytes(&v["plaintext"]));
        struct Fixed;
        impl terachat_vault::Entropy for Fixed {
            fn fill(&mut self, out: &mut [u8]) {
                out.fill(7);
            }
        }
        let sealed = Crypto::new(Some(Seed::draw(&mut Fixed)))
            .hpke_seal(config(), &bytes(&v["pub"]), &labelled(&label(v), &context), &[], &opened)
            .unwrap();
        let (kem_output, ciphertext) = (sealed.kem_output.as_slice(), sealed.ciphertext.as_slice());
        assert_eq!(decrypt(&key, &label(v), &context, kem_output, ciphertext), opened);
    });
}

/// What an epoch's secrets follow from (section 8): the joiner secret, the PSKs' and the group context.
fn epoch_secret(joiner: &[u8], psk: &[u8], context: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let member = extract(joiner, psk);
    (derive(&member, "welcome"), expand(&member, "epoch", context, 32))
}

#[test]
fn key_schedule() {
    each("key-schedule.json", 1, |vector| {
        let mut init = bytes(&vector["initial_init_secret"]);
        for (number_of, epoch) in vector["epochs"].as_array().unwrap().iter().enumerate() {
            let (tree, transcript) = (&epoch["tree_hash"], &epoch["confirmed_transcript_hash"]);
            let context = context(&vector["group_id"], number_of as u64, tree, transcript);
            assert_eq!(context, bytes(&epoch["group_context"]));
            let joiner = expand(&extract(&init, &bytes(&epoch["commit_secret"])), "joiner", &context, 32);
            assert_eq!(joiner, bytes(&epoch["joiner_secret"]));
            let (welcome, secret) = epoch_secret(&joiner, &bytes(&epoch["psk_secret"]), &context);
            assert_eq!(welcome, bytes(&epoch["welcome_secret"]));
            for (name, label) in [
                ("init_secret", "init"),
                ("sender_data_secret", "sender data"),
                ("encryption_secret", "encryption"),
                ("exporter_secret", "exporter"),
                ("epoch_authenticator", "authentication"),
                ("external_secret", "external"),
                ("confirmation_key", "confirm"),
                ("membership_key", "membership"),
                ("resumption_psk", "resumption"),
            ] {
                assert_eq!(derive(&secret, label), bytes(&epoch[name]), "{name} of epoch {number_of}");
            }
            let external = crypto().derive_hpke_keypair(config(), &derive(&secret, "external")).unwrap();
            assert_eq!(external.public, bytes(&epoch["external_pub"]));
            let v = &epoch["exporter"];
            let exporter = derive(&derive(&secret, "exporter"), v["label"].as_str().unwrap());
            let exported = expand(&exporter, "exported", &hash(&bytes(&v["context"])), number(&v["length"]));
            assert_eq!(exported, bytes(&v["secret"]));
            init = derive(&secret, "init");
        }
    });
}

#[test]
fn psk_secret() {
    each("psk_secret.json", 5, |vector| {
        let psks = vector["psks"].as_array().unwrap();
        let mut secret = vec![0; 32];
        for (at, psk) in psks.iter().enumerate() {
            let label = [
                &[1][..],
                &sized(&bytes(&psk["psk_id"])),
                &sized(&bytes(&psk["psk_nonce"])),
                &(at as u16).to_be_bytes(),
                &(psks.len() as u16).to_be_bytes(),
            ]
            .concat();
            let input = expand(&extract(&[0; 32], &bytes(&psk["psk"])), "derived psk", &label, 32);
            secret = extract(&input, &secret);
        }
        assert_eq!(secret, bytes(&vector["psk_secret"]));
    });
}

#[test]
fn transcript_hashes() {
    each("transcript-hashes.json", 1, |vector| {
        let content = bytes(&vector["authenticated_content"]);
        let (signed, tag) = content.split_at(content.len() - 33);
        let confirmed = hash(&[&bytes(&vector["interim_transcript_hash_before"])[..], signed].concat());
        assert_eq!(confirmed, bytes(&vector["confirmed_transcript_hash_after"]));
        let interim = hash(&[&confirmed[..], tag].concat());
        assert_eq!(interim, bytes(&vector["interim_transcript_hash_after"]));
        assert_eq!(sized(&mac(&bytes(&vector["confirmation_key"]), &confirmed)), tag);
    });
}

#[test]
fn secret_tree() {
    each("secret-tree.json", 3, |vector| {
        let v = &vector["sender_data"];
        let (secret, sealed) = (bytes(&v["sender_data_secret"]), bytes(&v["ciphertext"]));
        let sample = &sealed[..sealed.len().min(32)];
        assert_eq!(expand(&secret, "key", sample, 32), bytes(&v["key"]));
        assert_eq!(expand(&secret, "nonce", sample, 12), bytes(&v["nonce"]));

        let leaves = vector["leaves"].as_array().unwrap();
        let mut level = vec![bytes(&vector["encryption_secret"])];
        while level.len() < leaves.len().next_power_of_two() {
            let children = level
                .iter()
                .flat_map(|secret| ["left", "right"].map(|side| (secret, side)))
                .collect::<Vec<_>>();
            level = children.iter().map(|(s, side)| expand(s, "tree", side.as_bytes(), 32)).collect();
        }
        for (leaf, secret) in leaves.iter().zip(&level) {
            for (kind, of) in [("handshake", "handshake"), ("application", "application")] {
                let (mut ratchet, mut at) = (expand(secret, of, &[], 32), 0_u32);
                for expected in leaf.as_array().unwrap() {
                    while (at as usize) < number(&expected["generation"]) {
                        ratchet = derive_tree(&ratchet, "secret", at, 32);
                        at += 1;
                    }
                    let key = derive_tree(&ratchet, "key", at, 32);
                    assert_eq!(key, bytes(&expected[format!("{kind}_key")]));
                    let nonce = derive_tree(&ratchet, "nonce", at, 12);
                    assert_eq!(nonce, bytes(&expected[format!("{kind}_nonce")]));
                }
            }
        }
    });
}

#[test]
fn welcome() {
    each("welcome.json", 1, |vector| {
        let (package, message) = (bytes(&vector["key_package"]), bytes(&vector["welcome"]));
        let ours = reference(b"MLS 1.0 KeyPackage Reference", &package[4..]);
        let mut rest = &message[6..];
        let (mut secrets, sealed_info) = (take(&mut rest), take(&mut rest));
        assert!(rest.is_empty());
        let opened = loop {
            let (whose, kem_output, ciphertext) =
                (take(&mut secrets), take(&mut secrets), take(&mut secrets));
            if whose == ours {
                break decrypt(&bytes(&vector["init_priv"]), "Welcome", sealed_info, kem_output, ciphertext);
            }
        };
        let joiner = take(&mut &opened[..]).to_vec();
        let (welcome, _) = epoch_secret(&joiner, &[0; 32], &[]);
        let (key, nonce) = (expand(&welcome, "key", &[], 32), expand(&welcome, "nonce", &[], 12));
        let info = crypto().aead_decrypt(CHACHA, &key, sealed_info, &nonce, &[]).unwrap();

        let mut rest = &info[..];
        skip(&mut rest, 4);
        take(&mut rest);
        skip(&mut rest, 8);
        take(&mut rest);
        let confirmed = take(&mut rest);
        take(&mut rest);
        let context = &info[..info.len() - rest.len()];
        take(&mut rest);
        let tag = take(&mut rest);
        skip(&mut rest, 4);
        let (signed, signature) = (&info[..info.len() - rest.len()], take(&mut rest));
        verify(&bytes(&vector["signer_pub"]), "GroupInfoTBS", signed, signature).unwrap();
        let (_, secret) = epoch_secret(&joiner, &[0; 32], context);
        assert_eq!(mac(&derive(&secret, "confirm"), confirmed), tag);
    });
}
