use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::greeting::Greeting;
use crate::queue::{Outlet, Queue, Room, queue};
use crate::{NetEvent, PeerKey, Reason};

/// A usable connection, from its `Connected` event to its `Disconnected` one.
///
/// Shared by those who send, by the session that moves the bytes, and by the registry. Whoever ends it first names the
/// reason; afterwards no frame of it is reported, so the events of two successive links never mix.
pub(crate) struct Link {
    peer: PeerKey,
    /// The greeting the peer opened this connection with.
    pub(crate) theirs: Greeting,
    pub(crate) outgoing: Queue<Vec<u8>>,
    events: Arc<Queue<NetEvent>>,
    /// The room kept for `Disconnected`, so that saying it never has to wait; gone when it was said.
    farewell: Mutex<Option<Room>>,
    /// Never holds permits: it is closed when the link has ended.
    ended: Semaphore,
}

/// Where a connection leads.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) peer: PeerKey,
    pub(crate) addr: String,
    pub(crate) inbound: bool,
}

impl Link {
    /// What `open` needs room for among the events.
    pub(crate) const EVENTS_COST: usize = 2 * NetEvent::COST;

    /// Reports the connection, and keeps half of `room` to report its end.
    pub(crate) fn open(
        endpoint: &Endpoint,
        theirs: Greeting,
        events: Arc<Queue<NetEvent>>,
        mut room: Room,
        outbound_bytes: usize,
    ) -> (Arc<Self>, Outlet<Vec<u8>>) {
        let Endpoint { peer, addr, inbound } = endpoint.clone();
        let farewell = room.split(NetEvent::COST);
        // A closed queue has no reader left to tell.
        let _ = events.put(room, NetEvent::Connected { peer, addr, inbound });
        let (outgoing, outlet) = queue(outbound_bytes);
        let ended = Semaphore::new(0);
        (Arc::new(Self { peer, theirs, outgoing, events, farewell: Mutex::new(farewell), ended }), outlet)
    }

    /// Reports a frame, after waiting until the caller has room for it; `false` when the link has ended.
    pub(crate) async fn deliver(&self, bytes: Vec<u8>) -> bool {
        let Ok(room) = self.events.reserve(NetEvent::COST + bytes.len()).await else { return false };
        // Held while the event is queued: nothing may follow `Disconnected`.
        let farewell = self.farewell.lock().unwrap_or_else(PoisonError::into_inner);
        farewell.is_some() && self.events.put(room, NetEvent::Frame { peer: self.peer, bytes }).is_ok()
    }

    /// Ends the link and reports why, unless it has ended before.
    pub(crate) fn end(&self, reason: Reason) {
        let mut farewell = self.farewell.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = farewell.take() {
            tracing::debug!(peer = %self.peer, ?reason, "disconnected");
            let _ = self.events.put(room, NetEvent::Disconnected { peer: self.peer, reason });
        }
        self.outgoing.close();
        self.ended.close();
    }

    /// Waits until the link has ended.
    pub(crate) async fn ended(&self) {
        let closed = self.ended.acquire().await;
        debug_assert!(closed.is_err(), "the semaphore never holds permits");
    }
}
