//! The one test suite every [`Ledger`] passes, for other crates' tests as well. It panics on the first breach.
use crate::{BadSnapshot, Call, Committed, ENTRY_LEN_MAX, Head, Ledger, Machine, ProposeError};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use terachat_shard::NodeId;
use tokio::time::timeout;

/// How long a condition may take to come true. Far more than it takes: who waits for it in vain has found a breach.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster of a driver under test, whose nodes can be killed, started again from their disks, and cut off.
pub trait Cluster: Send {
    /// Starts `node`, from what it had on its disk if it ran before. The first one ever started founds the ledger.
    ///
    /// Its machine is a new [`Tally`], which is snapshotted after some 100 entries.
    fn start(&mut self, node: NodeId) -> Call<'_, Node>;

    /// Ends `node` without a word.
    fn kill(&mut self, node: NodeId) -> Call<'_, ()>;

    /// Cuts `node` off from all that it needs to propose.
    fn isolate(&mut self, node: NodeId);

    /// Ends that.
    fn rejoin(&mut self, node: NodeId);
}

/// A node of a [`Cluster`].
#[derive(Clone)]
pub struct Node {
    /// Its ledger.
    pub ledger: Arc<dyn Ledger>,
    /// A view of its machine.
    pub tally: Tally,
}

/// A machine that keeps all entries and answers with the entry's place and its bytes.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<Tallied>>);

/// What a [`Tally`] has.
#[derive(Default)]
pub struct Tallied {
    /// The entries; the first has place 1.
    pub entries: Vec<Vec<u8>>,
    /// How often it was restored from a snapshot.
    pub restored: u32,
}

impl Tally {
    /// What it has now.
    pub fn now(&self) -> MutexGuard<'_, Tallied> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer of a [`Tally`].
pub fn answer(index: u64, entry: &[u8]) -> Vec<u8> {
    [&index.to_le_bytes(), entry].concat()
}

impl Machine for Tally {
    fn apply(&mut self, index: u64, entry: &[u8]) -> Vec<u8> {
        let mut now = self.now();
        now.entries.push(entry.to_vec());
        assert_eq!(now.entries.len() as u64, index, "entries are applied without gaps and once");
        answer(index, entry)
    }

    fn snapshot(&self) -> Vec<u8> {
        postcard::to_allocvec(&self.now().entries).expect("a vector takes everything")
    }

    fn restore(&mut self, index: u64, snapshot: &[u8]) -> Result<(), BadSnapshot> {
        let entries: Vec<Vec<u8>> =
            postcard::from_bytes(snapshot).map_err(|error| BadSnapshot(error.to_string()))?;
        assert_eq!(entries.len() as u64, index, "a snapshot is of the entries up to its place");
        let mut now = self.now();
        now.entries = entries;
        now.restored += 1;
        Ok(())
    }
}

/// Checks everything [`Ledger`] promises. `fresh` gives an empty cluster at each call.
///
/// # Panics
/// When a promise does not hold, saying which.
pub async fn conforms<C: Cluster>(fresh: &mut dyn FnMut() -> C) {
    one_node_orders_and_answers(&mut fresh()).await;
    all_nodes_have_one_order(&mut fresh()).await;
    a_barrier_shows_what_was_committed(&mut fresh()).await;
    a_node_comes_back_with_all(&mut fresh()).await;
    a_new_node_catches_up_by_snapshot(&mut fresh()).await;
    a_minority_acknowledges_nothing(&mut fresh()).await;
    members_come_and_go(&mut fresh()).await;
}

/// The node of this number.
///
/// # Panics
/// For 0.
pub fn node(number: u32) -> NodeId {
    NodeId(NonZeroU32::new(number).expect("not zero"))
}

/// `what`, which must not take longer than [`PATIENCE`].
///
/// # Panics
/// When it does.
#[track_caller]
pub fn within<T>(what: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        match timeout(PATIENCE, what).await {
            Ok(value) => value,
            Err(_) => panic!("waited in vain at {place}"),
        }
    }
}

