//! From a folder to a node at work, and back.
mod helpers;
#[cfg(test)]
mod tests;

use crate::carrier::LinkCarrier;
use crate::deeds::Doer;
use crate::dialler::keep_dialling;
use crate::directory::Directory;
use crate::disk::DiskThread;
use crate::engine::{Engine, Parts};
use crate::folder::{self, NodeFolder};
use crate::guard::Guard;
use crate::links::Links;
use crate::machine::{SharedState, StateMachine};
use crate::meters::Meters;
use crate::watch::Watch;
use crate::{Driver, Error, EtcdAccess};
use helpers::{begin, keep_head, keep_place, tell_ledger};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use terachat_cluster::wire::{Contact, Unwelcome};
use terachat_cluster::{
    BucketOptions, ClusterId, Node, NodeOptions, Options, Program, SegmentStore, ShardStore, What,
};
use terachat_host::{Disk, OsEntropy, clock};
use terachat_ledger::Remembered;
use terachat_ledger::raft::Settings;
use terachat_net::Net;
use terachat_shard::NodeId;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// After a step that did not succeed because the others were not there.
const PAUSE: Duration = Duration::from_millis(50);

/// How a node's process works.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// How the node works.
    pub node: NodeOptions,
    /// How it keeps its shards in its folder.
    pub shards: Options,
    /// How it keeps them in a bucket.
    pub objects: BucketOptions,
    /// How its ledger works, if the nodes keep it.
    pub ledger: Settings,
    /// How etcd is reached, if it has the ledger, and otherwise than the folder says.
    pub etcd: Option<EtcdAccess>,
    /// Seconds after which a leader that etcd does not hear of leads no more, if etcd has the ledger.
    pub lease_seconds: u32,
    /// Between two checkpoints of the ledger's head, at least: how much of an old copy's past goes unnoticed while the node is not
    /// stopped. A counter in a chip wears out by 10^5 to 10^6 of them.
    pub checkpoint_every: Duration,
    /// Within so long whoever is no member says who it is, or is disconnected: 10 s, of which a client needs one round trip.
    pub greet_within: Duration,
    /// Bytes that may wait for all clients together: 256 MiB. A client has its next request refused as busy once as much waits for it as is
    /// left for all others.
    pub guests_bytes: usize,
    /// Between two deeds of the history by which the leader says where shards stand, at least.
    pub claim_every: Duration,
    /// How late it is, in milliseconds since 1970, by this machine's clock: when records of boards end.
    pub clock: fn() -> u64,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            node: NodeOptions::default(),
            shards: Options::default(),
            objects: BucketOptions::default(),
            ledger: Settings { heartbeat_ms: 100, election_ms: 700, ..Settings::default() },
            etcd: None,
            lease_seconds: 3,
            checkpoint_every: Duration::from_secs(60),
            greet_within: Duration::from_secs(10),
            guests_bytes: 256 << 20,
            claim_every: Duration::from_secs(3_600),
            clock: clock::now_ms,
        }
    }
}

/// A node at work.
pub struct Running {
    cluster: ClusterId,
    node: NodeId,
    address: String,
    doer: Doer,
    watch: Watch,
    stop: watch::Sender<bool>,
    ended: JoinHandle<Result<(), Error>>,
}

