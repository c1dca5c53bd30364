//! A cluster of one node in this process, for tests.
use crate::{
    Client, ClientFolder, Contact, Driver, Error, Keys, NodeFolder, Plan, RunOptions, Running, Ticket,
    contact_of,
};
use std::fmt::Write as _;
use std::io::Write as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;
use terachat_cluster::wire::LedgerAt;
use terachat_cluster::{ClusterId, NodeKey, TicketFor};
use terachat_event::DeviceKey;
use terachat_host::{KeyFile, OsEntropy};
use terachat_shard::Domain;
use tokio::runtime::{Builder, Runtime};

/// What no test comes near.
const LIMIT: Duration = Duration::from_secs(300);

/// A runtime for one test, which ends the process if it is not let go in time. A timer of its own would stand still with it.
pub(crate) struct Bounded {
    runtime: Option<Runtime>,
    _let_go: Sender<()>,
}

impl Bounded {
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.as_ref().unwrap().block_on(future)
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        // It waits for its threads, and is watched until it is gone.
        drop(self.runtime.take());
    }
}

pub(crate) fn runtime() -> Bounded {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (let_go, watched) = channel::<()>();
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    std::thread::spawn(move || {
        if watched.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            // Not by a macro, of whose words the test's captor would let nobody know.
            let why = format!("{test} does not end; this process's threads:\n{}", threads());
            let _ = std::io::stderr().write_all(why.as_bytes());
            std::process::abort();
        }
    });
    Bounded { runtime: Some(runtime), _let_go: let_go }
}

/// What each thread of this process does: its name, whether it runs or where in the system it waits, and its processor time.
fn threads() -> String {
    let mut told = String::new();
    for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let read = |file: &str| std::fs::read_to_string(thread.path().join(file)).unwrap_or_default();
        let (stat, waits) = (read("stat"), read("wchan"));
        // Behind the name: the state, and as the 12th and 13th the time in user and kernel mode.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let field = |at: usize| fields.get(at).copied().unwrap_or_default();
        let _ = writeln!(
            told,
            "{:20} {} {waits:24} user {} system {}",
            read("comm").trim(),
            field(0),
            field(11),
            field(12)
        );
    }
    told
}

fn keys(path: &Path, label: &str) -> Keys {
    let mut entropy = OsEntropy::new().unwrap();
    let mut keys = Keys::draw(label, &mut entropy);
    let mut source = KeyFile::create(path, keys.owner(), &mut entropy).unwrap();
    keys.guard(&mut source, &mut entropy).unwrap();
    keys
}

/// The keys of a folder, beside which the file is that guards them.
fn own_keys(folder: &Path) -> Keys {
    let owner = Keys::owner_in(folder).unwrap().unwrap();
    let mut source = KeyFile::open(&folder.with_extension("key"), owner).unwrap();
    Keys::open_unguarded(folder, &mut source).unwrap()
}

/// A client with a ticket of this operator's, and keys beside its folder.
async fn newcomer(path: &Path, operator: &Client, ledger: LedgerAt) -> ClientFolder {
    let ticket: Ticket = operator.invite(TicketFor::Client, 60_000, ledger).await.unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let keys = keys(&path.with_extension("key"), name);
    ClientFolder::join(path, keys, &ticket, &mut OsEntropy::new().unwrap()).await.unwrap()
}

pub(crate) struct World {
    folder: tempfile::TempDir,
    node: Option<Running>,
    pub(crate) client: ClientFolder,
    pub(crate) cluster: ClusterId,
    pub(crate) contact: Contact,
}

impl World {
    /// One node, and a client that is admitted.
    pub(crate) async fn new(options: RunOptions) -> Self {
        Self::over(Driver::Openraft, options).await
    }

    /// The same with another ledger.
    pub(crate) async fn over(ledger: Driver, options: RunOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let plan = Plan {
            listen: "127.0.0.1:0".to_owned(),
            address: None,
            domain: Domain { site: 0, rack: 0, host: 0 },
            weight: NonZeroU32::MIN,
            bucket: None,
            ledger,
        };
        let mut entropy = OsEntropy::new().unwrap();
        let made =
            NodeFolder::found(&at("node"), keys(&at("node.key"), "node"), &plan, &mut entropy).unwrap();
        let seed = made.keys.seed().duplicate_secret();
        let node = made.run(options).await.unwrap();
        node.ready().await;
        let own = own_keys(&at("node"));
        let (cluster, contact) = contact_of(&at("node"), &own).unwrap();
        assert_eq!(contact.key, NodeKey(DeviceKey::from_seed(&seed).id().0));
        let operator = Client::operator(cluster, contact.clone(), &own).await.unwrap();
        let client = newcomer(&at("client"), &operator, plan.ledger.ledger()).await;
        operator.close().await;
        Self { folder, node: Some(node), client, cluster, contact }
    }

    /// A further client, admitted, of a cluster whose nodes have the ledger.
    pub(crate) async fn another_client(&self, name: &str) -> ClientFolder {
        let operator = self.operator().await;
        newcomer(&self.at(name), &operator, LedgerAt::Nodes).await
    }

    /// The client's folder once more, as another command would open it.
    pub(crate) fn client_again(&self) -> ClientFolder {
        let path = self.folder.path().join("client");
        ClientFolder::open(&path, own_keys(&path)).unwrap()
    }

    /// Whoever holds the node's keys.
    pub(crate) async fn operator(&self) -> Arc<Client> {
        let own = own_keys(&self.folder.path().join("node"));
        Arc::new(Client::operator(self.cluster, self.contact.clone(), &own).await.unwrap())
    }

    /// A place beside the node's.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Fresh keys, guarded by a file beside this folder.
    pub(crate) fn keys(&self, name: &str) -> Keys {
        keys(&self.at(name).with_extension("key"), name)
    }

    /// Stops the node.
    pub(crate) async fn stop(&mut self) {
        self.node.take().unwrap().stop().await.unwrap();
    }

    /// Starts it again, and waits until it is ready.
    pub(crate) async fn start(&mut self, options: RunOptions) -> Result<(), Error> {
        let path = self.at("node");
        let node = NodeFolder::open(&path, own_keys(&path))?.run(options).await?;
        node.ready().await;
        self.node = Some(node);
        Ok(())
    }

    pub(crate) async fn end(mut self) {
        self.stop().await;
        drop(self.folder);
    }
}
