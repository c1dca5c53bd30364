use crate::PeerKey;
use crate::queue::Outlet;

/// What happens on the network, in the order in which it happened for each peer: `Connected`, any number of `Frame`s,
/// `Disconnected`, and from the start again.
#[derive(Debug)]
#[non_exhaustive]
pub enum NetEvent {
    /// Frames can be sent to the peer and may arrive from it.
    Connected {
        /// The device's key, proved in the handshake.
        peer: PeerKey,
        /// Where it is, as a multiaddress. The port of an inbound connection is not the one the peer listens on.
        addr: String,
        /// Whether the peer dialled.
        inbound: bool,
    },
    /// A whole frame arrived.
    Frame {
        /// Its sender.
        peer: PeerKey,
        /// 1 to [`FRAME_LEN_MAX`](crate::FRAME_LEN_MAX) bytes.
        bytes: Vec<u8>,
    },
    /// The connection is gone. Frames that were queued or under way may be lost.
    Disconnected {
        /// The device that was connected.
        peer: PeerKey,
        /// Why.
        reason: Reason,
    },
}

impl NetEvent {
    /// What an event takes from the queue's bytes beside a frame's own: its header, its place, its permit.
    pub(crate) const COST: usize = 256;
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// This device ended it: [`Net::disconnect`](crate::Net::disconnect), a shutdown, or dropped [`NetEvents`].
    ClosedHere,
    /// The peer ended it between two frames, or its process stopped there.
    ClosedByPeer,
    /// The connection broke; the transport's word.
    Lost(String),
    /// The peer took nothing, or said nothing, for longer than a living one does.
    Stalled,
    /// The peer announced a frame of this many bytes, more than [`FRAME_LEN_MAX`](crate::FRAME_LEN_MAX).
    FrameTooLong(u32),
    /// The peer had lost this connection and made a new one, which takes its place.
    Replaced,
}

/// The stream of [`NetEvent`]s. Dropping it ends all connections.
pub struct NetEvents(pub(crate) Outlet<NetEvent>);

impl NetEvents {
    /// Waits for the next event; `None` after a shutdown, when all earlier events were taken. Safe to cancel: no event
    /// is lost.
    pub async fn recv(&mut self) -> Option<NetEvent> {
        self.0.recv().await
    }
}
