//! A member that is the bare MLS library with its own cryptography, and what that wants of whoever signs for it.
use super::{Person, process};
use ed25519_zebra::{SigningKey, VerificationKeyBytes};
use openmls::prelude::{
    BasicCredential, Capabilities, Ciphersuite, CredentialType, CredentialWithKey, ExtensionType,
    KeyPackage as BareKeyPackage, Lifetime, MlsGroup, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn,
    MlsMessageOut, PURE_PLAINTEXT_WIRE_FORMAT_POLICY, ProtocolVersion, RatchetTreeIn, StagedWelcome,
    tls_codec::Deserialize as _,
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::{
    signatures::{Signer, SignerError},
    types::SignatureScheme,
};
use terachat_group::{CONTROL_ROOT_EXTENSION, DeviceId, Group, KeyPackage};

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

/// The bare library's member.
pub(crate) struct Bare {
    pub(crate) provider: OpenMlsRustCrypto,
    pub(crate) signer: BareSigner,
    pub(crate) device: DeviceId,
}

impl Bare {
    pub(crate) fn new(seed: u8) -> Self {
        let key = SigningKey::from([seed; 32]);
        Self {
            provider: Default::default(),
            device: VerificationKeyBytes::from(&key).into(),
            signer: BareSigner(key),
        }
    }

    pub(crate) fn credential(&self, identity: &[u8]) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(identity.to_vec()).into(),
            signature_key: self.device.to_vec().into(),
        }
    }

    pub(crate) fn bundle(
        &self,
        identity: &[u8],
        lifetime: Lifetime,
        extensions: &[ExtensionType],
    ) -> BareKeyPackage {
        let capabilities = Capabilities::new(
            Some(&[ProtocolVersion::Mls10]),
            Some(&[SUITE]),
            Some(extensions),
            Some(&[]),
            Some(&[CredentialType::Basic]),
        );
        BareKeyPackage::builder()
            .key_package_lifetime(lifetime)
            .leaf_node_capabilities(capabilities)
            .build(SUITE, &self.provider, &self.signer, self.credential(identity))
            .unwrap()
            .into_key_package()
    }

    pub(crate) fn good(&self) -> BareKeyPackage {
        self.bundle(
            &self.device,
            Lifetime::init(0, u64::MAX),
            &[ExtensionType::Unknown(CONTROL_ROOT_EXTENSION)],
        )
    }

    pub(crate) fn join(&self, welcome: &[u8], tree: &[u8]) -> MlsGroup {
        let MlsMessageBodyIn::Welcome(welcome) =
            MlsMessageIn::tls_deserialize_exact(welcome).unwrap().extract()
        else {
            panic!("no welcome");
        };
        let config =
            MlsGroupJoinConfig::builder().wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY).build();
        let tree = RatchetTreeIn::tls_deserialize_exact(tree).unwrap();
        StagedWelcome::new_from_welcome(&self.provider, &config, welcome, Some(tree))
            .unwrap()
            .into_group(&self.provider)
            .unwrap()
    }
}

pub(crate) fn bytes(message: impl Into<MlsMessageOut>) -> Vec<u8> {
    message.into().to_bytes().unwrap()
}

/// Our group of Alice and Carol and one bare member.
pub(crate) fn mixed() -> (Person, Group, Group, Bare, MlsGroup) {
    let (mut people, groups) = super::group_of(2);
    let bare = Bare::new(77);
    let add = [KeyPackage::parse(&bytes(bare.good())).unwrap()];
    assert_eq!(add[0].device(), bare.device);
    let (alices, commit) = people[0].commit(&groups[0], &add, &[]);
    let (carols, _) = process(&groups[1], &commit.message);
    let theirs = bare.join(&commit.welcome.unwrap(), &alices.ratchet_tree());
    (people.swap_remove(0), alices, carols, bare, theirs)
}

/// A key package whose maker writes what it likes for its keys, and signs it (RFC 9420, sections 7.2 and 10).
pub(crate) fn handmade(seed: u8, init_key: &[u8], encryption_key: &[u8]) -> Vec<u8> {
    let key = SigningKey::from([seed; 32]);
    let device: DeviceId = VerificationKeyBytes::from(&key).into();
    let signed = |label: &str, content: &[u8]| {
        let label = format!("MLS 1.0 {label}");
        let signature = key.sign(&[sized(label.as_bytes()), sized(content)].concat()).to_bytes();
        [content, &sized(&signature)].concat()
    };
    let numbers =
        |numbers: &[u16]| sized(&numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<_>>());
    let suite = u16::from(SUITE);
    let leaf = [
        sized(encryption_key),
        sized(&device),
        // A basic credential.
        vec![0, 1],
        sized(&device),
        // Version, suite, extensions, proposals, credentials that it knows.
        numbers(&[1]),
        numbers(&[suite]),
        numbers(&[CONTROL_ROOT_EXTENSION]),
        numbers(&[]),
        numbers(&[1]),
        // From a key package, valid for ever, without extensions.
        vec![1],
        vec![0; 8],
        vec![0xFF; 8],
        vec![0],
    ]
    .concat();
    let leaf = signed("LeafNodeTBS", &leaf);
    let content = [&[0, 1][..], &suite.to_be_bytes(), &sized(init_key), &leaf, &[0]].concat();
    // An MLSMessage of version 1 with a key package in it.
    [&[0, 1, 0, 5], &signed("KeyPackageTBS", &content)[..]].concat()
}

/// A vector behind its length (section 2.1.2).
fn sized(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap();
    let head = match len {
        0..64 => vec![len.to_be_bytes()[1]],
        _ => (len | 0x4000).to_be_bytes().to_vec(),
    };
    [&head[..], bytes].concat()
}
