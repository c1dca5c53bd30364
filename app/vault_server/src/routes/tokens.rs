use crate::caller::Caller;
use crate::extract::{Json, Path};
use crate::problem::{Kind, Problem};
use crate::scopes::{Right, Scopes};
use crate::state::State;
use crate::token::{TokenError, TokenInfo};
use crate::wire::{TokenBody, TokenRequest, TokenRotation, Tokens};
use axum::extract::State as Shared;
use axum::http::StatusCode;
use std::sync::Arc;
use std::time::Duration;

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let text = error.to_string();
        match error {
            TokenError::Name | TokenError::Age | TokenError::Grace | TokenError::Collection => {
                Self::from_text(Kind::Invalid, &text)
            }
            TokenError::Exists => Self::from_text(Kind::Conflict, &text),
            TokenError::Absent => Self::not_found(),
            TokenError::Vault(error) => error.into(),
            TokenError::Entropy | TokenError::Record => {
                tracing::error!(%error, "a token could not be changed");
                Self::from_text(Kind::Internal, &text)
            }
        }
    }
}

/// List tokens
///
/// Without their secrets, which nobody has. Needs the operator's right `tokens`.
#[utoipa::path(get, path = "/v1/tokens", tag = "Tokens",
    responses((status = 200, body = Tokens, description = "All tokens, by name")))]
pub(super) async fn list(Shared(state): Shared<Arc<State>>, caller: Caller) -> Result<Json<Tokens>, Problem> {
    caller.require(Right::Tokens)?;
    Ok(Json(Tokens { tokens: state.tokens.list() }))
}

/// Make a token
///
/// It is shown this once. None can have more than the scopes of the one that makes it. Needs the operator's right
/// `tokens`.
#[utoipa::path(post, path = "/v1/tokens", tag = "Tokens",
    request_body = TokenRequest,
    responses(
        (status = 201, body = TokenBody, description = "The token"),
        (status = 409, body = crate::problem::Document, content_type = "application/problem+json", description = "There is one of this name"),
    ))]
pub(super) async fn create(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Json(asked): Json<TokenRequest>,
) -> Result<(StatusCode, Json<TokenBody>), Problem> {
    caller.require(Right::Tokens)?;
    not_beyond(&asked.scopes, &caller)?;
    let (shared, actor) = (state.clone(), caller.name().to_owned());
    let age = Duration::from_secs(asked.expires_in_s);
    let new = state.waiting(move || shared.tokens.create(&actor, &asked.name, asked.scopes, age)).await?;
    Ok((StatusCode::CREATED, Json(new.into())))
}

/// Get a token
///
/// Without its secret. Needs the operator's right `tokens`.
#[utoipa::path(get, path = "/v1/tokens/{name}", tag = "Tokens",
    params(("name" = String, Path, description = "The token's name", pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")),
    responses((status = 200, body = TokenInfo, description = "What is known of it")))]
pub(super) async fn get(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<TokenInfo>, Problem> {
    caller.require(Right::Tokens)?;
    state.tokens.find(&name).map(Json).ok_or_else(Problem::not_found)
}

/// Revoke a token
///
/// At once, and with the one that it replaced. Needs the operator's right `tokens`.
#[utoipa::path(delete, path = "/v1/tokens/{name}", tag = "Tokens",
    params(("name" = String, Path, description = "The token's name", pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")),
    responses(
        (status = 204, description = "Revoked"),
        (status = 409, body = crate::problem::Document, content_type = "application/problem+json", description = "It is the token that asks"),
    ))]
pub(super) async fn revoke(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    caller.require(Right::Tokens)?;
    not_oneself(&name, &caller)?;
    let (shared, actor) = (state.clone(), caller.name().to_owned());
    state.waiting(move || shared.tokens.revoke(&actor, &name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rotate a token
///
/// Gives a new one with the same name and scopes; the old one is taken for a time of grace. Needs the operator's right
/// `tokens`.
#[utoipa::path(post, path = "/v1/tokens/{name}/rotate", tag = "Tokens",
    params(("name" = String, Path, description = "The token's name", pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")),
    request_body = TokenRotation,
    responses(
        (status = 201, body = TokenBody, description = "The new token"),
        (status = 409, body = crate::problem::Document, content_type = "application/problem+json", description = "It is the token that asks"),
    ))]
pub(super) async fn rotate(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Path(name): Path<String>,
    Json(asked): Json<TokenRotation>,
) -> Result<(StatusCode, Json<TokenBody>), Problem> {
    caller.require(Right::Tokens)?;
    not_oneself(&name, &caller)?;
    let old = state.tokens.find(&name).ok_or_else(Problem::not_found)?;
    // Its new secret is its power: who may not make such a token may not take it over either.
    not_beyond(&old.scopes, &caller)?;
    let (shared, actor) = (state.clone(), caller.name().to_owned());
    let (grace, age) = (Duration::from_secs(asked.grace_s), Duration::from_secs(asked.expires_in_s));
    let new = state.waiting(move || shared.tokens.rotate(&actor, &name, grace, age)).await?;
    Ok((StatusCode::CREATED, Json(new.into())))
}

/// Whoever ends the token that they use might lock themselves out.
fn not_oneself(name: &str, caller: &Caller) -> Result<(), Problem> {
    if name != caller.name() {
        return Ok(());
    }
    Err(Problem::new(Kind::Conflict, "a token neither revokes nor rotates itself")
        .next("use another token, or `terachat vault token` beside a stopped server"))
}

fn not_beyond(scopes: &Scopes, caller: &Caller) -> Result<(), Problem> {
    if scopes.within(&caller.token().scopes) {
        return Ok(());
    }
    Err(Problem::new(Kind::Forbidden, "these scopes go beyond those of the token that asks"))
}
