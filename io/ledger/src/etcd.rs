//! The ledger in an organisation's own etcd (3.4 or later), through its JSON gateway.
//!
//! etcd decides, keeps and repeats; here is only how entries stand in it. Whoever may write below the prefix may write the ledger, and
//! whoever may read there reads it: give the nodes a user and a prefix of their own, and TLS where etcd is on another machine.
mod access;
mod client;
mod follow;
mod keys;
mod lead;
mod propose;
#[cfg(test)]
mod server;
mod snapshot;
#[cfg(test)]
mod tests;

pub use access::{Access, BadEndpoint, BadTls, Endpoint, Tls, User};

use crate::{
    Call, Committed, ENTRY_LEN_MAX, FoundError, Head, Ledger, Machine, MembersError, ProposeError, ReadError,
    Remembered, Status,
};
use client::{Client, Failed, is_missing, is_there, put};
use follow::Behind;
use keys::{Keys, MemberList, parse_head};
use propose::Pending;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use terachat_shard::NodeId;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Where etcd is, and how a node behaves.
#[derive(Debug, Clone)]
pub struct EtcdSettings {
    /// Where etcd is, and how it is reached.
    pub access: Access,
    /// What the names of the ledger's keys begin with. No other program uses them, and no other ledger.
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

impl EtcdSettings {
    /// The usual ones, for a ledger below this prefix.
    pub fn new(access: Access, prefix: String) -> Self {
        Self {
            access,
            prefix,
            call_limit: Duration::from_secs(5),
            ask_limit: Duration::from_secs(2),
            leader_seconds: 3,
            snapshot_entries: 20_000,
            kept_entries: 1_000,
        }
    }
}

/// An etcd that cannot be used as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EtcdError {
    /// It refuses this node: a user, a password or a right.
    #[error("etcd refuses: {0}")]
    Refused(String),
    /// It does not answer, or not in time.
    #[error("etcd does not answer: {0}")]
    Unreachable(String),
}

/// A node's ledger in etcd. Nothing of it is on the node's own disk.
///
/// Every node proposes by itself, so that the leader has no part in the order: it is the one node that makes
/// snapshots, and that a caller may give duties to.
///
/// While etcd does not answer, or answers with another history than the one that was applied here, nothing is proposed and no read
/// barrier is reached; the machine stays as it was. [`Status::trouble`] says which, and it goes on by itself.
pub struct EtcdLedger {
    shared: Arc<Shared>,
    proposals: mpsc::Sender<Pending>,
    tasks: Mutex<JoinSet<()>>,
}

/// What etcd was last seen to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It has not been read yet.
    Unread,
    /// No ledger.
    Nothing,
    /// The ledger, all of which is applied here.
    Ledger,
    /// Another history.
    Unlike,
}

struct Shared {
    node: NodeId,
    settings: EtcdSettings,
    /// What is written goes through it, and the lease.
    client: Client,
    /// What is read does: it does not wait for writes.
    reader: Client,
    keys: Keys,
    machine: Mutex<Box<dyn Machine>>,
    head: watch::Sender<Head>,
    status: watch::Sender<Status>,
    seen: watch::Sender<Seen>,
    /// When the last reading of etcd that came to an end began.
    read: watch::Sender<Instant>,
    /// The lease that makes this node the leader, or would.
    lease: tokio::sync::Mutex<Option<String>>,
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

    fn is_stopped(&self) -> bool {
        self.status.borrow().stopped.is_some()
    }

    /// Goes on no more: for what no answer of etcd's will mend.
    fn stop(&self, why: String) {
        self.status.send_modify(|now| {
            now.stopped = Some(why);
            (now.leader, now.is_leader) = (None, false);
        });
    }

    fn lose_leader(&self) {
        self.status.send_if_modified(|now| {
            let led = now.leader.is_some();
            (now.leader, now.is_leader) = (None, false);
            led
        });
    }
}

