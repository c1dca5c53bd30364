use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libp2p_swarm::ConnectionId;
use tokio::sync::{Semaphore, oneshot};

use crate::greeting::Greeting;
use crate::limits::Limits;
use crate::link::{Endpoint, Link};
use crate::queue::{Outlet, Queue, Room};
use crate::{Error, NetEvent, PeerKey, Reason};

/// Who is connected: the one table that senders, sessions and the swarm's task share. Its lock is held for lookups
/// only, never across a wait.
pub(crate) struct Registry {
    pub(crate) own: PeerKey,
    pub(crate) limits: Limits,
    pub(crate) events: Arc<Queue<NetEvent>>,
    /// The memory for large frames on their way in.
    assembly: Arc<Semaphore>,
    /// Names this run of the program in greetings.
    instance: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    peers: BTreeMap<PeerKey, Peer>,
    dials: BTreeMap<ConnectionId, Dial>,
    seats: usize,
    /// The last generation given to a peer.
    generation: u64,
    closed: bool,
}

/// A device to which at least one authenticated connection exists.
struct Peer {
    seats: usize,
    generation: u64,
    link: Option<Arc<Link>>,
    /// Those whose connection was refused as a duplicate, until the other one is usable here too.
    waiting: Vec<Dial>,
}

/// Someone who waits for the outcome of a dial.
pub(crate) struct Dial {
    pub(crate) expected: Option<PeerKey>,
    pub(crate) answer: oneshot::Sender<Result<PeerKey, Error>>,
}

impl Dial {
    fn answer(self, outcome: Result<PeerKey, Error>) {
        // The caller may have stopped waiting.
        let _ = self.answer.send(outcome);
    }
}

impl Registry {
    pub(crate) fn new(own: PeerKey, instance: u64, limits: Limits, events: Queue<NetEvent>) -> Self {
        let assembly = Arc::new(Semaphore::new(limits.assembly_bytes));
        Self { own, limits, events: Arc::new(events), assembly, instance, state: Mutex::default() }
    }

