use super::*;
use crate::suite::{self, Cluster, Node, Tally};
use std::process::{Child, Command, Stdio};
use tokio::net::{TcpListener, TcpStream};

/// A real etcd on loopback, in a folder of its own; ended with it.
struct Etcd {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Etcd {
    /// `None` where there is no etcd.
    fn start() -> Option<Self> {
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (port, peer_port) = (free(), free());
        let (url, peer_url) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer_port}"));
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new("etcd")
            .args(["--name", "test", "--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url])
            .args(["--initial-cluster", &format!("test={peer_url}")])
            .arg("--data-dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match child {
            Ok(child) => Some(Self { child, port, _folder: folder }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => panic!("etcd does not start: {error}"),
        }
    }
}

impl Etcd {
    /// Waits until it answers.
    async fn ready(&self) {
        let client = Client::new(access(self.port), Duration::from_secs(2));
        suite::within(async {
            while client.range(b"key", b"", 1).await.is_err() {
                tokio::time::sleep(follow::PAUSE).await;
            }
        })
        .await;
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn access(port: u16) -> Access {
    Access::plain(vec![format!("http://127.0.0.1:{port}").parse().unwrap()])
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
    etcd: Arc<Etcd>,
    prefix: String,
    ways: BTreeMap<NodeId, Way>,
    running: BTreeMap<NodeId, Arc<EtcdLedger>>,
}

impl Cluster for Nodes {
    fn start(&mut self, node: NodeId) -> Call<'_, Node> {
        Box::pin(async move {
            if !self.ways.contains_key(&node) {
                self.ways.insert(node, Way::new(self.etcd.port).await);
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
    let Some(etcd) = Etcd::start().map(Arc::new) else {
        println!("SKIPPED: there is no etcd on this machine, so that its driver was not tested");
        return;
    };
    etcd.ready().await;
    let mut number = 0;
    suite::conforms(&mut || {
        number += 1;
        Nodes {
            etcd: Arc::clone(&etcd),
            prefix: format!("test/{number}/"),
            ways: BTreeMap::new(),
            running: BTreeMap::new(),
        }
    })
    .await;
}
