//! A node whose ledger is in a real etcd, in this process.
use super::*;
use crate::testing::{World, runtime};
use crate::{Ask, Client, NodeFolder, Plan, Report, Ticket, Told};
use authority::Authority;
use server::Server;
use std::num::NonZeroU32;
use std::time::Duration;
use terachat_cluster::{Fate, ItemName, Refused, Request, Response, TicketFor};
use terachat_host::OsEntropy;
use terachat_shard::Domain;

#[path = "../../../ledger/src/etcd/authority.rs"]
mod authority;
#[path = "../../../ledger/src/etcd/server.rs"]
mod server;

/// Far more than a request takes, and less than a ledger waits for etcd in all.
const PATIENCE: Duration = Duration::from_secs(10);

fn driver(server: &Server) -> Driver {
    Driver::Etcd(Etcd::new("tests".to_owned(), access(server)))
}

fn access(server: &Server) -> EtcdAccess {
    let endpoints = vec![server.endpoint().parse().unwrap()];
    EtcdAccess { endpoints, authority: None, identity: None, credentials: None }
}

fn plan(ledger: Driver) -> Plan {
    Plan {
        listen: "127.0.0.1:0".to_owned(),
        address: None,
        domain: Domain { site: 0, rack: 0, host: 1 },
        weight: NonZeroU32::MIN,
        bucket: None,
        ledger,
    }
}

async fn put(client: &Client, bytes: &[u8]) -> Result<Response, Error> {
    client
        .request(&Request::Put { name: ItemName::of_blob(bytes), bytes: bytes.to_vec(), expires_ms: 0 })
        .await
}

async fn gives(client: &Client, bytes: &[u8]) {
    let got = client.request(&Request::Get(ItemName::of_blob(bytes))).await.unwrap();
    assert_eq!(got, Response::Got(Some(bytes.to_vec())));
}

async fn report(client: &Client, world: &World) -> Report {
    match client.ask_node(&world.contact, &Ask::Status).await.unwrap() {
        Told::Status(report) => *report,
        other => panic!("{other:?}"),
    }
}

/// Writes are refused while etcd is away, by name, and reads of what is known go on; then all does.
#[test]
fn a_node_without_its_etcd_gives_and_takes_nothing() {
    let Some(mut server) = Server::start() else { return };
    runtime().block_on(async {
        let world = World::over(driver(&server), RunOptions::default()).await;
        let client = world.client.connect().await.unwrap().patient(PATIENCE);
        assert_eq!(put(&client, b"one").await.unwrap(), Response::Put(Fate::Added));
        let now = report(&client, &world).await;
        assert!(now.etcd && now.stopped.is_none() && now.leader == Some(world.contact.node), "{now:?}");
        assert!(now.members.iter().all(|member| !member.voter), "{now:?}");

        server.stop();
        let refused = put(&client, b"two").await.unwrap_err();
        assert!(matches!(&refused, Error::Refused(Refused::NoMajority)), "{refused}");
        assert!(refused.to_string().contains("etcd"), "{refused}");
        gives(&client, b"one").await;
        let now = report(&client, &world).await;
        assert!(now.leader.is_none() && now.stopped.is_some_and(|why| why.contains("etcd")));

        server.again();
        let again = world.client.connect().await.unwrap();
        // Known already if a first try was taken and its answer late.
        let fate = put(&again, b"two").await.unwrap();
        assert!(matches!(fate, Response::Put(Fate::Added | Fate::Known)), "{fate:?}");
        gives(&again, b"two").await;
        client.close().await;
        again.close().await;
        world.end().await;
    });
}

/// What was applied here once has to be there; a folder tells, and nothing is begun anew.
#[test]
fn an_etcd_that_was_set_back_or_emptied_is_refused_at_the_start() {
    let Some(mut server) = Server::start() else { return };
    runtime().block_on(async {
        let mut world = World::over(driver(&server), RunOptions::default()).await;
        let client = world.client.connect().await.unwrap();
        server.stop();
        server.back_up("before");
        server.again();
        assert_eq!(put(&client, b"one").await.unwrap(), Response::Put(Fate::Added));
        client.close().await;
        world.stop().await;
        server.stop();
        server.back_up("after");

        server.put_back("before");
        server.again();
        let error = world.start(RunOptions::default()).await.unwrap_err();
        assert!(
            matches!(&error, Error::OlderLedger { why, .. } if why.contains("does not reach")),
            "{error}"
        );

        server.stop();
        server.empty();
        server.again();
        let error = world.start(RunOptions::default()).await.unwrap_err();
        assert!(matches!(&error, Error::NoLedger { cluster, .. } if *cluster == world.cluster), "{error}");

        server.stop();
        server.put_back("after");
        server.again();
        world.start(RunOptions::default()).await.unwrap();
        let client = world.client_again().connect().await.unwrap();
        gives(&client, b"one").await;
        client.close().await;
        world.end().await;
    });
}

