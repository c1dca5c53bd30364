//! What every request passes: a place, a time, a look at how it went, and the headers that all answers have.
use crate::problem::{Kind, Problem};
use crate::state::State;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Instant;

/// Routes that may take as long as they need; each has a limit of its own.
const LONG: [&str; 4] = ["/v1/audit/verify", "/v1/check", "/v1/compact", "/v1/backup"];
/// Routes that answer although all places are taken: an operator wants to know why.
const ALWAYS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Counts, times and traces a request, and puts on its answer what all answers have. The route is named, never the
/// path: ids are the callers' own.
pub(crate) async fn observe(
    axum::extract::State(state): axum::extract::State<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let route = route(&request);
    let method = request.method().clone();
    let under_way = state.metrics.begin();
    let mut response = next.run(request).await;
    drop(under_way);
    let (status, took) = (response.status().as_u16(), begun.elapsed());
    state.metrics.answered(&method, &route, status, took);
    tracing::debug!(%method, route, status, us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX), "answered");
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static("default-src 'none'"));
    if state.config.tls.is_some() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

/// Gives a request its place and its time.
pub(crate) async fn admit(
    axum::extract::State(state): axum::extract::State<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    let route = route(&request);
    if ALWAYS.contains(&route.as_str()) {
        return next.run(request).await;
    }
    let Ok(_place) = state.places.try_acquire() else {
        return Problem::new(Kind::Overloaded, "all places for requests are taken")
            .retry_after(1)
            .into_response();
    };
    if LONG.contains(&route.as_str()) {
        return next.run(request).await;
    }
    match tokio::time::timeout(state.config.request_time_max, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let seconds = state.config.request_time_max.as_secs_f32();
            Problem::new(Kind::Timeout, format!("not done within {seconds} s")).retry_after(1).into_response()
        }
    }
}

fn route(request: &Request) -> String {
    request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned()
}
