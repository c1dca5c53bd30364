use crate::caller::Caller;
use crate::extract::{Json, Query};
use crate::problem::{Kind, Problem};
use crate::scopes::Right;
use crate::state::State;
use crate::wire::{AuditCheck, AuditPage};
use axum::extract::State as Shared;
use serde::Deserialize;
use std::sync::Arc;

/// Which part of the audit log.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    /// The first event.
    #[serde(default = "one")]
    #[param(minimum = 1, maximum = 9_007_199_254_740_991_u64, default = 1)]
    from: u64,
    /// About how many entries: whole events only.
    #[serde(default = "hundred")]
    #[param(minimum = 1, maximum = 10_000, default = 100)]
    limit: u32,
}

fn one() -> u64 {
    1
}

fn hundred() -> u32 {
    100
}

/// Read the audit log
///
/// Who did what and when. Collections and records stand in it under blinded ids. Needs the operator's right `audit`.
#[utoipa::path(get, path = "/v1/audit", tag = "Audit", params(AuditQuery),
    responses((status = 200, body = AuditPage, description = "A page; `next` leads to the one after it")))]
pub(super) async fn entries(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditPage>, Problem> {
    caller.require(Right::Audit)?;
    if !(1..=10_000).contains(&query.limit) || !(1..1 << 53).contains(&query.from) {
        return Err(Problem::new(Kind::Malformed, "`from` is 1 or more, and `limit` 1 to 10000"));
    }
    let vault = state.vault.clone();
    let limit = usize::try_from(query.limit).unwrap_or(1);
    let entries = state.waiting(move || vault.audit_entries(query.from, limit)).await?;
    let next = entries.last().map(|entry| entry.seq + 1);
    Ok(Json(AuditPage { entries: entries.into_iter().map(Into::into).collect(), next }))
}

/// Check the audit log
///
/// The chain, the signature on its head, that no event is missing, and that each opens. Takes as long as the log is.
/// Needs the operator's right `audit`.
#[utoipa::path(post, path = "/v1/audit/verify", tag = "Audit",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request happens once", min_length = 1, max_length = 128, pattern = "^[!-~]+$")),
    responses((status = 200, body = AuditCheck, description = "The whole log holds")))]
pub(super) async fn verify(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
) -> Result<Json<AuditCheck>, Problem> {
    caller.require(Right::Audit)?;
    Ok(Json(state.long(|vault| vault.audit()).await?.into()))
}
