//! The little of etcd's JSON gateway that a ledger needs.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Bytes of an answer at most: what is read at once, in base64.
const ANSWER_LEN_MAX: usize = 64 << 20;

/// A question etcd gave no answer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// It certainly did not arrive.
    NotSent,
    /// It may have been carried out.
    NoAnswer,
}

/// A connection to one of etcd's nodes, made again when it breaks.
pub(super) struct Client {
    /// Host and port of each of etcd's nodes.
    endpoints: Vec<String>,
    limit: Duration,
    connection: Mutex<Connection>,
}

#[derive(Default)]
struct Connection {
    sender: Option<SendRequest<Full<Bytes>>>,
    /// Which endpoint is tried next.
    next: usize,
}

/// A key with its value.
pub(super) struct Pair {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

impl Client {
    pub(super) fn new(endpoints: Vec<String>, limit: Duration) -> Self {
        Self { endpoints, limit, connection: Mutex::default() }
    }

    /// Asks and waits for the answer, one question at a time.
    pub(super) async fn ask(&self, path: &str, question: &Value) -> Result<Value, Failed> {
        let mut connection = self.connection.lock().await;
        let ready = match &mut connection.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !ready {
            let endpoint = self.endpoints.get(connection.next % self.endpoints.len().max(1));
            connection.next += 1;
            connection.sender = None;
            let endpoint = endpoint.ok_or(Failed::NotSent)?;
            let made = timeout(self.limit, connect(endpoint)).await;
            connection.sender = Some(made.map_err(|_| Failed::NotSent)?.ok_or(Failed::NotSent)?);
        }
        let sender = connection.sender.as_mut().ok_or(Failed::NotSent)?;
        let answer = timeout(self.limit, async {
            let response = sender.send_request(request(path, question)).await.ok()?;
            let whole = response.status() == StatusCode::OK;
            let body = Limited::new(response.into_body(), ANSWER_LEN_MAX).collect().await.ok()?.to_bytes();
            if whole { serde_json::from_slice(&body).ok() } else { None }
        });
        match answer.await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) | Err(_) => {
                // What comes of the question is not known, and its answer must not be taken for the next one's.
                connection.sender = None;
                Err(Failed::NoAnswer)
            }
        }
    }

    /// The pairs from `key` to before `end`, in their order, not more than `count`.
    pub(super) async fn range(&self, key: &[u8], end: &[u8], count: u32) -> Result<Vec<Pair>, Failed> {
        let question = json!({ "key": text(key), "range_end": text(end), "limit": count });
        let answer = self.ask("/v3/kv/range", &question).await?;
        pairs(&answer).ok_or(Failed::NoAnswer)
    }

    /// Does all of `then` if all of `compare` hold, and tells whether they did.
    pub(super) async fn transaction(&self, compare: &[Value], then: &[Value]) -> Result<bool, Failed> {
        let question = json!({ "compare": compare, "success": then });
        let answer = self.ask("/v3/kv/txn", &question).await?;
        Ok(answer.get("succeeded").and_then(Value::as_bool).unwrap_or(false))
    }

    /// Opens a watch of the keys from `key` to before `end`, on a connection of its own.
    pub(super) async fn watch(&self, key: &[u8], end: &[u8]) -> Result<Watch, Failed> {
        let number = self.connection.lock().await.next;
        let endpoint = self.endpoints.get(number % self.endpoints.len().max(1)).ok_or(Failed::NotSent)?;
        let question = json!({ "create_request": { "key": text(key), "range_end": text(end) } });
        let opened = timeout(self.limit, async {
            let mut sender = connect(endpoint).await?;
            let response = sender.send_request(request("/v3/watch", &question)).await.ok()?;
            Some(Watch { response, _sender: sender })
        });
        opened.await.ok().flatten().ok_or(Failed::NotSent)
    }
}

/// Tells of changes.
pub(super) struct Watch {
    response: Response<Incoming>,
    /// The connection ends with it.
    _sender: SendRequest<Full<Bytes>>,
}

impl Watch {
    /// Waits for anything to be told: that something changed, or that the watch has begun. `false` when it ended.
    pub(super) async fn told(&mut self) -> bool {
        matches!(self.response.frame().await, Some(Ok(_)))
    }
}

async fn connect(endpoint: &str) -> Option<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(endpoint).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(async move { drop(connection.await) });
    Some(sender)
}

fn request(path: &str, question: &Value) -> Request<Full<Bytes>> {
    let body = Full::new(Bytes::from(question.to_string()));
    Request::post(path)
        .header(header::HOST, "etcd")
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .expect("the path is this crate's own")
}

/// Bytes as the gateway writes them.
pub(super) fn text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn bytes(value: Option<&Value>) -> Option<Vec<u8>> {
    match value {
        // What is empty is left out.
        None => Some(Vec::new()),
        Some(value) => STANDARD.decode(value.as_str()?).ok(),
    }
}

fn pairs(answer: &Value) -> Option<Vec<Pair>> {
    let Some(pairs) = answer.get("kvs") else { return Some(Vec::new()) };
    let pair = |pair: &Value| Some(Pair { key: bytes(pair.get("key"))?, value: bytes(pair.get("value"))? });
    pairs.as_array()?.iter().map(pair).collect()
}

pub(super) fn put(key: &[u8], value: &[u8]) -> Value {
    json!({ "request_put": { "key": text(key), "value": text(value) } })
}

pub(super) fn put_leased(key: &[u8], value: &[u8], lease: &str) -> Value {
    json!({ "request_put": { "key": text(key), "value": text(value), "lease": lease } })
}

pub(super) fn delete(key: &[u8], end: &[u8]) -> Value {
    json!({ "request_delete_range": { "key": text(key), "range_end": text(end) } })
}

/// That `key` has this value.
pub(super) fn has(key: &[u8], value: &[u8]) -> Value {
    json!({ "key": text(key), "target": "VALUE", "result": "EQUAL", "value": text(value) })
}

/// That `key` is not there.
pub(super) fn is_missing(key: &[u8]) -> Value {
    json!({ "key": text(key), "target": "CREATE", "result": "EQUAL", "create_revision": "0" })
}
