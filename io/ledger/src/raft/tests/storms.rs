//! Everything at once, from a seed: power cuts in the midst of writing, lines that are cut both ways or one, a leader
//! that dies, proposers that go on. What was acknowledged is in the one order all nodes have; and once.
use super::*;
use crate::suite::{answer, applied, node, voters, within};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use terachat_storage::{Fault, Storage};
use tokio::time::{Duration, sleep};

/// SplitMix64: for simulation only.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Seeds to play: one, or `TERACHAT_LEDGER_SEEDS` as `from..to`.
fn seeds() -> std::ops::Range<u64> {
    let Ok(range) = std::env::var("TERACHAT_LEDGER_SEEDS") else { return 0..40 };
    let (from, to) = range.split_once("..").unwrap();
    from.parse().unwrap()..to.parse().unwrap()
}

const NODES: u32 = 3;

struct Storm {
    nodes: Nodes,
    running: BTreeMap<NodeId, Node>,
    random: Random,
    /// Acknowledged entries with their places.
    acknowledged: Arc<Mutex<BTreeMap<u64, Vec<u8>>>>,
    /// Entries that certainly were not taken.
    refused: Arc<Mutex<BTreeSet<Vec<u8>>>>,
    names: Arc<AtomicU64>,
    proposers: tokio::task::JoinSet<()>,
}

impl Storm {
    async fn new(seed: u64) -> Self {
        let mut nodes = Nodes::new(seed);
        nodes.settings.call_limit = Duration::from_secs(2);
        let running = voters(&mut nodes, NODES).await;
        Self {
            nodes,
            running,
            random: Random(seed),
            acknowledged: Arc::default(),
            refused: Arc::default(),
            names: Arc::default(),
            proposers: tokio::task::JoinSet::new(),
        }
    }

    /// Proposes some entries, all at once, at one node, and waits for none of them.
    fn propose(&mut self) {
        let Some(at) = self.any() else { return };
        let count = 1 + self.random.below(8);
        for _ in 0..count {
            let entry = self.names.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            let entry = entry.repeat(1 + usize::try_from(self.random.below(200)).unwrap());
            let ledger = Arc::clone(&self.running[&at].ledger);
            let (acknowledged, refused) = (Arc::clone(&self.acknowledged), Arc::clone(&self.refused));
            self.proposers.spawn(async move {
                match ledger.propose(entry.clone()).await {
                    Ok(committed) => {
                        assert_eq!(committed.answer, answer(committed.index, &entry));
                        let twice = acknowledged.lock().unwrap().insert(committed.index, entry);
                        assert_eq!(twice, None, "two entries were told the same place");
                    }
                    Err(error) if error.not_taken() => assert!(refused.lock().unwrap().insert(entry)),
                    Err(_) => {}
                }
            });
        }
    }

    fn any(&mut self) -> Option<NodeId> {
        let count = self.running.len() as u64;
        let number = usize::try_from(self.random.below(count.max(1))).unwrap();
        self.running.keys().nth(number).copied()
    }

    fn leader(&self) -> Option<NodeId> {
        self.running.iter().find(|(_, node)| node.ledger.status().is_leader).map(|(&node, _)| node)
    }

    fn pair(&mut self) -> (NodeId, NodeId) {
        let from = 1 + self.random.below(u64::from(NODES));
        let to = 1 + (from + self.random.below(u64::from(NODES) - 1)) % u64::from(NODES);
        let node = |number| node(u32::try_from(number).unwrap());
        (node(from), node(to))
    }

    fn cut_power(&mut self, node: NodeId) {
        self.nodes.cut_power(node);
        self.running.remove(&node);
    }

    /// Starts `node`, again if a fault that was set strikes while it opens.
    async fn start(&mut self, node: NodeId) {
        loop {
            match self.nodes.open(node).await {
                Ok((ledger, tally)) => {
                    self.running.insert(node, Node { ledger, tally });
                    return;
                }
                Err(OpenError::Disk(DiskError::Storage(_))) => {
                    if self.nodes.disks[&node].list().is_err() {
                        self.cut_power(node);
                    }
                }
                Err(error) => panic!("{node} cannot be opened: {error}"),
            }
        }
    }

