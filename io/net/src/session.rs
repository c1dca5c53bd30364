//! A connection's life once it is authenticated: greeting, verdict, frames both ways, end.
//!
//! One future, polled by libp2p's task of that connection: a frame passes no further task on its way to the socket.
use std::io;
use std::pin::pin;
use std::sync::Arc;

use futures::future::{Either, select};
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::Reason;
use crate::frame::{lost, read_frame, write_frame};
use crate::greeting::{Greeting, Verdict};
use crate::limits::Limits;
use crate::link::Link;
use crate::pulse::{Pulse, Watched};
use crate::queue::Outlet;
use crate::registry::Seat;

/// Small frames that wait together go out together, up to what yamux puts into one of its own frames.
const BUFFER_LEN: usize = 16 * 1024;

/// A link and the frames to be sent on it.
type Opened = (Arc<Link>, Outlet<Vec<u8>>);

/// Runs a connection to its end. `stream` comes when the substream is negotiated.
pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(mut seat: Seat, stream: oneshot::Receiver<S>) {
    let limits = seat.limits().clone();
    let opening = async {
        let mut stream = stream
            .await
            .map_err(|_| io::Error::other("the connection broke, or the peer speaks another version"))?;
        let opened = greet(&mut seat, &mut stream).await?;
        Ok::<_, io::Error>((stream, opened))
    };
    match timeout(limits.greeting, opening).await {
        Ok(Ok((stream, Some((link, outlet))))) => {
            let reason = exchange(stream, &link, outlet, &seat.assembly(), &limits).await;
            seat.end(reason);
        }
        Ok(Ok((mut stream, None))) => {
            seat.yield_to_other();
            if seat.decides() {
                // Hanging up first could overtake the verdict: the peer does it on reading that.
                let _ = timeout(limits.close, stream.read(&mut [0])).await;
            }
        }
        Ok(Err(error)) => seat.fail(error),
        Err(_) => seat.fail("the peer did not greet in time"),
    }
}

async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    seat: &mut Seat,
    stream: &mut S,
) -> io::Result<Option<Opened>> {
    let ours = seat.greeting();
    ours.write(stream).await?;
    let theirs = Greeting::read(stream).await?;
    let nobody_listens = || io::Error::other("the network is shut down");
    if !seat.decides() {
        return match Verdict::read(stream).await? {
            Verdict::Duplicate => Ok(None),
            Verdict::Accept => {
                let room = seat.reserve().await.ok_or_else(nobody_listens)?;
                Ok(Some(seat.obey(ours, theirs, room)))
            }
        };
    }
    let room = seat.reserve().await.ok_or_else(nobody_listens)?;
    let opened = seat.decide(theirs, room);
    let verdict = if opened.is_some() { Verdict::Accept } else { Verdict::Duplicate };
    verdict.write(stream).await?;
    Ok(opened)
}

/// Moves frames both ways until one side has enough or the connection breaks.
async fn exchange<S>(
    stream: S,
    link: &Link,
    outlet: Outlet<Vec<u8>>,
    assembly: &Semaphore,
    limits: &Limits,
) -> Reason
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let stream = Watched::new(stream);
    let watchdog = watch(stream.read.clone(), stream.write.clone(), link, limits);
    let (reader, writer) = stream.split();
    let traffic = async {
        match select(pin!(receive(reader, link, assembly)), pin!(transmit(writer, outlet))).await {
            // Whoever closes has sent all it had; the other does the same, then both hang up.
            Either::Left((Ok(()), transmit)) => {
                link.outgoing.close();
                let _ = timeout(limits.close, transmit).await;
                Reason::ClosedByPeer
            }
            Either::Right((Ok(()), receive)) => {
                let _ = timeout(limits.close, receive).await;
                Reason::ClosedHere
            }
            Either::Left((Err(reason), _)) | Either::Right((Err(reason), _)) => reason,
        }
    };
    let (watchdog, ended) = (pin!(watchdog), pin!(link.ended()));
    match select(pin!(traffic), select(watchdog, ended)).await {
        Either::Left((reason, _)) | Either::Right((Either::Left((reason, _)), _)) => reason,
        // Whoever ended the link has said why.
        Either::Right((Either::Right(_), _)) => Reason::ClosedHere,
    }
}

async fn receive(reader: impl AsyncRead + Unpin, link: &Link, assembly: &Semaphore) -> Result<(), Reason> {
    let mut reader = BufReader::with_capacity(BUFFER_LEN, reader);
    while let Some((frame, _permit)) = read_frame(&mut reader, assembly).await? {
        if !link.deliver(frame).await {
            return Err(Reason::ClosedHere);
        }
    }
    Ok(())
}

async fn transmit(writer: impl AsyncWrite + Unpin, mut outlet: Outlet<Vec<u8>>) -> Result<(), Reason> {
    let mut writer = BufWriter::with_capacity(BUFFER_LEN, writer);
    while let Some(frame) = outlet.recv().await {
        write_frame(&mut writer, &frame).await.map_err(lost)?;
        while let Some(frame) = outlet.try_recv() {
            write_frame(&mut writer, &frame).await.map_err(lost)?;
        }
        writer.flush().await.map_err(lost)?;
    }
    writer.close().await.map_err(lost)
}

/// Keeps an idle connection alive, and returns when the peer shows no sign of life.
async fn watch(read: Arc<Pulse>, write: Arc<Pulse>, link: &Link, limits: &Limits) -> Reason {
    let mut ticks = interval(limits.tick);
    // A computer that slept has not waited: missed ticks do not count.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut reads, mut writes) = (read.moved(), write.moved());
    let (mut silent, mut stuck, mut idle) = (0, 0, 0);
    loop {
        ticks.tick().await;
        let (no_read, no_write) = (read.moved() == reads, write.moved() == writes);
        (reads, writes) = (read.moved(), write.moved());
        silent = if no_read && read.is_waiting() { silent + 1 } else { 0 };
        stuck = if no_write && write.is_waiting() { stuck + 1 } else { 0 };
        idle = if no_write && !write.is_waiting() { idle + 1 } else { 0 };
        if silent >= limits.silence_ticks || stuck >= limits.write_ticks {
            return Reason::Stalled;
        }
        if idle >= limits.keepalive_ticks {
            idle = 0;
            // No room means that frames are waiting, which serve as well.
            let _ = link.outgoing.try_put(1, Vec::new());
        }
    }
}
