use serde::{Deserialize, Serialize};

/// Where a cluster's ledger is: what all its nodes have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LedgerAt {
    /// On the nodes.
    Nodes,
    /// In an etcd, below this prefix.
    Etcd(String),
}
