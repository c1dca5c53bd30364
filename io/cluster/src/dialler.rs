use crate::directory::Directory;
use crate::links::Links;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use terachat_net::PeerKey;
use terachat_shard::NodeId;

/// Between two looks at who is missing.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// After a first try that failed; each further one takes twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long the member with the lower number leaves dialling to the other, so that seldom both do.
const COURTESY: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy)]
struct Attempt {
    under_way: bool,
    next: Instant,
    pause: Duration,
}

/// Dials every member that is not connected, again and again, until it is dropped.
pub(crate) async fn keep_dialling(own: NodeId, links: Links, directory: Arc<RwLock<Directory>>) {
    let attempts: Arc<Mutex<BTreeMap<NodeId, Attempt>>> = Arc::default();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let contacts = directory.read().unwrap_or_else(PoisonError::into_inner).list();
        let now = Instant::now();
        for contact in contacts.into_iter().filter(|contact| contact.node != own) {
            let peer = PeerKey(contact.key.0);
            {
                let mut attempts = attempts.lock().unwrap_or_else(PoisonError::into_inner);
                let courtesy = if own < contact.node { COURTESY } else { Duration::ZERO };
                let fresh = Attempt { under_way: false, next: now + courtesy, pause: FIRST_PAUSE };
                if links.is_connected(peer) {
                    attempts.remove(&contact.node);
                    continue;
                }
                let attempt = attempts.entry(contact.node).or_insert(fresh);
                if attempt.under_way || attempt.next > now {
                    continue;
                }
                attempt.under_way = true;
            }
            let (links, attempts) = (links.clone(), Arc::clone(&attempts));
            tokio::spawn(async move {
                let dialled = links.net().dial(&contact.address, Some(peer)).await;
                if let Err(error) = &dialled {
                    tracing::debug!(node = %contact.node, address = contact.address, %error, "a member is not reached");
                }
                let mut attempts = attempts.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(attempt) = attempts.get_mut(&contact.node) {
                    attempt.under_way = false;
                    attempt.next = Instant::now() + attempt.pause;
                    attempt.pause = (attempt.pause * 2).min(PAUSE_MAX);
                }
            });
        }
    }
}
