use super::Options;
use super::desk::Desk;
use super::outbox::Outbox;
use super::redial::redial;
#[cfg(unix)]
use super::socket::Socket;
#[cfg(not(unix))]
use super::socket_none::Socket;
use crate::failure::{Failure, Result};
use crate::home::{Home, Profile};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use terachat_client::api::Notice;
use terachat_net::{Net, NetEvent, NetEvents, PeerKey};
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinHandle, JoinSet};

/// How long an end waits for those who take nothing.
const PATIENCE: Duration = Duration::from_secs(5);
/// Events that a follower may lag behind.
const EVENTS_MAX: usize = 4096;

/// What those who follow are told.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// The client's word.
    Notice(Box<Notice>),
    /// A device given by `--peer` answers.
    Reached {
        /// As given.
        addr: String,
        /// Which device it is.
        peer: PeerKey,
    },
    /// A device given by `--peer` does not answer; it is tried again unless that is useless.
    Unreached {
        /// As given.
        addr: String,
        /// The network's word.
        why: String,
        /// Whether the address can never work.
        useless: bool,
    },
    /// A connection ended.
    Gone(PeerKey),
}

/// A profile that is connected and served. All its parts run in the background until [`Service::stop`].
pub(crate) struct Service {
    /// Where others can dial this device.
    pub(crate) addrs: Vec<String>,
    /// This device.
    pub(crate) device: PeerKey,
    /// Whether other commands are served.
    pub(crate) serves: bool,
    events: broadcast::Sender<Event>,
    frames: Arc<AtomicU64>,
    net: Net,
    outbox: Arc<Outbox>,
    tasks: JoinSet<()>,
    pump: JoinHandle<()>,
    desk: Desk,
    /// The thread that owns the client, until its end was heard.
    closed: Option<JoinHandle<Result<()>>>,
    /// How it ended, until that was told.
    outcome: Result<()>,
}

impl Service {
    /// Starts everything. Must be called within a runtime with network, signals and time.
    ///
    /// # Errors
    /// [`Failure::Told`] when the address or the socket cannot be opened.
    pub(crate) async fn start(home: &Home, profile: Profile, options: &Options) -> Result<Self> {
        let seed = profile.client.network_seed();
        let (net, heard) = Net::start(&seed, options.listen.as_deref()).await.map_err(Failure::from_text)?;
        drop(seed);
        let socket = if options.serve { Socket::open(&home.socket())? } else { None };
        let (events, _) = broadcast::channel(EVENTS_MAX);
        let (peers, connected) = watch::channel(BTreeSet::new());
        let outbox = Outbox::new(net.clone());
        let (desk, closed) = Desk::start(profile, outbox.clone(), events.clone());
        let mut tasks = JoinSet::new();
        for addr in &options.peers {
            tasks.spawn(redial(net.clone(), addr.clone(), connected.clone(), events.clone()));
        }
        let serves = socket.is_some();
        if let Some(socket) = socket {
            tasks.spawn(socket.serve(desk.clone(), events.clone()));
        }
        let frames = Arc::new(AtomicU64::new(0));
        let pump =
            tokio::spawn(pump(heard, desk.clone(), outbox.clone(), peers, events.clone(), frames.clone()));
        let (addrs, device) = (net.listen_addrs(), net.key());
        let (closed, outcome) = (Some(closed), Ok(()));
        Ok(Self { addrs, device, serves, events, frames, net, outbox, tasks, pump, desk, closed, outcome })
    }

    /// What happens from now on.
    pub(crate) fn follow(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Frames that came in so far: whether the network is at work.
    pub(crate) fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Ends all connections after what waits for them was sent, and closes the profile.
    ///
    /// # Errors
    /// [`Failure::Told`] when the thread that owned the profile ended early.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.tasks.shutdown().await;
        // A peer that takes nothing may not hold up the end.
        let _ = tokio::time::timeout(PATIENCE, self.outbox.flush()).await;
        self.net.clone().shutdown().await;
        let _ = (&mut self.pump).await;
        self.ended().await
    }

    /// Waits until the thread that owns the profile ends: after [`Service::stop`], or earlier because the disk failed it.
    ///
    /// # Errors
    /// [`Failure::Told`] when it ended early.
    pub(crate) async fn ended(&mut self) -> Result<()> {
        if let Some(closed) = &mut self.closed {
            let outcome = closed.await;
            self.closed = None;
            self.outcome = outcome.unwrap_or_else(|_| {
                Err(Failure::new(
                    "the profile was not closed in order",
                    "please report this; nothing sent is lost",
                ))
            });
        }
        // Whoever asked for what ended it is told too. One that takes no answer may not hold up the end.
        let _ = tokio::time::timeout(PATIENCE, self.desk.replied()).await;
        std::mem::replace(&mut self.outcome, Ok(()))
    }
}

/// From the network to the desk. It ends with the network, and with it the desk.
async fn pump(
    mut heard: NetEvents,
    desk: Desk,
    outbox: Arc<Outbox>,
    peers: watch::Sender<BTreeSet<PeerKey>>,
    events: broadcast::Sender<Event>,
    frames: Arc<AtomicU64>,
) {
    while let Some(event) = heard.recv().await {
        match event {
            NetEvent::Connected { peer, addr, inbound } => {
                tracing::info!(%peer, addr, inbound, "connected");
                outbox.open(peer);
                desk.connected(peer).await;
                peers.send_modify(|peers| _ = peers.insert(peer));
            }
            NetEvent::Frame { peer, bytes } => {
                desk.frame(peer, bytes).await;
                frames.fetch_add(1, Ordering::Relaxed);
            }
            NetEvent::Disconnected { peer, reason } => {
                tracing::info!(%peer, ?reason, "disconnected");
                outbox.close(peer);
                desk.disconnected(peer).await;
                peers.send_modify(|peers| _ = peers.remove(&peer));
                let _ = events.send(Event::Gone(peer));
            }
            _ => {}
        }
    }
    desk.stop().await;
}
