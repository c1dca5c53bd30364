//! Puts entries behind the last one: all that wait in one transaction, which holds only if nobody else was faster.
use super::client::Failed;
use super::question::{has, put};
use super::{Seen, Shared, keys};
use crate::{Committed, ENTRY_LEN_MAX, Head, ProposeError};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Entries that wait to be put into a transaction.
pub(super) const QUEUE_LEN: usize = 4096;
/// Entries in one transaction: etcd takes 128 operations by default, one of which is the tail.
const ENTRIES_MAX: usize = 120;

pub(super) struct Pending {
    pub(super) entry: Vec<u8>,
    pub(super) outcome: oneshot::Sender<Result<Committed, ProposeError>>,
}

pub(super) async fn run(shared: Arc<Shared>, mut queue: mpsc::Receiver<Pending>) {
    let mut left = None;
    // The last place that is taken, as far as is known. What this node put may not be applied yet.
    let mut last = Head::START;
    loop {
        let first = match left.take() {
            Some(pending) => pending,
            None => match queue.recv().await {
                Some(pending) => pending,
                None => return,
            },
        };
        let mut len = first.entry.len();
        let mut batch = vec![first];
        while batch.len() < ENTRIES_MAX
            && let Ok(next) = queue.try_recv()
        {
            len += next.entry.len();
            if len > ENTRY_LEN_MAX {
                left = Some(next);
                break;
            }
            batch.push(next);
        }
        batch.retain(|pending| !pending.outcome.is_closed());
        if !batch.is_empty() {
            put_batch(&shared, batch, &mut last).await;
        }
    }
}

async fn put_batch(shared: &Arc<Shared>, batch: Vec<Pending>, last: &mut Head) {
    let deadline = Instant::now() + shared.settings.call_limit;
    let mut head = shared.head.subscribe();
    while Instant::now() < deadline {
        if shared.is_stopped() {
            return deny(batch, &ProposeError::Stopped);
        }
        // Behind another history than the one that is applied here nothing would be put; it need not be tried.
        if *shared.seen.borrow() == Seen::Unlike {
            break;
        }
        let applied = *head.borrow_and_update();
        let before = if applied.index >= last.index { applied } else { *last };
        let (after, receivers, taken) = put_behind(shared, before, &batch).await;
        match taken {
            Ok(true) => {
                *last = after;
                return answer(shared, before.index, batch, receivers);
            }
            // Others were faster.
            Ok(false) => drop(timeout(super::follow::PAUSE, head.changed()).await),
            Err(Failed::NotSent | Failed::Refused) => sleep(super::follow::PAUSE).await,
            Err(Failed::NoAnswer) => return deny(batch, &ProposeError::Unknown),
        }
    }
    deny(batch, &ProposeError::NoLeader);
}

/// Puts the batch at the places after `before`, if that is the last one, and waits there for the machine's answers.
async fn put_behind(
    shared: &Shared,
    before: Head,
    batch: &[Pending],
) -> (Head, Vec<oneshot::Receiver<Vec<u8>>>, Result<bool, Failed>) {
    let places = before.index + 1..;
    let mut receivers = Vec::new();
    for (place, _) in places.clone().zip(batch) {
        let (sender, receiver) = oneshot::channel();
        shared.waiting().insert(place, sender);
        receivers.push(receiver);
    }
    let tail = shared.keys.tail();
    let mut after = before;
    let mut then = Vec::new();
    for pending in batch {
        after = after.after(&pending.entry);
        then.push(put(&shared.keys.entry(after.index), &keys::entry(&after, &pending.entry)));
    }
    then.push(put(&tail, &keys::head(&after)));
    // The tail has the hash of all before it: nothing is ever put behind another history than the one that this node knows.
    let taken = shared.client.transaction(&[has(&tail, &keys::head(&before))], &then).await;
    if taken != Ok(true) {
        let mut waiting = shared.waiting();
        for (place, _) in places.zip(batch) {
            waiting.remove(&place);
        }
    }
    (after, receivers, taken)
}

fn answer(shared: &Shared, before: u64, batch: Vec<Pending>, receivers: Vec<oneshot::Receiver<Vec<u8>>>) {
    let deadline = Instant::now() + shared.settings.call_limit;
    tokio::spawn(async move {
        for ((index, pending), receiver) in (before + 1..).zip(batch).zip(receivers) {
            let outcome = match timeout_at(deadline, receiver).await {
                Ok(Ok(answer)) => Ok(Committed { index, answer }),
                _ => Err(ProposeError::Unknown),
            };
            drop(pending.outcome.send(outcome));
        }
    });
}

fn deny(batch: Vec<Pending>, error: &ProposeError) {
    batch.into_iter().for_each(|pending| drop(pending.outcome.send(Err(error.clone()))));
}
