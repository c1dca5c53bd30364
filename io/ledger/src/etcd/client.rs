//! The little of etcd's JSON gateway that a ledger needs.
use super::access::{Access, Endpoint};
use super::question::{bytes, text};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use std::sync::PoisonError;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Bytes of an answer at most: what is read at once, in base64.
const ANSWER_LEN_MAX: usize = 64 << 20;
/// Letters of etcd's own words that are told.
const WORDS_MAX: usize = 200;

/// A question etcd did not answer as it was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// It certainly did not arrive.
    NotSent,
    /// etcd refused it, and certainly did nothing.
    Refused,
    /// It may have been carried out.
    NoAnswer,
}

/// A connection to one of etcd's nodes, made again when it breaks.
pub(super) struct Client {
    access: Access,
    limit: Duration,
    connection: Mutex<Connection>,
    /// Why the last question was not answered, for people.
    words: std::sync::Mutex<Option<String>>,
}

#[derive(Default)]
struct Connection {
    open: Option<Open>,
    /// Which endpoint is tried next.
    next: usize,
}

struct Open {
    sender: SendRequest<Full<Bytes>>,
    /// What etcd gave for name and password.
    token: Option<String>,
}

/// A key with its value.
pub(super) struct Pair {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    /// etcd's revision in which the key came to be.
    pub(super) created: u64,
}

impl Client {
    pub(super) fn new(access: Access, limit: Duration) -> Self {
        Self { access, limit, connection: Mutex::default(), words: std::sync::Mutex::default() }
    }

    /// Why the last question was not answered, for people; `None` if it was.
    pub(super) fn words(&self) -> Option<String> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn say(&self, words: Option<String>) {
        *self.words.lock().unwrap_or_else(PoisonError::into_inner) = words;
    }

