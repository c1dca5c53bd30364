use std::io;

use futures::StreamExt;
use libp2p_core::muxing::StreamMuxerBox;
use libp2p_core::transport::{Boxed, TransportError};
use libp2p_core::{Multiaddr, PeerId, Transport, upgrade};
use libp2p_identity::Keypair;
use libp2p_swarm::{Swarm, SwarmEvent};
use tokio::time::timeout;

use crate::Error;
use crate::address::{Place, Target};
use crate::behaviour::Behaviour;
use crate::bounded_close::BoundedClose;
use crate::limits::Limits;

/// Substreams on one connection: one carries the frames, the rest is for protocols beside it.
const SUBSTREAMS_MAX: usize = 64;

/// TCP, Noise XX with the device's key, yamux.
pub(crate) fn transport(pair: &Keypair, limits: &Limits) -> Boxed<(PeerId, StreamMuxerBox)> {
    let noise = libp2p_noise::Config::new(pair).expect("an Ed25519 key signs the handshake key");
    let mut yamux = libp2p_yamux::Config::default();
    yamux.set_max_num_streams(SUBSTREAMS_MAX);
    let close = limits.close;
    let tcp = libp2p_tcp::Config::new().nodelay(true);
    libp2p_tcp::tokio::Transport::new(tcp)
        .upgrade(upgrade::Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux)
        .timeout(limits.handshake)
        .map(move |(peer, muxer), _| (peer, StreamMuxerBox::new(BoundedClose::new(muxer, close))))
        .boxed()
}

/// Opens the listening socket and returns its first address.
pub(crate) async fn listen(
    swarm: &mut Swarm<Behaviour>,
    text: &str,
    limits: &Limits,
) -> Result<Multiaddr, Error> {
    let fail = |reason: String| Error::Listen { addr: text.to_owned(), reason };
    let Place::Addr(addr) = Target::parse(text)?.place else {
        return Err(fail("a name is nothing to listen on: write the address in numbers".to_owned()));
    };
    swarm.listen_on(addr).map_err(|error| fail(transport_reason(&error)))?;
    let bound = async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { address, .. } => return Ok(address),
                SwarmEvent::ListenerClosed { reason: Err(error), .. }
                | SwarmEvent::ListenerError { error, .. } => {
                    return Err(fail(error.to_string()));
                }
                _ => {}
            }
        }
    };
    timeout(limits.handshake, bound).await.unwrap_or_else(|_| Err(fail("no address".to_owned())))
}

pub(crate) fn transport_reason(error: &TransportError<io::Error>) -> String {
    match error {
        TransportError::Other(error) => with_sources(error),
        other => other.to_string(),
    }
}

/// libp2p nests its errors deeply; the innermost says what happened.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}
