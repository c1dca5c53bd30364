//! Errors as callers see them: problem details (RFC 9457), each with what to do next.
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use terachat_vault_store::Error;

/// The media type of a problem.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong, as callers tell errors apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Malformed,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    Conflict,
    PreconditionFailed,
    TooLarge,
    UnsupportedMediaType,
    Invalid,
    IdempotencyKeyReused,
    RateLimited,
    Damaged,
    Internal,
    ReadOnly,
    Overloaded,
    Timeout,
    Stopping,
}

/// What is the same for all problems of a kind.
pub(crate) struct Facts {
    pub(crate) status: StatusCode,
    pub(crate) slug: &'static str,
    pub(crate) title: &'static str,
    pub(crate) next: &'static str,
}

impl Kind {
    pub(crate) const ALL: [Self; 19] = [
        Self::Malformed,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::Conflict,
        Self::PreconditionFailed,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Invalid,
        Self::IdempotencyKeyReused,
        Self::RateLimited,
        Self::Damaged,
        Self::Internal,
        Self::ReadOnly,
        Self::Overloaded,
        Self::Timeout,
        Self::Stopping,
    ];

    pub(crate) fn facts(self) -> Facts {
        let facts = |status, slug, title, next| Facts { status, slug, title, next };
        match self {
            Self::Malformed => facts(
                StatusCode::BAD_REQUEST,
                "malformed",
                "The request cannot be read",
                "compare it with /v1/openapi.json",
            ),
            Self::Unauthorized => facts(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "No valid token",
                "send a valid token as `Authorization: Bearer …`; `terachat vault token create` makes one",
            ),
            Self::Forbidden => facts(
                StatusCode::FORBIDDEN,
                "forbidden",
                "This token lacks the operator's right",
                "use a token with this right",
            ),
            Self::NotFound => facts(
                StatusCode::NOT_FOUND,
                "not-found",
                "There is no such thing for this token",
                "check the name, and whether the token's scopes reach it: absent and forbidden look the same",
            ),
            Self::MethodNotAllowed => facts(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "This path does not take this method",
                "use one of the methods in the header `Allow`",
            ),
            Self::NotAcceptable => facts(
                StatusCode::NOT_ACCEPTABLE,
                "not-acceptable",
                "This content has no such form",
                "ask for `Accept: application/json`",
            ),
            Self::Conflict => facts(
                StatusCode::CONFLICT,
                "conflict",
                "It does not fit with what is there",
                "read what is there and decide anew",
            ),
            Self::PreconditionFailed => facts(
                StatusCode::PRECONDITION_FAILED,
                "precondition-failed",
                "The record is not at the expected version",
                "read it again and decide anew",
            ),
            Self::TooLarge => facts(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "The content is too large",
                "send less at once",
            ),
            Self::UnsupportedMediaType => facts(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "This kind of content is not taken here",
                "send `Content-Type: application/json`",
            ),
            Self::Invalid => facts(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                "The request can be read and breaks a rule",
                "mend what the detail names",
            ),
            Self::IdempotencyKeyReused => facts(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "This idempotency key was used for another request",
                "use a new key for a new request",
            ),
            Self::RateLimited => facts(
                StatusCode::TOO_MANY_REQUESTS,
                "rate-limited",
                "Too many requests with this token",
                "wait as long as the header `Retry-After` says",
            ),
            Self::Damaged => facts(
                StatusCode::INTERNAL_SERVER_ERROR,
                "damaged",
                "What is stored is damaged",
                "restore it from a backup; an alarm was recorded",
            ),
            Self::Internal => facts(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The vault failed",
                "the server's log has the reason",
            ),
            Self::ReadOnly => facts(
                StatusCode::SERVICE_UNAVAILABLE,
                "read-only",
                "The vault takes no writes",
                "make room on the server's disk and restart it; reads go on",
            ),
            Self::Overloaded => facts(
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "Too many requests at once",
                "try again after the time in the header `Retry-After`",
            ),
            Self::Timeout => facts(
                StatusCode::SERVICE_UNAVAILABLE,
                "timeout",
                "The request took too long",
                "read the record: a write may have happened; repeat it with the same Idempotency-Key",
            ),
            Self::Stopping => facts(
                StatusCode::SERVICE_UNAVAILABLE,
                "stopping",
                "The server is stopping",
                "try again when it is back",
            ),
        }
    }
}

/// One problem, on its way to the caller.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    next: String,
    current_version: Option<u64>,
    retry_after_s: Option<u64>,
}

