use super::*;
use crate::raft::message::tests::requests;
use crate::raft::message::{Answer, Refusal, Request, decode, encode};
use crate::raft::types::{Ballot, Id};
use crate::suite::{applied, node, voters, within};
use std::collections::BTreeSet;
use tokio::time::{Duration, Instant};

/// The aim of the product: writes pause for less than a second when the leader dies, or is cut off and nobody is told.
#[tokio::test(start_paused = true)]
async fn another_leads_within_a_second() {
    for (seed, is_cut_off) in (0..20).flat_map(|seed| [(seed, false), (seed, true)]) {
        let mut nodes = Nodes::new(seed);
        // As in the product.
        (nodes.settings.heartbeat_ms, nodes.settings.election_ms) = (100, 700);
        let running = voters(&mut nodes, 5).await;
        let leader = running[&node(1)].ledger.status().leader.unwrap();
        let witness = running.keys().copied().find(|&node| node != leader).unwrap();
        match is_cut_off {
            true => nodes.lines.isolate(leader),
            false => nodes.cut_power(leader),
        }
        let before = Instant::now();
        while running[&witness].ledger.propose(b"after".to_vec()).await.is_err() {}
        let pause = before.elapsed();
        let most = Duration::from_millis(if is_cut_off { 800 } else { 500 });
        assert!(pause < most, "seed {seed}, cut off {is_cut_off}: {pause:?}");
    }
}

/// One that is so far away that no vote comes back to it in time must not keep the others from choosing.
#[tokio::test(start_paused = true)]
async fn who_is_far_away_keeps_nobody_from_leading() {
    let mut chosen = 0;
    for seed in 0..20 {
        let mut nodes = Nodes::new(seed);
        (nodes.settings.heartbeat_ms, nodes.settings.election_ms) = (100, 700);
        let running = voters(&mut nodes, 5).await;
        let leader = running[&node(1)].ledger.status().leader.unwrap();
        // The lowest number, to which others give way.
        let far = running.keys().copied().find(|&node| node != leader).unwrap();
        let witness = running.keys().copied().rfind(|&node| node != leader).unwrap();
        nodes.lines.set_far(far, Duration::from_millis(180));
        tokio::time::sleep(Duration::from_secs(2)).await;
        nodes.cut_power(leader);
        let before = Instant::now();
        while running[&witness].ledger.propose(b"after".to_vec()).await.is_err() {}
        let pause = before.elapsed();
        assert!(pause < Duration::from_secs(3), "seed {seed}: {pause:?}");
        chosen += u32::from(running[&witness].ledger.status().leader != Some(far));
    }
    assert_eq!(chosen, 20);
}

/// A leader that comes to be far from all others: it takes entries, and tells readers how far they are.
#[tokio::test(start_paused = true)]
async fn a_leader_far_away_takes_entries_and_serves_readers() {
    let mut nodes = Nodes::new(1);
    (nodes.settings.heartbeat_ms, nodes.settings.election_ms) = (100, 700);
    let running = voters(&mut nodes, 5).await;
    let before = running[&node(1)].ledger.status();
    let leader = before.leader.unwrap();
    nodes.lines.set_far(leader, Duration::from_millis(150));
    for index in 1..=20 {
        let asked = node(1 + index as u32 % 5);
        let began = Instant::now();
        let committed = running[&asked].ledger.propose(b"far".to_vec()).await.unwrap();
        assert_eq!(committed.index, index);
        running[&asked].ledger.read_barrier().await.unwrap();
        assert!(running[&asked].ledger.head().borrow().index >= index);
        // There and back four times: the entry, who leads, that it is committed, and that the leader still leads.
        assert!(began.elapsed() < Duration::from_millis(1_900), "{:?}", began.elapsed());
    }
    let now = running[&node(1)].ledger.status();
    assert_eq!((now.leader, now.term), (before.leader, before.term));
}

/// Without a pre-vote it would come back with a higher term, and the leader would have to go.
#[tokio::test(start_paused = true)]
async fn who_was_away_votes_nobody_out() {
    let mut nodes = Nodes::new(1);
    let running = voters(&mut nodes, 3).await;
    let before = running[&node(1)].ledger.status();
    let leader = before.leader.unwrap();
    let away = running.keys().copied().find(|&node| node != leader).unwrap();
    nodes.lines.isolate(away);
    within(running[&leader].ledger.propose(b"meanwhile".to_vec())).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    nodes.lines.rejoin(away);
    within(applied(&running[&away], 1)).await;
    within(running[&away].ledger.propose(b"back".to_vec())).await.unwrap();
    // The same for one that hears everybody but the leader.
    nodes.lines.cut(leader, away);
    tokio::time::sleep(Duration::from_secs(10)).await;
    nodes.lines.mend();
    within(running[&away].ledger.propose(b"back again".to_vec())).await.unwrap();
    for node in running.values() {
        let now = node.ledger.status();
        assert_eq!((now.leader, now.term), (Some(leader), before.term));
    }
}

