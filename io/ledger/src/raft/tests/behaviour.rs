use super::*;
use crate::raft::message::{Answer, Refusal, Request, decode, encode};
use crate::raft::types::{Ballot, Id};
use crate::suite::{applied, node, voters, within};
use tokio::time::{Duration, Instant};

/// The aim of the product: writes pause for less than a second when the leader dies.
#[tokio::test(start_paused = true)]
async fn another_leads_within_a_second() {
    for seed in 0..20 {
        let mut nodes = Nodes::new(seed);
        let running = voters(&mut nodes, 3).await;
        let leader = running[&node(1)].ledger.status().leader.unwrap();
        let witness = running.keys().copied().find(|&node| node != leader).unwrap();
        nodes.cut_power(leader);
        let before = Instant::now();
        while running[&witness].ledger.propose(b"after".to_vec()).await.is_err() {}
        let pause = before.elapsed();
        assert!(pause < Duration::from_secs(1), "seed {seed}: {pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn entries_that_come_at_once_share_a_sync() {
    let mut nodes = Nodes::new(1);
    let running = voters(&mut nodes, 3).await;
    let leader = running[&node(1)].ledger.status().leader.unwrap();
    let before = running[&leader].ledger.status().disk;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..400u32 {
        let ledger = Arc::clone(&running[&leader].ledger);
        calls.spawn(async move { ledger.propose(number.to_le_bytes().to_vec()).await.unwrap() });
    }
    within(calls.join_all()).await;
    let after = running[&leader].ledger.status().disk;
    let (entries, syncs) = (after.entries - before.entries, after.syncs - before.syncs);
    assert_eq!(entries, 400);
    assert!(syncs <= 40, "{entries} entries took {syncs} syncs");
}

#[tokio::test(start_paused = true)]
async fn a_remembered_head_tells_a_disk_that_was_put_back() {
    let mut nodes = Nodes::new(1);
    let (ledger, _) = nodes.open(node(1)).await.unwrap();
    ledger.found().await.unwrap();
    assert_eq!(ledger.found().await, Err(OpenError::Founded));
    let mut heads = Vec::new();
    for number in 0..30u8 {
        within(ledger.propose(vec![number])).await.unwrap();
        heads.push(*ledger.head().borrow());
    }
    nodes.cut_power(node(1));
    let (ledger, _) = nodes.open(node(1)).await.unwrap();
    for head in &heads {
        assert_eq!(ledger.remembers(head), Remembered::Yes);
    }
    let last = heads[29];
    assert_eq!(ledger.remembers(&last.after(b"more")), Remembered::Less, "the disk was put back");
    assert_eq!(ledger.remembers(&Head { hash: [1; 32], ..last }), Remembered::Other);
    for number in 0..150u8 {
        within(ledger.propose(vec![number])).await.unwrap();
    }
    let mut status = ledger.watch();
    within(status.wait_for(|now| now.disk.snapshots > 0)).await.unwrap();
    nodes.cut_power(node(1));
    let (ledger, _) = nodes.open(node(1)).await.unwrap();
    assert_eq!(ledger.remembers(&heads[0]), Remembered::Further, "a snapshot has it");
}

/// A request as an honest leader makes it.
fn append() -> Request {
    Request::Append {
        ballot: Ballot { term: 9, node: 2, leads: true },
        previous: None,
        entries: vec![LogEntry { id: Id { term: 9, node: 2, index: 0 }, body: Body::Blank }],
        committed: None,
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_request_is_refused() {
    let mut nodes = Nodes::new(1);
    let (ledger, _) = nodes.open(node(1)).await.unwrap();
    let refused = |answer: Vec<u8>| match decode::<Answer>(&answer).unwrap() {
        Answer::Refused(refusal) => Some(refusal),
        _ => None,
    };
    for bytes in [b"".as_slice(), b"\x01", b"\x02\x00", b"nonsense", &[1; 100], &[0xff; 5000]] {
        assert_eq!(refused(ledger.answer(node(2), bytes).await), Some(Refusal::Form), "{bytes:?}");
    }
    let mut with_more = encode(&append());
    with_more.push(0);
    assert_eq!(refused(ledger.answer(node(2), &with_more).await), Some(Refusal::Form));
    let other = ledger.answer(node(3), &encode(&append())).await;
    assert_eq!(refused(other), Some(Refusal::Sender), "node 3 does not speak for node 2");
    let Request::Append { ballot, entries, .. } = append() else { unreachable!() };
    let previous = Some(Id { term: 9, node: 2, index: 7 });
    let gap = Request::Append { ballot, previous, entries, committed: None };
    assert_eq!(refused(ledger.answer(node(2), &encode(&gap)).await), Some(Refusal::Form), "a gap");
    // Whatever else comes, nothing panics and the node goes on.
    let whole = encode(&append());
    for at in 0..whole.len() {
        for value in 0..=255 {
            let mut bytes = whole.clone();
            bytes[at] = value;
            ledger.answer(node(2), &bytes).await;
        }
    }
    assert_eq!(refused(ledger.answer(node(2), &whole).await), None);
    assert_eq!(ledger.status().stopped, None);
}

/// A batch that reached the log of a leader that was cut off may come yet, so that it must not count as refused.
#[tokio::test(start_paused = true)]
async fn an_entry_that_another_leader_pushed_out_is_unknown() {
    let mut nodes = Nodes::new(3);
    nodes.settings.call_limit = Duration::from_secs(20);
    let running = voters(&mut nodes, 3).await;
    let leader = running[&node(1)].ledger.status().leader.unwrap();
    let witness = running.keys().copied().find(|&node| node != leader).unwrap();
    nodes.lines.isolate(leader);
    let old = Arc::clone(&running[&leader].ledger);
    let cut_off = tokio::spawn(async move { old.propose(b"cut off".to_vec()).await });
    let mut status = running[&witness].ledger.watch();
    within(status.wait_for(|now| now.leader.is_some_and(|other| other != leader))).await.unwrap();
    within(running[&witness].ledger.propose(b"instead".to_vec())).await.unwrap();
    assert!(!cut_off.is_finished());
    nodes.lines.rejoin(leader);
    assert_eq!(within(cut_off).await.unwrap(), Err(ProposeError::Unknown));
    applied(&running[&leader], 1).await;
    assert_eq!(running[&leader].tally.now().entries, [b"instead".to_vec()]);
}
