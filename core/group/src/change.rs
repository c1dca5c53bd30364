use crate::{
    DeviceId, DeviceSigner, Error, Group, KeyPackage,
    engine::{Engine, Seed},
    policy::{self, Terms},
    reinit::Tie,
};
use openmls::prelude::{CreateCommitError, LeafNodeIndex, LeafNodeParameters};
use openmls_traits::OpenMlsProvider as _;
use std::collections::{BTreeMap, BTreeSet};
use terachat_vault::Entropy;

/// What a commit changes. With nothing to add and nothing to remove it renews its committer's keys.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Devices to add. One that is removed in the same commit may be added anew.
    pub add: &'a [KeyPackage],
    /// Devices to remove; naming one twice is the same as naming it once.
    pub remove: &'a [DeviceId],
    /// The control log's root in the next epoch.
    pub control_root: [u8; 32],
}

/// A commit, to be sent.
#[derive(Debug, Clone)]
pub struct Commit {
    /// For the members: an MLSMessage with a PublicMessage (RFC 9420, section 6.2).
    pub message: Vec<u8>,
    /// For the newcomers, all of them: an MLSMessage with a Welcome (section 12.4.3.1). They also need the next
    /// epoch's [`Group::ratchet_tree`].
    pub welcome: Option<Vec<u8>>,
}

impl Group {
    /// Makes a commit, and gives back the next epoch as it will be if this commit wins.
    ///
    /// # Errors
    /// [`Error::OtherDevice`], [`Error::OtherSuite`], [`Error::OtherTerms`], [`Error::AlreadyMember`], [`Error::NotAMember`], [`Error::RemovesItself`];
    /// [`Error::Invalid`] when a key package collides with a member's or another's keys.
    pub fn commit(
        &self,
        signer: &DeviceSigner,
        change: &Change<'_>,
        entropy: &mut dyn Entropy,
    ) -> Result<(Group, Commit), Error> {
        self.commit_tied(signer, change, None, entropy)
    }

    /// The same; with `tie`, whoever follows has to have that secret, too (RFC 9420, section 8.4).
    pub(crate) fn commit_tied(
        &self,
        signer: &DeviceSigner,
        change: &Change<'_>,
        tie: Option<&Tie>,
        entropy: &mut dyn Entropy,
    ) -> Result<(Group, Commit), Error> {
        if signer.device() != self.device() {
            return Err(Error::OtherDevice);
        }
        let removals = self.removals(change)?;

        let engine = Engine::new(self.cells.clone(), Seed::draw(entropy));
        let mut mls = self.working_copy(&engine)?;
        let mut builder = mls
            .commit_builder()
            .consume_proposal_store(false)
            .force_self_update(true)
            .leaf_node_parameters(LeafNodeParameters::default())
            .propose_removals(removals)
            .propose_adds(change.add.iter().map(KeyPackage::engine));
        if let Some(tie) = tie {
            builder = builder.add_proposal(tie.proposal(&engine, self.suite())?);
        }
        if change.control_root != self.control_root() {
            if self.terms() == Terms::Plain {
                return Err(Error::Unsupported("a control root in a group without one"));
            }
            builder = builder
                .propose_group_context_extensions(policy::context_extensions(change.control_root))
                .map_err(failed)?;
        }
        let builder = builder
            .load_psks(engine.storage())
            .map_err(failed)?
            .create_group_info(false)
            // Whoever knows RFC 9420 alone looks for the tree there.
            .use_ratchet_tree_extension(self.terms() == Terms::Plain)
            .build(engine.rand(), engine.crypto(), &signer.engine(), |_| true)
            .map_err(failed)?;

        engine.storage().skip_group_state(true);
        let bundle = builder.stage_commit(&engine).map_err(|error| Error::bug("making a commit", error))?;
        engine.storage().skip_group_state(false);
        let (message, welcome, _) = bundle.into_messages();
        mls.merge_pending_commit(&engine).map_err(|error| Error::bug("merging an own commit", error))?;

        let commit = Commit {
            message: message.to_bytes().map_err(|error| Error::bug("encoding a commit", error))?,
            welcome: welcome
                .map(|welcome| welcome.to_bytes().map_err(|error| Error::bug("encoding a welcome", error)))
                .transpose()?,
        };
        let mut cells = engine.into_cells();
        cells.drop_psks();
        Ok((Group::new(self.terms(), mls, cells)?, commit))
    }

    /// The leaves to remove, after a look at the whole change.
    fn removals(&self, change: &Change<'_>) -> Result<Vec<LeafNodeIndex>, Error> {
        if change.add.is_empty() && change.remove.is_empty() {
            return Ok(Vec::new());
        }
        let mut members: BTreeMap<_, _> = self.leaves().map(|(leaf, device)| (device, leaf)).collect();
        let mut leaves = Vec::new();
        for device in change.remove.iter().collect::<BTreeSet<_>>() {
            if *device == self.device() {
                return Err(Error::RemovesItself);
            }
            leaves.push(members.remove(device).ok_or(Error::NotAMember(*device))?);
        }
        for newcomer in change.add {
            if newcomer.terms() != self.terms() {
                return Err(Error::OtherTerms);
            }
            if newcomer.suite() != self.suite() {
                return Err(Error::OtherSuite { key_package: newcomer.suite(), group: self.suite() });
            }
            // The leaf is not known yet and does not matter.
            if members.insert(newcomer.device(), LeafNodeIndex::new(0)).is_some() {
                return Err(Error::AlreadyMember(newcomer.device()));
            }
        }
        Ok(leaves)
    }
}

fn failed(error: CreateCommitError) -> Error {
    match error {
        // Who made a key package chose its keys, and may have chosen somebody else's.
        CreateCommitError::ProposalValidationError(error) => Error::invalid("key package", error),
        other => Error::bug("making a commit", other),
    }
}