    async fn strike(&mut self) {
        match self.random.below(12) {
            0 => {
                if let Some(node) = self.any() {
                    self.cut_power(node);
                }
            }
            1 => {
                if let Some(node) = self.leader() {
                    self.cut_power(node);
                }
            }
            // In the midst of some write to come.
            2 => {
                if let Some(node) = self.any() {
                    let disk = &self.nodes.disks[&node];
                    disk.fail_at(disk.operations() + self.random.below(12), Fault::PowerCut);
                }
            }
            3 => {
                if let Some(node) = self.any() {
                    let disk = &self.nodes.disks[&node];
                    let fault = if self.random.below(2) == 0 { Fault::Full } else { Fault::Io };
                    disk.fail_at(disk.operations() + self.random.below(12), fault);
                }
            }
            4 => {
                let (from, to) = self.pair();
                self.nodes.lines.cut(from, to);
            }
            5 => {
                let (from, to) = self.pair();
                self.nodes.lines.cut(from, to);
                self.nodes.lines.cut(to, from);
            }
            6 => {
                let (node, _) = self.pair();
                self.nodes.lines.isolate(node);
            }
            7 | 8 => self.nodes.lines.mend(),
            _ => self.revive().await,
        }
    }

    /// Starts what is down, and what has stopped because its disk failed: without a power cut, as a program is started
    /// anew, or with one.
    async fn revive(&mut self) {
        for node in (1..=NODES).map(node) {
            let stopped = self.running.get(&node).is_some_and(|node| node.ledger.status().stopped.is_some());
            if stopped {
                if self.random.below(2) == 0 {
                    self.nodes.lines.disconnect(node);
                    self.running.remove(&node).unwrap().ledger.shutdown().await;
                    // It may have been a power cut that stopped it: then the disk is gone, too.
                    if self.nodes.disks[&node].list().is_err() {
                        self.cut_power(node);
                    }
                } else {
                    self.cut_power(node);
                }
            }
            if !self.running.contains_key(&node) {
                self.start(node).await;
            }
        }
    }

    /// Ends the storm: everything is mended, and everybody must come to the same.
    async fn calm(mut self) -> u64 {
        self.nodes.lines.mend();
        for node in (1..=NODES).map(node) {
            // Faults that were set are gone with it.
            self.cut_power(node);
            self.start(node).await;
        }
        let together =
            async { while self.running[&node(1)].ledger.propose(b"the last".to_vec()).await.is_err() {} };
        within(together).await;
        while let Some(proposer) = within(self.proposers.join_next()).await {
            proposer.unwrap();
        }
        let index = self.running.values().map(|node| node.ledger.head().borrow().index).max().unwrap();
        let mut heads = BTreeSet::new();
        for node in self.running.values() {
            heads.insert(applied(node, index).await.hash);
        }
        assert_eq!(heads.len(), 1, "one order everywhere");
        let entries = self.running[&node(1)].tally.now().entries.clone();
        let acknowledged = self.acknowledged.lock().unwrap();
        for (index, entry) in acknowledged.iter() {
            let at = usize::try_from(index - 1).unwrap();
            assert_eq!(entries.get(at), Some(entry), "entry {index} was acknowledged and is lost");
        }
        let named: Vec<&Vec<u8>> = entries.iter().filter(|entry| entry.as_slice() != b"the last").collect();
        let once: BTreeSet<&Vec<u8>> = named.iter().copied().collect();
        assert_eq!(once.len(), named.len(), "an entry is there twice");
        let refused = self.refused.lock().unwrap();
        assert!(once.iter().all(|entry| !refused.contains(*entry)), "an entry that was not taken is there");
        acknowledged.len() as u64
    }
}

async fn storm(seed: u64) -> u64 {
    let mut storm = Storm::new(seed).await;
    for _ in 0..60 {
        storm.propose();
        if storm.random.below(3) == 0 {
            storm.strike().await;
        }
        sleep(Duration::from_millis(storm.random.below(300))).await;
    }
    storm.calm().await
}

#[test]
fn what_was_acknowledged_outlives_every_storm() {
    let mut acknowledged = 0;
    for seed in seeds() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let result = std::panic::catch_unwind(|| runtime.block_on(storm(seed)));
        match result {
            Ok(count) => acknowledged += count,
            Err(panic) => {
                println!("seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{acknowledged} entries were acknowledged");
    assert!(acknowledged > 0);
}
