use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use libp2p_core::transport::PortUse;
use libp2p_core::{Endpoint as Role, Multiaddr, PeerId};
use libp2p_swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandlerInEvent, ToSwarm,
};

use crate::PeerKey;
use crate::handler::{Handler, SessionEnded};
use crate::link::Endpoint;
use crate::registry::Registry;

/// Gives every authenticated connection a session, within the limits, and closes it when the session ends.
///
/// A plain behaviour among others: a DHT's can stand beside it in one swarm.
pub(crate) struct Behaviour {
    registry: Arc<Registry>,
    /// Accepted sockets that are not authenticated yet.
    pending_inbound: BTreeSet<ConnectionId>,
    to_close: VecDeque<(PeerId, ConnectionId)>,
}

impl Behaviour {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry, pending_inbound: BTreeSet::new(), to_close: VecDeque::new() }
    }

    fn session(
        &self,
        connection: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        inbound: bool,
    ) -> Result<Handler, ConnectionDenied> {
        let peer = PeerKey::from_peer_id(&peer)
            .ok_or_else(|| ConnectionDenied::new("the peer's key is not Ed25519"))?;
        let endpoint = Endpoint { peer, addr: addr.to_string(), inbound };
        let seat = self.registry.sit(connection, endpoint).map_err(ConnectionDenied::new)?;
        Ok(Handler::new(seat, !inbound))
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _local: &Multiaddr,
        _remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        if self.pending_inbound.len() >= self.registry.limits.pending_inbound {
            return Err(ConnectionDenied::new("too many connections are being set up"));
        }
        self.pending_inbound.insert(connection);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        self.pending_inbound.remove(&connection);
        self.session(connection, peer, remote, true)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        _role: Role,
        _port: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        self.session(connection, peer, remote, false)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ListenFailure(failure) = event {
            self.pending_inbound.remove(&failure.connection_id);
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, _: SessionEnded) {
        self.to_close.push_back((peer, connection));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        match self.to_close.pop_front() {
            Some((peer_id, connection)) => Poll::Ready(ToSwarm::CloseConnection {
                peer_id,
                connection: CloseConnection::One(connection),
            }),
            None => Poll::Pending,
        }
    }
}
