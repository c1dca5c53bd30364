use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use libp2p_core::upgrade::ReadyUpgrade;
use libp2p_swarm::handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p_swarm::{ConnectionHandler, ConnectionHandlerEvent, Stream, StreamProtocol, SubstreamProtocol};
use tokio::sync::oneshot;

use crate::registry::Seat;
use crate::session;

/// The one protocol: a substream that the dialler opens and both sides keep.
const PROTOCOL: StreamProtocol = StreamProtocol::new("/terachat/link/1");

/// The session of a connection ended; the connection is to be closed.
#[derive(Debug)]
pub(crate) struct SessionEnded;

/// Hands a connection's substream to its session, and polls that.
pub(crate) struct Handler {
    session: Option<BoxFuture<'static, ()>>,
    stream: Option<oneshot::Sender<Stream>>,
    /// Whether the substream is still to be asked for: the dialler does.
    opens: bool,
}

impl Handler {
    pub(crate) fn new(seat: Seat, opens: bool) -> Self {
        let (stream, negotiated) = oneshot::channel();
        Self { session: Some(session::run(seat, negotiated).boxed()), stream: Some(stream), opens }
    }

    /// Whether the session ended just now.
    fn poll_session(&mut self, cx: &mut Context<'_>) -> Poll<Option<SessionEnded>> {
        let Some(session) = &mut self.session else { return Poll::Ready(None) };
        session.poll_unpin(cx).map(|()| {
            self.session = None;
            Some(SessionEnded)
        })
    }
}

type Upgrade = ReadyUpgrade<StreamProtocol>;

impl ConnectionHandler for Handler {
    type FromBehaviour = std::convert::Infallible;
    type ToBehaviour = SessionEnded;
    type InboundProtocol = Upgrade;
    type OutboundProtocol = Upgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Upgrade> {
        SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ())
    }

    fn connection_keep_alive(&self) -> bool {
        self.session.is_some()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Upgrade, (), SessionEnded>> {
        if std::mem::take(&mut self.opens) {
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: self.listen_protocol(),
            });
        }
        match self.poll_session(cx) {
            Poll::Ready(Some(ended)) => Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(ended)),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// Frames that arrived before the connection closed are still reported.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Option<SessionEnded>> {
        // No substream will come any more: a session that waits for one ends.
        self.stream = None;
        self.poll_session(cx)
    }

    fn on_behaviour_event(&mut self, event: std::convert::Infallible) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Upgrade, Upgrade>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. })
            | ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, .. }) => {
                // A second substream has no taker and is reset by being dropped.
                if let Some(stream) = self.stream.take() {
                    let _ = stream.send(protocol);
                }
            }
            // Without its stream the session ends.
            ConnectionEvent::DialUpgradeError(_) => self.stream = None,
            _ => {}
        }
    }
}
