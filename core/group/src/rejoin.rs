//! Rejoining by an external commit (RFC 9420, section 12.4.3.2): for a device that belongs to the group and has lost its
//! state of it. Why and who may: `docs/adr/0029-rejoining.md`.
use crate::{
    DeviceId, DeviceSigner, Error, Group, Summary,
    engine::{Cells, Crypto, Engine, Seed},
    join,
    policy::{self, Terms},
};
use openmls::prelude::{ExternalCommitBuilderError, LeafNodeParameters, MlsGroup, Sender};
use openmls_traits::OpenMlsProvider as _;
use terachat_vault::Entropy;

impl Group {
    /// What a device needs beside the [`Group::ratchet_tree`] to rejoin in this epoch: an MLSMessage with a GroupInfo
    /// (RFC 9420, section 12.4.3), signed by this device. It has the group's external public key and no secret.
    ///
    /// # Errors
    /// [`Error::OtherDevice`]; otherwise [`Error::Bug`] only.
    pub fn group_info(&self, signer: &DeviceSigner) -> Result<Vec<u8>, Error> {
        if signer.device() != self.device() {
            return Err(Error::OtherDevice);
        }
        self.mls
            .export_group_info(&Crypto::new(None), &signer.engine(), false)
            .map_err(|error| Error::bug("making a group info", error))?
            .to_bytes()
            .map_err(|error| Error::bug("encoding a group info", error))
    }

    /// Makes the external commit by which the signer's device enters the group anew, in the epoch of `group_info`. A leaf
    /// that it still has is removed by the same commit. Gives back the next epoch as it will be if the commit wins, and the
    /// commit: an MLSMessage with a PublicMessage, for [`Group::process_rejoin`].
    ///
    /// Nothing here proves that the group is the one that the others are in: whoever is in the tree may have made it up. Look
    /// at [`Group::group_id`] and [`Group::members`] before the commit is sent.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Oversized`], [`Error::Unsupported`], [`Error::ForeignCredential`],
    /// [`Error::Invalid`].
    pub fn rejoin(
        signer: &DeviceSigner,
        group_info: &[u8],
        ratchet_tree: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Result<(Group, Vec<u8>), Error> {
        let (info, suite) = join::parse_group_info(group_info)?;
        let tree = join::parse_tree(ratchet_tree)?;
        let engine = Engine::new(Cells::default(), Seed::draw(entropy));
        let leaf = LeafNodeParameters::builder()
            .with_capabilities(policy::capabilities(Terms::Ours, suite, false))
            .build();
        let (mls, bundle) = MlsGroup::external_commit_builder()
            .with_ratchet_tree(tree)
            .with_config(policy::join_config())
            // As when joining: leaves that were never updated carry a lifetime, which decides nothing here.
            .skip_lifetime_validation()
            .build_group(&engine, info, signer.credential())
            .map_err(refused)?
            .leaf_node_parameters(leaf)
            .load_psks(engine.storage())
            .map_err(|error| Error::invalid("group info", error))?
            .create_group_info(false)
            .build(engine.rand(), engine.crypto(), &signer.engine(), |_| true)
            .map_err(|error| Error::invalid("group info", error))?
            .finalize(&engine)
            .map_err(|error| Error::bug("rejoining a group", error))?;
        for member in mls.members() {
            policy::device(Terms::Ours, &member.credential, &member.signature_key)?;
            policy::encryption_key(suite, "group info", &member.encryption_key)?;
        }
        policy::parent_keys(suite, "group info", mls.treesync())?;
        let (message, ..) = bundle.into_messages();
        let message = message.to_bytes().map_err(|error| Error::bug("encoding a commit", error))?;
        Ok((Group::new(Terms::Ours, mls, engine.into_cells())?, message))
    }

    /// Processes the external commit of `device`, and of nobody else: the next epoch, and what the commit did. Call it only
    /// for a device that belongs to the group by the caller's own lights: the commit itself proves nothing but who made it.
    ///
    /// # Errors
    /// [`Error::OwnCommit`]; [`Error::NotItsRejoin`] for another device's, or one that removes anybody but its own former leaf; otherwise as
    /// [`Group::process`].
    pub fn process_rejoin(&self, bytes: &[u8], device: &DeviceId) -> Result<(Group, Summary), Error> {
        let message = self.addressed(bytes)?;
        if *message.sender() != Sender::NewMemberCommit {
            return Err(Error::NotItsRejoin);
        }
        match self.process_addressed(bytes, message, Some(*device))? {
            _ if *device == self.device() => Err(Error::OwnCommit),
            (Some(next), summary) => Ok((next, summary)),
            // It removed this device, which its rules do not let it.
            (None, _) => Err(Error::NotItsRejoin),
        }
    }

    /// Processes a commit as [`Group::process`] does, and an external one whoever made it: for following where a group went
    /// before it is known whose commits count. What comes out must not be taken for the group that the members are in.
    ///
    /// # Errors
    /// As [`Group::process`], but for [`Error::Rejoins`].
    pub fn look_ahead(&self, message: &[u8]) -> Result<(Option<Group>, Summary), Error> {
        match self.process(message) {
            Err(Error::Rejoins) => {}
            processed => return processed,
        }
        match self.process_addressed(message, self.addressed(message)?, None)? {
            (_, summary) if summary.committer == self.device() => Err(Error::OwnCommit),
            processed => Ok(processed),
        }
    }
}

fn refused<S: std::error::Error>(error: ExternalCommitBuilderError<S>) -> Error {
    match error {
        ExternalCommitBuilderError::UnsupportedCiphersuite(_) => Error::Unsupported("another ciphersuite"),
        ExternalCommitBuilderError::LibraryError(error) => Error::bug("rejoining a group", error),
        ExternalCommitBuilderError::StorageError(error) => Error::bug("rejoining a group", error),
        other => Error::invalid("group info", other),
    }
}
