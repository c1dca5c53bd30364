use crate::caller::Caller;
use crate::extract::{Json, Path};
use crate::problem::{Kind, Problem};
use crate::reserved;
use crate::scopes::{EVERYWHERE, Right, ScopeVerb};
use crate::state::State;
use crate::wire::{Collection, CollectionOptionsBody, Collections, Dropped};
use axum::extract::State as Shared;
use std::sync::Arc;
use terachat_vault_store::CollectionInfo;

/// List collections
///
/// Those in which the token may list records; all for operators.
#[utoipa::path(get, path = "/v1/collections", tag = "Collections",
    responses((status = 200, body = Collections, description = "The collections, by name")))]
pub(super) async fn list(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
) -> Result<Json<Collections>, Problem> {
    let collections = visible(&state, &caller).map(Into::into).collect();
    Ok(Json(Collections { collections }))
}

fn visible<'a>(state: &State, caller: &'a Caller) -> impl Iterator<Item = CollectionInfo> + use<'a> {
    let scopes = &caller.token().scopes;
    let lists =
        |name: &str| scopes.collections.get(name).is_some_and(|verbs| verbs.contains(&ScopeVerb::List));
    let all = caller.has(Right::Collections) || lists(EVERYWHERE);
    state
        .vault
        .collections()
        .into_iter()
        .filter(move |info| !reserved(&info.name) && (all || lists(&info.name)))
}

/// Get a collection
#[utoipa::path(get, path = "/v1/collections/{collection}", tag = "Collections",
    params(("collection" = String, Path, description = "The collection's name", min_length = 1, max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "door")),
    responses((status = 200, body = Collection, description = "The collection")))]
pub(super) async fn get(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Path(collection): Path<String>,
) -> Result<Json<Collection>, Problem> {
    let found = visible(&state, &caller).find(|info| info.name == collection);
    found.map(|info| Json(info.into())).ok_or_else(Problem::not_found)
}

/// Make a collection
///
/// One that exists with the same cipher is left as it is, but for `versions_max`. Names that begin with a dot are the
/// vault's own. Needs the operator's right `collections`.
#[utoipa::path(put, path = "/v1/collections/{collection}", tag = "Collections",
    params(
        ("collection" = String, Path, description = "The collection's name: 1 to 64 bytes of UTF-8, not beginning with a dot", min_length = 1, max_length = 64, pattern = "^[^.*\\x00-\\x1f\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*$"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request happens once", min_length = 1, max_length = 128, pattern = "^[!-~]+$"),
    ),
    request_body = CollectionOptionsBody,
    responses(
        (status = 200, body = Collection, description = "It is there"),
        (status = 409, body = crate::problem::Document, content_type = "application/problem+json", description = "It exists with another cipher"),
    ))]
pub(super) async fn put(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Path(collection): Path<String>,
    Json(options): Json<CollectionOptionsBody>,
) -> Result<Json<Collection>, Problem> {
    caller.require(Right::Collections)?;
    if reserved(&collection) || collection == EVERYWHERE {
        let detail = "names that begin with a dot are the vault's own, and `*` stands for all";
        return Err(Problem::new(Kind::Invalid, detail));
    }
    let (vault, name, actor) = (state.vault.clone(), collection.clone(), caller.name().to_owned());
    state.waiting(move || vault.create_collection(&actor, &name, &options.into())).await?;
    get(Shared(state), caller, Path(collection)).await
}

/// Erase a collection
///
/// With everything in it: its keys are destroyed at once. Needs the operator's right `collections`.
#[utoipa::path(delete, path = "/v1/collections/{collection}", tag = "Collections",
    params(
        ("collection" = String, Path, description = "The collection's name", min_length = 1, max_length = 64, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$", example = "door"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request happens once", min_length = 1, max_length = 128, pattern = "^[!-~]+$"),
    ),
    responses((status = 200, body = Dropped, description = "It is gone")))]
pub(super) async fn delete(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Path(collection): Path<String>,
) -> Result<Json<Dropped>, Problem> {
    caller.require(Right::Collections)?;
    if reserved(&collection) {
        return Err(Problem::not_found());
    }
    let (vault, actor) = (state.vault.clone(), caller.name().to_owned());
    let records = state.waiting(move || vault.drop_collection(&actor, &collection)).await?;
    Ok(Json(Dropped { records }))
}
