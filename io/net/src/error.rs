use crate::{FRAME_LEN_MAX, PeerKey};

/// What a call on [`Net`](crate::Net) can fail with. What ends a running connection is a
/// [`Reason`](crate::Reason) instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no address this version connects to. Nothing was tried.
    #[error(
        "{text:?} is not an address; write 127.0.0.1:4001, host.example:4001 or /ip4/127.0.0.1/tcp/4001, with or without /p2p/<key>"
    )]
    Address {
        /// The text as given.
        text: String,
    },
    /// The host's name leads to no address. Nothing was dialled.
    #[error("the host {name} is not found: {reason}; check the name, or write its address in numbers")]
    Host {
        /// The name as given.
        name: String,
        /// The system's word.
        reason: String,
    },
    /// The 32 bytes are no Ed25519 public key. Nothing was tried.
    #[error("{0} is not an Ed25519 public key; was it copied whole?")]
    Key(PeerKey),
    /// The listening socket could not be opened; the network was not started.
    #[error("cannot listen on {addr}: {reason}; choose another address or end the program that holds it")]
    Listen {
        /// The address asked for.
        addr: String,
        /// The system's word.
        reason: String,
    },
    /// Another device answered than the one expected, or the two keys given differ. No connection was kept.
    #[error(
        "expected the device {expected} and found {found}; the address is stale, or someone answers in its place"
    )]
    WrongKey {
        /// The key the caller named.
        expected: PeerKey,
        /// The key that answered, or that the address names.
        found: PeerKey,
    },
    /// The address leads back to this device. No connection was kept.
    #[error("the address leads to this device itself; dial another one")]
    OwnDevice,
    /// Nobody answered, or the connection broke before it was usable. No connection was kept.
    #[error("cannot connect: {reason}; check that the device is running and reachable, then dial again")]
    Dial {
        /// The transport's word.
        reason: String,
    },
    /// The connection was not usable in time. One that becomes so later is still reported by
    /// [`NetEvent::Connected`](crate::NetEvent::Connected).
    #[error("no usable connection within {seconds} s; check the address, then dial again")]
    Timeout {
        /// How long was waited.
        seconds: u64,
    },
    /// There is no connection to the device, or it ended before the frame was queued. Frames queued earlier may be
    /// lost too.
    #[error("not connected to {0}; dial it and send again")]
    NotConnected(PeerKey),
    /// The frame is empty or longer than [`FRAME_LEN_MAX`]. Nothing was sent and the connection goes on.
    #[error("a frame holds 1 to {FRAME_LEN_MAX} bytes, not {len}; cut it into several")]
    FrameLength {
        /// The frame's length in bytes.
        len: usize,
    },
    /// The network was shut down. Nothing was sent.
    #[error("the network was shut down; start it again")]
    Shutdown,
}