/// Whether etcd answers, and has a ledger below the settings' prefix. Changes nothing.
///
/// # Errors
/// [`EtcdError`].
pub async fn look(settings: &EtcdSettings) -> Result<bool, EtcdError> {
    let client = Client::new(settings.access.clone(), settings.ask_limit);
    let mut last = Failed::NotSent;
    for _ in &settings.access.endpoints {
        match client.range(&Keys::new(&settings.prefix).tail(), &[], 1).await {
            Ok(found) => return Ok(!found.is_empty()),
            Err(failed) => last = failed,
        }
    }
    Err(unusable(&client, last))
}

fn unusable(client: &Client, failed: Failed) -> EtcdError {
    let words = client.words().unwrap_or_else(|| "its answer is not understood".to_owned());
    match failed {
        Failed::Refused => EtcdError::Refused(words),
        Failed::NotSent | Failed::NoAnswer => EtcdError::Unreachable(words),
    }
}

impl EtcdLedger {
    /// Opens the ledger with a machine that is as new. Where etcd does not answer yet, it is waited for meanwhile:
    /// [`EtcdLedger::is_founded`].
    ///
    /// Must be called within a tokio runtime with its time and network enabled.
    ///
    /// # Errors
    /// [`EtcdError::Refused`].
    pub async fn open(
        node: NodeId,
        machine: impl Machine,
        settings: EtcdSettings,
    ) -> Result<Self, EtcdError> {
        let shared = Arc::new(Shared {
            node,
            client: Client::new(settings.access.clone(), settings.ask_limit),
            reader: Client::new(settings.access.clone(), settings.ask_limit),
            keys: Keys::new(&settings.prefix),
            settings,
            machine: Mutex::new(Box::new(machine)),
            head: watch::Sender::new(Head::START),
            status: watch::Sender::new(Status::default()),
            seen: watch::Sender::new(Seen::Unread),
            read: watch::Sender::new(Instant::now()),
            lease: tokio::sync::Mutex::default(),
            waiting: Mutex::default(),
            covered: AtomicU64::new(0),
        });
        // What else does not come about now does so in the tasks.
        if let Err(Behind::Failed(Failed::Refused)) = follow::refresh(&shared).await {
            return Err(unusable(&shared.reader, Failed::Refused));
        }
        lead::step(&shared).await;
        let _ = follow::refresh(&shared).await;
        let (proposals, queue) = mpsc::channel(propose::QUEUE_LEN);
        let mut tasks = JoinSet::new();
        tasks.spawn(follow::run(Arc::clone(&shared)));
        tasks.spawn(follow::forget_leader(Arc::clone(&shared)));
        tasks.spawn(lead::run(Arc::clone(&shared)));
        tasks.spawn(propose::run(Arc::clone(&shared), queue));
        Ok(Self { shared, proposals, tasks: Mutex::new(tasks) })
    }

    /// Whether there is a ledger in etcd. Waits until etcd has answered, without limit.
    ///
    /// # Errors
    /// [`ReadError::Stopped`].
    pub async fn is_founded(&self) -> Result<bool, ReadError> {
        let seen = async {
            let mut seen = self.shared.seen.subscribe();
            let seen = seen.wait_for(|seen| *seen != Seen::Unread).await;
            seen.map(|seen| *seen != Seen::Nothing).map_err(|_| ReadError::Stopped)
        };
        let mut status = self.shared.status.subscribe();
        tokio::select! {
            founded = seen => founded,
            _ = status.wait_for(|now| now.stopped.is_some()) => Err(ReadError::Stopped),
        }
    }

    async fn put_tail(&self) -> Result<(), FoundError> {
        let shared = &self.shared;
        let tail = shared.keys.tail();
        let put = [put(&tail, &keys::head(&Head::START))];
        match shared.client.transaction(&[is_missing(&tail)], &put).await {
            Ok(true) => {
                let _ = follow::refresh(shared).await;
                lead::step(shared).await;
                Ok(())
            }
            Ok(false) => Err(FoundError::Founded),
            Err(_) => Err(FoundError::Unknown),
        }
    }

