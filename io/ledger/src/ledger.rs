use crate::{FoundError, Head, MembersError, ProposeError, ReadError};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use terachat_shard::NodeId;
use tokio::sync::watch;

/// A call under way. Boxed, so that the traits are object-safe and a program chooses its driver when it starts.
pub type Call<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One order of entries for a cluster of nodes, as seen from one of them.
///
/// `suite::conforms` is the one test of all drivers.
pub trait Ledger: Send + Sync {
    /// Makes a new ledger without entries, whose first and only member this node is. Once for each cluster: whoever comes later is
    /// set among the members.
    ///
    /// # Errors
    /// [`FoundError`].
    fn found(&self) -> Call<'_, Result<(), FoundError>>;

    /// Whether the ledger still has the entries up to `head`, committed or not. For a head that was applied on this node once and is
    /// remembered elsewhere: whatever is not [`Remembered::Yes`] or [`Remembered::Further`] says that what keeps the entries, this
    /// node's disk or a service, is not as it was left, and the node must not go on as if it were.
    ///
    /// To be asked before the first entry is proposed. A driver whose entries are elsewhere waits until it has been there, without
    /// limit.
    ///
    /// # Errors
    /// [`ReadError::Stopped`].
    fn remembers(&self, head: Head) -> Call<'_, Result<Remembered, ReadError>>;

    /// Answers what `from`, whose identity the connection proved, sent by its driver through the [`crate::Carrier`]. What is no
    /// request of the same driver is answered with a refusal, and costs nothing else; by a driver whose nodes do not speak to each
    /// other with nothing.
    fn answer<'a>(&'a self, from: NodeId, request: &'a [u8]) -> Call<'a, Vec<u8>>;

    /// Brings `entry` into the order, from whichever node, and gives back where it stands and what the machine
    /// answered. On return it is on the disks of a majority and applied on this node.
    ///
    /// Entries proposed at once come in any order. An entry is never taken twice by one call; a caller who calls again
    /// after [`ProposeError::Unknown`] may have it twice, and its machine has to bear that.
    ///
    /// # Errors
    /// [`ProposeError`]; [`ProposeError::not_taken`] tells whether the entry may still come.
    fn propose(&self, entry: Vec<u8>) -> Call<'_, Result<Committed, ProposeError>>;

    /// Returns when everything that was committed before the call, by whichever node, is applied on this one.
    ///
    /// # Errors
    /// [`ReadError`]; what the machine shows may then be old.
    fn read_barrier(&self) -> Call<'_, Result<(), ReadError>>;

    /// Makes `voters` the nodes whose majority decides and `learners` those that are told: first new nodes are told all
    /// there is, then they vote, then those that are in neither set are told nothing any more.
    ///
    /// On return all this is done. It is a sequence of steps, and an error may leave it half way; the same call again
    /// goes on. From whichever node.
    ///
    /// # Errors
    /// [`MembersError`].
    fn set_members(
        &self,
        voters: BTreeSet<NodeId>,
        learners: BTreeSet<NodeId>,
    ) -> Call<'_, Result<(), MembersError>>;

    /// How this node sees the ledger now.
    fn status(&self) -> Status;

    /// The last entry applied here. It changes after the machine has applied the entry.
    fn head(&self) -> watch::Receiver<Head>;

    /// [`Ledger::status`] whenever it changes; its counters and times are as old as that.
    fn watch(&self) -> watch::Receiver<Status>;

    /// Stops. Calls under way end with an error; what is written is written.
    fn shutdown(&self) -> Call<'_, ()>;
}

/// What a ledger has of a head that was remembered elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembered {
    /// It has the entries up to there, and they are these.
    Yes,
    /// It does not reach as far: it was put back in time.
    Less,
    /// It has other entries there.
    Other,
    /// Its snapshot reaches further, and the entries before that are gone.
    Further,
}

/// An entry that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its place in the order, as [`crate::Machine::apply`] saw it.
    pub index: u64,
    /// What the machine answered.
    pub answer: Vec<u8>,
}

/// How one node sees the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Who leads as far as this node knows, `None` while nobody does.
    pub leader: Option<NodeId>,
    /// Whether this node does.
    pub is_leader: bool,
    /// Number of the election that made the leader.
    pub term: u64,
    /// Place of the last entry written here, in the driver's own count (which counts elections too).
    pub last_log: u64,
    /// Place of the last entry known to be committed, in the driver's own count; never less than `applied`.
    pub committed: u64,
    /// Place of the last entry applied, in the driver's own count.
    pub applied: u64,
    /// Whose majority decides.
    pub voters: BTreeSet<NodeId>,
    /// Who is told without deciding.
    pub learners: BTreeSet<NodeId>,
    /// On the leader: milliseconds since a majority last answered it. `None` elsewhere, or where the driver cannot tell.
    pub quorum_ack_ms: Option<u64>,
    /// Why nothing can be put into the order now, for people, though the driver goes on trying by itself. `None` where all is well, or
    /// where [`Status::leader`] says it already.
    pub trouble: Option<String>,
    /// What the disk did since this driver was opened; zero where it is not this process's disk.
    pub disk: DiskCounters,
    /// Why the ledger stopped by itself, for people, with what to do: its disk failed, or a file on it is not sound.
    pub stopped: Option<String>,
}

/// Work of the disk since a driver was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskCounters {
    /// Entries written to the log.
    pub entries: u64,
    /// Times the log was made durable: `entries / syncs` entries share one.
    pub syncs: u64,
    /// Votes made durable.
    pub votes: u64,
    /// Snapshots written, own ones and others'.
    pub snapshots: u64,
}
