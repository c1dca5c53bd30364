//! An etcd that is away, set back, emptied, or goes on without this node: noticed, and never built upon.
use super::*;
use crate::suite::{applied, node, within};

fn settings(server: &Server) -> EtcdSettings {
    EtcdSettings {
        leader_seconds: 2,
        call_limit: Duration::from_secs(3),
        ..EtcdSettings::new(access(port(server)), "test/".to_owned())
    }
}

async fn open(server: &Server, number: u32) -> (EtcdLedger, Tally) {
    let tally = Tally::default();
    let ledger = EtcdLedger::open(node(number), tally.clone(), settings(server)).await.unwrap();
    (ledger, tally)
}

/// A ledger with entries 1 to `count`, of one byte each.
async fn founded(server: &Server, count: u8) -> (EtcdLedger, Tally) {
    let (ledger, tally) = open(server, 1).await;
    assert!(!within(ledger.is_founded()).await.unwrap());
    within(ledger.found()).await.unwrap();
    assert_eq!(within(ledger.found()).await, Err(FoundError::Founded));
    for number in 1..=count {
        within(ledger.propose(vec![number])).await.unwrap();
    }
    (ledger, tally)
}

async fn troubled(ledger: &EtcdLedger, why: &str) {
    let mut status = ledger.watch();
    let says = |now: &Status| now.trouble.as_ref().is_some_and(|trouble| trouble.contains(why));
    let now = within(status.wait_for(|now| says(now) && now.leader.is_none())).await.unwrap().clone();
    assert_eq!((now.is_leader, now.stopped), (false, None), "it goes on trying");
    let refused = within(ledger.propose(b"refused".to_vec())).await.unwrap_err();
    assert!(refused.not_taken(), "{refused}");
    within(ledger.read_barrier()).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_is_away_nothing_is_taken_and_then_all_goes_on() {
    let Some(mut server) = Server::start() else { return };
    let (ledger, tally) = founded(&server, 3).await;
    within(ledger.watch().wait_for(|now| now.is_leader)).await.unwrap();
    server.stop();
    troubled(&ledger, "etcd does not answer").await;
    assert_eq!(tally.now().entries.len(), 3, "what is here is here");
    // A node that starts meanwhile waits, and says so.
    let (second, seconds) = open(&server, 2).await;
    troubled(&second, "etcd does not answer").await;
    server.again();
    for (ledger, entry) in [(&ledger, b"four"), (&second, b"five")] {
        within(ledger.watch().wait_for(|now| now.trouble.is_none() && now.leader.is_some())).await.unwrap();
        within(ledger.propose(entry.to_vec())).await.unwrap();
    }
    within(second.read_barrier()).await.unwrap();
    within(ledger.read_barrier()).await.unwrap();
    assert_eq!(tally.now().entries, seconds.now().entries);
    assert_eq!(tally.now().entries.len(), 5);
}

/// Who leads when the leader hands over, and when it dies, is another; the later one has the higher term.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_leads_when_the_leader_ends() {
    let Some(server) = Server::start() else { return };
    let (first, _) = founded(&server, 1).await;
    let (second, _) = open(&server, 2).await;
    let term = within(second.watch().wait_for(|now| now.leader == Some(node(1)))).await.unwrap().term;
    within(first.shutdown()).await;
    let status = within(second.watch().wait_for(|now| now.is_leader)).await.unwrap().clone();
    assert!(status.term > term);
    // Without a word: its lease runs out.
    let (third, _) = open(&server, 3).await;
    second.tasks.lock().unwrap().abort_all();
    within(third.watch().wait_for(|now| now.is_leader && now.term > status.term)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_set_back_is_not_built_upon() {
    let Some(mut server) = Server::start() else { return };
    let (ledger, tally) = founded(&server, 5).await;
    let five = *ledger.head().borrow();
    server.stop();
    server.back_up("five");
    server.again();
    for number in 6..=9 {
        loop {
            match within(ledger.propose(vec![number])).await {
                Ok(_) => break,
                Err(error) => assert!(error.not_taken(), "{error}"),
            }
        }
    }
    let nine = *ledger.head().borrow();
    server.stop();
    server.back_up("nine");
    server.put_back("five");
    server.again();
    troubled(&ledger, "it has 5 entries of the 9").await;

    // Whoever comes anew knows what it has to find.
    let (fresh, _) = open(&server, 2).await;
    assert_eq!(within(fresh.remembers(nine)).await, Ok(Remembered::Less));
    assert_eq!(within(fresh.remembers(five)).await, Ok(Remembered::Yes));
    assert_eq!(within(fresh.remembers(Head { hash: [7; 32], ..five })).await, Ok(Remembered::Other));
    assert_eq!(within(fresh.remembers(Head::START)).await, Ok(Remembered::Yes));

    // Others go on with it: that is another history, and nothing of it is applied where the first one was.
    for number in 100..106 {
        within(fresh.propose(vec![number])).await.unwrap();
    }
    assert_eq!(within(fresh.remembers(nine)).await, Ok(Remembered::Other));
    troubled(&ledger, "another history").await;
    assert_eq!(tally.now().entries, (1..=9).map(|number| vec![number]).collect::<Vec<_>>());
    fresh.shutdown().await;

    // With nothing at all in it.
    server.stop();
    server.empty();
    server.again();
    troubled(&ledger, "nothing of the 9 entries").await;
    let (fresh, _) = open(&server, 2).await;
    assert!(!within(fresh.is_founded()).await.unwrap());
    assert_eq!(within(fresh.remembers(nine)).await, Ok(Remembered::Less));
    fresh.shutdown().await;

    // The newest data are back.
    server.stop();
    server.put_back("nine");
    server.again();
    within(ledger.watch().wait_for(|now| now.trouble.is_none() && now.leader.is_some())).await.unwrap();
    assert_eq!(within(ledger.propose(b"ten".to_vec())).await.unwrap().index, 10);
    assert_eq!(within(ledger.remembers(nine)).await, Ok(Remembered::Yes));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_snapshot_has_is_further_than_what_is_remembered() {
    let Some(server) = Server::start() else { return };
    let small = EtcdSettings { snapshot_entries: 20, kept_entries: 5, ..settings(&server) };
    let tally = Tally::default();
    let ledger = EtcdLedger::open(node(1), tally.clone(), small).await.unwrap();
    within(ledger.found()).await.unwrap();
    within(ledger.watch().wait_for(|now| now.is_leader)).await.unwrap();
    let mut heads = Vec::new();
    for number in 0..60u8 {
        within(ledger.propose(vec![number])).await.unwrap();
        heads.push(*ledger.head().borrow());
    }
    let (fresh, seconds) = open(&server, 2).await;
    within(async {
        while seconds.now().restored == 0 {
            // One that came before the first snapshot has all entries.
            let (again, tally) = open(&server, 2).await;
            again.shutdown().await;
            if tally.now().restored > 0 {
                break;
            }
        }
    })
    .await;
    assert_eq!(within(fresh.remembers(heads[0])).await, Ok(Remembered::Further));
    assert_eq!(within(fresh.remembers(heads[59])).await, Ok(Remembered::Yes));
    assert_eq!(within(fresh.remembers(heads[59].after(b"more"))).await, Ok(Remembered::Less));
    assert_eq!(applied(&Node { ledger: Arc::new(fresh), tally: seconds }, 60).await, heads[59]);
}
