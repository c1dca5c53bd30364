//! The rules of these groups beyond RFC 9420's: which leaves, which context, which settings.
use crate::{CipherSuite, DeviceId, Error};
use openmls::prelude::{
    BasicCredential, Capabilities, Credential, CredentialType, Extension, ExtensionType, Extensions,
    GroupContext, KeyPackage, Lifetime, MlsGroupJoinConfig, PURE_PLAINTEXT_WIRE_FORMAT_POLICY,
    ProtocolVersion, RequiredCapabilitiesExtension, UnknownExtension,
};

/// The GroupContext extension that carries the control log's root: 32 bytes under a number of RFC 9420's
/// private-use range (section 17.3).
pub const CONTROL_ROOT_EXTENSION: u16 = 0xF0C1;

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
pub(crate) fn capabilities(suite: CipherSuite) -> Capabilities {
    knowing(suite, &[ExtensionType::Unknown(CONTROL_ROOT_EXTENSION)])
}

/// Those of a key package of last resort, which has to say that it knows its own mark.
pub(crate) fn last_resort_capabilities(suite: CipherSuite) -> Capabilities {
    knowing(suite, &[ExtensionType::Unknown(CONTROL_ROOT_EXTENSION), ExtensionType::LastResort])
}

fn knowing(suite: CipherSuite, extensions: &[ExtensionType]) -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[suite.engine()]),
        Some(extensions),
        Some(&[]),
        Some(&[CredentialType::Basic]),
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

/// The control root, where the context is extended as [`context_extensions`] does it and not otherwise.
pub(crate) fn control_root(extensions: &Extensions<GroupContext>) -> Result<[u8; 32], Error> {
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
pub(crate) fn device(credential: &Credential, signature_key: &[u8]) -> Result<DeviceId, Error> {
    let device = DeviceId::try_from(signature_key).map_err(|_| Error::ForeignCredential)?;
    let named = BasicCredential::try_from(credential.clone()).map_err(|_| Error::ForeignCredential)?;
    if named.identity() == device { Ok(device) } else { Err(Error::ForeignCredential) }
}

/// The device of a key package that may enter a group.
pub(crate) fn newcomer(key_package: &KeyPackage) -> Result<DeviceId, Error> {
    let leaf = key_package.leaf_node();
    let device = device(leaf.credential(), leaf.signature_key().as_slice())?;
    if !leaf.capabilities().extensions().contains(&ExtensionType::Unknown(CONTROL_ROOT_EXTENSION)) {
        return Err(Error::Unsupported("a device that does not know the control root extension"));
    }
    if key_package.life_time() != &for_ever() {
        return Err(Error::Unsupported("a key package whose validity depends on the clock"));
    }
    Ok(device)
}
