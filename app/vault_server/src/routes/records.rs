use crate::caller::Caller;
use crate::condition::{self, Fresh, etag, expectation, idempotency_key};
use crate::extract::{self, BODY_LEN_MAX, JSON, Json, OCTETS, Path, Query};
use crate::idempotency::REPLAYED;
use crate::problem::{Kind, Problem};
use crate::state::State;
use crate::wire::{
    DurabilityBody, Erased, ListQuery, Millis, Octets, PutRequest, RecordPage, RecordView, Stored,
};
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::sync::Arc;
use terachat_vault::SecretBytes;
use terachat_vault_store::{
    Applied, Batch, CONTENT_LEN_MAX, Content, ListOptions, Operation, Outcome, PutOptions, Record,
};

/// List records
///
/// One page of a collection's records, without their contents. The order has no meaning and is stable: a record that is
/// there all the time is shown exactly once.
#[utoipa::path(get, path = "/v1/collections/{collection}/records", tag = "Records",
    params(("collection" = String, Path, description = "The collection's name", min_length = 1, max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "door"), ListQuery),
    responses((status = 200, body = RecordPage, description = "A page; `next` leads to the one after it")))]
pub(super) async fn list(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Path(collection): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    if !(1..=1000).contains(&query.limit) {
        return Err(Problem::new(Kind::Malformed, "`limit` is 1 to 1000"));
    }
    let options = ListOptions {
        limit: usize::try_from(query.limit).unwrap_or(1),
        cursor: query.cursor.map(|text| text.parse()).transpose()?,
        template_type: query.template_type.map(crate::wire::TemplateType::take),
    };
    let session = caller.session(&collection);
    let page = state.waiting(move || session.list(&collection, &options)).await?;
    let records = page.records.into_iter().map(RecordView::listed).collect();
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(Json(RecordPage { records, damaged: page.damaged, next }).into_response())
}

/// Get a record
///
/// Its newest version. Bytes come as they are with `Accept: application/octet-stream`. A damaged record is an error,
/// never wrong bytes.
#[utoipa::path(get, path = "/v1/collections/{collection}/records/{id}", tag = "Records",
    params(
        ("collection" = String, Path, description = "The collection's name", min_length = 1, max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "door"),
        ("id" = String, Path, description = "The record's id", min_length = 1, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "ann-1"),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags that the caller has already", pattern = "^([*]|\"[0-9]{1,15}\"(, \"[0-9]{1,15}\"){0,3})$", example = "\"3\""),
        ("If-Match" = Option<String>, Header, description = "The only entity tags that the caller wants", pattern = "^([*]|\"[0-9]{1,15}\"(, \"[0-9]{1,15}\"){0,3})$", example = "\"3\""),
    ),
    responses(
        (status = 200, description = "The record; the ETag is its version", headers(("ETag" = String, description = "The version in quotes")),
            content((RecordView = "application/json"), (inline(Octets) = "application/octet-stream"))),
        (status = 304, description = "The caller has it already"),
        (status = 406, body = crate::problem::Document, content_type = "application/problem+json", description = "A template has no form as bytes"),
        (status = 412, body = crate::problem::Document, content_type = "application/problem+json", description = "It is at another version"),
    ))]
pub(super) async fn get(
    caller: Caller,
    Path((collection, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // Inline: a get takes microseconds and never waits for writers; handing it to a thread costs more than it does.
    answer(caller.session(&collection).get(&collection, &id)?, &headers)
}

/// A record in the form that was asked for, or that it was not modified.
pub(super) fn answer(record: Record, headers: &HeaderMap) -> Result<Response, Problem> {
    let version = record.info.version;
    let tag = [(header::ETAG, etag(version))];
    match condition::fresh(headers, version)? {
        Fresh::NotModified => return Ok((StatusCode::NOT_MODIFIED, tag).into_response()),
        Fresh::Failed => {
            return Err(terachat_vault_store::Error::Conflict { current: version }.into());
        }
        Fresh::Send => {}
    }
    if !extract::wants_octets(headers) {
        return Ok((tag, Json(RecordView::whole(record)?)).into_response());
    }
    let Content::Bytes(bytes) = record.content else {
        return Err(Problem::new(Kind::NotAcceptable, "this record is a template and comes as JSON only"));
    };
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(OCTETS))];
    Ok((tag, kind, bytes.expose_secret().to_vec()).into_response())
}

/// How bytes are to be stored.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PutQuery {
    #[serde(default)]
    #[param(inline)]
    durability: DurabilityBody,
    /// For bytes: from when on they are expired, in milliseconds since 1970.
    #[param(value_type = Option<u64>, minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    keep_until_ms: Option<Millis>,
    /// For bytes: whether they may be compressed before sealing.
    #[serde(default)]
    compress: bool,
}

/// Put a record
///
/// Stores a new version: JSON, or bytes as they are. It is durable when it is answered.
#[utoipa::path(put, path = "/v1/collections/{collection}/records/{id}", tag = "Records",
    params(
        ("collection" = String, Path, description = "The collection's name", min_length = 1, max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "door"),
        ("id" = String, Path, description = "The record's id", min_length = 1, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "ann-1"),
        PutQuery,
        ("If-Match" = Option<String>, Header, description = "The version that is to be replaced, or `*` for any", pattern = "^([*]|\"[0-9]{1,15}\")$", example = "\"3\""),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if there is no such record", pattern = "^[*]$"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request happens once", min_length = 1, max_length = 128, pattern = "^[!-~]+$"),
    ),
    request_body(content((PutRequest = "application/json"), (inline(Octets) = "application/octet-stream"))),
    responses(
        (status = 200, body = Stored, description = "Stored", headers(("ETag" = String, description = "The new version in quotes"))),
        (status = 412, body = crate::problem::Document, content_type = "application/problem+json", description = "It is at another version"),
    ))]
