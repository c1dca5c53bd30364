//! A leader that is cut off from etcd, and an etcd of three members of which each is killed once.
use super::*;
use crate::suite::{applied, node, within};

/// An etcd of three. Each is up when most are, so they are started side by side.
fn three() -> Option<Vec<Server>> {
    let held = [(); 3].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let peers = held.map(|held| format!("http://{}", held.local_addr().unwrap()));
    let names = ["one", "two", "three"];
    let all = names.iter().zip(&peers).map(|(name, peer)| format!("{name}={peer}")).collect::<Vec<_>>();
    let all = all.join(",");
    std::thread::scope(|scope| {
        let start = |(name, peer): (&'static str, &String)| {
            let (all, peer) = (all.clone(), peer.clone());
            scope.spawn(move || {
                let peer = ["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer];
                let member = ["--name", name, "--initial-cluster", &all];
                // Of an argument that is there twice etcd takes the later one.
                Server::start_with("http", &[member, peer].concat())
            })
        };
        let starting: Vec<_> = names.into_iter().zip(&peers).map(start).collect();
        starting.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_member_of_three_is_killed_and_all_goes_on() {
    let Some(mut servers) = three() else { return };
    let endpoints = servers.iter().map(|server| server.endpoint().parse().unwrap()).collect();
    let settings = EtcdSettings::new(Access::plain(endpoints), "test/".to_owned());
    let (first, second) = (Tally::default(), Tally::default());
    let open = async |number: u32, tally: &Tally| {
        within(EtcdLedger::open(node(number), tally.clone(), settings.clone())).await.unwrap()
    };
    let mut ledgers = vec![open(1, &first).await];
    within(ledgers[0].found()).await.unwrap();
    ledgers.push(open(2, &second).await);
    let mut acknowledged = Vec::new();
    for (victim, server) in servers.iter_mut().enumerate() {
        server.stop();
        for number in 0..10u8 {
            for (at, ledger) in ledgers.iter().enumerate() {
                let entry = vec![victim as u8, at as u8, number];
                loop {
                    match within(ledger.propose(entry.clone())).await {
                        Ok(committed) => break acknowledged.push((committed.index, entry)),
                        // One that is not known to be there may be there twice then, and both are in the order.
                        Err(ProposeError::NoLeader | ProposeError::Unknown) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }
        server.again();
    }
    for ledger in &ledgers {
        within(ledger.read_barrier()).await.unwrap();
    }
    let (first, second) = (first.now().entries.clone(), second.now().entries.clone());
    assert_eq!(first, second);
    assert_eq!(acknowledged.len(), 60);
    for (index, entry) in acknowledged {
        assert_eq!(first[usize::try_from(index).unwrap() - 1], entry);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_leads_no_more_and_follows_again() {
    let Some(server) = Server::start() else { return };
    let (ways, running) = (BTreeMap::new(), BTreeMap::new());
    let mut nodes = Nodes { etcd: port(&server), prefix: "test/".to_owned(), ways, running };
    let first = within(nodes.start(node(1))).await;
    let second = within(nodes.start(node(2))).await;
    within(first.ledger.propose(b"before".to_vec())).await.unwrap();
    let term = within(second.ledger.watch().wait_for(|now| now.leader == Some(node(1)))).await.unwrap().term;
    nodes.isolate(node(1));
    within(second.ledger.watch().wait_for(|now| now.is_leader && now.term > term)).await.unwrap();
    within(first.ledger.watch().wait_for(|now| now.leader.is_none() && !now.is_leader)).await.unwrap();
    let refused = within(first.ledger.propose(b"alone".to_vec())).await;
    assert!(matches!(refused, Err(ProposeError::NoLeader | ProposeError::Unknown)), "{refused:?}");
    within(first.ledger.read_barrier()).await.expect_err("what is read may be old");
    let index = within(second.ledger.propose(b"meanwhile".to_vec())).await.unwrap().index;
    nodes.rejoin(node(1));
    within(first.ledger.watch().wait_for(|now| now.leader == Some(node(2)) && now.trouble.is_none()))
        .await
        .unwrap();
    applied(&first, index).await;
    within(first.ledger.propose(b"after".to_vec())).await.unwrap();
    within(second.ledger.read_barrier()).await.unwrap();
    assert_eq!(first.tally.now().entries, second.tally.now().entries);
}
