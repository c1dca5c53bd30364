use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p_core::StreamMuxer;
use libp2p_core::muxing::StreamMuxerEvent;
use tokio::time::{Sleep, sleep};

/// A connection whose orderly end has a time limit.
///
/// libp2p waits without one until all is written, so a peer that closes and then reads nothing more would keep the
/// socket and its task for ever, outside every other limit.
pub(crate) struct BoundedClose<M> {
    muxer: M,
    limit: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<M> BoundedClose<M> {
    pub(crate) fn new(muxer: M, limit: Duration) -> Self {
        Self { muxer, limit, deadline: None }
    }
}

impl<M: StreamMuxer<Error: Into<io::Error>> + Unpin> StreamMuxer for BoundedClose<M> {
    type Substream = M::Substream;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<M::Substream>> {
        Pin::new(&mut self.muxer).poll_inbound(cx).map_err(Into::into)
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<M::Substream>> {
        Pin::new(&mut self.muxer).poll_outbound(cx).map_err(Into::into)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Pin::new(&mut self.muxer).poll(cx).map_err(Into::into)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(closed) = Pin::new(&mut self.muxer).poll_close(cx) {
            return Poll::Ready(closed.map_err(Into::into));
        }
        let limit = self.limit;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(limit)));
        deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures::io::Cursor;

    use super::*;

    /// Closes at once, or never.
    struct Closing(Poll<()>);

    impl StreamMuxer for Closing {
        type Substream = Cursor<Vec<u8>>;
        type Error = io::Error;

        fn poll_inbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Self::Substream>> {
            Poll::Pending
        }

        fn poll_outbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Self::Substream>> {
            Poll::Pending
        }

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.0.map(Ok)
        }
    }

    async fn close(muxer: Closing) -> io::Result<()> {
        let mut muxer = BoundedClose::new(muxer, Duration::from_millis(10));
        poll_fn(|cx| Pin::new(&mut muxer).poll_close(cx)).await
    }

    #[tokio::test]
    async fn a_close_that_takes_for_ever_is_cut_off() {
        assert!(close(Closing(Poll::Ready(()))).await.is_ok());
        assert_eq!(close(Closing(Poll::Pending)).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
