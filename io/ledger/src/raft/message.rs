//! What nodes send each other: one byte of version, then postcard.
use super::types::{Ballot, Id, LogEntry, StoredMembers};
use crate::{MembersError, ProposeError, ReadError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeSet;

/// Bytes of a request or an answer at most.
pub const MESSAGE_LEN_MAX: usize = (1 << 20) + (64 << 10);
const VERSION: u8 = 1;

#[cfg(test)]
pub(crate) mod tests;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// A leader's entries behind `previous`, or its sign of life.
    Append { ballot: Ballot, previous: Option<Id>, entries: Vec<LogEntry>, committed: Option<Id> },
    /// A candidate's request for a vote.
    Vote { ballot: Ballot, last: Option<Id> },
    /// A part of a leader's snapshot.
    Snapshot { ballot: Ballot, meta: Meta, offset: u64, data: Bytes, done: bool },
    /// An entry for whoever leads.
    Propose { entry: Bytes },
    /// How far one has to have applied to see everything that is committed now.
    ReadIndex,
    /// New members.
    SetMembers { voters: BTreeSet<u64>, learners: BTreeSet<u64> },
    /// Whether the node would vote for the sender, whose log ends there.
    PreVote { last: Option<Id> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Append(Appended),
    Vote {
        ballot: Ballot,
        granted: bool,
        last: Option<Id>,
    },
    Snapshot {
        ballot: Ballot,
    },
    /// The part of a snapshot does not follow on the one before; begin again.
    SnapshotMismatch,
    Proposed(Result<Proposed, Denial<ProposeDenial>>),
    /// Place in the log that has to be applied, `None` when nothing is committed.
    ReadIndex(Result<Option<u64>, Denial<ReadDenial>>),
    Members(Result<u64, Denial<MembersDenial>>),
    Refused(Refusal),
    PreVote {
        granted: bool,
    },
}

/// Why a request was not even looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refusal {
    /// Not a request of a version this node knows.
    Form,
    /// It speaks for another node than the one that sent it.
    Sender,
    /// This node's ledger has stopped.
    Stopped,
}

/// Not the leader, who is another one if known, or what the leader says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Denial<T> {
    NotLeader(Option<u64>),
    Failed(T),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ProposeDenial {
    TooLong,
    NoLeader,
    Stopped,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ReadDenial {
    NoMajority,
    Stopped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MembersDenial {
    Empty,
    Busy,
    Unfinished,
    Stopped,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Appended {
    All,
    Conflict,
    Higher(Ballot),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proposed {
    pub(crate) index: u64,
    pub(crate) answer: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) last: Option<Id>,
    pub(crate) members: StoredMembers,
    pub(crate) id: String,
}

/// Bytes that are copied as a whole.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(|bytes| Self(bytes.to_vec()))
    }
}

impl Request {
    /// The node it speaks for, if it speaks for one.
    pub(crate) fn claims(&self) -> Option<u64> {
        match self {
            Self::Append { ballot, .. } | Self::Vote { ballot, .. } | Self::Snapshot { ballot, .. } => {
                Some(ballot.node)
            }
            Self::Propose { .. } | Self::ReadIndex | Self::SetMembers { .. } | Self::PreVote { .. } => None,
        }
    }

    /// Whether openraft may be handed it: it trusts its peers to number their entries.
    pub(crate) fn is_sound(&self) -> bool {
        match self {
            Self::Append { ballot, previous, entries, committed } => {
                let mut next = previous.map_or(0, |id| id.index.saturating_add(1));
                let mut before = *previous;
                let in_order = entries.iter().all(|entry| {
                    let fits = entry.id.index == next && Some(entry.id) > before;
                    next = next.saturating_add(1);
                    before = Some(entry.id);
                    fits
                });
                let not_later = |id: &Id| (id.term, id.node) <= (ballot.term, ballot.node);
                ballot.leads
                    && in_order
                    && next < u64::MAX
                    && before.as_ref().is_none_or(not_later)
                    && committed.as_ref().is_none_or(not_later)
            }
            Self::Vote { ballot, last } => {
                !ballot.leads && last.is_none_or(|id| (id.term, id.node) <= (ballot.term, ballot.node))
            }
            Self::Snapshot { ballot, meta, .. } => {
                ballot.leads && meta.last.is_some_and(|id| (id.term, id.node) <= (ballot.term, ballot.node))
            }
            Self::Propose { .. } | Self::ReadIndex | Self::SetMembers { .. } | Self::PreVote { .. } => true,
        }
    }
}

pub(crate) fn encode(message: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(message, vec![VERSION]).expect("a vector takes everything")
}

/// `None` for everything but one whole message of this version.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match bytes {
        [VERSION, body @ ..] if bytes.len() <= MESSAGE_LEN_MAX => {
            let (message, rest) = postcard::take_from_bytes(body).ok()?;
            rest.is_empty().then_some(message)
        }
        _ => None,
    }
}

impl From<ProposeError> for ProposeDenial {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::TooLong(_) => Self::TooLong,
            ProposeError::NoLeader => Self::NoLeader,
            ProposeError::Stopped => Self::Stopped,
            ProposeError::Unknown => Self::Unknown,
        }
    }
}

impl From<ReadError> for ReadDenial {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NoMajority => Self::NoMajority,
            ReadError::Stopped => Self::Stopped,
        }
    }
}

impl From<MembersError> for MembersDenial {
    fn from(error: MembersError) -> Self {
        match error {
            MembersError::Empty => Self::Empty,
            MembersError::Busy => Self::Busy,
            MembersError::Unfinished => Self::Unfinished,
            MembersError::Stopped => Self::Stopped,
        }
    }
}
