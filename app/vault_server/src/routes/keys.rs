use crate::caller::Caller;
use crate::extract::Json;
use crate::problem::{Kind, Problem};
use crate::scopes::Right;
use crate::state::State;
use crate::wire::{NewRotation, RateBody, RotationStarted, Rotations};
use axum::extract::State as Shared;
use axum::http::StatusCode;
use std::sync::Arc;
use terachat_vault::SourceKind;

/// See rotations
///
/// Needs the operator's right `keys`.
#[utoipa::path(get, path = "/v1/rotations", tag = "Keys",
    responses((status = 200, body = Rotations, description = "Keys, and the rotations that are running")))]
pub(super) async fn list(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
) -> Result<Json<Rotations>, Problem> {
    caller.require(Right::Keys)?;
    let keys = state.vault.keys(caller.name())?;
    Ok(Json(Rotations {
        kek_version: keys.kek_version(),
        sources: keys.sources().into_iter().map(SourceKind::name).collect(),
        running: keys.rotations().into_iter().map(Into::into).collect(),
    }))
}

/// Rotate keys
///
/// Reads and writes go on meanwhile. Needs the operator's right `keys`.
#[utoipa::path(post, path = "/v1/rotations", tag = "Keys",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request happens once", min_length = 1, max_length = 128, pattern = "^[!-~]+$")),
    request_body = NewRotation,
    responses(
        (status = 202, body = RotationStarted, description = "Begun"),
        (status = 404, body = crate::problem::Document, content_type = "application/problem+json", description = "There is no such collection"),
    ))]
pub(super) async fn start(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Json(asked): Json<NewRotation>,
) -> Result<(StatusCode, Json<RotationStarted>), Problem> {
    caller.require(Right::Keys)?;
    let (vault, actor) = (state.vault.clone(), caller.name().to_owned());
    let started = state.waiting(move || {
        let keys = vault.keys(&actor)?;
        Ok::<_, terachat_vault_store::Error>(match asked {
            NewRotation::Kek {} => RotationStarted::Kek { version: keys.rotate_kek()? },
            NewRotation::Dek { collection } => {
                let generation = keys.rotate_dek(&collection)?;
                RotationStarted::Dek { collection, generation }
            }
        })
    });
    Ok((StatusCode::ACCEPTED, Json(started.await?)))
}

/// Set the rate of re-encryption
///
/// Needs the operator's right `keys`.
#[utoipa::path(put, path = "/v1/rotations/rate", tag = "Keys",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request happens once", min_length = 1, max_length = 128, pattern = "^[!-~]+$")),
    request_body = RateBody,
    responses((status = 204, description = "Set, until the server is restarted")))]
pub(super) async fn set_rate(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Json(asked): Json<RateBody>,
) -> Result<StatusCode, Problem> {
    caller.require(Right::Keys)?;
    if !(1..=10_000_000).contains(&asked.records_per_s) {
        return Err(Problem::new(Kind::Invalid, "`records_per_s` is 1 to 10,000,000"));
    }
    state.vault.keys(caller.name())?.set_rate(asked.records_per_s);
    Ok(StatusCode::NO_CONTENT)
}
