//! The ledger inside the program: openraft's Raft over this crate's disk and the caller's [`Carrier`].
mod answer;
pub(crate) mod batch;
mod calls;
mod election;
mod housekeeping;
mod incoming;
mod log;
mod message;
mod network;
mod proposer;
mod quorum;
mod read_index;
mod settings;
mod state;
pub(crate) mod types;

pub use message::MESSAGE_LEN_MAX;
pub use settings::Settings;

use crate::disk::{Counters, Disk, DiskError};
use crate::{
    BadSnapshot, Call, Carrier, Committed, FoundError, Head, Ledger, Machine, MembersError, ProposeError,
    ReadError, Remembered, Status,
};
use election::Elections;
use incoming::Incoming;
use log::Log;
use network::Network;
use openraft::Raft;
use openraft::error::{InitializeError, RaftError};
use proposer::Proposer;
use state::State;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use terachat_shard::NodeId;
use terachat_storage::Storage;
use tokio::sync::watch;
use types::{Body, LogEntry, Types};

#[cfg(test)]
mod tests;

/// A node's ledger over Raft.
///
/// A node that was never a member waits until the leader sets it among the members; the first node of a cluster
/// [`found`](Ledger::found)s it.
pub struct RaftLedger {
    node: NodeId,
    raft: Raft<Types>,
    carrier: Arc<dyn Carrier>,
    proposer: Proposer,
    elections: Arc<Elections>,
    incoming: Incoming,
    settings: Settings,
    head: watch::Receiver<Head>,
    status: watch::Receiver<Status>,
    counters: Arc<Counters>,
    recovered: Vec<Head>,
}

/// A ledger that could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The files cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The snapshot is sound, but the machine does not know it.
    #[error(
        "the ledger's snapshot is sound, but this program cannot read it ({0}); use the version that wrote it"
    )]
    Machine(BadSnapshot),
    /// The settings contradict each other.
    #[error("the ledger's settings do not fit: {0}")]
    Settings(String),
    /// The ledger stopped while it was opened.
    #[error("the ledger stopped: {0}")]
    Stopped(String),
}

impl RaftLedger {
    /// Opens the ledger of `node` on `storage`, which is its own, with a machine that is as new.
    ///
    /// Must be called within a tokio runtime with its time enabled.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(
        node: NodeId,
        storage: Box<dyn Storage>,
        carrier: Arc<dyn Carrier>,
        machine: impl Machine,
        settings: Settings,
    ) -> Result<Self, OpenError> {
        let config = Arc::new(settings.openraft().map_err(OpenError::Settings)?);
        let stopped = |error: &dyn std::fmt::Display| OpenError::Stopped(error.to_string());
        let segment_bytes = settings.segment_bytes;
        let (disk, found) = tokio::task::spawn_blocking(move || Disk::open(storage, node, segment_bytes))
            .await
            .map_err(|error| stopped(&error))??;
        let counters = disk.counters();
        let disk = Arc::new(Mutex::new(disk));
        let state = State::new(Arc::clone(&disk), Box::new(machine), found.snapshot.as_ref())
            .map_err(OpenError::Machine)?;
        let head = state.head();
        let recovered = heads(*head.borrow(), found.snapshot.as_ref(), &found.entries);
        let log = Log::new(disk, found, state.durable());
        let network = Network {
            carrier: Arc::clone(&carrier),
            pause: Duration::from_millis(settings.heartbeat_ms),
            append_limit: settings.append_limit,
        };
        let raft = Raft::new(u64::from(node.0.get()), config, network, log.clone(), state)
            .await
            .map_err(|error| stopped(&error))?;
        let proposer = Proposer::spawn(raft.clone(), 2 * settings.election_ms);
        let elections = Elections::spawn(raft.clone(), Arc::clone(&carrier), log.clone(), &settings);
        let status = housekeeping::spawn(raft.clone(), log, Arc::clone(&counters), settings.clone());
        let incoming = Incoming::default();
        Ok(Self {
            node,
            raft,
            carrier,
            proposer,
            elections,
            incoming,
            settings,
            head,
            status,
            counters,
            recovered,
        })
    }

    async fn initialize(&self) -> Result<(), FoundError> {
        match self.raft.initialize(BTreeSet::from([self.id()])).await {
            Ok(()) => Ok(()),
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Err(FoundError::Founded),
            Err(error) => Err(FoundError::Stopped(error.to_string())),
        }
    }

    /// By the disk as it was opened.
    fn has(&self, head: &Head) -> Remembered {
        let first = self.recovered.first().map_or(0, |head| head.index);
        if head.index < first {
            return Remembered::Further;
        }
        match usize::try_from(head.index - first).ok().and_then(|at| self.recovered.get(at)) {
            Some(own) if own == head => Remembered::Yes,
            Some(_) => Remembered::Other,
            None => Remembered::Less,
        }
    }

    fn id(&self) -> u64 {
        u64::from(self.node.0.get())
    }
}

/// The heads after the snapshot and after each entry on the disk.
fn heads<'a>(
    start: Head,
    snapshot: Option<&(crate::disk::SnapshotMeta, Vec<u8>)>,
    entries: impl IntoIterator<Item = &'a LogEntry>,
) -> Vec<Head> {
    let covered = snapshot.and_then(|(meta, _)| meta.last).map_or(0, |id| id.index + 1);
    let mut heads = vec![start];
    let mut last = start;
    for entry in entries.into_iter().filter(|entry| entry.id.index >= covered) {
        if let Body::Batch(batch) = &entry.body {
            for entry in batch.entries() {
                last = last.after(entry);
                heads.push(last);
            }
        }
    }
    heads
}

pub(crate) fn node_id(id: u64) -> Option<NodeId> {
    u32::try_from(id).ok().and_then(NonZeroU32::new).map(NodeId)
}

impl Ledger for RaftLedger {
    fn found(&self) -> Call<'_, Result<(), FoundError>> {
        Box::pin(self.initialize())
    }

    fn remembers(&self, head: Head) -> Call<'_, Result<Remembered, ReadError>> {
        Box::pin(std::future::ready(Ok(self.has(&head))))
    }

    fn answer<'a>(&'a self, from: NodeId, request: &'a [u8]) -> Call<'a, Vec<u8>> {
        Box::pin(self.answer_request(from, request))
    }

    fn propose(&self, entry: Vec<u8>) -> Call<'_, Result<Committed, ProposeError>> {
        Box::pin(self.propose_somewhere(entry))
    }

    fn read_barrier(&self) -> Call<'_, Result<(), ReadError>> {
        Box::pin(self.reach_committed())
    }

    fn set_members(
        &self,
        voters: BTreeSet<NodeId>,
        learners: BTreeSet<NodeId>,
    ) -> Call<'_, Result<(), MembersError>> {
        Box::pin(self.set_members_somewhere(voters, learners))
    }

    fn status(&self) -> Status {
        housekeeping::status(&self.raft.metrics().borrow(), &self.counters)
    }

    fn head(&self) -> watch::Receiver<Head> {
        self.head.clone()
    }

    fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    fn shutdown(&self) -> Call<'_, ()> {
        Box::pin(async {
            if let Err(error) = self.raft.shutdown().await {
                tracing::error!(%error, "the ledger did not stop in order");
            }
        })
    }
}

/// openraft goes on until it is told to stop.
impl Drop for RaftLedger {
    fn drop(&mut self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let raft = self.raft.clone();
            runtime.spawn(async move { raft.shutdown().await });
        }
    }
}
