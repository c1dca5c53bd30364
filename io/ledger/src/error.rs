use crate::ENTRY_LEN_MAX;

/// An entry that was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProposeError {
    /// The entry is too long; it was not taken. A mistake of the caller.
    #[error("an entry has {0} bytes, more than {ENTRY_LEN_MAX}")]
    TooLong(usize),
    /// Nobody led, or the leader could not be reached; it was not taken. Call again later.
    #[error("the ledger has no leader that can be reached; the entry was not taken")]
    NoLeader,
    /// The ledger has stopped on this node; it was not taken. [`crate::Status::stopped`] has the reason.
    #[error("the ledger has stopped on this node; the entry was not taken")]
    Stopped,
    /// It may be committed, now, later or never: the leader was lost or slow on the way. Look at the machine's state
    /// after a read barrier before proposing again.
    #[error("it is not known whether the entry was taken; look before proposing it again")]
    Unknown,
}

impl ProposeError {
    /// Whether the entry certainly is not and never will be in the order.
    pub fn not_taken(&self) -> bool {
        *self != Self::Unknown
    }
}

/// A ledger that was not founded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FoundError {
    /// There is one already, and this node is or was a member of it; nothing was changed.
    #[error("this node already belongs to a ledger")]
    Founded,
    /// What keeps the entries did not answer: it may be founded by now. Call again.
    #[error("it is not known whether the ledger is founded; try again")]
    Unknown,
    /// The ledger stopped meanwhile.
    #[error("the ledger stopped: {0}")]
    Stopped(String),
}

/// A read barrier that was not reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Nobody led, or the leader or its majority could not be reached in time. Call again later.
    #[error("no majority of the ledger can be reached; what is read here may be old")]
    NoMajority,
    /// The ledger has stopped on this node.
    #[error("the ledger has stopped on this node")]
    Stopped,
}

/// Members that were not set, or not wholly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MembersError {
    /// No voters, or a node that is to vote and to learn: a mistake of the caller, and nothing was changed.
    #[error("at least one node must vote, and a learner does not")]
    Empty,
    /// Another change is under way; nothing was changed. Call again when it is over.
    #[error("another change of the ledger's members is under way")]
    Busy,
    /// No leader or no majority, or a new node did not answer in time; it may be half way. Call again.
    #[error("the ledger's members were not all set; call again")]
    Unfinished,
    /// The ledger has stopped on this node.
    #[error("the ledger has stopped on this node")]
    Stopped,
}
