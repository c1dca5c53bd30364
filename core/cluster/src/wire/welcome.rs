use super::Contact;
use crate::ClusterId;
use serde::{Deserialize, Serialize};
use terachat_shard::NodeId;

/// What a newcomer has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its members.
    pub members: Vec<Contact>,
    /// The number of the node that joined, if one did.
    pub joined: Option<NodeId>,
}
