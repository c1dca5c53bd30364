use crate::support::{World, config, content, refused};
use serde_json::json;
use std::time::Duration;
use terachat_vault_server::{Rate, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_token_that_asks_too_often_is_told_to_wait() {
    let rate = Rate { per_s: 1, burst: 5 };
    let world = World::with(ServerConfig { rate, ..config() }).await;
    let mut answers = Vec::new();
    for _ in 0..7 {
        answers.push(world.ask("GET", "/v1/vault").send().await);
    }
    let last = answers.last().unwrap();
    refused(last, 429, "rate-limited");
    assert!((1..=5).contains(&last.header("retry-after").parse::<u64>().unwrap()));
    assert_eq!(answers[0].status, 200);
    assert_eq!(world.ask("GET", "/healthz").nobody().send().await.status, 200);
}

/// The head of a put whose body does not come yet.
async fn half_a_put(world: &World, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let body = content(b"late").to_string();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: vault\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\nexpect: 100-continue\r\n\r\n",
        world.root,
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body once the request has its place.
    let mut line = [0; 25];
    stream.read_exact(&mut line).await.unwrap();
    assert!(line.starts_with(b"HTTP/1.1 100 Continue"), "{}", String::from_utf8_lossy(&line));
    stream
}

async fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn places_are_bounded_and_health_still_answers() {
    let world = World::with(ServerConfig { requests_max: 1, ..config() }).await;
    let mut slow = half_a_put(&world, "/v1/collections/door/records/ann").await;
    let full = world.ask("GET", "/v1/vault").send().await;
    refused(&full, 503, "overloaded");
    assert_eq!(full.header("retry-after"), "1");
    for path in ["/healthz", "/readyz"] {
        assert_eq!(world.ask("GET", path).nobody().send().await.status, 200);
    }
    slow.write_all(content(b"late").to_string().as_bytes()).await.unwrap();
    assert!(rest(slow).await.starts_with("HTTP/1.1 200 OK"));
    assert_eq!(world.ask("GET", "/v1/vault").send().await.status, 200);
}

#[tokio::test]
async fn a_request_has_its_time() {
    let world = World::with(ServerConfig { request_time_max: Duration::from_millis(100), ..config() }).await;
    let slow = half_a_put(&world, "/v1/collections/door/records/ann").await;
    let answer = rest(slow).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("#problem-timeout"), "{answer}");
}

#[tokio::test]
async fn metrics_are_open_only_where_that_was_asked_for() {
    let world = World::with(ServerConfig { open_metrics: true, ..config() }).await;
    assert_eq!(world.ask("GET", "/metrics").nobody().send().await.status, 200);
}

#[tokio::test]
async fn many_callers_write_and_read_side_by_side() {
    let world = std::sync::Arc::new(
        World::with(ServerConfig { rate: Rate { per_s: 0, burst: 1 }, ..config() }).await,
    );
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..16 {
        let world = world.clone();
        callers.spawn(async move {
            for n in 0..10 {
                let id = format!("{caller}-{n}");
                world.put("door", &id, id.as_bytes()).await;
                let path = format!("/v1/collections/door/records/{id}");
                let got = world.ask("GET", &path).header("accept", "application/octet-stream").send().await;
                assert_eq!(got.body, id);
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    assert_eq!(world.ask("GET", "/v1/collections/door").send().await.json()["records"], json!(160));
}