/// Starts nodes 1 to `count` as voters.
///
/// # Panics
/// When that does not come about.
pub async fn voters(cluster: &mut impl Cluster, count: u32) -> BTreeMap<NodeId, Node> {
    let mut nodes = BTreeMap::new();
    for number in 1..=count {
        nodes.insert(node(number), within(cluster.start(node(number))).await);
    }
    let all: BTreeSet<NodeId> = nodes.keys().copied().collect();
    within(nodes[&node(1)].ledger.set_members(all.clone(), BTreeSet::new())).await.expect("all are there");
    for node in nodes.values() {
        let mut status = node.ledger.watch();
        within(status.wait_for(|now| now.voters == all && now.leader.is_some())).await.expect("it runs");
    }
    nodes
}

/// Waits until `node` has applied `index` entries.
///
/// # Panics
/// When it does not.
pub async fn applied(node: &Node, index: u64) -> Head {
    let mut head = node.ledger.head();
    *within(head.wait_for(|head| head.index >= index)).await.expect("it runs")
}

async fn propose(node: &Node, entry: &[u8]) -> Committed {
    let committed = within(node.ledger.propose(entry.to_vec())).await.expect("a majority is there");
    assert_eq!(committed.answer, answer(committed.index, entry), "the answer to its own entry");
    committed
}

async fn one_node_orders_and_answers(cluster: &mut impl Cluster) {
    let node = within(cluster.start(node(1))).await;
    for (index, entry) in (1..).zip([b"first".as_slice(), b"", b"first"]) {
        assert_eq!(propose(&node, entry).await.index, index);
        assert_eq!(node.tally.now().entries.len() as u64, index, "applied here when it is acknowledged");
    }
    let longest = vec![7; ENTRY_LEN_MAX];
    propose(&node, &longest).await;
    let refused = within(node.ledger.propose(vec![7; ENTRY_LEN_MAX + 1])).await;
    assert_eq!(refused, Err(ProposeError::TooLong(ENTRY_LEN_MAX + 1)));
    within(node.ledger.read_barrier()).await.expect("it leads itself");
    let entries = [b"first".to_vec(), Vec::new(), b"first".to_vec(), longest];
    assert_eq!(node.tally.now().entries, entries);
    let expected = entries.iter().fold(Head::START, |head, entry| head.after(entry));
    assert_eq!(*node.ledger.head().borrow(), expected);
    let mut status = node.ledger.watch();
    let status = within(status.wait_for(|now| now.is_leader)).await.expect("it runs");
    assert!(status.leader.is_some() && status.stopped.is_none(), "{status:?}");
}

async fn all_nodes_have_one_order(cluster: &mut impl Cluster) {
    let nodes = voters(cluster, 3).await;
    let mut proposals = tokio::task::JoinSet::new();
    for node in nodes.values() {
        for number in 0..8u32 {
            let node = node.clone();
            proposals.spawn(async move {
                let mut committed = Vec::new();
                for _ in 0..5 {
                    let number = number.to_le_bytes();
                    committed.push((propose(&node, &number).await.index, number.to_vec()));
                }
                assert!(committed.is_sorted(), "one proposer's entries stand in its order");
                committed
            });
        }
    }
    let mut order = BTreeMap::new();
    while let Some(committed) = within(proposals.join_next()).await {
        for (index, entry) in committed.expect("no proposer panics") {
            assert_eq!(order.insert(index, entry), None, "no two proposals have one place");
        }
    }
    assert_eq!(order.len(), 120);
    let mut heads = BTreeSet::new();
    for node in nodes.values() {
        let head = applied(node, 120).await;
        assert_eq!(head.index, 120, "each acknowledged proposal is applied once, and nothing else");
        heads.insert(head.hash);
        assert!(node.tally.now().entries.iter().eq(order.values()), "the order that the proposers were told");
    }
    assert_eq!(heads.len(), 1, "the head is the same everywhere");
}

async fn a_barrier_shows_what_was_committed(cluster: &mut impl Cluster) {
    let nodes = voters(cluster, 3).await;
    for round in 0..10u8 {
        for proposer in nodes.values() {
            let index = propose(proposer, &[round]).await.index;
            for reader in nodes.values() {
                within(reader.ledger.read_barrier()).await.expect("a majority is there");
                let seen = reader.tally.now().entries.len() as u64;
                assert!(seen >= index, "a reader sees {seen} entries after {index} were committed");
            }
        }
    }
}

