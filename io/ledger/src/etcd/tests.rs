mod history;
mod members;
mod secured;

use super::server::Server;
use super::*;
use crate::suite::{self, Cluster, Node, Tally};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

fn access(port: u16) -> Access {
    Access::plain(vec![format!("http://127.0.0.1:{port}").parse().unwrap()])
}

fn port(server: &Server) -> u16 {
    server.endpoint().rsplit_once(':').unwrap().1.parse().unwrap()
}

/// A way to etcd that can be cut.
struct Way {
    port: u16,
    open: watch::Sender<bool>,
}

impl Way {
    async fn new(etcd: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = watch::Sender::new(true);
        let is_open = open.subscribe();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut is_open = is_open.clone();
                if !*is_open.borrow() {
                    continue;
                }
                tokio::spawn(async move {
                    // It takes its time to start.
                    let Ok(mut etcd) = TcpStream::connect(("127.0.0.1", etcd)).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut stream, &mut etcd) => {}
                        _ = is_open.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Self { port, open }
    }
}

struct Nodes {
    etcd: u16,
    prefix: String,
    ways: BTreeMap<NodeId, Way>,
    running: BTreeMap<NodeId, Arc<EtcdLedger>>,
}

impl Cluster for Nodes {
    fn start(&mut self, node: NodeId) -> Call<'_, Node> {
        Box::pin(async move {
            if !self.ways.contains_key(&node) {
                self.ways.insert(node, Way::new(self.etcd).await);
            }
            let settings = EtcdSettings {
                snapshot_entries: 100,
                kept_entries: 10,
                call_limit: Duration::from_secs(3),
                ..EtcdSettings::new(access(self.ways[&node].port), self.prefix.clone())
            };
            let tally = Tally::default();
            let ledger = Arc::new(EtcdLedger::open(node, tally.clone(), settings).await.unwrap());
            if self.running.is_empty() && !ledger.is_founded().await.unwrap() {
                ledger.found().await.unwrap();
            }
            self.running.insert(node, Arc::clone(&ledger));
            Node { ledger, tally }
        })
    }

    fn kill(&mut self, node: NodeId) -> Call<'_, ()> {
        Box::pin(async move {
            if let Some(ledger) = self.running.remove(&node) {
                ledger.shutdown().await;
            }
        })
    }

    fn isolate(&mut self, node: NodeId) {
        self.ways[&node].open.send_replace(false);
    }

    fn rejoin(&mut self, node: NodeId) {
        self.ways[&node].open.send_replace(true);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms() {
    let Some(server) = Server::start() else { return };
    let mut number = 0;
    suite::conforms(&mut || {
        number += 1;
        Nodes {
            etcd: port(&server),
            prefix: format!("test/{number}/"),
            ways: BTreeMap::new(),
            running: BTreeMap::new(),
        }
    })
    .await;
}
