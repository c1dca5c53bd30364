use crate::{Error, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// Where a node stands: what fails together. Numbers are the cluster's own; equal ones mean the same site, the same rack
/// of a site, the same host of a rack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Domain {
    /// A building, or whatever loses power and network at once.
    pub site: u32,
    /// A rack of the site.
    pub rack: u32,
    /// A machine of the rack. Nodes that share one are told apart by their number only.
    pub host: u32,
}

/// Whether a node takes and gives shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It answers and takes shards.
    Active,
    /// It answers and is to be emptied: it gives shards and takes none.
    Draining,
    /// It does not answer, or was taken out. What it holds counts as lost until it returns.
    Away,
}

/// A node as the plans see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// How much it takes beside others: twice as much, twice as many shards. Commonly its GiB.
    pub weight: NonZeroU32,
    /// Where it stands.
    pub domain: Domain,
    /// Whether it takes and gives shards.
    pub status: Status,
}

/// All nodes of the cluster. Each stands once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Members(BTreeMap<NodeId, Member>);

impl Members {
    /// These nodes.
    ///
    /// # Errors
    /// [`Error::MemberTwice`].
    pub fn new(members: impl IntoIterator<Item = (NodeId, Member)>) -> Result<Self, Error> {
        let mut all = BTreeMap::new();
        for (node, member) in members {
            if all.insert(node, member).is_some() {
                return Err(Error::MemberTwice(node));
            }
        }
        Ok(Self(all))
    }

    /// The node of this number, if it is a member.
    pub fn get(&self, node: NodeId) -> Option<&Member> {
        self.0.get(&node)
    }

    /// The node of this number, to be changed: its status, its weight.
    pub fn get_mut(&mut self, node: NodeId) -> Option<&mut Member> {
        self.0.get_mut(&node)
    }

    /// All, by their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Member)> {
        self.0.iter().map(|(node, member)| (*node, member))
    }

    /// Those that take shards.
    pub fn active(&self) -> impl Iterator<Item = (NodeId, &Member)> {
        self.iter().filter(|(_, member)| member.status == Status::Active)
    }

    /// Whether a node answers.
    pub fn answers(&self, node: NodeId) -> bool {
        self.get(node).is_some_and(|member| member.status != Status::Away)
    }
}