    /// Asks and waits for the answer, one question at a time.
    pub(super) async fn ask(&self, path: &str, question: &Value) -> Result<Value, Failed> {
        let mut connection = self.connection.lock().await;
        let ready = match &mut connection.open {
            Some(open) => open.sender.ready().await.is_ok(),
            None => false,
        };
        if !ready {
            connection.open = None;
            let endpoint = self.access.endpoints.get(connection.next % self.access.endpoints.len().max(1));
            connection.next = connection.next.wrapping_add(1);
            let endpoint = endpoint.ok_or(Failed::NotSent)?;
            let opened = timeout(self.limit, self.open(endpoint)).await;
            let opened = opened.unwrap_or_else(|_| Err((Failed::NotSent, self.late())));
            connection.open = Some(opened.map_err(|(failed, words)| {
                self.say(Some(format!("{endpoint}: {words}")));
                // Of the question itself nothing was sent.
                if failed == Failed::Refused { failed } else { Failed::NotSent }
            })?);
        }
        let open = connection.open.as_mut().ok_or(Failed::NotSent)?;
        let answer = timeout(self.limit, exchange(&mut open.sender, open.token.as_deref(), path, question));
        match answer.await.unwrap_or_else(|_| Err((Failed::NoAnswer, self.late()))) {
            Ok(answer) => {
                self.say(None);
                Ok(answer)
            }
            Err((failed, words)) => {
                // What comes of the question is not known, and its answer must not be taken for the next one's; or its token is over.
                connection.open = None;
                self.say(Some(words));
                Err(failed)
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
        let endpoints = &self.access.endpoints;
        let endpoint = endpoints.get(number % endpoints.len().max(1)).ok_or(Failed::NotSent)?;
        let question = json!({ "create_request": { "key": text(key), "range_end": text(end) } });
        let opened = timeout(self.limit, async {
            let Open { mut sender, token } = self.open(endpoint).await.map_err(|(failed, _)| failed)?;
            let request = request("/v3/watch", token.as_deref(), &question).ok_or(Failed::NotSent)?;
            sender.ready().await.map_err(|_| Failed::NotSent)?;
            let response = sender.send_request(request).await.map_err(|_| Failed::NotSent)?;
            Ok(Watch { response, _sender: sender })
        });
        opened.await.unwrap_or(Err(Failed::NotSent))
    }

    fn late(&self) -> String {
        format!("no answer within {} ms", self.limit.as_millis())
    }

    /// A connection that etcd knows the user of.
    async fn open(&self, endpoint: &Endpoint) -> Result<Open, (Failed, String)> {
        let not_sent = |words: String| (Failed::NotSent, words);
        let stream = TcpStream::connect(endpoint.authority()).await;
        let stream = stream.map_err(|error| not_sent(error.to_string()))?;
        stream.set_nodelay(true).map_err(|error| not_sent(error.to_string()))?;
        let mut sender = match endpoint.tls {
            false => handshake(stream).await,
            true => {
                let tls = self.access.tls.as_ref();
                let tls =
                    tls.ok_or_else(|| not_sent("no authority is known for its certificate".to_owned()))?;
                let name = ServerName::try_from(endpoint.host.clone());
                let name = name.map_err(|error| not_sent(error.to_string()))?;
                let stream = TlsConnector::from(tls.0.clone()).connect(name, stream).await;
                handshake(stream.map_err(|error| not_sent(format!("TLS: {error}")))?).await
            }
        }
        .map_err(|error| not_sent(error.to_string()))?;
        let token = match &self.access.user {
            None => None,
            Some(user) => {
                let password = String::from_utf8_lossy(user.password.expose_secret());
                let question = json!({ "name": user.name, "password": password });
                let answer = exchange(&mut sender, None, "/v3/auth/authenticate", &question).await?;
                let token = answer.get("token").and_then(Value::as_str);
                Some(token.ok_or_else(|| not_sent("etcd gave no token".to_owned()))?.to_owned())
            }
        };
        Ok(Open { sender, token })
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

async fn handshake<T>(stream: T) -> Result<SendRequest<Full<Bytes>>, hyper::Error>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// One question and its answer, without a limit of time.
async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    token: Option<&str>,
    path: &str,
    question: &Value,
) -> Result<Value, (Failed, String)> {
    let request = request(path, token, question);
    let request = request.ok_or_else(|| (Failed::NotSent, "etcd's token is none".to_owned()))?;
    // The end of the answer before may not have been read yet.
    sender.ready().await.map_err(|error| (Failed::NotSent, error.to_string()))?;
    let response = sender.send_request(request).await.map_err(|error| {
        // A connection that had ended before: nothing was written to it.
        (if error.is_canceled() { Failed::NotSent } else { Failed::NoAnswer }, error.to_string())
    })?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_LEN_MAX).collect().await;
    let body = body.map_err(|error| (Failed::NoAnswer, error.to_string()))?.to_bytes();
    let answer: Option<Value> = serde_json::from_slice(&body).ok();
    match answer {
        Some(answer) if status == StatusCode::OK => Ok(answer),
        Some(answer) => Err(refusal(&answer, status)),
        // Before it is a question to etcd, its gateway may refuse it in words of its own.
        None if status.is_client_error() => Err((Failed::Refused, short(&String::from_utf8_lossy(&body)))),
        None => Err((Failed::NoAnswer, format!("the answer {status} is not etcd's"))),
    }
}

/// What etcd says instead of an answer: <https://grpc.io/docs/guides/status-codes/>. Of some codes it is certain that nothing was done:
/// invalid, not found, forbidden, no room, not so set up, out of range, unknown to it, and a user or token that is not known.
fn refusal(answer: &Value, status: StatusCode) -> (Failed, String) {
    let code = answer.get("code").and_then(Value::as_u64);
    let failed = if matches!(code, Some(3 | 5 | 7 | 8 | 9 | 11 | 12 | 16)) {
        Failed::Refused
    } else {
        Failed::NoAnswer
    };
    let words = answer.get("message").or(answer.get("error")).and_then(Value::as_str);
    (failed, words.map_or_else(|| status.to_string(), short))
}

fn short(words: &str) -> String {
    words.trim().chars().take(WORDS_MAX).collect()
}

fn request(path: &str, token: Option<&str>, question: &Value) -> Option<Request<Full<Bytes>>> {
    let body = Full::new(Bytes::from(question.to_string()));
    let mut request =
        Request::post(path).header(header::HOST, "etcd").header(header::CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, token);
    }
    request.body(body).ok()
}

fn pairs(answer: &Value) -> Option<Vec<Pair>> {
    let Some(pairs) = answer.get("kvs") else { return Some(Vec::new()) };
    let pair = |pair: &Value| {
        let created = pair.get("create_revision").and_then(Value::as_str)?.parse().ok()?;
        Some(Pair { key: bytes(pair.get("key"))?, value: bytes(pair.get("value"))?, created })
    };
    pairs.as_array()?.iter().map(pair).collect()
}