async fn a_node_comes_back_with_all(cluster: &mut impl Cluster) {
    let mut nodes = voters(cluster, 3).await;
    for number in 0..30u8 {
        propose(&nodes[&node(1 + u32::from(number) % 3)], &[number]).await;
    }
    for number in 1..=3 {
        let back = node(number);
        nodes.remove(&back);
        within(cluster.kill(back)).await;
        let witness = nodes.values().next().expect("two are left");
        // The one that was killed may have led.
        let index = propose_patiently(witness, b"meanwhile").await;
        let again = within(cluster.start(back)).await;
        applied(&again, index).await;
        within(again.ledger.read_barrier()).await.expect("a majority is there");
        applied(witness, index).await;
        assert_eq!(again.tally.now().entries, witness.tally.now().entries);
        nodes.insert(back, again);
    }
}

/// Proposes until it is taken, and gives its place.
async fn propose_patiently(node: &Node, entry: &[u8]) -> u64 {
    loop {
        match within(node.ledger.propose(entry.to_vec())).await {
            Ok(committed) => return committed.index,
            Err(ProposeError::NoLeader | ProposeError::Unknown) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn a_new_node_catches_up_by_snapshot(cluster: &mut impl Cluster) {
    let nodes = voters(cluster, 3).await;
    let first = &nodes[&node(1)];
    for number in 0..500u32 {
        propose(first, &[number.to_le_bytes().as_slice(), &[0; 2000]].concat()).await;
    }
    let new = within(cluster.start(node(4))).await;
    let all: BTreeSet<NodeId> = nodes.keys().copied().collect();
    within(first.ledger.set_members(all, BTreeSet::from([node(4)]))).await.expect("it is there");
    applied(&new, 500).await;
    assert_eq!(new.tally.now().entries, first.tally.now().entries);
    assert!(new.tally.now().restored > 0, "not entry by entry");
    let index = propose(&new, b"a learner proposes too").await.index;
    assert_eq!(applied(first, index).await, applied(&new, index).await);
}

async fn a_minority_acknowledges_nothing(cluster: &mut impl Cluster) {
    let nodes = voters(cluster, 3).await;
    propose(&nodes[&node(1)], b"before").await;
    for (&alone, cut_off) in &nodes {
        cluster.isolate(alone);
        let refused = within(cut_off.ledger.propose(b"alone".to_vec())).await;
        assert!(matches!(refused, Err(ProposeError::NoLeader | ProposeError::Unknown)), "{refused:?}");
        within(cut_off.ledger.read_barrier()).await.expect_err("what is read may be old");
        cluster.rejoin(alone);
        let index = propose_patiently(cut_off, b"together").await;
        applied(cut_off, index).await;
    }
}

async fn members_come_and_go(cluster: &mut impl Cluster) {
    let first = within(cluster.start(node(1))).await;
    let second = within(cluster.start(node(2))).await;
    let set = |numbers: &[u32]| numbers.iter().copied().map(node).collect::<BTreeSet<_>>();
    within(first.ledger.set_members(set(&[]), set(&[1]))).await.expect_err("somebody has to vote");
    within(first.ledger.set_members(set(&[1, 2]), set(&[2]))).await.expect_err("one or the other");
    propose(&first, b"alone").await;
    within(first.ledger.set_members(set(&[1]), set(&[2]))).await.expect("it is there");
    within(second.ledger.watch().wait_for(|now| now.learners == set(&[2]))).await.expect("it runs");
    applied(&second, 1).await;
    within(second.ledger.set_members(set(&[1, 2]), set(&[]))).await.expect("from whichever node");
    within(first.ledger.watch().wait_for(|now| now.voters == set(&[1, 2]))).await.expect("it runs");
    propose(&second, b"two vote").await;
    within(first.ledger.set_members(set(&[1]), set(&[]))).await.expect("the second one goes");
    let status = first.ledger.status();
    assert_eq!((status.voters, status.learners), (set(&[1]), set(&[])));
    within(cluster.kill(node(2))).await;
    propose(&first, b"alone again").await;
    assert_eq!(first.tally.now().entries, [b"alone".as_slice(), b"two vote", b"alone again"]);
}