impl NodeFolder {
    /// Starts the node of this folder. Must be called within a tokio runtime with time and I/O enabled, better one of several
    /// threads: a node seals, cuts and hashes while others wait for its ledger. Where etcd has the ledger and does not answer, it waits.
    ///
    /// # Errors
    /// [`Error::OlderCopy`], [`Error::OlderLedger`], [`Error::Net`] when its address is taken, [`Error::Shards`], [`Error::Ledger`],
    /// [`Error::Etcd`], [`Error::NoLedger`], [`Error::LedgerOnNodes`].
    pub async fn run(mut self, options: RunOptions) -> Result<Running, Error> {
        let driver = self.ledger.clone().reached(options.etcd.as_ref())?;
        let mut guard = Guard::open(&self.path, self.keys.head_key(), self.keys.take_counter())?;
        let (net, net_events) = Net::start(self.keys.seed(), Some(&self.place.listen)).await?;
        self.settle_address(&net)?;
        let (events, inbox) = mpsc::unbounded_channel();
        let state = SharedState::default();
        let directory =
            Arc::new(RwLock::new(Directory::new(state.read().roster(), &self.place.members, [].iter())));
        let links = Links::new(net);
        let carrier = LinkCarrier::new(links.clone(), Arc::clone(&directory));
        let machine = StateMachine::new(state.clone(), events.clone());
        let whose = (self.place.cluster, self.place.node, self.place.founding);
        let ledger = driver.open(&self.path, whose, &options, carrier, machine).await?;
        let stopped = |_| Error::LedgerStopped(ledger.status().stopped.unwrap_or_default());
        match ledger.remembers(guard.head()).await.map_err(stopped)? {
            Remembered::Yes | Remembered::Further => {}
            remembered @ (Remembered::Less | Remembered::Other) => {
                ledger.shutdown().await;
                return Err(driver.forgot(&self.path, &guard.head(), remembered));
            }
        }
        guard.begin()?;
        let store = self.open_shards(&options).await?;
        let disk = DiskThread::start(store, Box::new(OsEntropy::new()?), events.clone())
            .map_err(|source| Error::Local { doing: "start a thread".to_owned(), source })?;
        let node = Node::new(
            self.place.cluster,
            self.place.node,
            self.keys.device_key(),
            options.node.clone(),
            Box::new(OsEntropy::new()?),
        );
        let doer = Doer {
            node: self.place.node,
            key: Arc::new(self.keys.device_key()),
            state: state.clone(),
            ledger: Arc::clone(&ledger),
        };
        let (place, saved) = watch::channel(self.place.clone());
        let meters = Arc::new(Meters::default());
        let watch = Watch::new(events.clone(), Arc::clone(&meters));
        let engine = Engine::new(Parts {
            node,
            doer: doer.clone(),
            ledger: Arc::clone(&ledger),
            etcd: matches!(driver, Driver::Etcd(_)),
            links: links.clone(),
            disk,
            directory: Arc::clone(&directory),
            place: place.clone(),
            operator: self.keys.operator().id().0,
            greet_within: options.greet_within,
            guests_bytes: options.guests_bytes,
            clock: options.clock,
            claim_every: options.claim_every,
            events: events.clone(),
            meters,
        });
        let (stop, stopping) = watch::channel(false);
        let helpers = vec![
            tokio::spawn(keep_dialling(self.place.node, links.clone(), directory)),
            tokio::spawn(tell_ledger(Arc::clone(&ledger), events.clone())),
            tokio::spawn(keep_place(self.path.clone(), saved, events.clone())),
        ];
        let guard = Arc::new(Mutex::new(guard));
        let checkpoints = tokio::spawn(keep_head(
            Arc::clone(&ledger),
            Arc::clone(&guard),
            options.checkpoint_every,
            events.clone(),
        ));
        let begun = tokio::spawn(begin(doer.clone(), Arc::clone(&ledger), place.clone(), events));
        let (cluster, number, address) = (self.place.cluster, self.place.node, self.place.address.clone());
        tracing::info!(%cluster, node = number.0.get(), address, "the node works");
        let ended = tokio::spawn(async move {
            let (disk, outcome) = engine.run(net_events, inbox, stopping).await;
            match &outcome {
                Ok(()) => tracing::info!("the node was told to end"),
                Err(error) => tracing::error!(%error, "the node ends by itself"),
            }
            begun.abort();
            checkpoints.abort();
            helpers.into_iter().for_each(|helper| helper.abort());
            let head = *ledger.head().borrow();
            ledger.shutdown().await;
            links.net().clone().shutdown().await;
            let closed = tokio::task::spawn_blocking(move || {
                disk.stop();
                let mut guard = guard.lock().unwrap_or_else(PoisonError::into_inner);
                guard.checkpoint(head)
            });
            let closed = closed.await.map_err(|_| Error::Stopped).and_then(|closed| closed);
            // The folder is let go when nobody writes to it any more.
            drop(self);
            outcome.and(closed)
        });
        Ok(Running { cluster, node: number, address, doer, watch, stop, ended })
    }

    /// Keeps the port that was taken, and where others dial it.
    fn settle_address(&mut self, net: &Net) -> Result<(), Error> {
        let (listen, address) = listening(net, &self.place.listen, &self.place.address)?;
        if (&listen, &address) != (&self.place.listen, &self.place.address) {
            (self.place.listen, self.place.address) = (listen, address);
            self.save()?;
        }
        Ok(())
    }

