//! Own types of what is written and sent, beside openraft's: theirs may change with a release, formats may not.
use super::batch::Batch;
use openraft::{CommittedLeaderId, EmptyNode, EntryPayload, StoredMembership};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

openraft::declare_raft_types!(
    /// What openraft is told of this crate's types.
    pub(crate) Types:
        D = Batch,
        R = Applied,
        NodeId = u64,
        Node = EmptyNode,
        SnapshotData = std::io::Cursor<Vec<u8>>,
);

pub(crate) type Entry = openraft::Entry<Types>;
pub(crate) type LogId = openraft::LogId<u64>;
pub(crate) type Vote = openraft::Vote<u64>;
pub(crate) type Membership = openraft::Membership<u64, EmptyNode>;

/// What the machine answered to a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    /// Place of the batch's first entry.
    pub(crate) first: u64,
    pub(crate) answers: Vec<Vec<u8>>,
}

/// Place of a log entry and the leader who put it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Id {
    pub(crate) term: u64,
    pub(crate) node: u64,
    pub(crate) index: u64,
}

impl From<LogId> for Id {
    fn from(id: LogId) -> Self {
        Self { term: id.leader_id.term, node: id.leader_id.node_id, index: id.index }
    }
}

impl From<Id> for LogId {
    fn from(id: Id) -> Self {
        Self::new(CommittedLeaderId::new(id.term, id.node), id.index)
    }
}

/// For whom a node voted in a term, and whether that one leads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ballot {
    pub(crate) term: u64,
    pub(crate) node: u64,
    pub(crate) leads: bool,
}

impl From<Vote> for Ballot {
    fn from(vote: Vote) -> Self {
        Self { term: vote.leader_id.term, node: vote.leader_id.node_id, leads: vote.committed }
    }
}

impl From<Ballot> for Vote {
    fn from(ballot: Ballot) -> Self {
        let mut vote = Self::new(ballot.term, ballot.node);
        vote.committed = ballot.leads;
        vote
    }
}

/// Who votes, in one group or while that changes in two, and who is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Members {
    pub(crate) voters: Vec<BTreeSet<u64>>,
    pub(crate) nodes: BTreeSet<u64>,
}

impl From<&Membership> for Members {
    fn from(membership: &Membership) -> Self {
        Self {
            voters: membership.get_joint_config().clone(),
            nodes: membership.nodes().map(|(&node, _)| node).collect(),
        }
    }
}

impl From<Members> for Membership {
    fn from(members: Members) -> Self {
        let nodes: BTreeMap<u64, EmptyNode> =
            members.nodes.into_iter().map(|node| (node, EmptyNode {})).collect();
        Self::new(members.voters, nodes)
    }
}

/// Members with the place of the log entry that made them so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredMembers {
    pub(crate) id: Option<Id>,
    pub(crate) members: Members,
}

impl From<&StoredMembership<u64, EmptyNode>> for StoredMembers {
    fn from(stored: &StoredMembership<u64, EmptyNode>) -> Self {
        Self { id: stored.log_id().map(Id::from), members: stored.membership().into() }
    }
}

impl From<StoredMembers> for StoredMembership<u64, EmptyNode> {
    fn from(stored: StoredMembers) -> Self {
        Self::new(stored.id.map(LogId::from), stored.members.into())
    }
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LogEntry {
    pub(crate) id: Id,
    pub(crate) body: Body,
}

/// What is in an entry of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Body {
    /// Nothing: a new leader's first entry.
    Blank,
    /// Entries of the ledger.
    Batch(Batch),
    /// New members.
    Members(Members),
}

impl LogEntry {
    /// Entries of the ledger in it.
    pub(crate) fn entries(&self) -> usize {
        match &self.body {
            Body::Batch(batch) => batch.entries().count(),
            Body::Blank | Body::Members(_) => 0,
        }
    }

    /// Bytes it takes, about.
    pub(crate) fn len(&self) -> usize {
        match &self.body {
            Body::Blank => 40,
            Body::Batch(batch) => 40 + batch.len(),
            Body::Members(members) => {
                let ids = members.nodes.len() + members.voters.iter().map(BTreeSet::len).sum::<usize>();
                40 + 10 * ids
            }
        }
    }
}

impl From<Entry> for LogEntry {
    fn from(entry: Entry) -> Self {
        let body = match entry.payload {
            EntryPayload::Blank => Body::Blank,
            EntryPayload::Normal(batch) => Body::Batch(batch),
            EntryPayload::Membership(membership) => Body::Members((&membership).into()),
        };
        Self { id: entry.log_id.into(), body }
    }
}

impl From<LogEntry> for Entry {
    fn from(entry: LogEntry) -> Self {
        let payload = match entry.body {
            Body::Blank => EntryPayload::Blank,
            Body::Batch(batch) => EntryPayload::Normal(batch),
            Body::Members(members) => EntryPayload::Membership(members.into()),
        };
        Self { log_id: entry.id.into(), payload }
    }
}
