use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use terachat_net::{Net, PeerKey};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Bytes that may wait for one peer. A peer that lets more gather is disconnected and compares anew when it comes back.
const WAITING_MAX: usize = 256 * 1024 * 1024;

/// What waits to be sent, a queue for each connected peer. Putting never waits, so no peer, however slow, delays
/// anything but itself.
pub(super) struct Outbox {
    net: Net,
    runtime: Handle,
    queues: Mutex<BTreeMap<PeerKey, Queue>>,
}

struct Queue {
    frames: UnboundedSender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
}

impl Outbox {
    /// Empty; must be made within the runtime that the network runs on.
    pub(super) fn new(net: Net) -> Arc<Self> {
        Arc::new(Self { net, runtime: Handle::current(), queues: Mutex::default() })
    }

    /// Begins to take frames for a peer that is connected.
    pub(super) fn open(&self, peer: PeerKey) {
        let (frames, inbox) = unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        self.runtime.spawn(deliver(self.net.clone(), peer, inbox, waiting.clone()));
        self.queues().insert(peer, Queue { frames, waiting });
    }

    /// Drops what waits for a peer that is gone.
    pub(super) fn close(&self, peer: PeerKey) {
        self.queues().remove(&peer);
    }

    /// Takes a frame; passes over one for a peer that is not connected.
    pub(super) fn put(&self, peer: PeerKey, frame: Vec<u8>) {
        let mut queues = self.queues();
        let Some(queue) = queues.get(&peer) else { return };
        let len = frame.len();
        if queue.waiting.fetch_add(len, Ordering::Relaxed) + len > WAITING_MAX {
            tracing::warn!(%peer, "the peer takes too little of what waits for it; disconnecting it");
            queues.remove(&peer);
            self.disconnect(peer);
        } else {
            // The receiver ends only after the connection did; the frame is then of no use.
            let _ = queue.frames.send(frame);
        }
    }

    /// Ends the connection to a peer without waiting for it.
    pub(super) fn disconnect(&self, peer: PeerKey) {
        let net = self.net.clone();
        self.runtime.spawn(async move { net.disconnect(peer).await });
    }

    /// Waits until everything put so far was handed to the network, or its connection has ended.
    pub(super) async fn flush(&self) {
        while self.queues().values().any(|queue| queue.waiting.load(Ordering::Relaxed) > 0) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    fn queues(&self) -> std::sync::MutexGuard<'_, BTreeMap<PeerKey, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn deliver(net: Net, peer: PeerKey, mut inbox: UnboundedReceiver<Vec<u8>>, waiting: Arc<AtomicUsize>) {
    while let Some(frame) = inbox.recv().await {
        let len = frame.len();
        if let Err(error) = net.send(peer, frame).await {
            tracing::debug!(%peer, %error, "a frame was not sent");
        }
        waiting.fetch_sub(len, Ordering::Relaxed);
    }
}
