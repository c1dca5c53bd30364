//! What requests carry, read with problems for answers.
use crate::problem::{Kind, Problem};
use crate::state::State;
use axum::body::{Body, HttpBody};
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Most bytes of a body, but for batches: room for 2 MiB as base64 and what stands around it.
pub(crate) const BODY_LEN_MAX: usize = 3 << 20;
/// Most bytes of a batch: room for 16 MiB as base64 and what stands around it.
pub(crate) const BATCH_BODY_LEN_MAX: usize = 24 << 20;

pub(crate) const JSON: &str = "application/json";
pub(crate) const OCTETS: &str = "application/octet-stream";

/// How long a body may take to come.
const BODY_TIME_MAX: Duration = Duration::from_secs(60);

/// A whole body, wiped on drop.
pub(crate) async fn body(body: Body, len_max: usize) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let late = |_| Problem::new(Kind::Timeout, "the body took too long to come");
    tokio::time::timeout(BODY_TIME_MAX, collect(body, len_max)).await.map_err(late)?
}

async fn collect(mut body: Body, len_max: usize) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let too_large = || Problem::new(Kind::TooLarge, format!("a body of more than {len_max} bytes"));
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > len_max {
        return Err(too_large());
    }
    let mut whole = Zeroizing::new(Vec::with_capacity(announced));
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame =
            frame.map_err(|_| Problem::new(Kind::Malformed, "the body ended before its announced length"))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > len_max {
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole)
}

/// The media type of the body, without its parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether bytes are asked for rather than JSON.
pub(crate) fn wants_octets(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types =
        accepts.flat_map(|text| text.split(',')).map(|part| part.split(';').next().unwrap_or("").trim());
    types.find(|name| [JSON, OCTETS].contains(name)) == Some(OCTETS)
}

/// JSON from bytes: 400 for what is no JSON, 422 for what does not fit.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        if error.is_data() {
            return Problem::new(Kind::Invalid, plain_reason(&error));
        }
        let place = format!("line {}, column {}", error.line(), error.column());
        Problem::new(Kind::Malformed, format!("the body is not JSON: it breaks off or goes wrong at {place}"))
    })
}

/// What is wrong, without the values that the message of the parser quotes: they may be secret.
fn plain_reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!("at line {}, column {}", error.line(), error.column());
    let told = ["missing field", "unknown field", "unknown variant", "duplicate field"];
    match told.iter().find(|known| text.starts_with(*known)) {
        // Field names of the schema only: an unknown one is the caller's own word.
        Some(&"missing field") => text,
        Some(known) => format!("{known} {place}"),
        None => format!("a value of the wrong kind, or out of its range, {place}"),
    }
}

/// A body of JSON.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<State>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Arc<State>) -> Result<Self, Problem> {
        json(request, BODY_LEN_MAX).await.map(Self)
    }
}

/// A body of JSON of at most so many bytes.
pub(crate) async fn json<T: DeserializeOwned>(request: Request, len_max: usize) -> Result<T, Problem> {
    let found = media_type(request.headers());
    if found != JSON {
        return Err(Problem::new(Kind::UnsupportedMediaType, "the body has to be JSON and say so"));
    }
    parse(&body(request.into_body(), len_max).await?)
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => ([(header::CONTENT_TYPE, HeaderValue::from_static(JSON))], bytes).into_response(),
            Err(error) => {
                tracing::error!(%error, "an answer has no JSON form");
                Problem::new(Kind::Internal, "the answer could not be written").into_response()
            }
        }
    }
}

/// The variable parts of a path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<State>> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, Problem> {
        let path: Result<axum::extract::Path<T>, PathRejection> =
            axum::extract::Path::from_request_parts(parts, state).await;
        let path = path.map_err(|_| Problem::new(Kind::Malformed, "a part of the path cannot be read"))?;
        Ok(Self(path.0))
    }
}

/// What stands behind the question mark.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<State>> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<State>) -> Result<Self, Problem> {
        let query = axum::extract::Query::try_from_uri(&parts.uri);
        let refused = "a parameter behind the question mark is unknown, given twice, or out of its range";
        query.map(|query| Self(query.0)).map_err(|_| Problem::new(Kind::Malformed, refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_given_where_they_are_preferred() {
        #[track_caller]
        fn case(accept: &'static str, expected: bool) {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(wants_octets(&headers), expected, "{accept}");
        }
        case("application/octet-stream", true);
        case("text/html, application/octet-stream;q=0.9", true);
        case("application/json, application/octet-stream", false);
        case("*/*", false);
        assert!(!wants_octets(&HeaderMap::new()));
    }

    #[test]
    fn a_refused_body_is_never_quoted() {
        for bad in
            [r#"{"bytes":"hunter2!"}"#, r#"{"hunter2":1}"#, r#""hunter2""#, r#"{"template":"hunter2"}"#]
        {
            let problem = parse::<crate::wire::Content>(bad.as_bytes()).err().unwrap();
            assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
        }
    }
}
