use crate::NodeKey;
use serde::{Deserialize, Serialize};
use terachat_shard::NodeId;

/// Where a member is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Its number.
    pub node: NodeId,
    /// Its key.
    pub key: NodeKey,
    /// Where to dial it.
    pub address: String,
}
