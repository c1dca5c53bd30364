//! The connections of one process, as whoever sends sees them: nobody waits for a peer that does not read.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use terachat_cluster::wire::{Frame, Kind};
use terachat_net::{Net, PeerKey};
use tokio::sync::{mpsc, oneshot};

/// Bytes that may wait for one peer; what comes beyond is not sent. Room for 16 of the longest items.
const WAITING_MAX: usize = 80 << 20;
/// What a frame in a queue costs beside its bytes.
const COST: usize = 64;

/// A frame that was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// There is no connection.
    NotConnected,
    /// Too much waits for the peer already.
    Full,
}

struct Outbox {
    frames: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
}

/// A call that waits for its answer.
struct Pending {
    peer: PeerKey,
    answer: oneshot::Sender<Vec<u8>>,
}

struct Inner {
    net: Net,
    outboxes: Mutex<BTreeMap<PeerKey, Outbox>>,
    pending: Mutex<BTreeMap<u64, Pending>>,
    next: AtomicU64,
}

/// A handle, cheap to clone.
#[derive(Clone)]
pub(crate) struct Links(Arc<Inner>);

impl Links {
    pub(crate) fn new(net: Net) -> Self {
        Self(Arc::new(Inner {
            net,
            outboxes: Mutex::default(),
            pending: Mutex::default(),
            next: AtomicU64::new(1),
        }))
    }

    pub(crate) fn net(&self) -> &Net {
        &self.0.net
    }

    /// A peer is connected: from now on frames can be sent to it.
    pub(crate) fn connected(&self, peer: PeerKey) {
        let (frames, mut queue) = mpsc::unbounded_channel::<Vec<u8>>();
        let waiting = Arc::new(AtomicUsize::new(0));
        let (net, counted) = (self.0.net.clone(), Arc::clone(&waiting));
        tokio::spawn(async move {
            while let Some(bytes) = queue.recv().await {
                let cost = bytes.len() + COST;
                let sent = net.send(peer, bytes).await;
                counted.fetch_sub(cost, Ordering::Release);
                if sent.is_err() {
                    return;
                }
            }
        });
        lock(&self.0.outboxes).insert(peer, Outbox { frames, waiting });
    }

    /// It is no more; who waits for an answer of it gets none.
    pub(crate) fn disconnected(&self, peer: PeerKey) {
        lock(&self.0.outboxes).remove(&peer);
        lock(&self.0.pending).retain(|_, pending| pending.peer != peer);
    }

    pub(crate) fn is_connected(&self, peer: PeerKey) -> bool {
        lock(&self.0.outboxes).contains_key(&peer)
    }

    /// All peers that are connected.
    pub(crate) fn peers(&self) -> Vec<PeerKey> {
        lock(&self.0.outboxes).keys().copied().collect()
    }

    /// Bytes that wait for these peers.
    pub(crate) fn waiting(&self, of: impl Fn(&PeerKey) -> bool) -> usize {
        let outboxes = lock(&self.0.outboxes);
        let counted = outboxes.iter().filter(|(peer, _)| of(peer));
        counted.map(|(_, outbox)| outbox.waiting.load(Ordering::Relaxed)).sum()
    }

    /// Queues a frame. Whether it arrives nobody knows.
    pub(crate) fn send(&self, peer: PeerKey, kind: Kind, call: u64, body: &[u8]) -> Result<(), Unsent> {
        let outboxes = lock(&self.0.outboxes);
        let outbox = outboxes.get(&peer).ok_or(Unsent::NotConnected)?;
        let bytes = Frame { kind, call, body }.encode();
        let cost = bytes.len() + COST;
        if outbox.waiting.load(Ordering::Relaxed) + cost > WAITING_MAX {
            return Err(Unsent::Full);
        }
        // Nothing waits, and whoever sends holds the lock: the order stays as it was.
        let bytes = match outbox.waiting.load(Ordering::Acquire) {
            0 => match self.0.net.try_send(peer, bytes) {
                Ok(None) => return Ok(()),
                Ok(Some(bytes)) => bytes,
                Err(_) => return Err(Unsent::NotConnected),
            },
            _ => bytes,
        };
        outbox.waiting.fetch_add(cost, Ordering::Relaxed);
        outbox.frames.send(bytes).map_err(|_| Unsent::NotConnected)
    }

