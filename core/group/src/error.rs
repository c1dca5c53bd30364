use crate::{CipherSuite, DeviceId};

/// What went wrong. No variant changed any state: the [`Group`](crate::Group) it was asked of is as it was, and
/// no secret is in the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not what they should be; drop them. Nothing changed.
    #[error("not a well-formed {0}; drop it")]
    Malformed(&'static str),
    /// The bytes are more than are ever looked at; drop them. Nothing changed.
    #[error("{len} bytes are more than the {max} that are looked at; drop it")]
    Oversized {
        /// Bytes received.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A message of another group; hand it to that group. Nothing changed.
    #[error("the message belongs to another group; hand it to that one")]
    WrongGroup,
    /// A message of an epoch that is over: a replay, or a concurrent commit that lost. Nothing changed.
    #[error(
        "the message is of epoch {message}, the group is in epoch {group}: a replay, or a commit that lost"
    )]
    StaleEpoch {
        /// The message's epoch.
        message: u64,
        /// The group's epoch.
        group: u64,
    },
    /// A message of an epoch to come: keep it until the commits between are processed. Nothing changed.
    #[error(
        "the message is of epoch {message}, the group is in epoch {group}; first process what lies between"
    )]
    FutureEpoch {
        /// The message's epoch.
        message: u64,
        /// The group's epoch.
        group: u64,
    },
    /// A message kind or content that RFC 9420 allows and this group does not; drop it. Nothing changed.
    #[error("{0} is not used in these groups; drop it")]
    Unsupported(&'static str),
    /// The sender is not who the message says: a signature or tag is wrong; drop it. Nothing changed.
    #[error("forged: the {0} does not verify; drop it")]
    Forged(&'static str),
    /// The sender's leaf is empty; drop the message. Nothing changed.
    #[error("the sender is not a member of this epoch; drop the message")]
    UnknownMember,
    /// A leaf whose credential is not its own signature key, or whose committer changed it; drop. Nothing changed.
    #[error("a leaf carries a credential that is not its own device key; drop what carries it")]
    ForeignCredential,
    /// A key package with an end of validity, be it over or to come: in these groups no clock decides who may be added. Ask its
    /// device for a new one. Nothing changed.
    #[error(
        "the key package has expired or is going to, and in these groups they are valid for ever; ask its device for a new one"
    )]
    Expires,
    /// Breaks a rule of RFC 9420 or of this crate's page; drop it. Nothing changed.
    #[error("invalid {what}: {detail}; drop it")]
    Invalid {
        /// What was looked at.
        what: &'static str,
        /// The rule, in the MLS library's words.
        detail: String,
    },
    /// The welcome is for another device or another of this device's key packages. Nothing changed.
    #[error("the welcome is not for this key package; try this device's others, or drop it")]
    NotForUs,
    /// The message claims to be this device's own commit; use what [`Group::commit`](crate::Group::commit) gave
    /// back instead of processing it. Nothing changed.
    #[error("this device's own commit cannot be processed; use the group that making it gave back")]
    OwnCommit,

    /// The commit is from outside: a device takes its place in the group anew. Hand it to
    /// [`Group::process_rejoin`](crate::Group::process_rejoin) if that device belongs to the group, or drop it. Nothing
    /// changed.
    #[error("the commit comes from outside the group: a device rejoins by it, if it belongs to the group")]
    Rejoins,
    /// An external commit of another device than expected, or one that changes more than its own place; drop it. Nothing
    /// changed.
    #[error("the commit is not that by which the named device takes its own place again; drop it")]
    NotItsRejoin,

    /// The new group was not made by a member of this one in this epoch, or not for this device's key package: what ties the two
    /// groups together is not in its welcome. Drop it. Nothing changed.
    #[error(
        "the new group is not the one that takes this one's place: it was not made by a member of this epoch; drop it"
    )]
    NotASuccessor,

    /// The message was opened before, and its key is gone. Nothing changed.
    #[error("number {generation} of its sender was opened before; a message opens once")]
    Replayed {
        /// Its number among its sender's in the epoch.
        generation: u32,
    },
    /// A message beyond what a sender seals in one epoch; drop it. Nothing changed.
    #[error("number {generation} of its sender is beyond the {max} that one epoch has; drop it")]
    TooFarAhead {
        /// Its number among its sender's in the epoch.
        generation: u32,
        /// How many there may be.
        max: u32,
    },
    /// The message is this device's own: whoever sealed it kept the text. Nothing changed.
    #[error("this device sealed the message itself and cannot open it; use the text that was kept")]
    OwnMessage,
    /// Nothing is reserved to seal with: reserve generations and make that durable first. Nothing changed.
    #[error("no message can be sealed before generations are reserved; reserve some, durably")]
    NotReserved,
    /// This device has sealed as many messages as an epoch allows: make a commit, and go on in its epoch. Nothing changed.
    #[error("no more messages can be sealed in this epoch; renew the group's keys and go on")]
    EpochUsedUp,

    /// The device to add is a member already, or is added twice. Nothing changed.
    #[error("device {} is a member already; remove it in the same commit to add it anew", hex(.0))]
    AlreadyMember(DeviceId),
    /// The key package was read under other terms than the group's ([`danger`](crate::danger)). Nothing changed.
    #[error("the key package was read under other terms than this group's; read it under these")]
    OtherTerms,
    /// The key package is of another suite than the group. Nothing changed.
    #[error(
        "the key package is for groups of suite {key_package}, this one is of {group}; ask for one of that suite"
    )]
    OtherSuite {
        /// The key package's.
        key_package: CipherSuite,
        /// The group's.
        group: CipherSuite,
    },
    /// The device to remove is no member. Nothing changed.
    #[error("device {} is not a member; look at the members again", hex(.0))]
    NotAMember(DeviceId),
    /// A committer cannot remove itself (RFC 9420, section 12.4): ask another member. Nothing changed.
    #[error("a device cannot remove itself; ask another member to")]
    RemovesItself,
    /// The signer is not the device this group or key package belongs to. Nothing changed.
    #[error("the signer is not the device that this state belongs to; use that device's")]
    OtherDevice,
    /// A group id may have 1 to 255 bytes. Nothing changed.
    #[error("a group id has 1 to 255 bytes, not {0}")]
    GroupId(usize),

    /// Stored bytes that are not what was stored; restore them, or join anew. Nothing changed.
    #[error("damaged group state: {0}; restore it from a backup, or join the group anew")]
    Damaged(&'static str),

    /// Ours to mend. Nothing changed.
    #[error("a bug in terachat-group: {what}: {detail}; please report it")]
    Bug {
        /// What was under way.
        what: &'static str,
        /// What the MLS library said.
        detail: String,
    },
}

/// Whose fault an [`Error`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Who sent the bytes.
    Peer,
    /// Who called.
    Caller,
    /// Who kept the state.
    Storage,
    /// Ours.
    Bug,
}

impl Error {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::AlreadyMember(_)
            | Self::OtherSuite { .. }
            | Self::OtherTerms
            | Self::NotAMember(_)
            | Self::RemovesItself
            | Self::OtherDevice
            | Self::GroupId(_)
            | Self::NotReserved
            | Self::EpochUsedUp
            | Self::OwnCommit => Fault::Caller,
            Self::Damaged(_) => Fault::Storage,
            Self::Bug { .. } => Fault::Bug,
            _ => Fault::Peer,
        }
    }

    pub(crate) fn bug(what: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::Bug { what, detail: detail.to_string() }
    }

    pub(crate) fn invalid(what: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::Invalid { what, detail: detail.to_string() }
    }
}

fn hex(device: &DeviceId) -> String {
    device[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "…"
}
