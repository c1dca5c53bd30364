//! The ledger in an organisation's own etcd (3.4 or later), through its JSON gateway.
//!
//! etcd decides, keeps and repeats; here is only how entries stand in it. Whoever may write below the prefix may write the ledger, and
//! whoever may read there reads it: give the nodes a user and a prefix of their own, and TLS where etcd is on another machine.
mod access;
#[cfg(test)]
mod authority;
mod client;
mod follow;
mod keys;
mod lead;
mod look;
mod propose;
mod question;
mod read;
#[cfg(test)]
mod server;
mod settings;
mod snapshot;
#[cfg(test)]
mod tests;

pub use access::{Access, BadEndpoint, BadTls, Endpoint, Tls, User};
pub use look::{EtcdError, look};
pub use settings::EtcdSettings;

use crate::{
    Call, Committed, ENTRY_LEN_MAX, FoundError, Head, Ledger, Machine, MembersError, ProposeError, ReadError,
    Remembered, Status,
};
use client::{Client, Failed};
use follow::Behind;
use keys::{Keys, MemberList};
use look::unusable;
use propose::Pending;
use question::{is_missing, is_there, put};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use terachat_shard::NodeId;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

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
    covered: watch::Sender<u64>,
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
            covered: watch::Sender::new(0),
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
