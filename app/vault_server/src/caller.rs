use crate::problem::{Kind, Problem};
use crate::reserved;
use crate::scopes::Right;
use crate::state::State;
use crate::token::{Holder, TokenInfo};
use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use std::sync::Arc;
use terachat_vault_store::Session;

/// Who asks: the holder of a valid token that has not used up its rate.
#[derive(Clone)]
pub(crate) struct Caller(Arc<Holder>);

impl Caller {
    /// What this caller may do with the records of a collection.
    pub(crate) fn session(&self, collection: &str) -> Session {
        if reserved(collection) { self.0.nowhere.clone() } else { self.0.session.clone() }
    }

    /// The caller's name in the audit log.
    pub(crate) fn name(&self) -> &str {
        &self.0.info.name
    }

    pub(crate) fn token(&self) -> &TokenInfo {
        &self.0.info
    }

    pub(crate) fn has(&self, right: Right) -> bool {
        self.0.info.scopes.operator.contains(&right)
    }

    /// Refuses a caller without this right. It is decided before anything is looked at, so that the answer tells
    /// nothing but what the token is.
    pub(crate) fn require(&self, right: Right) -> Result<(), Problem> {
        if self.has(right) {
            return Ok(());
        }
        let right = serde_json::to_value(right).ok();
        let name = right.as_ref().and_then(|name| name.as_str()).unwrap_or_default();
        Err(Problem::new(Kind::Forbidden, format!("the operator's right `{name}` is needed")))
    }
}

impl FromRequestParts<Arc<State>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, Problem> {
        if let Some(known) = parts.extensions.get::<Self>() {
            return Ok(known.clone());
        }
        // Missing, malformed, unknown, expired, revoked: one answer.
        let text = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => "",
        };
        let unknown = || Problem::new(Kind::Unauthorized, "the request carries no valid token");
        let caller = Self(state.tokens.authenticate(token).ok_or_else(unknown)?);
        caller.0.bucket.take(state.config.rate).map_err(|wait| {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            Problem::new(
                Kind::RateLimited,
                format!("the rate of this token is {} a second", state.config.rate.per_s),
            )
            .retry_after(seconds.max(1))
        })?;
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}
