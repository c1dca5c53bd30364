mod behaviour;
mod lines;
mod openraft_suite;
mod replays;
mod storms;

use super::*;
use crate::suite::{self, Cluster, Node, Tally};
use lines::Lines;
use std::collections::BTreeMap;
use terachat_storage::CrashStorage;

/// Nodes in this process whose power can be cut.
pub(super) struct Nodes {
    pub(super) lines: Arc<Lines>,
    pub(super) disks: BTreeMap<NodeId, CrashStorage>,
    pub(super) seed: u64,
    pub(super) settings: Settings,
}

impl Nodes {
    pub(super) fn new(seed: u64) -> Self {
        let settings = Settings {
            snapshot_entries: 100,
            snapshot_bytes: 64 << 10,
            kept_bytes: 8 << 10,
            segment_bytes: 16 << 10,
            ..Settings::default()
        };
        Self { lines: Arc::default(), disks: BTreeMap::new(), seed, settings }
    }

    pub(super) async fn open(&mut self, node: NodeId) -> Result<(Arc<RaftLedger>, Tally), OpenError> {
        let seed = self.seed.wrapping_mul(1000) + u64::from(node.0.get());
        let disk = self.disks.entry(node).or_insert_with(|| CrashStorage::new(seed)).clone();
        let tally = Tally::default();
        let carrier = Arc::new(self.lines.from(node));
        let ledger =
            RaftLedger::open(node, Box::new(disk), carrier, tally.clone(), self.settings.clone()).await?;
        let ledger = Arc::new(ledger);
        self.lines.connect(node, &ledger);
        Ok((ledger, tally))
    }

    /// Cuts the power of `node`.
    pub(super) fn cut_power(&mut self, node: NodeId) {
        self.lines.disconnect(node);
        if let Some(disk) = self.disks.get_mut(&node) {
            *disk = disk.crash();
        }
    }
}

impl Cluster for Nodes {
    fn start(&mut self, node: NodeId) -> Call<'_, Node> {
        Box::pin(async move {
            let first = self.disks.is_empty();
            let (ledger, tally) = self.open(node).await.unwrap();
            if first {
                ledger.found().await.unwrap();
            }
            Node { ledger, tally }
        })
    }

    fn kill(&mut self, node: NodeId) -> Call<'_, ()> {
        self.cut_power(node);
        Box::pin(std::future::ready(()))
    }

    fn isolate(&mut self, node: NodeId) {
        self.lines.isolate(node);
    }

    fn rejoin(&mut self, node: NodeId) {
        self.lines.rejoin(node);
    }
}

#[tokio::test(start_paused = true)]
async fn conforms() {
    suite::conforms(&mut || Nodes::new(1)).await;
}
