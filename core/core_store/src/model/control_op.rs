use super::outline::check_topic;
use super::{Card, CategoryId, Held, Named, Permissions, Rank, Renewal, Revocation};
use crate::Error;
use serde::{Deserialize, Serialize};
use terachat_event::{ChannelId, DeviceId, EventHash, Statement, UserId, verify_all};

/// Most characters of a name.
const NAME_CHARS_MAX: usize = 100;

/// One change of a space's control state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControlOp {
    /// Founds the space: the first operation of its first event, and nowhere else.
    Genesis {
        /// The space's name.
        name: String,
        /// The founder, who becomes owner.
        owner: Card,
        /// Makes the id of every space unpredictable.
        salt: [u8; 16],
    },
    /// Admits a device's user.
    Admit {
        /// Whom.
        card: Card,
        /// With which rank; below the admitting member's own.
        rank: Rank,
        /// The MLS key package by which members put the device into the group; kept so that whoever has to repeat
        /// a lost commit can.
        key_package: Vec<u8>,
    },
    /// Removes a user with all devices, for good.
    Remove {
        /// Whom.
        user: UserId,
        /// How far each of the user's chains counts.
        pins: Vec<Pin>,
    },
    /// Changes a user's rank.
    SetRank {
        /// Whose.
        user: UserId,
        /// The new rank.
        rank: Rank,
        /// For a demotion: how far the user's chains count for what the new rank does not permit.
        pins: Vec<Pin>,
    },
    /// Creates a channel; its id follows from the event and the operation's place in it.
    CreateChannel {
        /// The channel's name.
        name: String,
    },
    /// Moves the space's MLS group to its next epoch.
    Commit(GroupCommit),
    /// Creates a channel for posts with titles; its id follows as a channel's does.
    CreateForum {
        /// The channel's name.
        name: String,
    },
    /// Creates a category; its id follows from the event and the operation's place in it.
    CreateCategory {
        /// The category's name.
        name: String,
    },
    /// Gives something another name.
    SetName {
        /// What.
        of: Named,
        /// The name.
        name: String,
    },
    /// Says what a channel is about.
    SetTopic {
        /// The channel.
        channel: ChannelId,
        /// The topic; empty, or up to 1,000 characters.
        topic: String,
    },
    /// Puts a channel elsewhere.
    Place {
        /// The channel.
        channel: ChannelId,
        /// The category it stands in from now on, if any.
        category: Option<CategoryId>,
        /// The channel behind which it stands; before all others without one.
        after: Option<ChannelId>,
    },
    /// Takes a device from its user, for good: the user's own word, carried into this space.
    RevokeDevice {
        /// What the user signed.
        revocation: Revocation,
        /// How far each of the device's chains counts.
        pins: Vec<Pin>,
    },
    /// Changes what a role permits, for all who have it.
    ChangeRole {
        /// The role; below the author's own.
        rank: Rank,
        /// What it permits from now on; nothing that the author's role lacks.
        give: Permissions,
        /// What it does not permit any more; nothing of what is given.
        take: Permissions,
        /// How far the chains of those who have the role count for what is taken.
        pins: Vec<Pin>,
    },
    /// Creates a channel in which members read what was written since they joined; its id follows as another channel's does.
    CreateSinceJoin {
        /// The channel's name.
        name: String,
        /// Whether it is for posts with titles.
        forum: bool,
    },
    /// Requires that a device stays in the space and its group as an archive, or requires it no longer.
    RequireArchive {
        /// The device; its user's role does not permit to post.
        device: DeviceId,
        /// Whether it is required from now on.
        required: bool,
    },
    /// Puts a legal hold on something, or ends it: what is held and deleted, archives erase only after the hold has ended.
    Hold {
        /// What is held.
        on: Held,
        /// Whether the hold stands from now on.
        stands: bool,
    },
    /// Asks that the space's group be moved to another ciphersuite: devices then offer key packages for it.
    WantSuite {
        /// The suite's number (RFC 9420, section 17.1).
        suite: u16,
    },
    /// Offers a key package of the author's own device for the group in the suite that is wanted.
    OfferKeyPackage {
        /// The event that asked for it.
        wish: EventHash,
        /// The MLS key package.
        key_package: Vec<u8>,
    },
    /// Puts a new group, in the suite that is wanted, in the place of the space's.
    ReInit(ReInit),
    /// Says when members renew the space's keys of themselves.
    SetRenewal(Renewal),
}

