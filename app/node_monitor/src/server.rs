//! The four pages, and who may have them at once.
use crate::{metrics, page, readiness};
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::get;
use axum::{Router, middleware};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use terachat_node::{Report, Watch};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Questions that are answered at once; the others are told to come again.
const AT_ONCE: usize = 8;
/// How long a report may take before the node counts as stuck.
const REPORT_TIME_MAX: Duration = Duration::from_secs(5);

/// The monitor could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the monitor cannot listen on {address}: {source}; take another --monitor address, or port 0")]
pub struct Error {
    address: SocketAddr,
    source: std::io::Error,
}

/// A monitor that listens already.
#[derive(Debug)]
pub struct Monitor {
    listener: TcpListener,
    address: SocketAddr,
}

struct Shared {
    watch: Watch,
    places: Semaphore,
}

impl Monitor {
    /// Listens on this address; port 0 takes a free one. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error`] when the address is taken or not this machine's.
    pub async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bound.await.map_err(|source| Error { address, source })
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers until the future is dropped.
    pub async fn serve(self, watch: Watch) {
        let shared = Arc::new(Shared { watch, places: Semaphore::new(AT_ONCE) });
        if let Err(error) = axum::serve(self.listener, router(shared)).await {
            tracing::warn!(%error, "the monitor has ended; the node goes on");
        }
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(picture))
        .route("/style.css", get(style))
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(numbers))
        .layer(middleware::map_response(async |mut response: Response| {
            let headers = [
                (header::CACHE_CONTROL, "no-store"),
                (header::CONTENT_SECURITY_POLICY, page::POLICY),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (HeaderName::from_static("referrer-policy"), "no-referrer"),
            ];
            for (name, value) in headers {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            response
        }))
        .with_state(shared)
}

/// What stands in the way of an answer.
struct Unable(&'static str);

impl IntoResponse for Unable {
    fn into_response(self) -> Response {
        let retry = [(header::RETRY_AFTER, HeaderValue::from_static("5"))];
        (StatusCode::SERVICE_UNAVAILABLE, retry, Json(json!({ "ready": false, "why": self.0 })))
            .into_response()
    }
}

impl Shared {
    async fn report(&self) -> Result<Report, Unable> {
        let Ok(_place) = self.places.try_acquire() else { return Err(Unable("too many ask at once")) };
        match tokio::time::timeout(REPORT_TIME_MAX, self.watch.report()).await {
            Ok(Some(report)) => Ok(report),
            Ok(None) => Err(Unable("the node is ending")),
            Err(_) => Err(Unable("the node does not say how it does; it may be waiting for its disk")),
        }
    }
}

async fn alive() -> Json<serde_json::Value> {
    Json(json!({ "alive": true }))
}

async fn ready(State(shared): State<Arc<Shared>>) -> Result<Response, Unable> {
    let report = shared.report().await?;
    let why = readiness::hindrance(&report);
    let status = if why.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let health = readiness::health(&report).map(|hundredths| hundredths as f64 / 100.0);
    let body = json!({
        "ready": why.is_none(), "why": why, "node": report.node.0, "leader": report.leader.map(|node| node.0),
        "health_percent": health,
    });
    Ok((status, Json(body)).into_response())
}

async fn numbers(State(shared): State<Arc<Shared>>) -> Result<Response, Unable> {
    let report = shared.report().await?;
    let text = metrics::text(report, shared.watch.requests());
    let text = text.map_err(|_| Unable("its numbers could not be written"))?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE))], text).into_response())
}

async fn picture(State(shared): State<Arc<Shared>>) -> Result<Html<String>, Unable> {
    let report = shared.report().await?;
    Ok(Html(page::render(&report, &shared.watch.requests())))
}

async fn style() -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"))];
    (kind, page::STYLE).into_response()
}
