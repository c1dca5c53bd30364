use crate::caller::Caller;
use crate::extract::Json;
use crate::problem::Problem;
use crate::scopes::Right;
use crate::state::State;
use crate::wire::{CheckView, Compacted, Swept};
use axum::extract::State as Shared;
use axum::http::StatusCode;
use std::sync::Arc;

/// Check all records
///
/// Opens every version of every record and compares all together with what the audit log says. Reads and writes go on.
/// Needs the operator's right `maintenance`.
#[utoipa::path(post, path = "/v1/check", tag = "Maintenance",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request happens once", min_length = 1, max_length = 128, pattern = "^[!-~]+$")),
    responses((status = 200, body = CheckView, description = "What was found")))]
pub(super) async fn check(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
) -> Result<Json<CheckView>, Problem> {
    caller.require(Right::Maintenance)?;
    Ok(Json(state.long(|vault| vault.check()).await?.into()))
}

/// Compact
///
/// Rewrites the database without what was overwritten or erased. Reads and writes go on. Needs the operator's right
/// `maintenance`.
#[utoipa::path(post, path = "/v1/compact", tag = "Maintenance",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request happens once", min_length = 1, max_length = 128, pattern = "^[!-~]+$")),
    responses((status = 200, body = Compacted, description = "Done")))]
pub(super) async fn compact(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
) -> Result<Json<Compacted>, Problem> {
    caller.require(Right::Maintenance)?;
    let (bytes_before, bytes_after) = state.long(|vault| vault.compact()).await?;
    Ok(Json(Compacted { bytes_before, bytes_after }))
}

/// Destroy keys now
///
/// Those of everything that was erased so far, instead of soon. Needs the operator's right `maintenance`.
#[utoipa::path(post, path = "/v1/sweep", tag = "Maintenance",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request happens once", min_length = 1, max_length = 128, pattern = "^[!-~]+$")),
    responses((status = 200, body = Swept, description = "Destroyed")))]
pub(super) async fn sweep(Shared(state): Shared<Arc<State>>, caller: Caller) -> Result<Json<Swept>, Problem> {
    caller.require(Right::Maintenance)?;
    let vault = state.vault.clone();
    Ok(Json(Swept { versions: state.waiting(move || vault.sweep()).await? }))
}

/// Confirm the clock
///
/// Says that the server's clock is right although it jumped ahead: until then nothing expires. Needs the operator's
/// right `maintenance`.
#[utoipa::path(post, path = "/v1/clock/confirm", tag = "Maintenance",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request happens once", min_length = 1, max_length = 128, pattern = "^[!-~]+$")),
    responses((status = 204, description = "The clock is believed")))]
pub(super) async fn confirm_clock(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    caller.require(Right::Maintenance)?;
    let (vault, actor) = (state.vault.clone(), caller.name().to_owned());
    state.waiting(move || vault.confirm_clock(&actor)).await?;
    Ok(StatusCode::NO_CONTENT)
}
