use super::records::{self, apply, erase, stored};
use crate::caller::Caller;
use crate::condition::{expectation, idempotency_key};
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::state::State;
use crate::wire::{Erased, Octets, RecordView, Stored, Versions};
use axum::extract::State as Shared;
use axum::http::HeaderMap;
use axum::response::Response;
use std::sync::Arc;
use terachat_vault_store::{Batch, Operation};

/// List versions
///
/// The versions of a record that are kept, newest first, without their contents.
#[utoipa::path(get, path = "/v1/collections/{collection}/records/{id}/versions", tag = "Versions",
    params(("collection" = String, Path, description = "The collection's name", min_length = 1, max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "door"), ("id" = String, Path, description = "The record's id", min_length = 1, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "ann-1")),
    responses((status = 200, body = Versions, description = "The versions")))]
pub(super) async fn list(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Path((collection, id)): Path<(String, String)>,
) -> Result<Json<Versions>, Problem> {
    let session = caller.session(&collection);
    let versions = state.waiting(move || session.versions(&collection, &id)).await?;
    Ok(Json(Versions { versions: versions.into_iter().map(RecordView::listed).collect() }))
}

/// Get one version
///
/// Bytes come as they are with `Accept: application/octet-stream`.
#[utoipa::path(get, path = "/v1/collections/{collection}/records/{id}/versions/{version}", tag = "Versions",
    params(
        ("collection" = String, Path, description = "The collection's name", min_length = 1, max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "door"),
        ("id" = String, Path, description = "The record's id", min_length = 1, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "ann-1"),
        ("version" = u64, Path, description = "The version", minimum = 1, maximum = 9_007_199_254_740_991_u64),
    ),
    responses(
        (status = 200, description = "The version", headers(("ETag" = String, description = "The version in quotes")),
            content((RecordView = "application/json"), (inline(Octets) = "application/octet-stream"))),
        (status = 304, description = "The caller has it already"),
        (status = 406, body = crate::problem::Document, content_type = "application/problem+json", description = "A template has no form as bytes"),
        (status = 412, body = crate::problem::Document, content_type = "application/problem+json", description = "It is another version"),
    ))]
pub(super) async fn get(
    caller: Caller,
    Path((collection, id, version)): Path<(String, String, u64)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    records::answer(caller.session(&collection).get_version(&collection, &id, version)?, &headers)
}

/// Erase one version
///
/// When it is the newest, the one before it becomes the newest; with the last one the record is gone.
#[utoipa::path(delete, path = "/v1/collections/{collection}/records/{id}/versions/{version}", tag = "Versions",
    params(
        ("collection" = String, Path, description = "The collection's name", min_length = 1, max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "door"),
        ("id" = String, Path, description = "The record's id", min_length = 1, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "ann-1"),
        ("version" = u64, Path, description = "The version", minimum = 1, maximum = 9_007_199_254_740_991_u64),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request happens once", min_length = 1, max_length = 128, pattern = "^[!-~]+$"),
    ),
    responses((status = 200, body = Erased, description = "Erased, with the receipt")))]
pub(super) async fn delete(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Path((collection, id, version)): Path<(String, String, u64)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    erase(&state, &caller, collection, Operation::DeleteVersion { id, version }, true, &headers).await
}

/// Restore a version
///
/// Stores an older version's content as a new version.
#[utoipa::path(post, path = "/v1/collections/{collection}/records/{id}/versions/{version}/restore", tag = "Versions",
    params(
        ("collection" = String, Path, description = "The collection's name", min_length = 1, max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "door"),
        ("id" = String, Path, description = "The record's id", min_length = 1, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "ann-1"),
        ("version" = u64, Path, description = "The version to restore", minimum = 1, maximum = 9_007_199_254_740_991_u64),
        ("If-Match" = Option<String>, Header, description = "The version that is to be the newest", pattern = "^([*]|\"[0-9]{1,15}\")$", example = "\"3\""),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request happens once", min_length = 1, max_length = 128, pattern = "^[!-~]+$"),
    ),
    responses(
        (status = 200, body = Stored, description = "Restored as this version", headers(("ETag" = String, description = "The new version in quotes"))),
        (status = 412, body = crate::problem::Document, content_type = "application/problem+json", description = "It is at another version"),
    ))]
pub(super) async fn restore(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Path((collection, id, version)): Path<(String, String, u64)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let expect = expectation(&headers)?;
    let operations = vec![Operation::Restore { id, version, expect }];
    let batch = Batch { operations, idempotency_key: idempotency_key(&headers)?, ..Batch::default() };
    stored(&apply(&state, &caller, collection, batch).await?)
}
