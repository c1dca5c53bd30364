//! How many requests a second the server answers on loopback, and how long they take, at 64 connections: gets of 2 KiB
//! and durable puts beside a route that answers a constant; and whether a get is better run where it is or on a thread
//! that may wait. Client and server share the machine's cores.
//!
//! `cargo run --release -p terachat-vault-server --example throughput`
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that fails has nothing to say")]

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use terachat_vault::{PassphraseCost, PassphraseSource, SecretBytes};
use terachat_vault_server::{Rate, Scopes, Server, ServerConfig, TokenStore};
use terachat_vault_store::{Access, CollectionOptions, Config, PutOptions, TemplateVault};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

const CONNECTIONS: usize = 64;
const RECORDS: usize = 10_000;
const LEN: usize = 2048;
const TIME: Duration = Duration::from_secs(4);

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(300).build().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let mut source =
        PassphraseSource::new(SecretBytes::take(b"horse".to_vec()), PassphraseCost::INSECURE_FAST);
    let vault = TemplateVault::create(&Config::new(folder.path().join("vault")), &mut [&mut source]).unwrap();
    vault.create_collection("bench", "door", &CollectionOptions::default()).unwrap();
    let session = vault.session("bench", Access::full()).unwrap();
    std::thread::scope(|scope| {
        for part in 0..16 {
            let session = &session;
            scope.spawn(move || {
                for n in (part..RECORDS).step_by(16) {
                    let content = SecretBytes::take(vec![7; LEN]).into();
                    session.put("door", &format!("r{n}"), content, &PutOptions::default()).unwrap();
                }
            });
        }
    });
    where_to_run(&session).await;
    let token = TokenStore::open(&vault)
        .unwrap()
        .create("bench", "bench", Scopes::full(), Duration::from_secs(3600))
        .unwrap();
    let config = ServerConfig {
        rate: Rate { per_s: 0, burst: 1 },
        ..ServerConfig::new("127.0.0.1:0".parse().unwrap())
    };
    let server = Server::bind(vault, config).await.unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let (_reload, again) = watch::channel(());
    let server = tokio::spawn(server.run(async { _ = stopped.await }, again));
    let token = token.expose_token().to_owned();
    // Paired: each round has all of them, so that a busy machine slows all alike.
    for _ in 0..2 {
        let constant = load(address, &token, "GET", |_| "/healthz".to_owned()).await;
        let get =
            load(address, &token, "GET", |n| format!("/v1/collections/door/records/r{}", n % RECORDS)).await;
        let put = load(address, &token, "PUT", |n| format!("/v1/collections/door/records/p{n}")).await;
        for (name, found) in [("constant", &constant), ("get", &get), ("put", &put)] {
            println!(
                "{name:9} {:8.0}/s  p50 {:6} us  p99 {:6} us  {:.2} of the constant",
                found.per_s,
                found.p50,
                found.p99,
                found.per_s / constant.per_s
            );
        }
    }
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

struct Found {
    per_s: f64,
    p50: u128,
    p99: u128,
}

impl Found {
    fn of(mut times: Vec<Duration>, took: Duration) -> Self {
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_micros();
        Self { per_s: times.len() as f64 / took.as_secs_f64(), p50: at(50), p99: at(99) }
    }
}

/// Many tasks get records, where they are and on threads that may wait.
async fn where_to_run(session: &terachat_vault_store::Session) {
    for (name, inline) in [("inline", true), ("thread", false), ("inline", true), ("thread", false)] {
        let mut tasks = JoinSet::new();
        let begun = Instant::now();
        for task in 0..CONNECTIONS {
            let session = session.clone();
            tasks.spawn(async move {
                let mut times = Vec::new();
                let mut n = task * 151;
                while begun.elapsed() < TIME / 2 {
                    n += 1;
                    let (session, id, from) = (session.clone(), format!("r{}", n % RECORDS), Instant::now());
                    if inline {
                        session.get("door", &id).unwrap();
                        tokio::task::yield_now().await;
                    } else {
                        tokio::task::spawn_blocking(move || session.get("door", &id).unwrap()).await.unwrap();
                    }
                    times.push(from.elapsed());
                }
                times
            });
        }
        let times = tasks.join_all().await.concat();
        let found = Found::of(times, begun.elapsed());
        println!("get, {name}: {:8.0}/s  p50 {:6} us  p99 {:6} us", found.per_s, found.p50, found.p99);
    }
}

async fn load(
    address: SocketAddr,
    token: &str,
    method: &str,
    path: impl Fn(usize) -> String + Copy + Send + Sync + 'static,
) -> Found {
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for task in 0..CONNECTIONS {
        let (authorization, method) = (format!("Bearer {token}"), method.to_owned());
        tasks.spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (mut client, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            let (mut times, mut n) = (Vec::new(), task * 1_000_003);
            while begun.elapsed() < TIME {
                n += 1;
                let body = if method == "PUT" { vec![7; LEN] } else { Vec::new() };
                let request = Request::builder()
                    .method(method.as_str())
                    .uri(path(n))
                    .header("host", "vault")
                    .header("authorization", &authorization)
                    .header("accept", "application/octet-stream")
                    .header("content-type", "application/octet-stream")
                    .body(Full::new(Bytes::from(body)))
                    .unwrap();
                let from = Instant::now();
                let answer = client.send_request(request).await.unwrap();
                assert_eq!(answer.status(), 200);
                answer.into_body().collect().await.unwrap();
                times.push(from.elapsed());
            }
            times
        });
    }
    let times = tasks.join_all().await.concat();
    Found::of(times, begun.elapsed())
}