    /// A place for a connection that was just authenticated; an error says which limit is reached.
    pub(crate) fn sit(
        self: &Arc<Self>,
        connection: ConnectionId,
        endpoint: Endpoint,
    ) -> Result<Seat, &'static str> {
        let mut state = self.state();
        let state = &mut *state;
        let of_peer = state.peers.get(&endpoint.peer).map_or(0, |peer| peer.seats);
        if state.closed {
            return Err("the network is shut down");
        }
        if state.seats >= self.limits.connections || of_peer >= self.limits.connections_per_peer {
            return Err("there are too many connections");
        }
        state.seats += 1;
        let generation = &mut state.generation;
        let peer = state.peers.entry(endpoint.peer).or_insert_with(|| Peer {
            seats: 0,
            generation: next(generation),
            link: None,
            waiting: Vec::new(),
        });
        peer.seats += 1;
        let failure = "the connection ended before it was usable".to_owned();
        Ok(Seat { registry: self.clone(), connection, endpoint, link: None, failure })
    }

    pub(crate) fn link(&self, peer: PeerKey) -> Option<Arc<Link>> {
        self.state().peers.get(&peer)?.link.clone()
    }

    pub(crate) fn links(&self) -> Vec<(PeerKey, Arc<Link>)> {
        self.state().peers.iter().filter_map(|(key, peer)| Some((*key, peer.link.clone()?))).collect()
    }

    pub(crate) fn await_dial(&self, connection: ConnectionId, dial: Dial) {
        self.state().dials.insert(connection, dial);
    }

    pub(crate) fn fail_dial(&self, connection: ConnectionId, error: impl FnOnce(Option<PeerKey>) -> Error) {
        if let Some(dial) = self.state().dials.remove(&connection) {
            let error = error(dial.expected);
            dial.answer(Err(error));
        }
    }

    /// Takes no further connections.
    pub(crate) fn close(&self) {
        self.state().closed = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Ends a link, and with it the peer's generation.
    pub(crate) fn retire(&self, link: &Arc<Link>, peer: PeerKey, reason: Reason) {
        let mut state = self.state();
        let state = &mut *state;
        if let Some(entry) = state.peers.get_mut(&peer)
            && entry.link.take_if(|current| Arc::ptr_eq(current, link)).is_some()
        {
            entry.generation = next(&mut state.generation);
        }
        link.end(reason);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn next(generation: &mut u64) -> u64 {
    *generation += 1;
    *generation
}

/// An authenticated connection's place in the registry, given up when it is dropped.
pub(crate) struct Seat {
    registry: Arc<Registry>,
    connection: ConnectionId,
    endpoint: Endpoint,
    link: Option<Arc<Link>>,
    /// Why the connection never became usable, for the one who dialled it.
    failure: String,
}

impl Seat {
    pub(crate) fn limits(&self) -> &Limits {
        &self.registry.limits
    }

    pub(crate) fn assembly(&self) -> Arc<Semaphore> {
        self.registry.assembly.clone()
    }

    /// Whether this device pronounces the verdict.
    pub(crate) fn decides(&self) -> bool {
        self.registry.own < self.endpoint.peer
    }

    /// What this device says first, at this moment.
    pub(crate) fn greeting(&self) -> Greeting {
        let generation =
            self.registry.state().peers.get(&self.endpoint.peer).map_or(0, |peer| peer.generation);
        Greeting { instance: self.registry.instance, generation }
    }

    /// Waits until the events of a link can be reported; `None` when nobody listens any more.
    pub(crate) async fn reserve(&self) -> Option<Room> {
        self.registry.events.reserve(Link::EVENTS_COST).await.ok()
    }

    /// Pronounces the verdict: the link and its frames to send, or `None` for a duplicate.
    pub(crate) fn decide(&mut self, theirs: Greeting, room: Room) -> Option<(Arc<Link>, Outlet<Vec<u8>>)> {
        let registry = self.registry.clone();
        let mut state = registry.state();
        let current = state.peers.get(&self.endpoint.peer).and_then(|peer| peer.link.as_ref());
        if current.is_some_and(|link| theirs.is_duplicate_of(&link.theirs)) {
            return None;
        }
        Some(self.install(&mut state, theirs, room))
    }

    /// Follows the peer's verdict to use this connection, which was greeted with `ours`.
    pub(crate) fn obey(
        &mut self,
        ours: Greeting,
        theirs: Greeting,
        room: Room,
    ) -> (Arc<Link>, Outlet<Vec<u8>>) {
        let registry = self.registry.clone();
        let mut state = registry.state();
        if let Some(peer) = state.peers.get_mut(&self.endpoint.peer) {
            // The peer knows this connection by that generation, so it is the current one again.
            peer.generation = ours.generation;
        }
        self.install(&mut state, theirs, room)
    }

    /// Leaves the place to the connection that is used instead.
    pub(crate) fn yield_to_other(&mut self) {
        let mut state = self.registry.state();
        let state = &mut *state;
        let Some(dial) = state.dials.remove(&self.connection) else { return };
        match state.peers.get_mut(&self.endpoint.peer) {
            Some(peer) if peer.link.is_none() => peer.waiting.push(dial),
            _ => dial.answer(Ok(self.endpoint.peer)),
        }
    }

    pub(crate) fn fail(&mut self, failure: impl ToString) {
        self.failure = failure.to_string();
    }

    /// Ends the connection's link, if it has one.
    pub(crate) fn end(&mut self, reason: Reason) {
        if let Some(link) = self.link.take() {
            self.registry.retire(&link, self.endpoint.peer, reason);
        }
    }

    fn install(&mut self, state: &mut State, theirs: Greeting, room: Room) -> (Arc<Link>, Outlet<Vec<u8>>) {
        let peer = state.peers.get_mut(&self.endpoint.peer).expect("a seat keeps its peer's entry");
        if let Some(old) = peer.link.take() {
            old.end(Reason::Replaced);
        }
        let registry = &self.registry;
        let outbound_bytes = registry.limits.outbound_bytes;
        let (link, outlet) =
            Link::open(&self.endpoint, theirs, registry.events.clone(), room, outbound_bytes);
        peer.link = Some(link.clone());
        self.link = Some(link.clone());
        for dial in peer.waiting.drain(..).chain(state.dials.remove(&self.connection)) {
            dial.answer(Ok(self.endpoint.peer));
        }
        (link, outlet)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.end(Reason::Lost("the connection was closed".to_owned()));
        let mut state = self.registry.state();
        state.seats -= 1;
        if let Some(dial) = state.dials.remove(&self.connection) {
            dial.answer(Err(Error::Dial { reason: std::mem::take(&mut self.failure) }));
        }
        if let Some(peer) = state.peers.get_mut(&self.endpoint.peer) {
            peer.seats -= 1;
            if peer.seats == 0 {
                state.peers.remove(&self.endpoint.peer);
            }
        }
    }
}
