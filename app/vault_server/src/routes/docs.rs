use crate::page;
use crate::state::State;
use axum::Router;
use axum::extract::State as Shared;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use std::sync::Arc;

/// The document and its page are public: they tell how to ask, not what is there.
pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/", get(async || Redirect::temporary("/v1/docs")))
        .route("/v1/openapi.json", get(document))
        .route("/v1/docs", get(docs))
        .route("/v1/docs/style.css", get(async || typed("text/css; charset=utf-8", page::STYLE.to_owned())))
}

async fn document(Shared(state): Shared<Arc<State>>) -> Response {
    typed("application/json", state.document.clone())
}

async fn docs(Shared(state): Shared<Arc<State>>) -> Response {
    let mut response = typed("text/html; charset=utf-8", state.page.clone());
    let policy = HeaderValue::from_static(page::POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

fn typed(kind: &'static str, text: String) -> Response {
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}
