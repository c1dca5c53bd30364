use super::Contact;
use crate::{ClusterId, NodeStatus, PlacementMark, Usage};
use serde::{Deserialize, Serialize};
use terachat_shard::NodeId;

/// How one node sees the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The cluster.
    pub cluster: ClusterId,
    /// Who reports.
    pub node: NodeId,
    /// Its process.
    pub process: u32,
    /// Who leads the ledger, as far as it knows.
    pub leader: Option<NodeId>,
    /// Number of that leader's election.
    pub term: u64,
    /// Why the ledger stopped by itself, or takes nothing though it goes on trying.
    pub stopped: Option<String>,
    /// Entries applied, and the hash of their chain.
    pub head: (u64, [u8; 32]),
    /// All members.
    pub members: Vec<MemberReport>,
    /// What was counted; of a node that does not lead, at most the two numbers that the leader said.
    pub health: Option<HealthCount>,
    /// Stripes in the ledger.
    pub stripes: u64,
    /// Items in it.
    pub items: u64,
    /// Bytes of all items.
    pub bytes: u64,
    /// Deeds in the history.
    pub deeds: u64,
    /// What its own disk holds.
    pub disk: DiskUsage,
    /// Why shards are not kept or not read there, since that was last tried in vain; `None` while both is done.
    pub disk_trouble: Option<String>,
    /// Whether the ledger is in an etcd, so that no member has a vote.
    pub etcd: bool,
}

/// A member, as one node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReport {
    /// Its number and where it is reached.
    pub contact: Contact,
    /// What was decided of it.
    pub status: NodeStatus,
    /// Whether it has a vote in the ledger.
    pub voter: bool,
    /// Milliseconds since a word came from it; `None` if none did since the reporting node started.
    pub silent_ms: Option<u64>,
    /// Shards that the ledger says it holds.
    pub shards: u64,
}

/// What the leader counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCount {
    /// Shards that there should be.
    pub shards: u64,
    /// Shards that count: verified, each on a node of its own that answers.
    pub in_place: u64,
    /// Why the others do not, and what that means; `None` of a node that does not lead.
    pub detail: Option<HealthDetail>,
}

/// Why shards do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthDetail {
    /// Stripes that cannot be read now.
    pub unreadable: u64,
    /// Stripes that bear no further loss.
    pub at_the_limit: u64,
    /// Shards that nobody has.
    pub missing: u64,
    /// Shards of nodes that do not answer.
    pub away: u64,
    /// Rotten shards.
    pub rotten: u64,
    /// Shards on a node that has another one of the same stripe.
    pub doubled: u64,
    /// Stripes of which shards have no node left to stand on.
    pub short_of_nodes: u64,
    /// What has been done since there was last nothing to do.
    pub mending: Option<Mending>,
}

/// What the leader has had done for all shards to be in place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mending {
    /// Milliseconds since it began.
    pub lasted_ms: u64,
    /// Shards made anew or moved.
    pub shards: u64,
    /// Bytes of these.
    pub bytes: u64,
}

/// What a node's disk holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskUsage {
    /// Shards.
    pub shards: u64,
    /// Those of them that are rotten.
    pub rotten: u64,
    /// Bytes of all shards.
    pub live_bytes: u64,
    /// Bytes of all segments.
    pub disk_bytes: u64,
}

impl From<Usage> for DiskUsage {
    fn from(usage: Usage) -> Self {
        let Usage { shards, rotten, live_bytes, disk_bytes, .. } = usage;
        Self { shards, rotten, live_bytes, disk_bytes }
    }
}

/// What a replay of the cluster's history came to on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// Who replayed.
    pub node: NodeId,
    /// Deeds in its history.
    pub deeds: u64,
    /// The last one's hash.
    pub last: [u8; 32],
    /// What does not hold, for people; `None` if all does.
    pub wrong: Option<String>,
    /// Entries of the ledger that were applied, and the hash of their chain.
    pub head: (u64, [u8; 32]),
    /// Where shards are to stand, as that came to be with the last changes that are remembered here, the oldest first:
    /// [`PLACEMENT_MARKS_MAX`](crate::PLACEMENT_MARKS_MAX) at most.
    pub placements: Vec<PlacementMark>,
}

/// What a node read again of its shards in one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubReport {
    /// Who read.
    pub node: NodeId,
    /// Bytes of shards that were read.
    pub bytes: u64,
    /// The step came to the end of what is there.
    pub through: bool,
    /// What there is now; what was found to be rotten, until it is made anew, is counted there.
    pub disk: DiskUsage,
}
