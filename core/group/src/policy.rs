//! The rules of these groups beyond RFC 9420's: which leaves, which context, which settings.
use crate::{CipherSuite, DeviceId, Error, engine::Crypto, wire::Reader};
use openmls::prelude::{
    BasicCredential, Capabilities, Credential, CredentialType, Extension, ExtensionType, Extensions,
    GroupContext, KeyPackage, LeafNode, Lifetime, MlsGroupJoinConfig, PURE_PLAINTEXT_WIRE_FORMAT_POLICY,
    ProtocolVersion, RequiredCapabilitiesExtension, UnknownExtension,
    tls_codec::{Deserialize as _, Serialize as _, VLBytes},
};
use openmls::treesync::TreeSync;

/// The GroupContext extension that carries the control log's root: 32 bytes under a number of RFC 9420's
/// private-use range (section 17.3).
pub const CONTROL_ROOT_EXTENSION: u16 = 0xF0C1;

/// What a group asks of whoever is in it. Its first member chooses; whoever joins says which it expects, so that no welcome can
/// choose for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terms {
    /// Those of the crate's page.
    Ours,
    /// RFC 9420's alone ([`crate::danger`]).
    Plain,
}

/// The one lifetime a key package may have: no clock can find fault with it.
pub(crate) fn for_ever() -> Lifetime {
    Lifetime::init(0, u64::MAX)
}

pub(crate) fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .use_ratchet_tree_extension(false)
        .max_past_epochs(0)
        .number_of_resumption_psks(0)
        .build()
}

/// A leaf's: the suite of its group and no other, for a key package has keys of one.
/// A key package of last resort has to say that it knows its own mark.
pub(crate) fn capabilities(terms: Terms, suite: CipherSuite, last_resort: bool) -> Capabilities {
    // Some want every leaf to say that it bears certificates, in groups where nobody has one.
    let credentials: &[CredentialType] = match terms {
        Terms::Ours => &[CredentialType::Basic],
        Terms::Plain => &[CredentialType::Basic, CredentialType::X509],
    };
    let extensions: &[ExtensionType] = match (terms, last_resort) {
        (Terms::Ours, false) => &[ExtensionType::Unknown(CONTROL_ROOT_EXTENSION)],
        (Terms::Ours, true) => &[ExtensionType::Unknown(CONTROL_ROOT_EXTENSION), ExtensionType::LastResort],
        (Terms::Plain, false) => &[],
        (Terms::Plain, true) => &[ExtensionType::LastResort],
    };
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[suite.engine()]),
        Some(extensions),
        Some(&[]),
        Some(credentials),
    )
}

/// What a group's context is extended by: the control root, and that every member must know it.
pub(crate) fn context_extensions(control_root: [u8; 32]) -> Extensions<GroupContext> {
    let root = UnknownExtension(control_root.to_vec());
    Extensions::from_vec(vec![
        Extension::RequiredCapabilities(required_capabilities()),
        Extension::Unknown(CONTROL_ROOT_EXTENSION, root),
    ])
    .expect("the library allows these two, different, extensions in a group context")
}

/// The control root, where the context is extended as [`context_extensions`] does it and not otherwise. Zeros in a group that
/// has none.
pub(crate) fn control_root(terms: Terms, extensions: &Extensions<GroupContext>) -> Result<[u8; 32], Error> {
    if terms == Terms::Plain {
        return Ok([0; 32]);
    }
    let refused = || Error::Unsupported("a group context other than the control root");
    let root = extensions.unknown(CONTROL_ROOT_EXTENSION).ok_or_else(refused)?;
    let root = root.0.as_slice().try_into().map_err(|_| refused())?;
    if *extensions == context_extensions(root) { Ok(root) } else { Err(refused()) }
}

fn required_capabilities() -> RequiredCapabilitiesExtension {
    RequiredCapabilitiesExtension::new(
        &[ExtensionType::Unknown(CONTROL_ROOT_EXTENSION)],
        &[],
        &[CredentialType::Basic],
    )
}

/// The device that these two name, where they agree.
pub(crate) fn device(terms: Terms, credential: &Credential, signature_key: &[u8]) -> Result<DeviceId, Error> {
    let device = DeviceId::try_from(signature_key).map_err(|_| Error::ForeignCredential)?;
    let named = BasicCredential::try_from(credential.clone()).map_err(|_| Error::ForeignCredential)?;
    let agrees = terms == Terms::Plain || named.identity() == device;
    if agrees { Ok(device) } else { Err(Error::ForeignCredential) }
}

/// Refuses a key that nothing can be sealed for: with one in the tree, whoever makes a commit would fail.
pub(crate) fn encryption_key(suite: CipherSuite, what: &'static str, key: &[u8]) -> Result<(), Error> {
    let refused = || Error::invalid(what, "it has a key that nothing can be sealed for");
    if Crypto::accepts(suite, key) { Ok(()) } else { Err(refused()) }
}

/// The same of a leaf's.
pub(crate) fn leaf_key(suite: CipherSuite, what: &'static str, leaf: &LeafNode) -> Result<(), Error> {
    // The library shows it as it is sent: behind its length.
    let bytes = leaf.encryption_key().tls_serialize_detached();
    let key = bytes.and_then(|bytes| VLBytes::tls_deserialize_exact(&bytes));
    encryption_key(suite, what, key.map_err(|error| Error::bug("reading a leaf", error))?.as_slice())
}

/// The same of all parents in a tree.
pub(crate) fn parent_keys(suite: CipherSuite, what: &'static str, tree: &TreeSync) -> Result<(), Error> {
    let mut bytes = Vec::new();
    for (_, parent) in tree.full_parents() {
        bytes.clear();
        // The key comes first (section 7.1).
        parent.tls_serialize(&mut bytes).map_err(|error| Error::bug("reading a tree", error))?;
        encryption_key(suite, what, Reader::new(what, &bytes).vector()?)?;
    }
    Ok(())
}

/// The device of a key package that may enter a group.
pub(crate) fn newcomer(terms: Terms, key_package: &KeyPackage) -> Result<DeviceId, Error> {
    let leaf = key_package.leaf_node();
    let device = device(terms, leaf.credential(), leaf.signature_key().as_slice())?;
    let suite =
        CipherSuite::of(key_package.ciphersuite()).ok_or(Error::Unsupported("another ciphersuite"))?;
    encryption_key(suite, "key package", key_package.hpke_init_key().as_slice())?;
    leaf_key(suite, "key package", leaf)?;
    if terms == Terms::Plain {
        return Ok(device);
    }
    if !leaf.capabilities().extensions().contains(&ExtensionType::Unknown(CONTROL_ROOT_EXTENSION)) {
        return Err(Error::Unsupported("a device that does not know the control root extension"));
    }
    if key_package.life_time() != &for_ever() {
        return Err(Error::Expires);
    }
    Ok(device)
}
