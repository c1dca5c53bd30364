//! Applies what is in etcd, in its order. Nothing else does.
use super::Shared;
use super::client::Failed;
use super::keys::{MemberList, parse_number};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use terachat_shard::NodeId;
use tokio::time::{sleep, timeout};

/// How long to wait before etcd is asked again after it did not answer.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// How long to wait to be told of a change: whoever tells may have been cut off.
const QUIET: Duration = Duration::from_secs(1);
/// Entries that are read at once.
const ENTRIES: u32 = 16;

pub(super) async fn run(shared: Arc<Shared>) {
    let (key, end) = shared.keys.watched();
    loop {
        if let Ok(mut watch) = shared.client.watch(&key, &end).await {
            loop {
                // Looked at before each wait: what changed before the watch began is seen, too.
                if refresh(&shared).await.is_err() || super::snapshot::make_if_due(&shared).await.is_err() {
                    break;
                }
                if let Ok(false) = timeout(QUIET, watch.told()).await {
                    break;
                }
            }
        }
        sleep(PAUSE).await;
    }
}

/// Learns how things stand, and applies what is new.
pub(super) async fn refresh(shared: &Shared) -> Result<(), Failed> {
    let (key, end) = shared.keys.watched();
    let pairs = shared.client.range(&key, &end, 10).await?;
    let value = |name: Vec<u8>| pairs.iter().find(|pair| pair.key == name).map(|pair| pair.value.as_slice());
    let tail = value(shared.keys.tail()).and_then(parse_number).unwrap_or(0);
    let leader = value(shared.keys.leader()).and_then(parse_number).and_then(node);
    let members: MemberList =
        value(shared.keys.members()).and_then(|value| postcard::from_bytes(value).ok()).unwrap_or_default();
    let result = catch_up(shared, tail).await;
    let nodes = |numbers: std::collections::BTreeSet<u32>| {
        numbers.into_iter().filter_map(|number| node(u64::from(number))).collect()
    };
    let applied = shared.head().index;
    let (voters, learners) = (nodes(members.voters), nodes(members.learners));
    shared.status.send_if_modified(|now| {
        let before = now.clone();
        now.leader = leader;
        now.is_leader = leader == Some(shared.node);
        (now.last_log, now.committed, now.applied) = (tail, tail, applied);
        (now.voters, now.learners) = (voters, learners);
        *now != before
    });
    result
}

fn node(number: u64) -> Option<NodeId> {
    u32::try_from(number).ok().and_then(NonZeroU32::new).map(NodeId)
}

async fn catch_up(shared: &Shared, tail: u64) -> Result<(), Failed> {
    while shared.head().index < tail {
        let next = shared.head().index + 1;
        let pairs =
            shared.client.range(&shared.keys.entry(next), &shared.keys.entry(tail + 1), ENTRIES).await?;
        let follows = pairs.first().is_some_and(|pair| pair.key == shared.keys.entry(next));
        if !follows {
            // It is given up already: a snapshot has it.
            super::snapshot::load(shared).await?;
            continue;
        }
        for (index, pair) in (next..).zip(pairs) {
            if pair.key != shared.keys.entry(index) {
                return Err(Failed::NoAnswer);
            }
            let head = shared.head().after(&pair.value);
            let answer = shared.machine().apply(index, &pair.value);
            shared.head.send_replace(head);
            let waiting = shared.waiting().remove(&index);
            if let Some(waiting) = waiting {
                drop(waiting.send(answer));
            }
        }
    }
    Ok(())
}