impl ControlOp {
    /// The commit in it that makes an epoch, be it of a new group.
    pub fn commit(&self) -> Option<&GroupCommit> {
        match self {
            Self::Commit(commit) => Some(commit),
            Self::ReInit(reinit) => Some(&reinit.commit),
            _ => None,
        }
    }

    /// The role that it gives somebody or changes.
    pub(crate) fn role(&self) -> Option<Rank> {
        match self {
            Self::Admit { rank, .. } | Self::SetRank { rank, .. } | Self::ChangeRole { rank, .. } => {
                Some(*rank)
            }
            _ => None,
        }
    }
}

/// Where a removal or demotion cuts one of the target's chains: what lies beyond is void, however it is dated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The channel, or `None` for the control log.
    pub channel: Option<ChannelId>,
    /// The device.
    pub device: DeviceId,
    /// Number of the last event that counts; a chain without a pin counts up to nothing.
    pub seq: u64,
    /// Its hash.
    pub hash: EventHash,
}

/// An MLS commit (RFC 9420, section 12.4) with what newcomers need beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupCommit {
    /// The control event whose commit (or genesis) made the epoch that this one leaves.
    pub previous: EventHash,
    /// The epoch this commit leads to.
    pub epoch: u64,
    /// The MLS message.
    pub message: Vec<u8>,
    /// MLS Welcome for those whom this commit adds; empty without any.
    pub welcome: Vec<u8>,
    /// BLAKE3 of the ratchet tree that belongs to the welcome; any member hands the tree out.
    pub tree: [u8; 32],
    /// Secrets of former epochs, sealed under the new one's, for channels whose history is shared.
    pub links: Vec<EpochLink>,
}

/// A re-initialisation (RFC 9420, section 11.2) as a control event: ADR 0040.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReInit {
    /// The new group's suite, by its number (section 17.1).
    pub suite: u16,
    /// As an epoch's commit, but for the message, which is the new group's GroupInfo (section 12.4.3) in an MLSMessage; the epoch
    /// is the new group's, 1.
    pub commit: GroupCommit,
    /// The new group's ratchet tree in that epoch, whole: nobody can go on without it.
    pub ratchet_tree: Vec<u8>,
}

impl ReInit {
    /// The bytes by themselves (postcard).
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("plain values encode into a growing buffer")
    }

    /// Reads what [`ReInit::encode`] wrote.
    ///
    /// # Errors
    /// [`Error::Payload`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        match postcard::take_from_bytes(bytes) {
            Ok((reinit, [])) => Ok(reinit),
            _ => Err(Error::Payload("not a re-initialisation")),
        }
    }
}

/// The way back from a later epoch's secret to an earlier one's: the predecessor's, or that of a commit that lost its
/// race after messages had been sealed under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochLink {
    /// The control event that made the earlier epoch.
    pub commit: EventHash,
    /// Its secret, sealed.
    pub sealed: Vec<u8>,
}

/// The payload of one control event: operations that count together or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlTransaction(pub Vec<ControlOp>);

impl ControlTransaction {
    /// The commit in it that makes an epoch, be it of a new group.
    pub fn commit(&self) -> Option<&GroupCommit> {
        self.0.iter().find_map(ControlOp::commit)
    }

