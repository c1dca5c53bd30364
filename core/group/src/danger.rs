//! Groups of RFC 9420 without the rules that this crate's page fixes: what it takes to share one with an implementation that
//! knows nothing of them. For tests of interoperation; nothing else in the workspace may use it.
//!
//! Such a group is a [`Group`]: it commits, processes, exports and gives its message keys as any other. What is let go:
//! * A credential is any BasicCredential; a member is still named by its signature key, and keeps its credential as long as it
//!   is one.
//! * There is no control root: the GroupContext is extended as its maker liked (here: not at all) and never changes,
//!   [`Group::control_root`] is zeros.
//! * Leaves made here say that they bear X.509 certificates, which Wire's groups require of all; a leaf with one is still refused.
//! * Key packages may expire: the MLS library looks at the clock when it reads one.
//! * The ratchet tree travels inside the welcome, where those look who know RFC 9420 alone.
//!
//! What cannot happen: a group of the one kind becomes one of the other, a key package read for the one is added to the other
//! ([`Error::OtherTerms`]), a welcome decides of which kind a group is, or [`Group::from_bytes`] reads what such a
//! group's [`Group::to_bytes`] wrote.
use crate::{CipherSuite, DeviceSigner, Error, Group, KeyPackage, key_package::new_under, policy::Terms};
use openmls::prelude::Extensions;
use terachat_vault::{Entropy, SecretBytes};

/// A new group of one member, whose credential has this identity.
///
/// # Errors
/// As [`Group::create`].
pub fn create(
    signer: &DeviceSigner,
    identity: &[u8],
    group_id: &[u8],
    entropy: &mut dyn Entropy,
) -> Result<Group, Error> {
    let credential = signer.credential_of(identity);
    let (suite, context) = (CipherSuite::X25519, Extensions::default());
    Group::found(Terms::Plain, suite, signer, credential, group_id, context, entropy)
}

/// A key package for such groups, as [`crate::new_key_package`] makes one for ours.
///
/// # Errors
/// [`Error::Bug`] only.
pub fn new_key_package(
    signer: &DeviceSigner,
    identity: &[u8],
    entropy: &mut dyn Entropy,
) -> Result<(Vec<u8>, SecretBytes), Error> {
    new_under(Terms::Plain, CipherSuite::X25519, signer, signer.credential_of(identity), false, entropy)
}

/// Reads a key package that can be added to such a group and to no other.
///
/// # Errors
/// As [`KeyPackage::parse`]; [`Error::Expires`] for one that the clock finds expired.
pub fn parse_key_package(bytes: &[u8]) -> Result<KeyPackage, Error> {
    KeyPackage::parse_under(Terms::Plain, bytes)
}

/// Joins such a group by a welcome with the ratchet tree in it.
///
/// # Errors
/// As [`Group::join`].
pub fn join(
    signer: &DeviceSigner,
    welcome: &[u8],
    key_package_private: &SecretBytes,
) -> Result<Group, Error> {
    Group::enter(Terms::Plain, signer, welcome, None, key_package_private, None)
}
