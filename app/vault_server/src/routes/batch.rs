use super::records::{apply as apply_batch, mark_repeated};
use crate::caller::Caller;
use crate::condition::idempotency_key;
use crate::extract::{self, BATCH_BODY_LEN_MAX, Json, Path};
use crate::problem::{Kind, Problem};
use crate::state::State;
use crate::wire::{Applied, BatchRequest};
use axum::extract::{Request, State as Shared};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Do a batch
///
/// Up to 1,000 operations on one collection, each on another record: all of them happen, or none.
#[utoipa::path(post, path = "/v1/collections/{collection}/batch", tag = "Records",
    params(
        ("collection" = String, Path, description = "The collection's name", min_length = 1, max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "door"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request happens once", min_length = 1, max_length = 128, pattern = "^[!-~]+$"),
    ),
    request_body = BatchRequest,
    responses(
        (status = 200, body = Applied, description = "All of it happened"),
        (status = 409, body = crate::problem::Document, content_type = "application/problem+json", description = "A record is not what the batch expects; nothing happened"),
    ))]
pub(super) async fn apply(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Path(collection): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let key = idempotency_key(request.headers())?;
    let asked: BatchRequest = extract::json(request, BATCH_BODY_LEN_MAX).await?;
    let applied = apply_batch(&state, &caller, collection, asked.take(key)?)
        .await
        .map_err(|problem| problem.instead(Kind::PreconditionFailed, Kind::Conflict))?;
    let receipt = match applied.erasure {
        Some(erasure) => {
            let vault = state.vault.clone();
            state.waiting(move || vault.receipt(erasure)).await?
        }
        None => None,
    };
    let mut response = Json(Applied::of(&applied, receipt.as_ref())).into_response();
    mark_repeated(&applied, &mut response);
    Ok(response)
}
