//! Puts entries behind the last one: all that wait in one transaction, which holds only if nobody else was faster.
use super::Shared;
use super::client::{Failed, has, is_missing, put};
use super::keys::number;
use crate::{Committed, ENTRY_LEN_MAX, ProposeError};
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
    let mut last = 0;
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

async fn put_batch(shared: &Arc<Shared>, batch: Vec<Pending>, last: &mut u64) {
    let deadline = Instant::now() + shared.settings.call_limit;
    let mut head = shared.head.subscribe();
    while Instant::now() < deadline {
        let before = head.borrow_and_update().index.max(*last);
        let (receivers, taken) = put_behind(shared, before, &batch).await;
        match taken {
            Ok(true) => {
                *last = before + batch.len() as u64;
                return answer(shared, before, batch, receivers);
            }
            // Others were faster.
            Ok(false) => drop(timeout(super::follow::PAUSE, head.changed()).await),
            Err(Failed::NotSent) => sleep(super::follow::PAUSE).await,
            Err(Failed::NoAnswer) => return deny(batch, &ProposeError::Unknown),
        }
    }
    deny(batch, &ProposeError::NoLeader);
}

/// Puts the batch at the places after `before`, if that is the last one, and waits there for the machine's answers.
async fn put_behind(
    shared: &Shared,
    before: u64,
    batch: &[Pending],
) -> (Vec<oneshot::Receiver<Vec<u8>>>, Result<bool, Failed>) {
    let places = before + 1..;
    let mut receivers = Vec::new();
    for (place, _) in places.clone().zip(batch) {
        let (sender, receiver) = oneshot::channel();
        shared.waiting().insert(place, sender);
        receivers.push(receiver);
    }
    let tail = shared.keys.tail();
    let last = if before == 0 { is_missing(&tail) } else { has(&tail, &number(before)) };
    let mut then: Vec<_> = places
        .clone()
        .zip(batch)
        .map(|(place, pending)| put(&shared.keys.entry(place), &pending.entry))
        .collect();
    then.push(put(&tail, &number(before + batch.len() as u64)));
    let taken = shared.client.transaction(&[last], &then).await;
    if taken != Ok(true) {
        let mut waiting = shared.waiting();
        for (place, _) in places.zip(batch) {
            waiting.remove(&place);
        }
    }
    (receivers, taken)
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
