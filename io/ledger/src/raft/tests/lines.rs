//! Lines between nodes in this process, which can be cut, each way for itself.
use crate::raft::MESSAGE_LEN_MAX;
use crate::{Call, Carrier, Ledger, RaftLedger, Unreachable};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;
use terachat_shard::NodeId;

#[derive(Default)]
pub(crate) struct Lines(Mutex<Ends>);

#[derive(Default)]
struct Ends {
    nodes: BTreeMap<NodeId, Weak<RaftLedger>>,
    lives: BTreeMap<NodeId, u64>,
    /// From whom to whom nothing gets through.
    cut: BTreeSet<(NodeId, NodeId)>,
    isolated: BTreeSet<NodeId>,
    /// How long everything takes to and from a node.
    far: BTreeMap<NodeId, Duration>,
    /// What was said so far, by whom to whom, if anybody wants to know.
    said: Option<Vec<(NodeId, NodeId, Vec<u8>)>>,
}

impl Ends {
    fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.cut.contains(&(from, to)) || self.isolated.contains(&from) || self.isolated.contains(&to)
    }
}

impl Lines {
    /// The lines of `node`, which begins anew: its earlier ones are dead.
    pub(crate) fn from(self: &Arc<Self>, from: NodeId) -> Line {
        let life = self.begin_life(from);
        Line { lines: Arc::clone(self), from, life }
    }

    pub(crate) fn connect(&self, node: NodeId, ledger: &Arc<RaftLedger>) {
        self.ends().nodes.insert(node, Arc::downgrade(ledger));
    }

    pub(crate) fn disconnect(&self, node: NodeId) {
        self.begin_life(node);
        self.ends().nodes.remove(&node);
    }

    fn begin_life(&self, node: NodeId) -> u64 {
        let mut ends = self.ends();
        let life = ends.lives.entry(node).or_default();
        *life += 1;
        *life
    }

    pub(crate) fn isolate(&self, node: NodeId) {
        self.ends().isolated.insert(node);
    }

    pub(crate) fn rejoin(&self, node: NodeId) {
        self.ends().isolated.remove(&node);
    }

    /// Lets nothing through from `from` to `to`, the other way everything.
    pub(crate) fn cut(&self, from: NodeId, to: NodeId) {
        self.ends().cut.insert((from, to));
    }

    /// Lets everything to and from `node` take so long.
    pub(crate) fn set_far(&self, node: NodeId, takes: Duration) {
        self.ends().far.insert(node, takes);
    }

    pub(crate) fn mend(&self) {
        let mut ends = self.ends();
        ends.cut.clear();
        ends.isolated.clear();
    }

    /// Keeps every request from now on.
    pub(crate) fn record(&self) {
        self.ends().said = Some(Vec::new());
    }

    /// Every request that came to somebody.
    pub(crate) fn recorded(&self) -> Vec<(NodeId, NodeId, Vec<u8>)> {
        self.ends().said.clone().unwrap_or_default()
    }

    /// Hands a request to a node, as if `from` had sent it, and gives its answer.
    pub(crate) async fn hand(&self, from: NodeId, to: NodeId, request: &[u8]) -> Vec<u8> {
        let peer = self.ends().nodes.get(&to).and_then(Weak::upgrade).expect("it runs");
        peer.answer(from, request).await
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap()
    }
}

/// One node's end of all lines, for one life.
pub(crate) struct Line {
    lines: Arc<Lines>,
    from: NodeId,
    life: u64,
}

impl Line {
    /// Who is at the other end, or why nobody hears.
    fn peer(&self, to: NodeId) -> Result<Arc<RaftLedger>, Option<Unreachable>> {
        let ends = self.lines.ends();
        if !self.lives(&ends) {
            return Err(Some(Unreachable::NotSent));
        }
        if ends.is_cut(self.from, to) {
            return Err(None);
        }
        ends.nodes.get(&to).and_then(Weak::upgrade).ok_or(Some(Unreachable::NotSent))
    }

    fn hears(&self, from: NodeId) -> bool {
        let ends = self.lines.ends();
        self.lives(&ends) && !ends.is_cut(from, self.from)
    }

    async fn takes(&self, to: NodeId) {
        let far = |node: &NodeId| self.lines.ends().far.get(node).copied().unwrap_or_default();
        match far(&self.from) + far(&to) {
            Duration::ZERO => tokio::task::yield_now().await,
            takes => tokio::time::sleep(takes).await,
        }
    }

    fn lives(&self, ends: &Ends) -> bool {
        ends.lives.get(&self.from) == Some(&self.life)
    }
}

impl Carrier for Line {
    fn call(&self, to: NodeId, request: Vec<u8>) -> Call<'_, Result<Vec<u8>, Unreachable>> {
        Box::pin(async move {
            assert!(request.len() <= MESSAGE_LEN_MAX);
            // Lets others run: a carrier takes its time.
            self.takes(to).await;
            let peer = match self.peer(to) {
                Ok(peer) => peer,
                Err(Some(error)) => return Err(error),
                Err(None) => std::future::pending().await,
            };
            if let Some(said) = &mut self.lines.ends().said {
                said.push((self.from, to, request.clone()));
            }
            let answer = peer.answer(self.from, &request).await;
            assert!(answer.len() <= MESSAGE_LEN_MAX);
            drop(peer);
            self.takes(to).await;
            if self.hears(to) { Ok(answer) } else { std::future::pending().await }
        })
    }

    /// A line that is cut says nothing; a process that has ended is noticed.
    fn is_connected(&self, to: NodeId) -> bool {
        let ends = self.lines.ends();
        self.lives(&ends) && ends.nodes.get(&to).is_some_and(|node| node.strong_count() > 0)
    }
}
