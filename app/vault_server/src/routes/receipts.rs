use crate::caller::Caller;
use crate::extract::{self, Json, OCTETS, Path};
use crate::problem::Problem;
use crate::scopes::{EVERYWHERE, Right, ScopeVerb};
use crate::state::State;
use crate::wire::{Octets, ReceiptView};
use axum::extract::State as Shared;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use terachat_vault_store::{ErasureId, ErasureReceipt};

/// Get an erasure receipt
///
/// Once the keys are destroyed. For tokens that may delete in the collection, and for auditors. Its bytes come with
/// `Accept: application/octet-stream`, as `terachat vault receipt verify` takes them.
#[utoipa::path(get, path = "/v1/receipts/{erasure}", tag = "Records",
    params(("erasure" = u64, Path, description = "The number of the erasure", minimum = 0, maximum = 9_007_199_254_740_991_u64)),
    responses((status = 200, description = "The receipt", content((ReceiptView = "application/json"), (inline(Octets) = "application/octet-stream")))))]
pub(super) async fn get(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Path(erasure): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let vault = state.vault.clone();
    let receipt = state.waiting(move || vault.receipt(ErasureId(erasure))).await?;
    let receipt =
        receipt.filter(|receipt| may_see(&state, &caller, receipt)).ok_or_else(Problem::not_found)?;
    if extract::wants_octets(&headers) {
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(OCTETS))];
        return Ok((kind, receipt.encode()).into_response());
    }
    Ok(Json(ReceiptView::from(&receipt)).into_response())
}

fn may_see(state: &State, caller: &Caller, receipt: &ErasureReceipt) -> bool {
    let mut deletes =
        caller.token().scopes.collections.iter().filter(|(_, verbs)| verbs.contains(&ScopeVerb::Delete));
    caller.has(Right::Audit)
        || deletes
            .any(|(name, _)| name == EVERYWHERE || state.vault.blinded(name, "").0 == receipt.collection)
}
