//! From one device's `post` to another device's screen, over loopback.
use super::{NAME, Sender};
use crate::catchup::{apply_all, store_over};
use crate::measure::percentile;
use crate::report::Figure;
use crate::sender::Prepared;
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use terachat_core_store::query::PageStart;
use terachat_core_store::sync::{Bundle, Limits, Outcome, Standing};
use terachat_event::LogId;
use terachat_host::Disk;
use terachat_net::{Net, NetEvent, NetEvents};
use terachat_vault::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const MESSAGES: usize = 300;
const WARMUP: usize = 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// Measures, beside the bare fsync of both sides and a bare TCP round trip in the same run.
///
/// # Errors
/// The stores' and the network's.
pub(super) fn run(kind: &str, sender: Sender<'_>, prepared: &Prepared) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut times = runtime.block_on(deliver(sender, prepared, folder.path()))?;
    times.frames.sort_by(f64::total_cmp);
    let typical = percentile(&times.frames, 0.5);
    let mut trips = runtime.block_on(tcp_round_trips(typical as usize))?;
    let mut fsyncs = fsyncs(folder.path(), typical as usize)?;
    for list in [
        &mut times.whole,
        &mut times.durable,
        &mut times.bundled,
        &mut times.applied,
        &mut trips,
        &mut fsyncs,
    ] {
        list.sort_by(f64::total_cmp);
    }
    let mut figures = Vec::new();
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let at = |list: &[f64]| percentile(list, share) * 1e6;
        let floor = 2.0 * at(&fsyncs) + at(&trips) / 2.0;
        let figure = |what: &str, value| Figure::once(NAME, format!("{kind}: {what}, {name}"), "us", value);
        figures.extend([
            figure("sender to reader", at(&times.whole))
                .beside("two bare fsyncs and half a TCP round trip", floor),
            figure("of that durable on the sender", at(&times.durable)),
            figure("of that finding and packing the bundle", at(&times.bundled)),
            figure("of that judged and durable on the reader", at(&times.applied)),
            figure("bare TCP round trip of a frame", at(&trips)),
            figure("bare append and fsync of a frame", at(&fsyncs)),
        ]);
    }
    figures.push(Figure::once(NAME, format!("{kind}: bytes a message on the wire"), "bytes", typical));
    Ok(figures)
}

#[derive(Default)]
struct Times {
    whole: Vec<f64>,
    durable: Vec<f64>,
    bundled: Vec<f64>,
    applied: Vec<f64>,
    frames: Vec<f64>,
}

async fn deliver(mut sender: Sender<'_>, prepared: &Prepared, folder: &Path) -> Result<Times> {
    let log = prepared.log;
    let mut reader = store_over(prepared, Box::new(Disk::open(folder)?))?;
    apply_all(&mut reader, prepared)?;
    let start = reader.frontier(&log).context("the reader has the log")?;
    for bundle in sender.store.bundles_since(&start, Limits::PEER)? {
        reader.apply_remote(&bundle)?;
    }
    let (far, events) = Net::start(&Secret::take(&mut [2; 32]), Some("127.0.0.1:0")).await?;
    let (near, _near_events) = Net::start(&Secret::take(&mut [1; 32]), None).await?;
    let peer = near.dial(&far.listen_addrs().pop().context("the reader listens")?, None).await?;
    let (seen, mut shown) = mpsc::unbounded_channel();
    let reading = tokio::spawn(read(events, reader, log, seen));
    let mut known: Standing = sender.store.frontier(&log).context("the sender has the log")?.into();
    sender.store.bundles_to(&mut known, Limits::PEER)?;
    let mut times = Times::default();
    for round in 0..WARMUP + MESSAGES {
        let begin = Instant::now();
        sender.post()?;
        let durable = begin.elapsed();
        let (bundles, _) = sender.store.bundles_to(&mut known, Limits::PEER)?;
        ensure!(bundles.len() == 1, "one message is one bundle");
        let bytes = bundles[0].encode();
        let bundled = begin.elapsed() - durable;
        let len = bytes.len();
        near.send(peer, bytes).await?;
        let (at, applied): (Instant, Duration) =
            tokio::time::timeout(PATIENCE, shown.recv()).await?.context("the reader stopped")?;
        if round >= WARMUP {
            times.whole.push((at - begin).as_secs_f64());
            times.durable.push(durable.as_secs_f64());
            times.bundled.push(bundled.as_secs_f64());
            times.applied.push(applied.as_secs_f64());
            times.frames.push(len as f64);
        }
    }
    near.shutdown().await;
    far.shutdown().await;
    reading.await??;
    Ok(times)
}

/// Takes in what arrives, and says when it is on the first page.
async fn read(
    mut events: NetEvents,
    mut store: terachat_core_store::LocalStore,
    log: LogId,
    seen: mpsc::UnboundedSender<(Instant, Duration)>,
) -> Result<()> {
    while let Some(event) = events.recv().await {
        let NetEvent::Frame { bytes, .. } = event else { continue };
        let begin = Instant::now();
        let bundle = Bundle::decode(&bytes, Limits::PEER)?;
        let Outcome::Applied { new, .. } = store.apply_remote(&bundle)? else {
            bail!("a message was not taken")
        };
        ensure!(
            new.len() == 1 && store.page(&log, PageStart::Newest, 1)?.len() == 1,
            "a message is not shown"
        );
        let applied = begin.elapsed();
        // The sender has stopped measuring when it no longer listens.
        let _ = seen.send((Instant::now(), applied));
    }
    Ok(())
}

async fn tcp_round_trips(len: usize) -> Result<Vec<f64>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut near = TcpStream::connect(listener.local_addr()?).await?;
    let (mut far, _) = listener.accept().await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let echo = tokio::spawn(async move {
        let mut buffer = vec![0; len];
        while far.read_exact(&mut buffer).await.is_ok() {
            far.write_all(&buffer).await?;
        }
        Ok::<_, std::io::Error>(())
    });
    let mut buffer = vec![1; len];
    let mut trips = Vec::new();
    for _ in 0..WARMUP + 10 * MESSAGES {
        let start = Instant::now();
        near.write_all(&buffer).await?;
        near.read_exact(&mut buffer).await?;
        trips.push(start.elapsed().as_secs_f64());
    }
    drop(near);
    echo.await??;
    Ok(trips.split_off(WARMUP))
}

fn fsyncs(folder: &Path, len: usize) -> Result<Vec<f64>> {
    let path = folder.join("bare");
    let mut file = File::create(&path)?;
    let bytes = vec![7; len];
    let times = (0..MESSAGES)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&bytes)?;
            file.sync_data()?;
            Ok(start.elapsed().as_secs_f64())
        })
        .collect::<Result<Vec<_>>>();
    std::fs::remove_file(path)?;
    times
}
