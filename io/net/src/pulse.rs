use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use futures::io::{AsyncRead, AsyncWrite};

/// Whether bytes move in one direction. A timer for each read and write would cost more than the read; a watchdog that
/// looks at these now and then costs nothing.
#[derive(Default)]
pub(crate) struct Pulse {
    moved: AtomicU64,
    waiting: AtomicBool,
}

impl Pulse {
    /// Whether the last call waits for the peer.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.load(Relaxed)
    }

    /// How often bytes moved.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Relaxed)
    }

    fn note<T>(&self, poll: Poll<T>) -> Poll<T> {
        self.waiting.store(poll.is_pending(), Relaxed);
        if poll.is_ready() {
            self.moved.fetch_add(1, Relaxed);
        }
        poll
    }
}

/// A stream whose pulse can be felt.
pub(crate) struct Watched<S> {
    stream: S,
    pub(crate) read: Arc<Pulse>,
    pub(crate) write: Arc<Pulse>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, read: Arc::default(), write: Arc::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.read.note(Pin::new(&mut this.stream).poll_read(cx, buf))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.write.note(Pin::new(&mut this.stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.write.note(Pin::new(&mut this.stream).poll_flush(cx))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.write.note(Pin::new(&mut this.stream).poll_close(cx))
    }
}
