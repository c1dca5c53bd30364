//! Requests a second over HTTP at many connections: gets and durable puts, in turn with the same server's constant answer.
//! Server and client are one process and share its cores.
use crate::records::bytes;
use crate::stores::{COLLECTION, Sealed, Store, name};
use anyhow::{Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use terachat_figures::measure::{Spread, percentile};
use terachat_figures::report::Figure;
use terachat_vault_server::{Rate, Scopes, Server, ServerConfig, TokenStore};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// Records put in one commit while the vault is filled.
const GROUP: u64 = 100;

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Connections at once, each with one request at a time.
    #[arg(long, default_value_t = Self::default().connections)]
    connections: u32,
    /// Records of 2 KiB in the vault.
    #[arg(long, default_value_t = Self::default().records)]
    records: u64,
    /// Seconds that each kind of request is asked for in each run.
    #[arg(long, default_value_t = Self::default().seconds)]
    seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { connections: 64, records: 10_000, seconds: 3 }
    }
}

/// A kind of request.
#[derive(Clone, Copy)]
struct Kind {
    word: &'static str,
    method: &'static str,
    /// Its path for the n-th request.
    path: fn(u64) -> String,
}

const KINDS: [Kind; 3] = [
    Kind { word: "a constant", method: "GET", path: |_| "/healthz".to_owned() },
    Kind {
        word: "get",
        method: "GET",
        path: |n| format!("/v1/collections/{COLLECTION}/records/{}", name(n)),
    },
    Kind {
        word: "durable put",
        method: "PUT",
        path: |n| format!("/v1/collections/{COLLECTION}/records/put-{n}"),
    },
];

pub(crate) fn run(options: &Options, runs: usize) -> Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let store = Sealed::create(&folder.path().join("vault"))?;
    for from in (0..options.records).step_by(GROUP as usize) {
        let values: Vec<_> = (from..(from + GROUP).min(options.records)).map(|id| (id, bytes(id))).collect();
        store.put(&values.iter().map(|(id, bytes)| (*id, &bytes[..])).collect::<Vec<_>>())?;
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(300).build()?;
    let answered = runtime.block_on(serve(store, options, runs))?;
    let rate = |kind: usize| Spread::of(answered[kind].iter().map(|run| run.per_s));
    let constant = rate(0);
    let mut figures = Vec::new();
    for (at, kind) in KINDS.iter().enumerate() {
        let figure = Figure::new(
            "http",
            format!("{} at {} connections", kind.word, options.connections),
            "/s",
            rate(at),
        );
        figures.push(if at == 0 { figure } else { figure.beside("the constant", constant.median) });
        let mut times: Vec<f64> =
            answered[at].iter().flat_map(|run| run.latencies_us.iter().copied()).collect();
        times.sort_by(f64::total_cmp);
        for (share, word) in [(0.5, "p50"), (0.99, "p99")] {
            let value = percentile(&times, share);
            figures.push(Figure::once("http", format!("  {word}: {}", kind.word), "us", value));
        }
    }
    let ratio = rate(1).median / constant.median;
    figures.push(Figure::once("http", "get over the constant", "x", ratio).at_least(0.5));
    Ok(figures)
}

/// One run of one kind.
struct Answered {
    per_s: f64,
    latencies_us: Vec<f64>,
}

/// Serves the vault and asks it, all kinds in each run, so that a busy machine slows all alike.
async fn serve(store: Sealed, options: &Options, runs: usize) -> Result<[Vec<Answered>; 3]> {
    let day = Duration::from_secs(86_400);
    let token = TokenStore::open(&store.vault)?.create("bench", "bench", Scopes::full(), day)?;
    let authorization = format!("Bearer {}", token.expose_token());
    let unlimited = Rate { per_s: 0, burst: 1 };
    let config = ServerConfig { rate: unlimited, ..ServerConfig::new(SocketAddr::from(([127, 0, 0, 1], 0))) };
    let server = Server::bind(store.vault, config).await?;
    let address = server.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let (_reload, again) = watch::channel(());
    let server = tokio::spawn(server.run(
        async {
            // An end of the sender is an order to stop as well.
            let _ = stopped.await;
        },
        again,
    ));
    let mut answered = [const { Vec::new() }; 3];
    for run in 0..runs as u64 {
        for (kind, answered) in KINDS.iter().zip(&mut answered) {
            answered.push(load(address, &authorization, *kind, options, run << 40).await?);
        }
    }
    drop(stop);
    server.await??;
    Ok(answered)
}

/// Asks for one kind as quickly as answers come; the requests' numbers begin at `first`.
async fn load(
    address: SocketAddr,
    authorization: &str,
    kind: Kind,
    options: &Options,
    first: u64,
) -> Result<Answered> {
    let mut tasks = JoinSet::new();
    let (begun, time, records) = (Instant::now(), Duration::from_secs(options.seconds), options.records);
    for task in 0..options.connections {
        let authorization = authorization.to_owned();
        tasks.spawn(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (mut client, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            let (mut latencies, mut n) = (Vec::new(), first + u64::from(task) * 1_000_003);
            while begun.elapsed() < time {
                n += 1;
                let puts = kind.method == "PUT";
                let request = Request::builder()
                    .method(kind.method)
                    .uri((kind.path)(if puts { n } else { n % records }))
                    .header("host", "vault")
                    .header("authorization", &authorization)
                    .header("accept", "application/octet-stream")
                    .header("content-type", "application/octet-stream")
                    .body(Full::new(if puts { Bytes::from(bytes(n)) } else { Bytes::new() }))?;
                let from = Instant::now();
                let answer = client.send_request(request).await?;
                ensure!(answer.status() == 200, "{} was answered with {}", kind.word, answer.status());
                answer.into_body().collect().await?;
                latencies.push(from.elapsed().as_secs_f64() * 1e6);
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies_us = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies_us.extend(done??);
    }
    Ok(Answered { per_s: latencies_us.len() as f64 / begun.elapsed().as_secs_f64(), latencies_us })
}