    async fn look_for(&self, head: Head) -> Result<Remembered, ReadError> {
        if !self.is_founded().await? {
            return Ok(if head == Head::START { Remembered::Yes } else { Remembered::Less });
        }
        loop {
            match self.has(&head).await {
                Ok(remembered) => return Ok(remembered),
                Err(_) if self.shared.is_stopped() => return Err(ReadError::Stopped),
                Err(_) => sleep(follow::PAUSE).await,
            }
        }
    }

    /// By the entry that stands there, or by the snapshot that has it.
    async fn has(&self, head: &Head) -> Result<Remembered, Failed> {
        let shared = &self.shared;
        let judge = |own: [u8; 32]| if own == head.hash { Remembered::Yes } else { Remembered::Other };
        if head.index == 0 {
            return Ok(judge(Head::START.hash));
        }
        let found = shared.reader.range(&shared.keys.entry(head.index), &[], 1).await?;
        if let Some(entry) = found.first() {
            return Ok(keys::parse_entry(&entry.value).map_or(Remembered::Other, |(hash, _)| judge(hash)));
        }
        let snapshot = snapshot::record(shared).await?.map(|(record, _)| record.head());
        Ok(match snapshot {
            Some(own) if own.index == head.index => judge(own.hash),
            Some(own) if own.index > head.index => Remembered::Further,
            _ => Remembered::Less,
        })
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
            let before = shared.head();
            let tail = shared.keys.tail();
            let pairs = loop {
                match shared.reader.range(&tail, &[], 1).await {
                    Ok(pairs) => break pairs,
                    Err(_) => sleep(follow::PAUSE).await,
                }
            };
            let tail = pairs.first().and_then(|pair| parse_head(&pair.value)).ok_or(ReadError::NoMajority)?;
            if tail.index < before.index {
                return Err(ReadError::NoMajority);
            }
            let mut head = shared.head.subscribe();
            let head =
                *head.wait_for(|head| head.index >= tail.index).await.map_err(|_| ReadError::Stopped)?;
            if head.index == tail.index && head != tail { Err(ReadError::NoMajority) } else { Ok(()) }
        });
        let reached = reached.await.unwrap_or(Err(ReadError::NoMajority));
        if shared.is_stopped() { Err(ReadError::Stopped) } else { reached }
    }

    async fn put_members(
        &self,
        voters: BTreeSet<NodeId>,
        learners: BTreeSet<NodeId>,
    ) -> Result<(), MembersError> {
        if voters.is_empty() || !voters.is_disjoint(&learners) {
            return Err(MembersError::Empty);
        }
        let shared = &self.shared;
        let numbers = |nodes: &BTreeSet<NodeId>| nodes.iter().map(|node| node.0.get()).collect();
        let list = MemberList { voters: numbers(&voters), learners: numbers(&learners) };
        let value = postcard::to_allocvec(&list).expect("a vector takes everything");
        let put = [put(&shared.keys.members(), &value)];
        let written = shared.client.transaction(&[is_there(&shared.keys.tail())], &put).await;
        written.map_err(|_| MembersError::Unfinished)?;
        let mut status = shared.status.subscribe();
        let seen = status.wait_for(|now| now.voters == voters && now.learners == learners);
        match timeout(shared.settings.call_limit, seen).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(MembersError::Unfinished),
        }
    }
}

impl Ledger for EtcdLedger {
    fn found(&self) -> Call<'_, Result<(), FoundError>> {
        Box::pin(self.put_tail())
    }

    fn remembers(&self, head: Head) -> Call<'_, Result<Remembered, ReadError>> {
        Box::pin(self.look_for(head))
    }

    /// The nodes do not speak to each other: etcd is between them.
    fn answer<'a>(&'a self, _: NodeId, _: &'a [u8]) -> Call<'a, Vec<u8>> {
        Box::pin(std::future::ready(Vec::new()))
    }

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
            lead::give_up(&self.shared).await;
        })
    }
}