    /// The shards, in the folder or in the bucket.
    async fn open_shards(&self, options: &RunOptions) -> Result<Box<dyn ShardStore>, Error> {
        let Some(bucket) = self.bucket.clone() else {
            let disk = Disk::open(&self.path.join("shards"))?;
            let (store, opened) = SegmentStore::open(Box::new(disk), options.shards.clone())?;
            tracing::info!(?opened, "the shards are open");
            return Ok(Box::new(store));
        };
        let (cluster, node, options) = (self.place.cluster, self.place.node, options.objects.clone());
        let opened = tokio::task::spawn_blocking(move || bucket.open(cluster, node, options));
        opened.await.map_err(|_| Error::Stopped)?
    }
}

impl Running {
    /// The cluster, the node's number, and where it is reached.
    pub fn names(&self) -> (ClusterId, NodeId, &str) {
        (self.cluster, self.node, &self.address)
    }

    /// A look at it from inside this process.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Waits until the node knows all that was decided before, and is one of the members itself.
    pub fn ready(&self) -> impl Future<Output = ()> + use<> {
        let doer = self.doer.clone();
        async move {
            let is_member = || doer.state.read().roster().members().any(|(node, _)| node == doer.node);
            while doer.catch_up().await.is_err() || !is_member() {
                sleep(PAUSE).await;
            }
        }
    }

    /// Says in the cluster's history what this process runs, unless that is what the node ran before. It goes on until that is
    /// there, or the node has left or ends.
    pub fn deployed<F>(&self, program: F) -> impl Future<Output = ()> + use<F>
    where
        F: Future<Output = Option<Program>>,
    {
        let doer = self.doer.clone();
        async move {
            let Some(program) = program.await else { return };
            let runs =
                |doer: &Doer| doer.state.read().roster().node(doer.node).map(|node| node.program.clone());
            loop {
                if doer.catch_up().await.is_ok() {
                    match runs(&doer) {
                        Some(known) if known.as_ref() == Some(&program) => return,
                        Some(_) => match doer.act(What::Deployed(program.clone())).await {
                            Ok(_) | Err(Unwelcome::Ledger(_)) => return,
                            Err(_) => {}
                        },
                        None => {}
                    }
                }
                sleep(PAUSE).await;
            }
        }
    }

    /// Waits until the node ends by itself, which it does when its disk or its ledger fails.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn ended(&mut self) -> Result<(), Error> {
        (&mut self.ended).await.map_err(|_| Error::Stopped).and_then(|ended| ended)
    }

    /// Stops it: what is written is written, the folder is free, and the last checkpoint is made.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Counter`].
    pub async fn stop(self) -> Result<(), Error> {
        let _ = self.stop.send(true);
        self.ended.await.map_err(|_| Error::Stopped).and_then(|ended| ended)
    }
}

/// The port that a process listens on, and where others dial it.
pub(crate) fn listening(net: &Net, listen: &str, address: &str) -> Result<(String, String), Error> {
    let bound = net.listen_addrs().iter().find_map(|text| socket(text));
    let bound = bound.ok_or_else(|| Error::Address(listen.to_owned()))?;
    let keeps_port = listen.rsplit_once(':').filter(|(_, port)| *port == "0");
    let listen = keeps_port.map_or(listen.to_owned(), |(host, _)| format!("{host}:{}", bound.port()));
    let everywhere = listen.parse::<SocketAddr>().is_ok_and(|socket| socket.ip().is_unspecified());
    match address {
        "" if everywhere => Err(Error::Address(listen)),
        "" => Ok((listen, bound.to_string())),
        given => Ok((listen, given.to_owned())),
    }
}

/// `/ip4/127.0.0.1/tcp/4001/p2p/...` as `127.0.0.1:4001`.
fn socket(multiaddress: &str) -> Option<SocketAddr> {
    let mut parts = multiaddress.split('/').skip(2);
    let (host, _, port) = (parts.next()?, parts.next()?, parts.next()?);
    Some(SocketAddr::new(host.parse().ok()?, port.parse().ok()?))
}

/// Where a member is, as it is known in a node's folder, also while the node runs.
///
/// # Errors
/// [`Error::NotThere`], [`Error::Damaged`].
pub fn contact_of(path: &std::path::Path, keys: &crate::Keys) -> Result<(ClusterId, Contact), Error> {
    let place = folder::read(path)?;
    let key = terachat_cluster::NodeKey(keys.device_key().id().0);
    Ok((place.cluster, Contact { node: place.node, key, address: place.address }))
}
