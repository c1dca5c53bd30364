use crate::caller::Caller;
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::state::State;
use crate::wire::{Identified, IdentifyRequest, Verified, VerifyRequest};
use axum::extract::State as Shared;
use std::sync::Arc;

/// Verify 1:1
///
/// Compares a probe with one template, inside the vault: the template does not leave it. Vectors are compared; minutiae
/// and opaque bodies are kept only.
#[utoipa::path(post, path = "/v1/collections/{collection}/records/{id}/verify", tag = "Comparison",
    params(("collection" = String, Path, description = "The collection's name", min_length = 1, max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "door"), ("id" = String, Path, description = "The record's id", min_length = 1, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "ann-1")),
    request_body = VerifyRequest,
    responses((status = 200, body = Verified, description = "How alike they are")))]
pub(super) async fn verify(
    caller: Caller,
    Path((collection, id)): Path<(String, String)>,
    Json(request): Json<VerifyRequest>,
) -> Result<Json<Verified>, Problem> {
    let (probe, threshold) = request.take()?;
    let found = caller.session(&collection).verify(&collection, &id, &probe, threshold)?;
    Ok(Json(Verified { score: found.score, matched: found.matched }))
}

/// Identify 1:N
///
/// The templates of the collection that are most like the probe, best first. The first search in a collection opens all
/// its templates; later ones follow the writes.
#[utoipa::path(post, path = "/v1/collections/{collection}/identify", tag = "Comparison",
    params(("collection" = String, Path, description = "The collection's name", min_length = 1, max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "door")),
    request_body = IdentifyRequest,
    responses((status = 200, body = Identified, description = "Those that reach the threshold")))]
pub(super) async fn identify(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Path(collection): Path<String>,
    Json(request): Json<IdentifyRequest>,
) -> Result<Json<Identified>, Problem> {
    let (probe, threshold, count) = request.take()?;
    let session = caller.session(&collection);
    let found = state.waiting(move || session.identify(&collection, &probe, threshold, count)).await?;
    Ok(Json(Identified { matches: found.into_iter().map(Into::into).collect() }))
}