pub(super) async fn put(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Path((collection, id)): Path<(String, String)>,
    Query(query): Query<PutQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let expect = expectation(request.headers())?;
    let key = idempotency_key(request.headers())?;
    let form = extract::media_type(request.headers());
    let (content, mut options) = match form.as_str() {
        JSON => {
            let asked: PutRequest = extract::json(request, BODY_LEN_MAX).await?;
            if query.compress || query.keep_until_ms.is_some() {
                return Err(Problem::new(
                    Kind::Malformed,
                    "`compress` and `keep_until_ms` stand in the JSON",
                ));
            }
            let keep_until_ms = asked.keep_until_ms.map(|ms| ms.0);
            (
                asked.content.take()?,
                PutOptions { keep_until_ms, compress: asked.compress, ..PutOptions::default() },
            )
        }
        OCTETS => {
            let mut bytes = extract::body(request.into_body(), CONTENT_LEN_MAX).await?;
            let keep_until_ms = query.keep_until_ms.map(|ms| ms.0);
            let options = PutOptions { keep_until_ms, compress: query.compress, ..PutOptions::default() };
            (SecretBytes::take(std::mem::take(&mut *bytes)).into(), options)
        }
        _ => return Err(Problem::new(Kind::UnsupportedMediaType, "a record is put as JSON or as bytes")),
    };
    options.expect = expect;
    let operations = vec![Operation::Put { id, content, options }];
    let durability = query.durability.into();
    let batch = Batch { operations, durability, idempotency_key: key, erase_later: false };
    let applied = apply(&state, &caller, collection, batch).await?;
    stored(&applied)
}

/// The answer to a write of one record.
pub(super) fn stored(applied: &Applied) -> Result<Response, Problem> {
    let Some(Outcome::Stored { version }) = applied.outcomes.first().copied() else {
        return Err(unexpected());
    };
    let mut response = ([(header::ETAG, etag(version))], Json(Stored { version })).into_response();
    mark_repeated(applied, &mut response);
    Ok(response)
}

pub(super) async fn apply(
    state: &State,
    caller: &Caller,
    collection: String,
    batch: Batch,
) -> Result<Applied, Problem> {
    let session = caller.session(&collection);
    state.waiting(move || session.apply(&collection, batch)).await
}

pub(super) fn mark_repeated(applied: &Applied, response: &mut Response) {
    if applied.repeated {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
}

/// Whether to wait for the destruction of keys.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteQuery {
    /// Whether to answer once the keys are destroyed, with the receipt; otherwise the receipt is fetched later.
    #[serde(default = "yes")]
    #[param(default = true)]
    wait: bool,
}

fn yes() -> bool {
    true
}

/// Erase a record
///
/// Unlists all its versions and destroys their keys: what is left of it on the disk can be read by nobody. The signed
/// receipt proves it. Backups made before still hold it.
#[utoipa::path(delete, path = "/v1/collections/{collection}/records/{id}", tag = "Records",
    params(
        ("collection" = String, Path, description = "The collection's name", min_length = 1, max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "door"),
        ("id" = String, Path, description = "The record's id", min_length = 1, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "ann-1"),
        DeleteQuery,
        ("If-Match" = Option<String>, Header, description = "The version that is to be there, or `*` for any", pattern = "^([*]|\"[0-9]{1,15}\")$", example = "\"3\""),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request happens once", min_length = 1, max_length = 128, pattern = "^[!-~]+$"),
    ),
    responses(
        (status = 200, body = Erased, description = "Erased, with the receipt"),
        (status = 202, body = Erased, description = "Unlisted; the keys are destroyed soon"),
        (status = 412, body = crate::problem::Document, content_type = "application/problem+json", description = "It is at another version"),
    ))]
pub(super) async fn delete(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Path((collection, id)): Path<(String, String)>,
    Query(query): Query<DeleteQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let operation = Operation::Delete { id, expect: expectation(&headers)? };
    erase(&state, &caller, collection, operation, query.wait, &headers).await
}

/// Erases, and answers with the receipt if it is waited for.
pub(super) async fn erase(
    state: &State,
    caller: &Caller,
    collection: String,
    operation: Operation,
    wait: bool,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let idempotency_key = idempotency_key(headers)?;
    let batch =
        Batch { operations: vec![operation], idempotency_key, erase_later: !wait, ..Batch::default() };
    let applied = apply(state, caller, collection, batch).await?;
    let (Some(Outcome::Erased { versions }), Some(erasure)) =
        (applied.outcomes.first().copied(), applied.erasure)
    else {
        return Err(unexpected());
    };
    let vault = state.vault.clone();
    let receipt = state.waiting(move || vault.receipt(erasure)).await?;
    let status = if receipt.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let erased = Erased { versions, erasure: erasure.0, receipt: receipt.as_ref().map(Into::into) };
    let mut response = (status, Json(erased)).into_response();
    mark_repeated(&applied, &mut response);
    Ok(response)
}

fn unexpected() -> Problem {
    Problem::new(Kind::Internal, "the vault answered something else than it was asked")
}
