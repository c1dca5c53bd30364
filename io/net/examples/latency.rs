//! Round trips of 1 KiB frames and the rate of 1 MiB frames between two devices in one process, beside the same over
//! bare TCP, on loopback. `cargo run --release -p terachat-net --example latency [current]`; with `current` both
//! devices share one thread.
#![allow(clippy::print_stdout)] // The figures are the program's output.
use std::time::{Duration, Instant};

use terachat_net::{Net, NetEvent, NetEvents, PeerKey};
use terachat_vault::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const SMALL: usize = 1024;
const LARGE: usize = 1024 * 1024;
const WARMUP: usize = 1_000;
const ROUNDS: usize = 20_000;
const LARGE_FRAMES: usize = 1_000;

fn main() -> Result<(), Failure> {
    let one_thread = std::env::args().any(|arg| arg == "current");
    let mut runtime = if one_thread {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = runtime.enable_all().build()?;
    let (tcp, net, back) = runtime.block_on(async {
        let tcp = tokio::spawn(bare_tcp()).await??;
        let net = tokio::spawn(devices()).await??;
        Ok::<_, Failure>((tcp, net, tokio::spawn(bare_tcp()).await??))
    })?;
    println!("{}", if one_thread { "one thread" } else { "a thread per core" });
    tcp.print("bare TCP");
    net.print("devices");
    back.print("bare TCP again");
    Ok(())
}

struct Figures {
    trips: Vec<Duration>,
    large: Duration,
}

impl Figures {
    fn print(mut self, name: &str) {
        self.trips.sort_unstable();
        let at = |permille: usize| self.trips[self.trips.len() * permille / 1000].as_secs_f64() * 1e6;
        let rate = (LARGE * LARGE_FRAMES) as f64 / 1e6 / self.large.as_secs_f64();
        println!(
            "{name:>15}: 1 KiB round trip p50 {:6.1} us, p99 {:6.1} us; 1 MiB {rate:6.0} MB/s",
            at(500),
            at(990)
        );
    }
}

async fn bare_tcp() -> Result<Figures, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut near = TcpStream::connect(listener.local_addr()?).await?;
    let (mut far, _) = listener.accept().await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let echo = tokio::spawn(async move {
        let mut buffer = vec![0; SMALL];
        for _ in 0..WARMUP + ROUNDS {
            far.read_exact(&mut buffer).await?;
            far.write_all(&buffer).await?;
        }
        let mut buffer = vec![0; LARGE];
        for _ in 0..LARGE_FRAMES {
            far.read_exact(&mut buffer).await?;
        }
        far.write_all(&[1]).await
    });
    let mut buffer = vec![1; SMALL];
    let mut trips = Vec::new();
    for _ in 0..WARMUP + ROUNDS {
        let start = Instant::now();
        near.write_all(&buffer).await?;
        near.read_exact(&mut buffer).await?;
        trips.push(start.elapsed());
    }
    let large = vec![2; LARGE];
    let start = Instant::now();
    for _ in 0..LARGE_FRAMES {
        near.write_all(&large).await?;
    }
    near.read_exact(&mut [0]).await?;
    let large = start.elapsed();
    echo.await??;
    Ok(Figures { trips: trips.split_off(WARMUP), large })
}

async fn devices() -> Result<Figures, Failure> {
    let (near, mut near_events) = Net::start(&Secret::take(&mut [1; 32]), None).await?;
    let (far, mut far_events) = Net::start(&Secret::take(&mut [2; 32]), Some("127.0.0.1:0")).await?;
    let addr = far.listen_addrs().pop().ok_or("the device listens")?;
    let echo = tokio::spawn(async move {
        for _ in 0..WARMUP + ROUNDS {
            let (peer, bytes) = frame(&mut far_events).await?;
            far.send(peer, bytes).await?;
        }
        for n in 1..=LARGE_FRAMES {
            let (peer, _) = frame(&mut far_events).await?;
            if n == LARGE_FRAMES {
                far.send(peer, vec![1]).await?;
            }
        }
        far.shutdown().await;
        Ok::<_, Failure>(())
    });
    let peer = near.dial(&addr, None).await?;
    let mut trips = Vec::new();
    for _ in 0..WARMUP + ROUNDS {
        let bytes = vec![1; SMALL];
        let start = Instant::now();
        near.send(peer, bytes).await?;
        frame(&mut near_events).await?;
        trips.push(start.elapsed());
    }
    let start = Instant::now();
    for _ in 0..LARGE_FRAMES {
        near.send(peer, vec![2; LARGE]).await?;
    }
    frame(&mut near_events).await?;
    let large = start.elapsed();
    echo.await??;
    Ok(Figures { trips: trips.split_off(WARMUP), large })
}

async fn frame(events: &mut NetEvents) -> Result<(PeerKey, Vec<u8>), Failure> {
    loop {
        match events.recv().await.ok_or("the network goes on")? {
            NetEvent::Frame { peer, bytes } => return Ok((peer, bytes)),
            NetEvent::Connected { .. } => {}
            other => return Err(format!("{other:?}").into()),
        }
    }
}
