use super::log::Log;
use super::node_id;
use super::settings::Settings;
use super::types::Types;
use crate::Status;
use crate::disk::Counters;
use openraft::error::Fatal;
use openraft::{EmptyNode, Raft, RaftMetrics};
use std::sync::Arc;
use tokio::sync::watch;

/// Keeps the log short and the status new, until the ledger stops.
pub(crate) fn spawn(
    raft: Raft<Types>,
    log: Log,
    counters: Arc<Counters>,
    settings: Settings,
) -> watch::Receiver<Status> {
    let mut metrics = raft.metrics();
    let (sender, receiver) = watch::channel(status(&metrics.borrow_and_update(), &counters));
    tokio::spawn(async move {
        let mut asked = Asked::default();
        while metrics.changed().await.is_ok() {
            let now = metrics.borrow_and_update().clone();
            sender.send_replace(status(&now, &counters));
            if now.running_state.is_err() || asked.keep_short(&raft, &log, &settings, &now).await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// What openraft was asked for: it takes its time, and each question is a change that is heard of here.
#[derive(Default)]
struct Asked {
    /// For a snapshot of the entries up to this index.
    snapshot: Option<u64>,
    /// To give up the entries up to this index.
    purge: Option<u64>,
}

impl Asked {
    /// Asks for a snapshot when there is much behind the last one, and gives up entries that a snapshot has.
    async fn keep_short(
        &mut self,
        raft: &Raft<Types>,
        log: &Log,
        settings: &Settings,
        now: &RaftMetrics<u64, EmptyNode>,
    ) -> Result<(), Fatal<u64>> {
        let applied = now.last_applied.map(|id| id.index);
        let covered = now.snapshot.map(|id| id.index);
        let since = covered.max(self.snapshot).map_or(0, |index| index + 1);
        if let Some(applied) = applied.filter(|&applied| applied >= since) {
            let much = applied - since >= settings.snapshot_entries
                || log.bytes_between(since, applied) >= settings.snapshot_bytes;
            if much {
                self.snapshot = Some(applied);
                raft.trigger().snapshot().await?;
            }
        }
        let upto = covered.and_then(|covered| log.purgeable(covered, settings.kept_bytes));
        if let Some(upto) = upto.filter(|&upto| self.purge.is_none_or(|asked| asked < upto)) {
            self.purge = Some(upto);
            raft.trigger().purge_log(upto).await?;
        }
        Ok(())
    }
}

pub(crate) fn status(metrics: &RaftMetrics<u64, EmptyNode>, counters: &Counters) -> Status {
    let membership = metrics.membership_config.membership();
    let leader = metrics.current_leader;
    let applied = metrics.last_applied.map_or(0, |id| id.index);
    let stopped = metrics.running_state.as_ref().err().map(ToString::to_string);
    Status {
        leader: leader.and_then(node_id),
        is_leader: leader == Some(metrics.id) && metrics.state.is_leader(),
        term: metrics.current_term,
        last_log: metrics.last_log_index.unwrap_or(0),
        committed: applied,
        applied,
        voters: membership.voter_ids().filter_map(node_id).collect(),
        learners: membership.learner_ids().filter_map(node_id).collect(),
        quorum_ack_ms: metrics.millis_since_quorum_ack,
        trouble: None,
        disk: counters.read(),
        stopped: counters.broken().or(stopped),
    }
}