    /// The payload's bytes (postcard).
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("plain values encode into a growing buffer")
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// [`Error::Payload`] for bytes that are no transaction, names out of bounds, or a genesis out of place.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let (transaction, rest) = postcard::take_from_bytes::<Self>(bytes)
            .map_err(|_| Error::Payload("not a control transaction"))?;
        if !rest.is_empty() || transaction.0.is_empty() {
            return Err(Error::Payload("a control transaction is empty or has bytes behind its end"));
        }
        for (at, op) in transaction.0.iter().enumerate() {
            match op {
                ControlOp::Genesis { name, owner, .. } => {
                    check_name(name)?;
                    check_name(&owner.name)?;
                    if at != 0 {
                        return Err(Error::Payload("a genesis inside a transaction"));
                    }
                }
                ControlOp::Admit { card, rank, .. } => {
                    check_name(&card.name)?;
                    check_rank(*rank)?;
                }
                ControlOp::SetRank { rank, .. } => check_rank(*rank)?,
                ControlOp::ChangeRole { rank, give, take, .. } => {
                    check_rank(*rank)?;
                    if give.meets(*take) {
                        return Err(Error::Payload("a permission is given and taken at once"));
                    }
                }
                ControlOp::CreateChannel { name }
                | ControlOp::CreateForum { name }
                | ControlOp::CreateSinceJoin { name, .. }
                | ControlOp::CreateCategory { name }
                | ControlOp::SetName { name, .. } => check_name(name)?,
                ControlOp::SetTopic { topic, .. } => check_topic(topic)?,
                ControlOp::SetRenewal(renewal) => drop(Renewal::new(renewal.days, renewal.messages)?),
                ControlOp::Remove { .. }
                | ControlOp::RevokeDevice { .. }
                | ControlOp::Commit(_)
                | ControlOp::Place { .. }
                | ControlOp::RequireArchive { .. }
                | ControlOp::Hold { .. }
                | ControlOp::WantSuite { .. }
                | ControlOp::OfferKeyPackage { .. }
                | ControlOp::ReInit(_) => {}
            }
        }
        Ok(transaction)
    }
}

/// Which of these hold nothing but what users and devices really signed: cards and revocations. Checks all signatures
/// together.
pub fn vouched<'a>(transactions: impl Iterator<Item = &'a ControlTransaction>) -> Vec<bool> {
    let (mut genuine, mut said) = (Vec::new(), Vec::new());
    for (at, transaction) in transactions.enumerate() {
        genuine.push(true);
        said.extend(transaction.0.iter().filter_map(|op| {
            Some((
                at,
                match op {
                    ControlOp::Genesis { owner: card, .. } | ControlOp::Admit { card, .. } => {
                        (Signed::Card(card), card.vouched())
                    }
                    ControlOp::RevokeDevice { revocation, .. } => {
                        (Signed::Revocation(revocation), revocation.said())
                    }
                    _ => return None,
                },
            ))
        }));
    }
    let (mut statements, mut of): (Vec<Statement<'_>>, Vec<usize>) = (Vec::new(), Vec::new());
    for (at, (signed, bytes)) in &said {
        let found = statements.len();
        match signed {
            Signed::Card(card) => statements.extend(card.statements(bytes).into_iter().flatten()),
            Signed::Revocation(revocation) => statements.extend(revocation.statement(bytes)),
        }
        genuine[*at] &= statements.len() > found;
        of.resize(statements.len(), *at);
    }
    verify_all(&statements).into_iter().for_each(|bad| genuine[of[bad]] = false);
    genuine
}

enum Signed<'a> {
    Card(&'a Card),
    Revocation(&'a Revocation),
}

/// A name is 1 to 100 characters without control characters.
///
/// # Errors
/// [`Error::Payload`].
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let fits = !name.trim().is_empty()
        && name.chars().count() <= NAME_CHARS_MAX
        && !name.chars().any(char::is_control);
    fits.then_some(()).ok_or(Error::Payload("a name is 1 to 100 characters without control characters"))
}

fn check_rank(rank: Rank) -> Result<(), Error> {
    Rank::new(rank.get()).map(drop).ok_or(Error::Payload("a rank is 0 to 100"))
}
