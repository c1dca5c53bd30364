//! Operators' requests that are to happen once: the answers of the last hour, by caller and key.
//!
//! Records and batches need none of it: the vault remembers their keys itself, in the same commit as what they did.
use crate::caller::Caller;
use crate::condition::idempotency_key;
use crate::extract::{self, BODY_LEN_MAX};
use crate::problem::{Kind, Problem};
use crate::state::State;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer is remembered.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// Most answers that are remembered; the oldest goes first.
const ANSWERS_MAX: usize = 1024;
/// On an answer that is given again.
pub(crate) const REPLAYED: &str = "idempotency-replayed";

/// Answers by the hash of caller and key.
#[derive(Default)]
pub(crate) struct Memory(Mutex<HashMap<blake3::Hash, Answer>>);

struct Answer {
    request: blake3::Hash,
    since: Instant,
    /// `None` while the first request is at work.
    told: Option<(StatusCode, HeaderMap, Bytes)>,
}

enum Seen {
    New,
    Before(Response),
    AtWork,
    Other,
}

impl Memory {
    fn answers(&self) -> MutexGuard<'_, HashMap<blake3::Hash, Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, key: blake3::Hash, request: blake3::Hash) -> Seen {
        let mut answers = self.answers();
        answers.retain(|_, answer| answer.since.elapsed() < REMEMBERED);
        match answers.get(&key) {
            Some(answer) if answer.request != request => Seen::Other,
            Some(Answer { told: None, .. }) => Seen::AtWork,
            Some(Answer { told: Some((status, headers, body)), .. }) => {
                let mut response = (*status, headers.clone(), body.clone()).into_response();
                response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
                Seen::Before(response)
            }
            None => {
                if answers.len() >= ANSWERS_MAX {
                    let oldest = answers.iter().min_by_key(|(_, answer)| answer.since).map(|(key, _)| *key);
                    oldest.map(|oldest| answers.remove(&oldest));
                }
                answers.insert(key, Answer { request, since: Instant::now(), told: None });
                Seen::New
            }
        }
    }
}

/// Forgets a request that ended without an answer worth remembering, however it ended.
struct Begun<'a> {
    memory: &'a Memory,
    key: blake3::Hash,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut answers = self.memory.answers();
        if answers.get(&self.key).is_some_and(|answer| answer.told.is_none()) {
            answers.remove(&self.key);
        }
    }
}

/// Answers a request with a known `Idempotency-Key` as it was answered before.
pub(crate) async fn remember(
    axum::extract::State(state): axum::extract::State<Arc<State>>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(key) = idempotency_key(request.headers())?.filter(|_| !request.method().is_safe()) else {
        return Ok(next.run(request).await);
    };
    let (parts, body) = request.into_parts();
    let body = extract::body(body, BODY_LEN_MAX).await?;
    let key = hash(&[caller.token().id.as_bytes(), key.as_bytes()]);
    let uri = parts.uri.to_string();
    let asked = hash(&[parts.method.as_str().as_bytes(), uri.as_bytes(), &body]);
    match state.memory.begin(key, asked) {
        Seen::Before(response) => return Ok(response),
        Seen::AtWork => {
            return Err(Problem::new(Kind::Conflict, "the first request with this key is still at work"));
        }
        Seen::Other => {
            return Err(Problem::new(Kind::IdempotencyKeyReused, "the key came with another request before"));
        }
        Seen::New => {}
    }
    let _begun = Begun { memory: &state.memory, key };
    let request = Request::from_parts(parts, Body::from(body.to_vec()));
    let (head, body) = next.run(request).await.into_parts();
    let body = extract::body(body, BODY_LEN_MAX).await?;
    let body = Bytes::copy_from_slice(&body);
    // What the server could not do may be tried again with the same key.
    if !head.status.is_server_error()
        && let Some(answer) = state.memory.answers().get_mut(&key)
    {
        answer.told = Some((head.status, head.headers.clone(), body.clone()));
    }
    Ok(Response::from_parts(head, Body::from(body)))
}

fn hash(parts: &[&[u8]]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize()
}
