//! The ledger in an organisation's own etcd (3.4 or later), through its JSON gateway.
//!
//! etcd decides, keeps and repeats; here is only how entries stand in it. It speaks plain HTTP to the endpoints: these
//! are on this machine, or behind something on it that authenticates and encrypts.
mod client;
mod follow;
mod keys;
mod lead;
mod propose;
mod snapshot;
#[cfg(test)]
mod tests;

use crate::{
    Call, Committed, ENTRY_LEN_MAX, Head, Ledger, Machine, MembersError, ProposeError, ReadError, Status,
};
use client::{Client, put};
use keys::{Keys, MemberList, parse_number};
use propose::Pending;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use terachat_shard::NodeId;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Where etcd is, and how a node behaves.
#[derive(Debug, Clone)]
pub struct EtcdSettings {
    /// Host and port of etcd's nodes, such as `127.0.0.1:2379`; one is asked, the next when it does not answer.
    pub endpoints: Vec<String>,
    /// What the names of the ledger's keys begin with. No other program uses them.
    pub prefix: String,
    /// How long a call may take, all tries together.
    pub call_limit: Duration,
    /// How long etcd may take to answer a question.
    pub ask_limit: Duration,
    /// Seconds after which a leader that is not heard of leads no more. Fewer than 2 are 2 to etcd.
    pub leader_seconds: u32,
    /// Entries after which the leader makes a snapshot.
    pub snapshot_entries: u64,
    /// Entries that are kept behind a snapshot, for nodes that lag a little.
    pub kept_entries: u64,
}

impl Default for EtcdSettings {
    fn default() -> Self {
        Self {
            endpoints: vec!["127.0.0.1:2379".to_owned()],
            prefix: "terachat/ledger/".to_owned(),
            call_limit: Duration::from_secs(5),
            ask_limit: Duration::from_secs(2),
            leader_seconds: 3,
            snapshot_entries: 20_000,
            kept_entries: 1_000,
        }
    }
}

/// A node's ledger in etcd. Nothing of it is on the node's own disk.
///
/// Every node proposes by itself, so that the leader has no part in the order: it is the one node that makes
/// snapshots, and that a caller may give duties to.
pub struct EtcdLedger {
    shared: Arc<Shared>,
    proposals: mpsc::Sender<Pending>,
    tasks: Mutex<JoinSet<()>>,
}

struct Shared {
    node: NodeId,
    settings: EtcdSettings,
    client: Client,
    keys: Keys,
    machine: Mutex<Box<dyn Machine>>,
    head: watch::Sender<Head>,
    status: watch::Sender<Status>,
    /// Who waits for the answer to the entry that may come to stand at a place.
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Vec<u8>>>>,
    /// Up to where there is a snapshot, as far as this node knows.
    covered: AtomicU64,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Vec<u8>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn machine(&self) -> MutexGuard<'_, Box<dyn Machine>> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn head(&self) -> Head {
        *self.head.borrow()
    }
}

impl EtcdLedger {
    /// Opens the ledger with a machine that is as new. Where etcd does not answer yet, it is waited for.
    ///
    /// Must be called within a tokio runtime with its time and network enabled.
    pub async fn open(node: NodeId, machine: impl Machine, settings: EtcdSettings) -> Self {
        let shared = Arc::new(Shared {
            node,
            client: Client::new(settings.endpoints.clone(), settings.ask_limit),
            keys: Keys::new(&settings.prefix),
            settings,
            machine: Mutex::new(Box::new(machine)),
            head: watch::Sender::new(Head::START),
            status: watch::Sender::new(Status::default()),
            waiting: Mutex::default(),
            covered: AtomicU64::new(0),
        });
        let mut lease = None;
        lead::step(&shared, &mut lease).await;
        // What does not come about now does so in the tasks.
        let _ = follow::refresh(&shared).await;
        let (proposals, queue) = mpsc::channel(propose::QUEUE_LEN);
        let mut tasks = JoinSet::new();
        tasks.spawn(follow::run(Arc::clone(&shared)));
        tasks.spawn(lead::run(Arc::clone(&shared), lease));
        tasks.spawn(propose::run(Arc::clone(&shared), queue));
        Self { shared, proposals, tasks: Mutex::new(tasks) }
    }

    async fn propose_entry(&self, entry: Vec<u8>) -> Result<Committed, ProposeError> {
        if entry.len() > ENTRY_LEN_MAX {
            return Err(ProposeError::TooLong(entry.len()));
        }
        let (outcome, receiver) = oneshot::channel();
        if self.proposals.send(Pending { entry, outcome }).await.is_err() {
            return Err(ProposeError::Stopped);
        }
        receiver.await.unwrap_or(Err(ProposeError::Unknown))
    }

    async fn reach_committed(&self) -> Result<(), ReadError> {
        let shared = &self.shared;
        let reached = timeout(shared.settings.call_limit, async {
            let tail = shared.keys.tail();
            let pairs = loop {
                match shared.client.range(&tail, &[], 1).await {
                    Ok(pairs) => break pairs,
                    Err(_) => tokio::time::sleep(follow::PAUSE).await,
                }
            };
            let index = pairs.first().map_or(Some(0), |pair| parse_number(&pair.value));
            let index = index.ok_or(ReadError::NoMajority)?;
            let mut head = shared.head.subscribe();
            head.wait_for(|head| head.index >= index).await.map(drop).map_err(|_| ReadError::Stopped)
        });
        reached.await.unwrap_or(Err(ReadError::NoMajority))
    }

    async fn put_members(
        &self,
        voters: BTreeSet<NodeId>,
        learners: BTreeSet<NodeId>,
    ) -> Result<(), MembersError> {
        if voters.is_empty() || !voters.is_disjoint(&learners) {
            return Err(MembersError::Empty);
        }
        let numbers = |nodes: &BTreeSet<NodeId>| nodes.iter().map(|node| node.0.get()).collect();
        let list = MemberList { voters: numbers(&voters), learners: numbers(&learners) };
        let value = postcard::to_allocvec(&list).expect("a vector takes everything");
        let written = self.shared.client.transaction(&[], &[put(&self.shared.keys.members(), &value)]).await;
        written.map_err(|_| MembersError::Unfinished)?;
        let mut status = self.shared.status.subscribe();
        let seen = status.wait_for(|now| now.voters == voters && now.learners == learners);
        match timeout(self.shared.settings.call_limit, seen).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(MembersError::Unfinished),
        }
    }
}

impl Ledger for EtcdLedger {
    fn propose(&self, entry: Vec<u8>) -> Call<'_, Result<Committed, ProposeError>> {
        Box::pin(self.propose_entry(entry))
    }

    fn read_barrier(&self) -> Call<'_, Result<(), ReadError>> {
        Box::pin(self.reach_committed())
    }

    /// Only keeps the list: who decides is etcd's own business.
    fn set_members(
        &self,
        voters: BTreeSet<NodeId>,
        learners: BTreeSet<NodeId>,
    ) -> Call<'_, Result<(), MembersError>> {
        Box::pin(self.put_members(voters, learners))
    }

    fn status(&self) -> Status {
        self.shared.status.borrow().clone()
    }

    fn head(&self) -> watch::Receiver<Head> {
        self.shared.head.subscribe()
    }

    fn watch(&self) -> watch::Receiver<Status> {
        self.shared.status.subscribe()
    }

    fn shutdown(&self) -> Call<'_, ()> {
        Box::pin(async {
            self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        })
    }
}