#[tokio::test(start_paused = true)]
async fn a_vote_is_promised_only_without_a_leader_and_to_one_that_has_all() {
    let mut nodes = Nodes::new(1);
    let mut raw = BTreeMap::new();
    for number in 1..=3 {
        let (ledger, _) = nodes.open(node(number)).await.unwrap();
        if number == 1 {
            ledger.found().await.unwrap();
        }
        raw.insert(number, ledger);
    }
    let all: BTreeSet<NodeId> = (1..=3).map(node).collect();
    within(raw[&1].set_members(all, BTreeSet::new())).await.unwrap();
    within(raw[&1].propose(b"one".to_vec())).await.unwrap();
    let leader = raw[&1].status().leader.unwrap().0.get();
    let [voter, other] = [1, 2, 3].into_iter().filter(|&number| number != leader).collect::<Vec<_>>()[..]
    else {
        panic!("two do not lead")
    };
    let last = raw[&leader].elections.last();
    within(raw[&voter].watch().wait_for(|now| now.last_log == last.unwrap().index)).await.unwrap();
    let asks = async |of: u32, candidate: u32, last| {
        let answer = raw[&of].answer(node(candidate), &encode(&Request::PreVote { last })).await;
        decode::<Answer>(&answer) == Some(Answer::PreVote { granted: true })
    };
    assert!(!asks(voter, other, last).await, "it hears the leader");
    assert!(!asks(leader, other, last).await, "it leads");
    // Nobody but the test stands for election now.
    nodes.lines.isolate(node(other));
    nodes.cut_power(node(leader));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let shorter = last.map(|id| Id { index: id.index - 1, ..id });
    assert!(!asks(voter, other, shorter).await, "its log is longer");
    assert!(!asks(voter, other, None).await);
    // It stands itself all the time; who has a lower number is given way to.
    let low = voter.min(other);
    within(async {
        while !asks(voter, low, last).await {
            tokio::time::sleep(Duration::from_millis(10)).await
        }
    })
    .await;
    assert!(asks(voter, low, last).await, "the same again");
    assert!(!asks(voter, 9, last).await, "it is promised to another");
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
    assert_eq!(ledger.found().await, Err(FoundError::Founded));
    let mut heads = Vec::new();
    for number in 0..30u8 {
        within(ledger.propose(vec![number])).await.unwrap();
        heads.push(*ledger.head().borrow());
    }
    nodes.cut_power(node(1));
    let (ledger, _) = nodes.open(node(1)).await.unwrap();
    for head in &heads {
        assert_eq!(ledger.remembers(*head).await, Ok(Remembered::Yes));
    }
    let last = heads[29];
    assert_eq!(ledger.remembers(last.after(b"more")).await, Ok(Remembered::Less), "the disk was put back");
    assert_eq!(ledger.remembers(Head { hash: [1; 32], ..last }).await, Ok(Remembered::Other));
    for number in 0..150u8 {
        within(ledger.propose(vec![number])).await.unwrap();
    }
    let mut status = ledger.watch();
    within(status.wait_for(|now| now.disk.snapshots > 0)).await.unwrap();
    nodes.cut_power(node(1));
    let (ledger, _) = nodes.open(node(1)).await.unwrap();
    assert_eq!(ledger.remembers(heads[0]).await, Ok(Remembered::Further), "a snapshot has it");
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

/// Everything that a peer may send, changed in every place: nothing panics, everything is answered, and the node goes on. But for a
/// whole snapshot that is none: who leads is trusted with that, and a node that cannot read it stops rather than go on without.
#[tokio::test(start_paused = true)]
async fn no_request_of_any_kind_stops_a_node() {
    let mut nodes = Nodes::new(1);
    let (ledger, _) = nodes.open(node(1)).await.unwrap();
    for request in requests() {
        let whole = encode(&request);
        for at in 0..whole.len() {
            for change in [1, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                if matches!(decode(&bytes), Some(Request::Snapshot { done: true, .. })) {
                    continue;
                }
                let answer = ledger.answer(node(2), &bytes).await;
                assert!(decode::<Answer>(&answer).is_some(), "{request:?}, byte {at}");
            }
        }
    }
    assert_eq!(ledger.status().stopped, None);
}

/// openraft would fill the gap with zeros: memory for as many bytes as the peer says.
#[tokio::test(start_paused = true)]
async fn a_part_of_a_snapshot_that_leaves_a_gap_is_refused() {
    let mut nodes = Nodes::new(1);
    let (ledger, _) = nodes.open(node(1)).await.unwrap();
    let part = |at: u64| {
        let mut request = requests().swap_remove(2);
        let Request::Snapshot { offset, .. } = &mut request else { panic!("the third is a snapshot") };
        *offset = at;
        encode(&request)
    };
    let takes = async |at: u64| match decode::<Answer>(&ledger.answer(node(2), &part(at)).await) {
        Some(Answer::Snapshot { .. }) => true,
        Some(Answer::SnapshotMismatch) => false,
        other => panic!("{other:?} is no answer to a snapshot"),
    };
    assert!(!takes(1 << 20).await, "nothing has come yet");
    assert!(takes(0).await && takes(20).await);
    assert!(!takes(41).await && !takes(1 << 20).await && !takes(u64::MAX).await, "a gap");
    assert!(takes(0).await && takes(40).await, "what comes again, and what follows");
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
