//! The bare library with its own cryptography and storage, configured as ours is: no ratchet tree in the welcome, no
//! past epochs, handshakes as PublicMessage.
use anyhow::{Result, bail};
use ed25519_zebra::{SigningKey, VerificationKeyBytes};
use openmls::prelude::{
    BasicCredential, Ciphersuite, CredentialWithKey, KeyPackage, LeafNodeParameters, MlsGroup,
    MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut, PURE_PLAINTEXT_WIRE_FORMAT_POLICY,
    ProcessedMessageContent, RatchetTreeIn, StagedWelcome,
    tls_codec::{Deserialize as _, Serialize as _},
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::{
    signatures::{Signer, SignerError},
    types::SignatureScheme,
};

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;

struct BareSigner(SigningKey);

impl Signer for BareSigner {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_bytes().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// A device with its view of the group, once it has one.
pub(crate) struct Bare {
    provider: OpenMlsRustCrypto,
    signer: BareSigner,
    key: [u8; 32],
    key_package: Option<KeyPackage>,
    group: Option<MlsGroup>,
}

/// What a newcomer needs, and the members.
pub(crate) struct Invited {
    pub(crate) message: Vec<u8>,
    welcome: Vec<u8>,
    tree: Vec<u8>,
}

impl Bare {
    fn new(number: u64) -> Self {
        let signer = BareSigner(SigningKey::from(*blake3::hash(&number.to_le_bytes()).as_bytes()));
        let key = VerificationKeyBytes::from(&signer.0).into();
        Self { provider: OpenMlsRustCrypto::default(), signer, key, key_package: None, group: None }
    }

    fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(self.key.to_vec()).into(),
            signature_key: self.key.to_vec().into(),
        }
    }

    fn numbered(number: u64) -> Self {
        let mut new = Self::new(number);
        let made = KeyPackage::builder().build(SUITE, &new.provider, &new.signer, new.credential());
        new.key_package = Some(made.expect("a key package is made").into_key_package());
        new
    }

    pub(crate) fn newcomer() -> Self {
        Self::numbered(u64::MAX)
    }

    /// Two members of a group of `size`, the rest of which was added with the second in one commit.
    pub(crate) fn pair(size: usize) -> Result<(Self, Self)> {
        let mut alice = Self::new(0);
        alice.group = Some(
            MlsGroup::builder()
                .ciphersuite(SUITE)
                .with_wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
                .use_ratchet_tree_extension(false)
                .max_past_epochs(0)
                .number_of_resumption_psks(0)
                .build(&alice.provider, &alice.signer, alice.credential())?,
        );
        let mut others: Vec<_> = (1..size as u64).map(Self::numbered).collect();
        let invited = alice.invite_all(&others)?;
        let mut bob = others.swap_remove(0);
        bob.join(&invited)?;
        Ok((alice, bob))
    }

    fn group(&self) -> &MlsGroup {
        self.group.as_ref().expect("it is a member")
    }

    pub(crate) fn update(&mut self) -> Result<Vec<u8>> {
        let Self { provider, signer, group, .. } = self;
        let group = group.as_mut().expect("it is a member");
        let update = group.self_update(provider, signer, LeafNodeParameters::default())?;
        group.merge_pending_commit(provider)?;
        Ok(update.into_commit().to_bytes()?)
    }

    pub(crate) fn invite(&mut self, newcomer: &Self) -> Result<Invited> {
        self.invite_all(std::slice::from_ref(newcomer))
    }

    fn invite_all(&mut self, newcomers: &[Self]) -> Result<Invited> {
        let adds: Vec<_> = newcomers.iter().filter_map(|newcomer| newcomer.key_package.clone()).collect();
        let Self { provider, signer, group, .. } = self;
        let group = group.as_mut().expect("it is a member");
        let (message, welcome, _) = group.add_members(provider, signer, &adds)?;
        group.merge_pending_commit(provider)?;
        Ok(Invited {
            message: message.to_bytes()?,
            welcome: welcome.to_bytes()?,
            tree: group.export_ratchet_tree().tls_serialize_detached()?,
        })
    }

    pub(crate) fn remove(&mut self, member: &Self) -> Result<Vec<u8>> {
        let Self { provider, signer, group, .. } = self;
        let group = group.as_mut().expect("it is a member");
        let leaf = group.members().find(|leaf| leaf.signature_key == member.key).map(|leaf| leaf.index);
        let Some(leaf) = leaf else { bail!("it is no member") };
        let (message, ..) = group.remove_members(provider, signer, &[leaf])?;
        group.merge_pending_commit(provider)?;
        Ok(MlsMessageOut::to_bytes(&message)?)
    }

    pub(crate) fn process(&mut self, message: &[u8]) -> Result<()> {
        let Self { provider, group, .. } = self;
        let group = group.as_mut().expect("it is a member");
        let message = MlsMessageIn::tls_deserialize_exact(message)?.try_into_protocol_message()?;
        let processed = group.process_message(provider, message)?;
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            bail!("that is no commit");
        };
        Ok(group.merge_staged_commit(provider, *staged)?)
    }

    pub(crate) fn join(&mut self, invited: &Invited) -> Result<()> {
        let MlsMessageBodyIn::Welcome(welcome) =
            MlsMessageIn::tls_deserialize_exact(&invited.welcome)?.extract()
        else {
            bail!("that is no welcome");
        };
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(false)
            .max_past_epochs(0)
            .number_of_resumption_psks(0)
            .build();
        let tree = RatchetTreeIn::tls_deserialize_exact(&invited.tree)?;
        let staged = StagedWelcome::new_from_welcome(&self.provider, &config, welcome, Some(tree))?;
        self.group = Some(staged.into_group(&self.provider)?);
        Ok(())
    }

    /// A message for the others, whose key the library has stored as used.
    pub(super) fn seal(&mut self, text: &[u8]) -> Result<Vec<u8>> {
        let Self { provider, signer, group, .. } = self;
        let group = group.as_mut().expect("it is a member");
        Ok(group.create_message(provider, signer, text)?.to_bytes()?)
    }

    pub(super) fn open(&mut self, message: &[u8]) -> Result<Vec<u8>> {
        let Self { provider, group, .. } = self;
        let group = group.as_mut().expect("it is a member");
        let message = MlsMessageIn::tls_deserialize_exact(message)?.try_into_protocol_message()?;
        let ProcessedMessageContent::ApplicationMessage(message) =
            group.process_message(provider, message)?.into_content()
        else {
            bail!("that is no message");
        };
        Ok(message.into_bytes())
    }

    pub(crate) fn agrees(&self, other: &Self) -> bool {
        self.group().epoch_authenticator().as_slice() == other.group().epoch_authenticator().as_slice()
    }
}
