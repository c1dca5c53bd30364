use super::batch::Batch;
use super::message::{Denial, Proposed};
use super::types::Types;
use crate::{ENTRY_LEN_MAX, ProposeError};
use openraft::Raft;
use openraft::error::ClientWriteError;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Batches under way at once: while the followers write one, the leader writes the next. openraft waits for the disk
/// with each, so that more would only wait there, and be smaller.
const BATCHES_MAX: usize = 2;
/// Entries that wait to be put into a batch.
const QUEUE_LEN: usize = 4096;

/// What becomes of an entry: where it stands and the machine's answer, or who leads instead.
pub(crate) type Outcome = Result<Proposed, Denial<ProposeError>>;

/// Gathers the entries proposed on the leader: those that come while others are under way share a batch.
#[derive(Clone)]
pub(crate) struct Proposer(mpsc::Sender<Pending>);

struct Pending {
    entry: Vec<u8>,
    outcome: oneshot::Sender<Outcome>,
}

impl Proposer {
    /// Runs until the last clone is dropped.
    pub(crate) fn spawn(raft: Raft<Types>, quorum_ms_max: u64) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE_LEN);
        tokio::spawn(run(raft, receiver, quorum_ms_max));
        Self(sender)
    }

    /// Proposes on this node.
    pub(crate) async fn propose(&self, entry: Vec<u8>) -> Outcome {
        let (outcome, receiver) = oneshot::channel();
        if self.0.send(Pending { entry, outcome }).await.is_err() {
            return Err(Denial::Failed(ProposeError::Stopped));
        }
        receiver.await.unwrap_or(Err(Denial::Failed(ProposeError::Unknown)))
    }
}

async fn run(raft: Raft<Types>, mut queue: mpsc::Receiver<Pending>, quorum_ms_max: u64) {
    let permits = Arc::new(Semaphore::new(BATCHES_MAX));
    let mut left = None;
    loop {
        let permit = Arc::clone(&permits).acquire_owned().await.expect("never closed");
        let first = match left.take() {
            Some(pending) => pending,
            None => match queue.recv().await {
                Some(pending) => pending,
                None => return,
            },
        };
        let mut len = first.entry.len() + 4;
        let mut pending = vec![first];
        while let Ok(next) = queue.try_recv() {
            len += next.entry.len() + 4;
            if len > ENTRY_LEN_MAX {
                left = Some(next);
                break;
            }
            pending.push(next);
        }
        // Nobody waits any more for those whose time is up.
        pending.retain(|pending| !pending.outcome.is_closed());
        if pending.is_empty() {
            continue;
        }
        if let Err(denial) = may_propose(&raft, quorum_ms_max) {
            pending.into_iter().for_each(|pending| drop(pending.outcome.send(Err(denial.clone()))));
            continue;
        }
        let batch = Batch::new(pending.iter().map(|pending| pending.entry.as_slice()));
        let taken = batch.taken().clone();
        match raft.client_write_ff(batch).await {
            Ok(receiver) => tokio::spawn(async move {
                let _permit = permit;
                let result = match receiver.await {
                    Ok(result) => result.map_err(|error| match error {
                        ClientWriteError::ForwardToLeader(forward) if !taken.is_set() => {
                            Denial::NotLeader(forward.leader_id)
                        }
                        _ => Denial::Failed(ProposeError::Unknown),
                    }),
                    Err(_) => Err(Denial::Failed(ProposeError::Unknown)),
                };
                answer(pending, result.map(|response| response.data));
            }),
            Err(_) => {
                answer(pending, Err(Denial::Failed(ProposeError::Stopped)));
                continue;
            }
        };
    }
}

/// A leader that does not hear of a majority takes no more entries: they would wait for nothing. It does not lead any
/// more, or will hear of it again.
fn may_propose(raft: &Raft<Types>, quorum_ms_max: u64) -> Result<(), Denial<ProposeError>> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow();
    let alone = metrics.membership_config.voter_ids().eq([metrics.id]);
    let lost = metrics.millis_since_quorum_ack.is_some_and(|ms| ms > quorum_ms_max);
    if metrics.current_leader == Some(metrics.id) && lost && !alone {
        return Err(Denial::NotLeader(None));
    }
    Ok(())
}

fn answer(pending: Vec<Pending>, result: Result<super::types::Applied, Denial<ProposeError>>) {
    match result {
        Ok(applied) => {
            for ((index, pending), answer) in (applied.first..).zip(pending).zip(applied.answers) {
                drop(pending.outcome.send(Ok(Proposed { index, answer: super::message::Bytes(answer) })));
            }
        }
        Err(denial) => {
            pending.into_iter().for_each(|pending| drop(pending.outcome.send(Err(denial.clone()))));
        }
    }
}