/// A newcomer has to be told of the cluster's own etcd, and is told so before its ticket is used up.
#[test]
fn who_joins_names_the_clusters_ledger() {
    let (Some(server), Some(other)) = (Server::start(), Server::start()) else { return };
    runtime().block_on(async {
        let world = World::over(driver(&server), RunOptions::default()).await;
        let operator = world.operator().await;
        let at = driver(&server).ledger();
        let ticket = operator.invite(TicketFor::Node, 60_000, at).await.unwrap();
        let mut number = 0;
        let mut join = async |ledger: Driver, ticket: &Ticket| {
            number += 1;
            let name = format!("joins-{number}");
            let (path, keys) = (world.at(&name), world.keys(&name));
            NodeFolder::join(&path, keys, &plan(ledger), ticket, &mut OsEntropy::new().unwrap()).await
        };
        let refused = join(Driver::Openraft, &ticket).await.map(drop).unwrap_err();
        assert!(matches!(&refused, Error::LedgerInEtcd(prefix) if prefix == "tests"), "{refused}");
        let elsewhere = Driver::Etcd(Etcd::new("elsewhere".to_owned(), access(&server)));
        assert!(matches!(join(elsewhere, &ticket).await.map(drop), Err(Error::LedgerInEtcd(_))));
        assert!(matches!(join(driver(&other), &ticket).await.map(drop), Err(Error::NoLedger { .. })));
        let on_nodes = Ticket { ledger: LedgerAt::Nodes, ..ticket.clone() };
        assert!(matches!(join(driver(&server), &on_nodes).await.map(drop), Err(Error::LedgerOnNodes)));

        let joined = join(driver(&server), &ticket).await.unwrap();
        assert_eq!(joined.names().0, world.cluster);
        let running = joined.run(RunOptions::default()).await.unwrap();
        running.ready().await;
        running.stop().await.unwrap();
        drop(operator);
        world.end().await;
    });
}

/// A cluster's ledger stays where it was founded.
#[test]
fn a_ledger_does_not_move() {
    let Some(server) = Server::start() else { return };
    runtime().block_on(async {
        let mut world = World::new(RunOptions::default()).await;
        world.stop().await;
        let options = RunOptions { etcd: Some(access(&server)), ..RunOptions::default() };
        assert!(matches!(world.start(options).await, Err(Error::LedgerOnNodes)));
        world.start(RunOptions::default()).await.unwrap();
        world.end().await;
    });
}

/// Both ends show certificates; with another authority, or none of one's own, an etcd is refused before a node is made.
#[test]
fn a_node_and_its_etcd_show_each_other_certificates() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("127.0.0.1");
    let ca = authority.certificate();
    let arguments =
        ["--cert-file", &certificate, "--key-file", &key, "--client-cert-auth", "--trusted-ca-file", &ca];
    let Some(server) = Server::start_with("https", &arguments) else { return };
    let secured = EtcdAccess {
        authority: Some(ca.clone()),
        identity: Some(authority.issue("node")),
        ..access(&server)
    };
    let over = |access: EtcdAccess| Etcd::new("tests".to_owned(), access);
    runtime().block_on(async {
        over(secured.clone()).try_out().await.unwrap();
        let stranger = Authority::new();
        let other = Some(stranger.certificate());
        for wrong in [
            EtcdAccess { authority: other, ..secured.clone() },
            EtcdAccess { identity: None, ..secured.clone() },
            access(&server),
        ] {
            let error = over(wrong).try_out().await.unwrap_err();
            assert!(matches!(&error, Error::Etcd { .. }), "{error}");
        }
        let world = World::over(Driver::Etcd(over(secured)), RunOptions::default()).await;
        let client = world.client.connect().await.unwrap();
        assert_eq!(put(&client, b"one").await.unwrap(), Response::Put(Fate::Added));
        gives(&client, b"one").await;
        client.close().await;
        world.end().await;
    });
}