/// What went wrong, and what to do (RFC 9457).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document<'a> {
    /// Which kind of problem, as a link to its description, relative to the server.
    #[serde(rename = "type")]
    #[schema(examples("/v1/docs#problem-not-found"))]
    kind: String,
    /// The kind in words: the same for all of it.
    #[schema(examples("There is no such thing for this token"))]
    title: &'static str,
    /// The status of the answer.
    #[schema(examples(404))]
    status: u16,
    /// What is wrong with this request.
    #[schema(examples("no such record"))]
    detail: &'a str,
    /// What to do.
    #[schema(examples("check the name, and whether the token's scopes reach it"))]
    next: &'a str,
    /// The record's version, where another one was expected; 0 when there is no record.
    #[serde(skip_serializing_if = "Option::is_none")]
    current_version: Option<u64>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let next = kind.facts().next.to_owned();
        Self { kind, detail: detail.into(), next, current_version: None, retry_after_s: None }
    }

    /// From a text that by the house's rule ends in "; what to do".
    pub(crate) fn from_text(kind: Kind, text: &str) -> Self {
        match text.rsplit_once("; ") {
            Some((detail, next)) => Self { next: next.to_owned(), ..Self::new(kind, detail) },
            None => Self::new(kind, text),
        }
    }

    /// Says what to do instead of what is said for all of the kind.
    #[must_use]
    pub(crate) fn next(self, next: &str) -> Self {
        Self { next: next.to_owned(), ..self }
    }

    /// Says when to come again.
    #[must_use]
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// The same problem as another kind.
    #[must_use]
    pub(crate) fn instead(self, from: Kind, to: Kind) -> Self {
        if self.kind == from { Self { kind: to, ..self } } else { self }
    }

    /// What is wrong and what to do, in one line.
    pub(crate) fn line(&self) -> String {
        format!("{}; {}", self.detail, self.next)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(Kind::NotFound, "there is nothing here for this token")
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::NotFound | Error::NoCollection => Self::not_found(),
            Error::Conflict { current } => Self {
                current_version: Some(current),
                ..Self::new(Kind::PreconditionFailed, format!("the record is at version {current}"))
            },
            Error::TooLarge { .. } => Self::from_text(Kind::TooLarge, &text),
            Error::IdempotencyReused => Self::from_text(Kind::IdempotencyKeyReused, &text),
            Error::CollectionExists => Self::from_text(Kind::Conflict, &text),
            Error::Name { .. }
            | Error::Batch(_)
            | Error::ExpiredAlready
            | Error::Cursor
            | Error::Config { .. }
            | Error::NotATemplate
            | Error::Template(_)
            | Error::Source(_)
            | Error::Backup(_)
            | Error::Receipt(_) => Self::from_text(Kind::Invalid, &text),
            Error::Damaged { .. } | Error::AuditBroken { .. } => {
                tracing::error!(%error, "damage in the vault");
                Self::from_text(Kind::Damaged, &text)
            }
            Error::ReadOnly(_) => {
                tracing::error!(%error, "a write was refused");
                Self::new(Kind::ReadOnly, "an earlier write failed, so nothing is written any more")
            }
            Error::Closed => Self::new(Kind::Stopping, "the vault is closed").retry_after(1),
            // What the disk and the system say has paths of the server in it: for its log only.
            error => {
                tracing::error!(%error, "the vault failed");
                Self::new(Kind::Internal, "the vault could not do this")
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let facts = self.kind.facts();
        let document = Document {
            kind: format!("/v1/docs#problem-{}", facts.slug),
            title: facts.title,
            status: facts.status.as_u16(),
            detail: &self.detail,
            next: &self.next,
            current_version: self.current_version,
        };
        let body = serde_json::to_vec(&document).expect("a problem is plain data");
        let mut response = (facts.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.kind == Kind::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn kinds_have_slugs_of_their_own_and_a_next_step() {
        let slugs: BTreeSet<_> = Kind::ALL.into_iter().map(|kind| kind.facts().slug).collect();
        assert_eq!(slugs.len(), Kind::ALL.len());
        assert!(
            Kind::ALL
                .into_iter()
                .all(|kind| !kind.facts().next.is_empty() && kind.facts().status.as_u16() >= 400)
        );
    }

    #[test]
    fn what_the_system_says_stays_with_the_server() {
        let error =
            Error::File { doing: "write", path: "/srv/vault/keyring".into(), reason: "no space".into() };
        let problem = Problem::from(error);
        assert!(!problem.detail.contains("/srv") && !problem.next.contains("/srv"), "{problem:?}");
    }

    #[test]
    fn a_text_is_cut_into_what_and_next() {
        let problem = Problem::from(Error::IdempotencyReused);
        assert_eq!(
            (problem.detail.as_str(), problem.next.as_str()),
            ("this idempotency key was used for another request", "use a new one")
        );
    }
}
