use crate::{
    DeviceId, Error, Group, MESSAGE_BYTES_MAX,
    engine::Engine,
    policy::{self, Terms},
    update_path,
};
use openmls::prelude::{
    ContentType, KeyPackageVerifyError, MlsMessageBodyIn, MlsMessageIn, ProcessMessageError,
    ProcessedMessageContent, Proposal, ProposalOrRefType, ProposalValidationError, PublicMessageIn, Sender,
    StageCommitError, StagedCommit, ValidationError, tls_codec::Deserialize as _,
};
use openmls::treesync::errors::LeafNodeValidationError;

/// What a processed commit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The epoch it leads to.
    pub epoch: u64,
    /// Who made it.
    pub committer: DeviceId,
    /// Whom it added, in the commit's order. A device that rejoined is the committer and not among them.
    pub added: Vec<DeviceId>,
    /// Whom it removed, in the commit's order; by a rejoining device itself, if it still had a leaf.
    pub removed: Vec<DeviceId>,
    /// The control log's root in the epoch it leads to.
    pub control_root: [u8; 32],
}

impl Group {
    /// Processes another member's commit: the next epoch, or none if this device was removed, and what the commit
    /// did. Whether the committer was allowed to do it is for the caller to decide, before it keeps the result.
    ///
    /// # Errors
    /// Every error of [`Fault::Peer`](crate::Fault::Peer) but [`Error::NotForUs`]; and [`Error::OwnCommit`].
    /// [`Error::Rejoins`] is for [`Group::process_rejoin`] to take up, where the device may.
    pub fn process(&self, bytes: &[u8]) -> Result<(Option<Group>, Summary), Error> {
        let message = self.addressed(bytes)?;
        let leaf = match *message.sender() {
            Sender::Member(leaf) => leaf,
            Sender::NewMemberCommit => return Err(Error::Rejoins),
            _ => return Err(Error::Unsupported("a handshake from outside the group")),
        };
        let committer = self.device_at(leaf).ok_or(Error::UnknownMember)?;
        if committer == self.device() {
            return Err(Error::OwnCommit);
        }
        self.process_addressed(bytes, message, None)
    }

