use crate::Refusal;
use serde::{Deserialize, Serialize};
use terachat_shard::NodeId;

/// Why a node does not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Unwelcome {
    /// Not a member, a client or an operator, or not allowed to ask for this.
    #[error(
        "this node does not know your key, or you may not ask for this; ask a member's operator for a ticket: terachat node invite"
    )]
    Stranger,
    /// The ledger did not take it.
    #[error(transparent)]
    Ledger(Refusal),
    /// The ledger has no leader.
    #[error(
        "the cluster has no majority that this node reaches, or no etcd if that has its ledger, so nothing can be changed; bring nodes or \
         etcd back, then try again"
    )]
    NoMajority,
    /// The node still has shards that nobody else has.
    #[error(
        "{node} still holds {shards} shards; drain it first and wait, or leave with --force and let them be made anew"
    )]
    NotEmpty {
        /// Which.
        node: NodeId,
        /// How many.
        shards: u64,
    },
    /// Too much is under way for this connection.
    #[error("the node is busy with too many requests; ask again a little later")]
    Busy,
    /// The question.
    #[error("the node does not understand the question; update all to the same version")]
    Form,
    /// What the case holds is not what was to be given out.
    #[error("what the case holds has changed since it was listed; export it again")]
    Changed,
    /// The disk, or the bucket.
    #[error("the node cannot read its shards now; look at its disk or bucket, and at what it says itself")]
    Disk,
}