    /// Calls a peer and waits for its answer; `None` if the connection ended before. There is no limit of time in it.
    ///
    /// # Errors
    /// [`Unsent`]: the call has certainly not arrived.
    pub(crate) async fn call(
        &self,
        peer: PeerKey,
        kind: Kind,
        body: &[u8],
    ) -> Result<Option<Vec<u8>>, Unsent> {
        let call = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        lock(&self.0.pending).insert(call, Pending { peer, answer });
        // Whoever gives up, or is not sent, leaves nothing behind.
        let _forget = Forget { links: self, call };
        self.send(peer, kind, call, body)?;
        Ok(answered.await.ok())
    }

    /// The answer to a call has come. One that nobody waits for, or of another than was called, is nothing.
    pub(crate) fn answered(&self, peer: PeerKey, call: u64, body: &[u8]) {
        let mut pending = lock(&self.0.pending);
        if pending.get(&call).is_some_and(|pending| pending.peer == peer)
            && let Some(pending) = pending.remove(&call)
        {
            let _ = pending.answer.send(body.to_vec());
        }
    }

    /// Ends the connection to a peer, some time soon.
    pub(crate) fn part(&self, peer: PeerKey) {
        let net = self.0.net.clone();
        tokio::spawn(async move { net.disconnect(peer).await });
    }
}

struct Forget<'a> {
    links: &'a Links,
    call: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(&self.links.0.pending).remove(&self.call);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::runtime;
    use std::time::Duration;
    use terachat_net::NetEvent;
    use terachat_vault::Secret;
    use tokio::time::timeout;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// What waits for a peer that does not read is bounded while it is there, and gone with it.
    #[test]
    fn a_peer_that_does_not_read_holds_no_memory() {
        runtime().block_on(async {
            let net = async |seed: u8| {
                let listen = Some("127.0.0.1:0");
                Net::start(&Secret::take(&mut [seed; 32]), listen).await.unwrap()
            };
            let ((own, mut events), (other, _unread)) = (net(1).await, net(2).await);
            let peer = own.dial(&other.listen_addrs()[0], None).await.unwrap();
            let links = Links::new(own);
            while !matches!(timeout(PATIENCE, events.recv()).await.unwrap(), Some(NetEvent::Connected { .. }))
            {
            }
            links.connected(peer);
            let body = vec![7; 4 << 20];
            let mut sent = 0;
            let unsent = loop {
                match links.send(peer, Kind::Response, sent, &body) {
                    Ok(()) => sent += 1,
                    Err(unsent) => break unsent,
                }
                assert!(sent < 1000, "it takes everything");
                assert!(links.waiting(|_| true) <= WAITING_MAX);
            };
            assert_eq!(unsent, Unsent::Full);
            assert!(links.waiting(|_| true) > WAITING_MAX / 2, "{} bytes wait", links.waiting(|_| true));
            // The queue and whoever empties it hold the number, and nobody else does.
            let queue = Arc::downgrade(&lock(&links.0.outboxes)[&peer].waiting);
            links.part(peer);
            while !matches!(
                timeout(PATIENCE, events.recv()).await.unwrap(),
                Some(NetEvent::Disconnected { .. })
            ) {}
            links.disconnected(peer);
            assert_eq!(links.waiting(|_| true), 0);
            let gone = async {
                while queue.strong_count() > 0 {
                    tokio::task::yield_now().await;
                }
            };
            timeout(PATIENCE, gone).await.expect("the queue is dropped with the connection");
            assert_eq!(links.send(peer, Kind::Response, 0, &body), Err(Unsent::NotConnected));
        });
    }
}
