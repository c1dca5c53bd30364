//! What goes on beside the engine, from the start of a node to its end.
use super::PAUSE;
use crate::deeds::Doer;
use crate::engine::Event;
use crate::folder::{self, Place};
use crate::guard::Guard;
use crate::{Error, Unwelcome};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use terachat_cluster::{NodeKey, NodeProfile, Refusal, What};
use terachat_ledger::{FoundError, Ledger, Status};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

/// What has to be done once after each start: the cluster is founded, or is told where this node is now.
pub(super) async fn begin(
    doer: Doer,
    ledger: Arc<dyn Ledger>,
    place: watch::Sender<Place>,
    events: mpsc::UnboundedSender<Event>,
) {
    let now = place.borrow().clone();
    if now.founding {
        loop {
            match ledger.found().await {
                Ok(()) | Err(FoundError::Founded) => break,
                Err(FoundError::Unknown) => sleep(PAUSE).await,
                Err(error) => {
                    let _ = events.send(Event::Failed(Error::LedgerStopped(error.to_string())));
                    return;
                }
            }
        }
        let profile = NodeProfile {
            key: NodeKey(doer.key.id().0),
            address: now.address.clone(),
            domain: now.domain,
            weight: now.weight,
        };
        let what = What::Founded { cluster: now.cluster, profile };
        while !matches!(doer.act(what.clone()).await, Ok(_) | Err(Unwelcome::Ledger(Refusal::AlreadyFounded)))
        {
            sleep(PAUSE).await;
        }
        place.send_modify(|place| place.founding = false);
    }
    loop {
        if doer.catch_up().await.is_ok() {
            let known =
                doer.state.read().roster().node(doer.node).map(|record| record.profile.address.clone());
            match known {
                Some(known) if known != now.address => {
                    let what = What::Moved { node: doer.node, address: now.address.clone() };
                    if doer.act(what).await.is_ok() {
                        return;
                    }
                }
                Some(_) => return,
                None => {}
            }
        }
        sleep(PAUSE).await;
    }
}

/// Tells the engine what becomes of the ledger: who leads and who votes, not each entry.
pub(super) async fn tell_ledger(ledger: Arc<dyn Ledger>, events: mpsc::UnboundedSender<Event>) {
    let mut status = ledger.watch();
    let mut told: Option<Status> = None;
    loop {
        let now = status.borrow_and_update().clone();
        let is_news = told.as_ref().is_none_or(|told| {
            let said =
                |status: &Status| (status.leader, status.is_leader, status.term, status.trouble.clone());
            said(told) != said(&now) || (&told.voters, &told.learners) != (&now.voters, &now.learners)
        });
        let event = match &now.stopped {
            Some(why) => Some(Event::Failed(Error::LedgerStopped(why.clone()))),
            None => is_news.then(|| Event::Ledger(now.clone())),
        };
        if is_news {
            told = Some(now);
        }
        if event.is_some_and(|event| events.send(event).is_err()) || status.changed().await.is_err() {
            return;
        }
    }
}

/// Writes what the node has to know after a restart whenever it changes.
pub(super) async fn keep_place(
    path: PathBuf,
    mut saved: watch::Receiver<Place>,
    events: mpsc::UnboundedSender<Event>,
) {
    while saved.changed().await.is_ok() {
        let (place, path) = (saved.borrow_and_update().clone(), path.clone());
        let saved = tokio::task::spawn_blocking(move || folder::save(&path, &place)).await;
        if let Ok(Err(error)) = saved {
            let _ = events.send(Event::Failed(error));
        }
    }
}

/// Makes a checkpoint now and then, if the head has gone on.
pub(super) async fn keep_head(
    ledger: Arc<dyn Ledger>,
    guard: Arc<Mutex<Guard>>,
    every: Duration,
    events: mpsc::UnboundedSender<Event>,
) {
    loop {
        sleep(every).await;
        let head = *ledger.head().borrow();
        let guard = Arc::clone(&guard);
        let made = tokio::task::spawn_blocking(move || {
            guard.lock().unwrap_or_else(PoisonError::into_inner).checkpoint(head)
        });
        if let Ok(Err(error)) = made.await {
            let _ = events.send(Event::Failed(error));
            return;
        }
    }
}
