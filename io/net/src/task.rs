use std::collections::BTreeSet;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use futures::future::{Either, select};
use libp2p_core::{Multiaddr, PeerId};
use libp2p_swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p_swarm::{DialError, Swarm, SwarmEvent};
use tokio::sync::{mpsc, oneshot};

use crate::behaviour::Behaviour;
use crate::registry::{Dial, Registry};
use crate::transport::{transport_reason, with_sources};
use crate::{Error, PeerKey, Reason};

/// What a handle asks the task to do.
pub(crate) enum Command {
    Dial { addr: Multiaddr, peer: Option<PeerId>, dial: Dial },
    Stop { done: oneshot::Sender<()> },
}

/// The addresses this device can be dialled at.
pub(crate) type Listening = Mutex<BTreeSet<Multiaddr>>;

/// The background task.
pub(crate) async fn serve(
    mut swarm: Swarm<Behaviour>,
    mut commands: mpsc::Receiver<Command>,
    registry: Arc<Registry>,
    listening: Arc<Listening>,
) {
    let events = registry.events.clone();
    let mut unheard = pin!(events.unheard());
    let done = loop {
        let mut command = pin!(commands.recv());
        match select(select(&mut command, &mut unheard), swarm.select_next_some()).await {
            Either::Left((Either::Left((Some(Command::Dial { addr, peer, dial }), _)), _)) => {
                start_dial(&mut swarm, &registry, addr, peer, dial);
            }
            Either::Left((Either::Left((Some(Command::Stop { done }), _)), _)) => break Some(done),
            // The last handle was dropped, or nobody hears the events.
            Either::Left(_) => break None,
            Either::Right((event, _)) => note(event, &registry, &listening),
        }
    };
    registry.close();
    for (peer, link) in registry.links() {
        registry.retire(&link, peer, Reason::ClosedHere);
    }
    // Ends the connections' tasks, which find the swarm gone.
    drop(swarm);
    registry.events.close();
    if let Some(done) = done {
        let _ = done.send(());
    }
}

fn start_dial(
    swarm: &mut Swarm<Behaviour>,
    registry: &Registry,
    addr: Multiaddr,
    peer: Option<PeerId>,
    dial: Dial,
) {
    // A port of its own for each connection: with the listening port on both sides, two devices that dial each other at
    // once would ask the system for the same connection twice.
    let opts: DialOpts = match peer {
        Some(peer) => DialOpts::peer_id(peer)
            .condition(PeerCondition::Always)
            .addresses(vec![addr])
            .allocate_new_port()
            .build(),
        None => DialOpts::unknown_peer_id().address(addr).allocate_new_port().build(),
    };
    let connection = opts.connection_id();
    registry.await_dial(connection, dial);
    if let Err(error) = swarm.dial(opts) {
        registry.fail_dial(connection, |expected| dial_error(&error, expected));
    }
}

fn note(event: SwarmEvent<Infallible>, registry: &Registry, listening: &Listening) {
    let addrs = || listening.lock().unwrap_or_else(PoisonError::into_inner);
    match event {
        SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
            registry.fail_dial(connection_id, |expected| dial_error(&error, expected));
        }
        SwarmEvent::NewListenAddr { address, .. } => {
            addrs().insert(address);
        }
        SwarmEvent::ExpiredListenAddr { address, .. } => {
            addrs().remove(&address);
        }
        SwarmEvent::ListenerError { error, .. } => {
            tracing::warn!(%error, "the listening socket reports an error")
        }
        SwarmEvent::ListenerClosed { reason: Err(error), addresses, .. } => {
            tracing::error!(%error, "the listening socket was closed: nobody can connect to this device any more");
            addresses.iter().for_each(|address| {
                addrs().remove(address);
            });
        }
        // Anyone can send garbage, so it is no warning.
        SwarmEvent::IncomingConnectionError { error, .. } => tracing::debug!(%error, "no handshake"),
        _ => {}
    }
}

fn dial_error(error: &DialError, expected: Option<PeerKey>) -> Error {
    match error {
        DialError::WrongPeerId { obtained, .. } => match (expected, PeerKey::from_peer_id(obtained)) {
            (Some(expected), Some(found)) => Error::WrongKey { expected, found },
            _ => Error::Dial { reason: "the peer's key is not Ed25519".to_owned() },
        },
        // The address was given, so none left means that it is among this device's own.
        DialError::LocalPeerId { .. } | DialError::NoAddresses => Error::OwnDevice,
        DialError::Transport(errors) => {
            let reasons: Vec<_> = errors.iter().map(|(_, error)| transport_reason(error)).collect();
            Error::Dial { reason: reasons.join("; ") }
        }
        DialError::Denied { cause } => Error::Dial { reason: with_sources(cause) },
        other => Error::Dial { reason: other.to_string() },
    }
}
