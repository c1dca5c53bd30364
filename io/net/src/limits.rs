use std::time::Duration;

/// The bounds of one network. They are not settings: tests shorten them, everything else takes the default.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// From a call of `dial` to a usable connection.
    pub(crate) dial: Duration,
    /// From an accepted socket to an authenticated connection, for each upgrade of it.
    pub(crate) handshake: Duration,
    /// From an authenticated connection to a verdict.
    pub(crate) greeting: Duration,
    /// For what is still queued when a connection is closed on purpose.
    pub(crate) close: Duration,
    /// The watchdog's step; the `*_ticks` count in it.
    pub(crate) tick: Duration,
    /// A peer that takes no byte for this long, though some wait for it, is stalled.
    pub(crate) write_ticks: u32,
    /// A peer from which no byte comes for this long is gone. Must be well above `keepalive_ticks`.
    pub(crate) silence_ticks: u32,
    /// After this long without a byte to send, a keepalive is.
    pub(crate) keepalive_ticks: u32,
    /// Sockets that were accepted and are not authenticated yet.
    pub(crate) pending_inbound: usize,
    /// Authenticated connections in all.
    pub(crate) connections: usize,
    /// Authenticated connections with one device: two when both dial, and room for those that are being replaced.
    pub(crate) connections_per_peer: usize,
    /// Bytes waiting for the caller in `NetEvents`. Must hold the longest frame.
    pub(crate) inbound_bytes: usize,
    /// Bytes of large frames that have not arrived whole, of all peers. Must hold the longest frame.
    pub(crate) assembly_bytes: usize,
    /// Bytes waiting to be sent to one peer.
    pub(crate) outbound_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            dial: Duration::from_secs(15),
            handshake: Duration::from_secs(10),
            greeting: Duration::from_secs(10),
            close: Duration::from_secs(5),
            tick: Duration::from_secs(5),
            write_ticks: 6,
            silence_ticks: 9,
            keepalive_ticks: 3,
            pending_inbound: 128,
            connections: 1024,
            connections_per_peer: 4,
            inbound_bytes: 64 * 1024 * 1024,
            assembly_bytes: 256 * 1024 * 1024,
            outbound_bytes: 8 * 1024 * 1024,
        }
    }
}
