//! The library with a provider that gives out another public key than the one it derived.
use super::Counting;
use crate::{
    CipherSuite, DeviceSigner, Group, KeyPackage,
    engine::{Cells, Crypto, Seed, Store},
    join,
    policy::{self, Terms},
};
use openmls::prelude::{
    GroupId, LeafNodeParameters, MlsGroup,
    tls_codec::{SecretVLBytes, Size as _},
};
use openmls_traits::{
    OpenMlsProvider,
    crypto::OpenMlsCrypto,
    types::{
        AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeCiphertext, HpkeConfig,
        HpkeKeyPair, KemOutput, SignatureScheme,
    },
};

/// The key that is derived, and the one that is given out for it.
pub(super) type Lie = Option<(Vec<u8>, Vec<u8>)>;

/// Any two draw the same.
fn seed() -> Seed {
    Seed::draw(&mut Counting(77 << 32))
}

pub(super) struct Liar {
    store: Store,
    random: Crypto,
    crypto: Lying,
    /// Of the group it is in.
    group_id: Vec<u8>,
}

pub(super) struct Lying {
    honest: Crypto,
    lie: Lie,
}

/// What was made, and the state behind it.
pub(super) struct Made {
    pub(super) group: Group,
    pub(super) message: Vec<u8>,
    pub(super) welcome: Option<Vec<u8>>,
    pub(super) leaf_len: usize,
}

impl Liar {
    pub(super) fn new(group: &Group, lie: Lie) -> Self {
        Self { group_id: group.group_id().to_vec(), ..Self::over(group.cells.clone(), lie) }
    }

    pub(super) fn outside(lie: Lie) -> Self {
        Self::over(Cells::default(), lie)
    }

    fn over(cells: Cells, lie: Lie) -> Self {
        let crypto = Lying { honest: Crypto::new(Some(seed())), lie };
        Self { store: Store::new(cells), random: Crypto::new(Some(seed())), crypto, group_id: Vec::new() }
    }

    /// As [`Group::commit`] does it.
    pub(super) fn commit(self, signer: &DeviceSigner, add: &[KeyPackage]) -> Made {
        let mut mls = MlsGroup::load(&self.store, &GroupId::from_slice(&self.group_id)).unwrap().unwrap();
        let built = mls
            .commit_builder()
            .consume_proposal_store(false)
            .force_self_update(true)
            .leaf_node_parameters(LeafNodeParameters::default())
            .propose_adds(add.iter().map(KeyPackage::engine))
            .load_psks(&self.store)
            .unwrap()
            .create_group_info(false)
            .use_ratchet_tree_extension(false)
            .build(&self.random, &self.crypto, &signer.engine(), |_| true)
            .unwrap();
        let (message, welcome, _) = built.stage_commit(&self).unwrap().into_messages();
        mls.merge_pending_commit(&self).unwrap();
        self.made(mls, message.to_bytes().unwrap(), welcome.map(|welcome| welcome.to_bytes().unwrap()))
    }

    /// As [`Group::rejoin`] does it.
    pub(super) fn rejoin(self, signer: &DeviceSigner, suite: CipherSuite, info: &[u8], tree: &[u8]) -> Made {
        let leaf =
            LeafNodeParameters::builder().with_capabilities(policy::capabilities(Terms::Ours, suite, false));
        let (mls, bundle) = MlsGroup::external_commit_builder()
            .with_ratchet_tree(join::parse_tree(tree).unwrap())
            .with_config(policy::join_config())
            .skip_lifetime_validation()
            .build_group(&self, join::parse_group_info(info).unwrap().0, signer.credential())
            .unwrap()
            .leaf_node_parameters(leaf.build())
            .load_psks(&self.store)
            .unwrap()
            .create_group_info(false)
            .build(&self.random, &self.crypto, &signer.engine(), |_| true)
            .unwrap()
            .finalize(&self)
            .unwrap();
        let (message, ..) = bundle.into_messages();
        self.made(mls, message.to_bytes().unwrap(), None)
    }

    fn made(self, mls: MlsGroup, message: Vec<u8>, welcome: Option<Vec<u8>>) -> Made {
        let leaf_len = mls.own_leaf_node().unwrap().tls_serialized_len();
        let group = Group::new(Terms::Ours, mls, self.store.into_cells()).unwrap();
        Made { group, message, welcome, leaf_len }
    }
}

impl OpenMlsProvider for Liar {
    type CryptoProvider = Lying;
    type RandProvider = Crypto;
    type StorageProvider = Store;

    fn storage(&self) -> &Store {
        &self.store
    }

    fn crypto(&self) -> &Lying {
        &self.crypto
    }

    fn rand(&self) -> &Crypto {
        &self.random
    }
}

/// Everything but [`OpenMlsCrypto::derive_hpke_keypair`] is honest.
impl OpenMlsCrypto for Lying {
    fn derive_hpke_keypair(&self, config: HpkeConfig, ikm: &[u8]) -> Result<HpkeKeyPair, CryptoError> {
        let mut pair = self.honest.derive_hpke_keypair(config, ikm)?;
        match &self.lie {
            Some((good, bad)) if pair.public == *good => pair.public.clone_from(bad),
            _ => {}
        }
        Ok(pair)
    }

    fn supports(&self, suite: Ciphersuite) -> Result<(), CryptoError> {
        self.honest.supports(suite)
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        self.honest.supported_ciphersuites()
    }

    fn hkdf_extract(&self, hash: HashType, salt: &[u8], ikm: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        self.honest.hkdf_extract(hash, salt, ikm)
    }

    fn hmac(&self, hash: HashType, key: &[u8], message: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        self.honest.hmac(hash, key, message)
    }

    fn hkdf_expand(
        &self,
        hash: HashType,
        prk: &[u8],
        info: &[u8],
        len: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        self.honest.hkdf_expand(hash, prk, info, len)
    }

    fn hash(&self, hash: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.honest.hash(hash, data)
    }

    fn aead_encrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.honest.aead_encrypt(alg, key, data, nonce, aad)
    }

    fn aead_decrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        sealed: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.honest.aead_decrypt(alg, key, sealed, nonce, aad)
    }

    fn signature_key_gen(&self, alg: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        self.honest.signature_key_gen(alg)
    }

    fn verify_signature(
        &self,
        alg: SignatureScheme,
        data: &[u8],
        key: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        self.honest.verify_signature(alg, data, key, signature)
    }

    fn sign(&self, alg: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.honest.sign(alg, data, key)
    }

    fn hpke_seal(
        &self,
        config: HpkeConfig,
        key: &[u8],
        info: &[u8],
        aad: &[u8],
        plain: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        self.honest.hpke_seal(config, key, info, aad, plain)
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        key: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.honest.hpke_open(config, input, key, info, aad)
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        key: &[u8],
        info: &[u8],
        context: &[u8],
        len: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        self.honest.hpke_setup_sender_and_export(config, key, info, context, len)
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        enc: &[u8],
        key: &[u8],
        info: &[u8],
        context: &[u8],
        len: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        self.honest.hpke_setup_receiver_and_export(config, enc, key, info, context, len)
    }
}
