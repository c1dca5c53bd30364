//! One file a noun; each route carries its own description for the OpenAPI document.
mod audit;
mod backup;
mod batch;
mod collections;
mod compare;
mod docs;
mod health;
mod keys;
mod maintenance;
mod receipts;
mod records;
mod tokens;
mod versions;

use crate::idempotency::remember;
use crate::limits::{admit, observe};
use crate::problem::{Kind, Problem};
use crate::state::State;
use crate::{openapi, page};
use axum::Router;
use axum::middleware::from_fn_with_state;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

type Routes = OpenApiRouter<Arc<State>>;

/// Records: the vault itself sees to their idempotency keys.
fn records() -> Routes {
    Routes::new()
        .routes(routes!(records::list))
        .routes(routes!(records::get, records::put, records::delete))
        .routes(routes!(versions::list))
        .routes(routes!(versions::get, versions::delete))
        .routes(routes!(versions::restore))
        .routes(routes!(batch::apply))
        .routes(routes!(compare::verify))
        .routes(routes!(compare::identify))
        .routes(routes!(receipts::get))
}

/// What concerns the vault as a whole.
fn operators() -> Routes {
    Routes::new()
        .routes(routes!(collections::list))
        .routes(routes!(collections::get, collections::put, collections::delete))
        .routes(routes!(keys::list, keys::start))
        .routes(routes!(keys::set_rate))
        .routes(routes!(audit::entries))
        .routes(routes!(audit::verify))
        .routes(routes!(maintenance::check))
        .routes(routes!(maintenance::compact))
        .routes(routes!(maintenance::sweep))
        .routes(routes!(maintenance::confirm_clock))
}

/// What answers with a secret, which is remembered nowhere.
fn secrets() -> Routes {
    Routes::new()
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::get, tokens::revoke))
        .routes(routes!(tokens::rotate))
        .routes(routes!(backup::download))
        .routes(routes!(health::vault))
        .routes(routes!(health::stats))
        .routes(routes!(health::metrics))
}

/// What anybody may see.
fn public() -> Routes {
    Routes::new().routes(routes!(health::alive)).routes(routes!(health::ready))
}

/// The OpenAPI document, and its page.
pub(crate) fn documents() -> (String, String) {
    let routes = Routes::with_openapi(openapi::base())
        .merge(records())
        .merge(operators())
        .merge(secrets())
        .merge(public());
    let document = openapi::complete(routes.into_openapi());
    let json = document.to_pretty_json().expect("a document is plain data");
    let page = page::render(&document);
    (json, page)
}

/// All routes, with what every request passes.
pub(crate) fn router(state: Arc<State>) -> Router {
    let api = records()
        .merge(operators().route_layer(from_fn_with_state(state.clone(), remember)))
        .merge(secrets())
        .merge(public());
    Router::from(api)
        .merge(docs::routes())
        .fallback(async || Problem::new(Kind::NotFound, "there is no such path"))
        .method_not_allowed_fallback(async || {
            Problem::new(Kind::MethodNotAllowed, "the path is there, the method is not")
        })
        .layer(from_fn_with_state(state.clone(), admit))
        .layer(from_fn_with_state(state.clone(), observe))
        .with_state(state)
}
