//! What was sent once and comes again: a request twice, or one of long ago.
use super::*;
use crate::raft::message::{Answer, Refusal, Request, decode};
use crate::suite::{applied, node, voters, within};

/// What a request could change, node by node: who leads, what is voted, in the log, on the disk and applied.
fn seen(running: &BTreeMap<NodeId, Node>) -> Vec<(Status, Head, Vec<Vec<u8>>)> {
    let of = |node: &Node| {
        let mut status = node.ledger.status();
        // Heartbeats go on: how many syncs there were, and when somebody answered, is no news.
        (status.disk.syncs, status.quorum_ack_ms) = (0, None);
        (status, *node.ledger.head().borrow(), node.tally.now().entries.clone())
    };
    running.values().map(of).collect()
}

/// Three leaders have written, a node was cut off, another came late and was sent a snapshot: all that they said to each other by then
/// is said again, forwards, backwards and twice, and changes nothing.
#[tokio::test(start_paused = true)]
async fn what_is_sent_again_changes_nothing() {
    for seed in 0..6 {
        let mut nodes = Nodes::new(seed);
        nodes.lines.record();
        let mut running = voters(&mut nodes, 3).await;
        let mut entries = 0;
        for round in 0..3u8 {
            let leader = running[&node(1)].ledger.status().leader.unwrap();
            for number in 0..120u8 {
                within(running[&leader].ledger.propose([round, number].repeat(60))).await.unwrap();
                entries += 1;
            }
            // Somebody else leads from here on.
            nodes.lines.isolate(leader);
            let witness = running.keys().copied().find(|&node| node != leader).unwrap();
            let mut status = running[&witness].ledger.watch();
            within(status.wait_for(|now| now.leader.is_some_and(|other| other != leader))).await.unwrap();
            within(running[&witness].ledger.propose(vec![round])).await.unwrap();
            entries += 1;
            nodes.lines.rejoin(leader);
            for node in running.values() {
                within(applied(node, entries)).await;
            }
        }
        let late = nodes.start(node(4)).await;
        let all = (1..=3).map(node).collect();
        let leader = running[&node(1)].ledger.status().leader.unwrap();
        within(running[&leader].ledger.set_members(all, [node(4)].into())).await.unwrap();
        within(applied(&late, entries)).await;
        running.insert(node(4), late);
        // Until nobody has anything to say but that he is there.
        tokio::time::sleep(tokio::time::Duration::from_secs(5)).await;

        let said: Vec<(NodeId, NodeId, Vec<u8>)> = nodes.lines.recorded();
        let kind = |bytes: &[u8]| match decode::<Request>(bytes) {
            Some(Request::Append { entries, .. }) if !entries.is_empty() => "entries",
            Some(Request::Append { .. }) => "heartbeat",
            Some(Request::Vote { .. }) => "vote",
            Some(Request::PreVote { .. }) => "pre-vote",
            Some(Request::Snapshot { .. }) => "snapshot",
            // Whoever asks for these again wants them again.
            _ => "other",
        };
        for needed in ["entries", "heartbeat", "vote", "pre-vote", "snapshot"] {
            assert!(said.iter().any(|(_, _, bytes)| kind(bytes) == needed), "seed {seed} has no {needed}");
        }
        let before = seen(&running);
        let said: Vec<_> = said.into_iter().filter(|(_, _, bytes)| kind(bytes) != "other").collect();
        let backwards = said.iter().rev();
        let twice = said.iter().flat_map(|one| [one, one]);
        for (from, to, bytes) in said.iter().chain(backwards).chain(twice) {
            let answer = nodes.lines.hand(*from, *to, bytes).await;
            let answer = decode::<Answer>(&answer).expect("an answer");
            assert!(!matches!(answer, Answer::Refused(Refusal::Stopped)), "{} stops it", kind(bytes));
            if let Answer::Vote { granted, .. } = answer {
                assert!(!granted, "seed {seed}: a vote of before is given again");
            }
        }
        assert_eq!(seen(&running), before, "seed {seed}");
        // And they go on as before.
        within(running[&leader].ledger.propose(b"after".to_vec())).await.unwrap();
        for node in running.values() {
            within(applied(node, entries + 1)).await;
            assert_eq!(node.tally.now().entries.last().map(Vec::as_slice), Some(&b"after"[..]));
        }
    }
}
