//! Applies what is in etcd, in its order. Nothing else does.
use super::client::Failed;
use super::keys::{MemberList, parse_number};
use super::{Seen, Shared};
use crate::Head;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use terachat_shard::NodeId;
use tokio::time::{Instant, sleep, timeout};

/// How long to wait before etcd is asked again after it did not answer.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// How long to wait to be told of a change: whoever tells may have been cut off.
const QUIET: Duration = Duration::from_secs(1);
/// Entries that are read at once.
const ENTRIES: u32 = 16;

/// Why this node does not have what etcd has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Behind {
    /// etcd was not asked in full.
    Failed(Failed),
    /// It has another history than the one that is applied here, for people.
    Unlike(String),
}

impl From<Failed> for Behind {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

pub(super) async fn run(shared: Arc<Shared>) {
    let (key, end) = shared.keys.watched();
    while !shared.is_stopped() {
        if let Ok(mut watch) = shared.reader.watch(&key, &end).await {
            loop {
                // Looked at before each wait: what changed before the watch began is seen, too.
                if refresh(&shared).await.is_err() || super::snapshot::make_if_due(&shared).await.is_err() {
                    break;
                }
                if let Ok(false) = timeout(QUIET, watch.told()).await {
                    break;
                }
            }
        } else {
            // Says why, too.
            let _ = refresh(&shared).await;
        }
        sleep(PAUSE).await;
    }
}

/// Nobody leads as far as a node knows that has not heard of etcd for as long as a leader may be silent.
pub(super) async fn forget_leader(shared: Arc<Shared>) {
    let limit = Duration::from_secs(u64::from(shared.settings.leader_seconds.max(2)));
    let mut read = shared.read.subscribe();
    loop {
        let last = *read.borrow_and_update();
        if timeout(limit.saturating_sub(last.elapsed()), read.changed()).await.is_err() {
            shared.lose_leader();
            if read.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Learns how things stand, and applies what is new.
pub(super) async fn refresh(shared: &Shared) -> Result<(), Behind> {
    let begun = Instant::now();
    let result = read(shared).await;
    let (seen, trouble) = match &result {
        Ok(seen) => (Some(*seen), None),
        Err(Behind::Unlike(why)) => (Some(Seen::Unlike), Some(why.clone())),
        Err(Behind::Failed(_)) => {
            let words = shared.reader.words().unwrap_or_else(|| "its answer is not understood".to_owned());
            (None, Some(format!("etcd does not answer ({words})")))
        }
    };
    if let Some(seen) = seen {
        shared.read.send_replace(begun);
        shared.seen.send_if_modified(|now| std::mem::replace(now, seen) != seen);
        if seen != Seen::Ledger {
            shared.lose_leader();
        }
    }
    shared.status.send_if_modified(|now| {
        let is_news = now.trouble != trouble;
        if is_news && let Some(trouble) = &trouble {
            tracing::warn!(trouble, "the ledger waits for etcd");
        } else if is_news {
            tracing::info!("the ledger follows etcd");
        }
        now.trouble = trouble;
        is_news
    });
    result.map(drop)
}

async fn read(shared: &Shared) -> Result<Seen, Behind> {
    let before = shared.head();
    let (key, end) = shared.keys.watched();
    let pairs = shared.reader.range(&key, &end, 10).await?;
    let pair = |name: Vec<u8>| pairs.iter().find(|pair| pair.key == name);
    let tail = match pair(shared.keys.tail()) {
        Some(tail) => super::keys::parse_head(&tail.value)
            .ok_or_else(|| unlike("what it has below the prefix is not this ledger's".to_owned()))?,
        None if before == Head::START && *shared.seen.borrow() != Seen::Ledger => return Ok(Seen::Nothing),
        None => {
            return Err(unlike(format!(
                "it has nothing of the {} entries that were applied here",
                before.index
            )));
        }
    };
    if tail.index < before.index {
        let why = format!("it has {} entries of the {} that were applied here", tail.index, before.index);
        return Err(unlike(why));
    }
    let caught_up = catch_up(shared, tail).await;
    if matches!(caught_up, Err(Behind::Unlike(_))) {
        caught_up?;
        return Ok(Seen::Unlike);
    }
    let leader = pair(shared.keys.leader());
    let term = leader.map(|leader| leader.created);
    let leader = leader.and_then(|leader| parse_number(&leader.value)).and_then(node);
    let members = pair(shared.keys.members());
    let members: MemberList =
        members.and_then(|members| postcard::from_bytes(&members.value).ok()).unwrap_or_default();
    let nodes = |numbers: std::collections::BTreeSet<u32>| {
        numbers.into_iter().filter_map(|number| node(u64::from(number))).collect()
    };
    let applied = shared.head().index;
    let (voters, learners) = (nodes(members.voters), nodes(members.learners));
    shared.status.send_if_modified(|now| {
        let before = now.clone();
        now.leader = leader;
        now.is_leader = leader == Some(shared.node);
        now.term = term.unwrap_or(now.term);
        (now.last_log, now.committed, now.applied) = (tail.index, tail.index, applied);
        (now.voters, now.learners) = (voters, learners);
        *now != before
    });
    caught_up.map(|()| Seen::Ledger)
}

fn unlike(what: String) -> Behind {
    Behind::Unlike(format!(
        "etcd was set back to an older copy, or emptied, or is another one: {what}; bring back its newest data"
    ))
}

fn node(number: u64) -> Option<NodeId> {
    u32::try_from(number).ok().and_then(NonZeroU32::new).map(NodeId)
}

/// Applies the entries up to `tail`. Each says which chain it ends, so none is applied that does not belong to the chain that is here.
async fn catch_up(shared: &Shared, tail: Head) -> Result<(), Behind> {
    let another =
        |index: u64| unlike(format!("entry {index} is of another history than what was applied here"));
    while shared.head().index < tail.index {
        let next = shared.head().index + 1;
        let end = shared.keys.entry(tail.index.saturating_add(1));
        let pairs = shared.reader.range(&shared.keys.entry(next), &end, ENTRIES).await?;
        let follows = pairs.first().is_some_and(|pair| pair.key == shared.keys.entry(next));
        if !follows {
            // It is given up already: a snapshot has it.
            super::snapshot::load(shared).await?;
            continue;
        }
        for (index, pair) in (next..).zip(pairs) {
            if pair.key != shared.keys.entry(index) {
                return Err(Failed::NoAnswer.into());
            }
            let (hash, entry) = super::keys::parse_entry(&pair.value).ok_or_else(|| another(index))?;
            let head = shared.head().after(entry);
            if head.hash != hash {
                return Err(another(index));
            }
            let answer = shared.machine().apply(index, entry);
            shared.head.send_replace(head);
            let waiting = shared.waiting().remove(&index);
            if let Some(waiting) = waiting {
                drop(waiting.send(answer));
            }
        }
    }
    // A snapshot may have gone beyond what was the last entry a moment ago.
    let head = shared.head();
    if head.index == tail.index && head.hash != tail.hash { Err(another(tail.index)) } else { Ok(()) }
}
