//! Our own nodes, as `terachat cluster up` starts them, and clients of them.
use crate::load::Peer;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use terachat_cluster::{ItemName, Request, Response};
use terachat_host::KeyFile;
use terachat_node::{Ask, Client, ClientFolder, HealthCount, Keys, Told};
use terachat_shard::Profile;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Connections to the cluster; clients share them.
const CONNECTIONS: usize = 8;

/// Settings of nodes that count often: nobody waits for ten seconds to hear what became of it.
pub(crate) const COUNTING: [(&str, &str); 1] = [("TERACHAT_NODE_COUNT_EVERY", "1s")];
/// And make shards anew as fast as they can.
pub(crate) const FAST: [(&str, &str); 2] = [COUNTING[0], ("TERACHAT_NODE_REPAIR_RATE", "64GiB")];
/// Between two looks at how things are.
const LOOK: Duration = Duration::from_millis(100);
/// How long shards may take to be made anew.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) struct Nodes {
    count: u8,
    folder: PathBuf,
    clients: Vec<Client>,
    processes: Mutex<BTreeMap<u32, u32>>,
    /// Nodes that were killed and started again; dropped, they are killed.
    again: Mutex<Vec<Child>>,
    /// A blob's name is its bytes' hash.
    names: Mutex<HashMap<u64, ItemName>>,
    _up: Child,
}

impl Nodes {
    /// Brings up so many nodes of this program in this folder.
    pub(crate) async fn start(program: &Path, folder: &Path, count: u8) -> Result<Self> {
        Self::start_with(program, folder, count, &[]).await
    }

    /// The same, with settings of all nodes.
    pub(crate) async fn start_with(
        program: &Path,
        folder: &Path,
        count: u8,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut up = Command::new(program)
            .args(["cluster", "--json", "--folder"])
            .arg(folder)
            .args(["up", "--nodes", &count.to_string()])
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let output = up.stdout.take().context("the output is piped")?;
        let mut lines = BufReader::new(output).lines();
        let mut processes = BTreeMap::new();
        while processes.is_empty() {
            let line = lines.next_line().await?.context("the nodes ended before they were up")?;
            let value: serde_json::Value = serde_json::from_str(&line)?;
            for node in value["nodes"].as_array().into_iter().flatten() {
                let number = node["node"].as_u64().and_then(|number| u32::try_from(number).ok());
                let process = node["process"].as_u64().and_then(|process| u32::try_from(process).ok());
                processes.extend(number.zip(process));
            }
        }
        let access = open(&folder.join("client"), &folder.join("keys/client.key"))?;
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(access.connect().await?);
        }
        Ok(Self {
            count,
            folder: folder.to_owned(),
            clients,
            processes: Mutex::new(processes),
            again: Mutex::default(),
            names: Mutex::default(),
            _up: up,
        })
    }

    async fn status(&self) -> Result<Box<terachat_node::Report>> {
        match self.clients[0].ask(&Ask::Status).await? {
            Told::Status(report) => Ok(report),
            other => bail!("{other:?} is no report"),
        }
    }

    /// Who leads the ledger.
    pub(crate) async fn leader(&self) -> Result<u32> {
        Ok(self.status().await?.leader.context("nobody leads")?.0.get())
    }

    /// Kills a node's process.
    pub(crate) fn kill(&self, node: u32) -> Result<()> {
        let process = self.processes.lock().expect("no other thread panics").remove(&node);
        let process = process.with_context(|| format!("node {node} does not run"))?;
        let killed = std::process::Command::new("kill").args(["-9", &process.to_string()]).status()?;
        anyhow::ensure!(killed.success(), "node {node} could not be killed");
        // Its folder is free when it is gone.
        let deadline = Instant::now() + Duration::from_secs(10);
        while Path::new(&format!("/proc/{process}")).exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Takes all shards of a node that was killed, and says how many bytes its files had.
    pub(crate) fn lose_shards(&self, node: u32) -> Result<u64> {
        let folder = self.folder.join(format!("node-{node}")).join("shards");
        let mut bytes = 0;
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            bytes += entry.metadata()?.len();
            std::fs::remove_file(entry.path())?;
        }
        Ok(bytes)
    }

    /// Starts a node again that was killed.
    pub(crate) fn start_again(&self, program: &Path, node: u32) -> Result<()> {
        let mut counter = OsString::from("file:");
        counter.push(self.folder.join("counters"));
        let child = Command::new(program)
            .args(["node", "run", "--json", "--folder"])
            .arg(self.folder.join(format!("node-{node}")))
            .arg("--key-file")
            .arg(self.folder.join(format!("keys/node-{node}.key")))
            .arg("--counter")
            .arg(counter)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        self.again.lock().expect("no other thread panics").push(child);
        Ok(())
    }

    /// Waits until what the leader has counted is as wanted.
    pub(crate) async fn wait(&self, wanted: impl Fn(&HealthCount) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.status().await?.health.is_some_and(|health| health.shards > 0 && wanted(&health)) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("the cluster was not as wanted within {} s", PATIENCE.as_secs())
    }

    /// What is on all nodes' disks, and what was put.
    pub(crate) async fn stored(&self) -> Result<Stored> {
        let report = self.status().await?;
        let (mut shards, mut ledger) = (0, 0);
        for node in 1..=self.count {
            let folder = self.folder.join(format!("node-{node}"));
            shards += bytes_in(&folder.join("shards"))?;
            ledger += bytes_in(&folder.join("ledger"))?;
        }
        Ok(Stored {
            shards: shards as f64,
            ledger: ledger as f64,
            put: report.bytes as f64,
            items: report.items as f64,
        })
    }

    /// How many times as much the code makes of what is put.
    pub(crate) fn ideal(&self) -> Result<f64> {
        let counts = Profile::new(usize::from(self.count))?.counts();
        Ok(counts.total() as f64 / counts.data() as f64)
    }

    fn name(&self, key: u64) -> Result<ItemName> {
        let names = self.names.lock().expect("no other thread panics");
        names.get(&key).copied().with_context(|| format!("{key} was never put"))
    }
}

