use crate::caller::Caller;
use crate::extract::Json;
use crate::problem::{Kind, Problem};
use crate::scopes::Right;
use crate::state::State;
use crate::wire::{StatsView, VaultView};
use crate::{hex, metrics as numbers};
use axum::extract::{FromRequestParts, Request, State as Shared};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;

/// Whether the server is there.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Alive {
    alive: bool,
}

/// Whether the server can do its work.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Ready {
    ready: bool,
    /// Erased versions whose keys are still to be destroyed.
    pending_erasures: u64,
    /// Whether the clock jumped ahead further than is believed: nothing expires until it is confirmed.
    clock_doubted: bool,
}

/// Is it alive?
///
/// Answers while the process does.
#[utoipa::path(get, path = "/healthz", tag = "Health", security(()),
    responses((status = 200, body = Alive, description = "It is")))]
pub(super) async fn alive() -> Json<Alive> {
    Json(Alive { alive: true })
}

/// Is it ready?
///
/// 503 while the vault takes no writes, or the server is stopping: send traffic elsewhere.
#[utoipa::path(get, path = "/readyz", tag = "Health", security(()),
    responses(
        (status = 200, body = Ready, description = "It is"),
        (status = 503, body = crate::problem::Document, content_type = "application/problem+json", description = "It is not"),
    ))]
pub(super) async fn ready(Shared(state): Shared<Arc<State>>) -> Result<Json<Ready>, Problem> {
    if state.is_stopping() {
        return Err(Problem::new(Kind::Stopping, "the server finishes what it has begun").retry_after(5));
    }
    let health = state.vault.health();
    if !health.writable {
        return Err(Problem::new(Kind::ReadOnly, "the vault takes no writes").retry_after(60));
    }
    Ok(Json(Ready {
        ready: true,
        pending_erasures: health.pending_erasures,
        clock_doubted: health.clock_doubted,
    }))
}

/// Which vault is this?
///
/// Its id and public key, and what the token that asks may do.
#[utoipa::path(get, path = "/v1/vault", tag = "Health",
    responses((status = 200, body = VaultView, description = "The vault, and the token")))]
pub(super) async fn vault(Shared(state): Shared<Arc<State>>, caller: Caller) -> Json<VaultView> {
    Json(VaultView {
        id: hex::encode(&state.vault.id()),
        audit_key: state.vault.audit_key().to_string(),
        version: env!("CARGO_PKG_VERSION"),
        token: caller.token().clone(),
    })
}

/// Counters
///
/// Since the vault was opened, and what is in it now. Needs the operator's right `stats`.
#[utoipa::path(get, path = "/v1/stats", tag = "Health",
    responses((status = 200, body = StatsView, description = "The counters")))]
pub(super) async fn stats(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
) -> Result<Json<StatsView>, Problem> {
    caller.require(Right::Stats)?;
    Ok(Json(state.vault.stats().into()))
}

/// Counters for Prometheus
///
/// As OpenMetrics text. Needs the operator's right `stats`, unless the server was started with `--open-metrics`.
#[utoipa::path(get, path = "/metrics", tag = "Health",
    responses((status = 200, body = String, content_type = "application/openmetrics-text", description = "The counters")))]
pub(super) async fn metrics(
    Shared(state): Shared<Arc<State>>,
    request: Request,
) -> Result<Response, Problem> {
    if !state.config.open_metrics {
        let (mut parts, _) = request.into_parts();
        Caller::from_request_parts(&mut parts, &state).await?.require(Right::Stats)?;
    }
    let text = state
        .metrics
        .text()
        .map_err(|_| Problem::new(Kind::Internal, "the counters could not be written"))?;
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(numbers::CONTENT_TYPE))];
    Ok((kind, text).into_response())
}