    /// A commit by a member, or an external one: of `rejoining`, if that is said, and else of whoever made it. `bytes` are the message's.
    pub(crate) fn process_addressed(
        &self,
        bytes: &[u8],
        message: PublicMessageIn,
        rejoining: Option<DeviceId>,
    ) -> Result<(Option<Group>, Summary), Error> {
        let member = match *message.sender() {
            Sender::Member(leaf) => Some(self.device_at(leaf).ok_or(Error::UnknownMember)?),
            _ => None,
        };
        let engine = Engine::reading(self.cells.clone());
        let mut mls = self.working_copy(&engine)?;
        let processed = mls.process_message(&engine, message).map_err(refused)?;
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            return Err(Error::Unsupported("a handshake that is no commit"));
        };
        let summary = self.summary(member.or(rejoining), &staged, member.is_none())?;
        if let Some(leaf) = staged.update_path_leaf_node() {
            update_path::check(self.suite(), bytes, leaf)?;
        }
        let stays = !staged.self_removed();
        mls.merge_staged_commit(&engine, *staged).map_err(|error| Error::bug("merging a commit", error))?;
        let next = if stays { Some(Group::new(self.terms(), mls, engine.into_cells())?) } else { None };
        Ok((next, summary))
    }

    /// The message, if it is a commit for this group and epoch; nothing in it is verified yet.
    pub(crate) fn addressed(&self, bytes: &[u8]) -> Result<PublicMessageIn, Error> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(Error::Oversized { len: bytes.len(), max: MESSAGE_BYTES_MAX });
        }
        let message = MlsMessageIn::tls_deserialize_exact(bytes).map_err(|_| Error::Malformed("message"))?;
        let message = match message.extract() {
            MlsMessageBodyIn::PublicMessage(message) => message,
            MlsMessageBodyIn::PrivateMessage(_) => return Err(Error::Unsupported("a PrivateMessage")),
            _ => return Err(Error::Malformed("message")),
        };
        if message.group_id() != self.mls.group_id() {
            return Err(Error::WrongGroup);
        }
        let (theirs, ours) = (message.epoch().as_u64(), self.epoch());
        if theirs < ours {
            return Err(Error::StaleEpoch { message: theirs, group: ours });
        }
        if theirs > ours {
            return Err(Error::FutureEpoch { message: theirs, group: ours });
        }
        if message.content_type() != ContentType::Commit {
            return Err(Error::Unsupported("a handshake that is no commit"));
        }
        Ok(message)
    }

    /// What a verified commit does, if it does only what these groups allow. An external one may be by anybody of whom nothing
    /// is said.
    fn summary(
        &self,
        said: Option<DeviceId>,
        staged: &StagedCommit,
        rejoins: bool,
    ) -> Result<Summary, Error> {
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for queued in staged.queued_proposals() {
            if queued.proposal_or_ref_type() != ProposalOrRefType::Proposal {
                return Err(Error::Unsupported("a proposal outside of its commit"));
            }
            match queued.proposal() {
                Proposal::Add(add) => added.push(policy::newcomer(self.terms(), add.key_package())?),
                Proposal::Remove(remove) => {
                    removed.push(self.device_at(remove.removed()).ok_or(Error::UnknownMember)?);
                }
                Proposal::GroupContextExtensions(_) if !rejoins && self.terms() == Terms::Ours => {}
                Proposal::ExternalInit(_) if rejoins => {}
                _ => return Err(Error::Unsupported("a proposal other than add, remove and control root")),
            }
        }
        let committer = match staged.update_path_leaf_node() {
            Some(leaf) => {
                policy::leaf_key(self.suite(), "commit", leaf)?;
                policy::device(self.terms(), leaf.credential(), leaf.signature_key().as_slice())?
            }
            None => said.ok_or(Error::UnknownMember)?,
        };
        if said.is_some_and(|said| said != committer) {
            return Err(if rejoins { Error::NotItsRejoin } else { Error::ForeignCredential });
        }
        self.keeps_its_name(committer, staged)?;
        // It takes its own place again and nobody else's, and leaves no second leaf of its own behind.
        let had_leaf = rejoins && self.leaves().any(|(_, device)| device == committer);
        if rejoins && removed != if had_leaf { vec![committer] } else { Vec::new() } {
            return Err(Error::NotItsRejoin);
        }
        let context = staged.group_context();
        let control_root = policy::control_root(self.terms(), context.extensions())?;
        Ok(Summary { epoch: context.epoch().as_u64(), committer, added, removed, control_root })
    }

    /// Under our own terms the name is the key, which was compared. Elsewhere nobody here could say who else a committer may
    /// turn into (RFC 9420, section 5.3.3), so into nobody.
    fn keeps_its_name(&self, committer: DeviceId, staged: &StagedCommit) -> Result<(), Error> {
        let Some(leaf) = staged.update_path_leaf_node().filter(|_| self.terms() == Terms::Plain) else {
            return Ok(());
        };
        let former = self.mls.members().find(|member| member.signature_key == committer);
        let keeps = former.is_none_or(|former| former.credential == *leaf.credential());
        if keeps { Ok(()) } else { Err(Error::ForeignCredential) }
    }
}

fn refused<S: std::error::Error>(error: ProcessMessageError<S>) -> Error {
    match error {
        ProcessMessageError::LibraryError(error) => Error::bug("processing a commit", error),
        ProcessMessageError::StorageError(error) => Error::bug("processing a commit", error),
        ProcessMessageError::ValidationError(error) => match error {
            ValidationError::KeyPackageVerifyError(KeyPackageVerifyError::LifetimeError(_)) => Error::Expires,
            ValidationError::LibraryError(error) => Error::bug("processing a commit", error),
            ValidationError::WrongGroupId => Error::WrongGroup,
            ValidationError::UnknownMember => Error::UnknownMember,
            ValidationError::InvalidSignature | ValidationError::InvalidLeafNodeSignature => {
                Error::Forged("signature")
            }
            ValidationError::InvalidMembershipTag | ValidationError::MissingMembershipTag => {
                Error::Forged("membership tag")
            }
            ValidationError::MissingConfirmationTag => Error::Forged("confirmation tag"),
            other => Error::invalid("commit", other),
        },
        ProcessMessageError::InvalidCommit(error) => match error {
            StageCommitError::LibraryError(error) => Error::bug("processing a commit", error),
            StageCommitError::ConfirmationTagMissing | StageCommitError::ConfirmationTagMismatch => {
                Error::Forged("confirmation tag")
            }
            // Where the library looks at the clock before we look at the lifetime.
            StageCommitError::ProposalValidationError(ProposalValidationError::LeafNodeValidation(
                LeafNodeValidationError::Lifetime(_),
            )) => Error::Expires,
            other => Error::invalid("commit", other),
        },
        other => Error::invalid("commit", other),
    }
}