/// Bytes on disks, and what was put.
#[derive(Clone, Copy)]
pub(crate) struct Stored {
    /// Of files of shards.
    pub(crate) shards: f64,
    /// Of the ledgers' files.
    pub(crate) ledger: f64,
    /// Of all items.
    pub(crate) put: f64,
    /// Items.
    pub(crate) items: f64,
}

/// Bytes of all files in a folder and those in it.
fn bytes_in(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.metadata() {
            Ok(file) if file.is_dir() => bytes_in(&entry.path())?,
            Ok(file) => file.len(),
            // A file that was given up meanwhile.
            Err(_) => 0,
        };
    }
    Ok(bytes)
}

impl Peer for Nodes {
    async fn put(&self, client: usize, key: u64, bytes: Vec<u8>) -> Result<()> {
        let name = ItemName::of_blob(&bytes);
        let request = Request::Put { name, bytes, expires_ms: 0 };
        match self.clients[client % CONNECTIONS].request(&request).await? {
            Response::Put(_) => {
                self.names.lock().expect("no other thread panics").insert(key, name);
                Ok(())
            }
            other => bail!("{other:?} is no answer to a put"),
        }
    }

    async fn get(&self, client: usize, key: u64) -> Result<Vec<u8>> {
        match self.clients[client % CONNECTIONS].request(&Request::Get(self.name(key)?)).await? {
            Response::Got(Some(bytes)) => Ok(bytes),
            other => bail!("{other:?} is no answer to a get"),
        }
    }

    fn processes(&self) -> Vec<u32> {
        self.processes.lock().expect("no other thread panics").values().copied().collect()
    }
}

fn open(folder: &Path, key: &Path) -> Result<ClientFolder> {
    let owner = Keys::owner_in(folder)?.context("the client has no keys")?;
    let mut source = KeyFile::open(key, owner)?;
    let keys = Keys::open_unguarded(folder, &mut source)?;
    Ok(ClientFolder::open(&PathBuf::from(folder), keys)?)
}
