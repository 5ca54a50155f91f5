//! Which path does what.

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};

use super::conditional::{self, KnownHeaders};
use super::problem::Problem;
use super::query::{self, KnownParameters};
use super::server::Api;
use super::{cluster, guard, health, ledger, leftover, namespaces, objects, openapi, short, verify};

/// The whole API in front of a node.
pub fn router(api: Api) -> Router {
    let routes = Router::new()
        .route("/api/v1/ledger/{ns}", get(ledger::range))
        .route("/api/v1/ledger/{ns}/{key}", get(ledger::get).put(ledger::append))
        .route("/api/v1/ledger/{ns}/{key}/history", get(ledger::history))
        .route("/api/v1/ledger/{ns}/{key}/proof", get(ledger::proof))
        .route("/api/v1/records/{region}/{index}", get(ledger::record_at))
        .route("/api/v1/consistency/{region}", get(ledger::consistency))
        .route("/log/{region}/checkpoint", get(ledger::checkpoint))
        .route("/api/v1/objects/{ns}", get(objects::list))
        .route("/api/v1/objects/{ns}/{key}", get(objects::get).post(objects::edit).delete(objects::delete))
        .route("/api/v1/genesis", get(cluster::genesis))
        .route("/api/v1/regions", get(cluster::regions))
        .route("/api/v1/regions/{region}/recover", post(cluster::region_recover))
        .route("/api/v1/nodes", get(cluster::nodes))
        .route("/api/v1/nodes/{node}", delete(cluster::node_remove))
        .route("/api/v1/nodes/{node}/replace", post(cluster::node_replace))
        .route("/api/v1/nodes/{node}/readmit", post(cluster::node_readmit))
        .route("/api/v1/namespaces", get(namespaces::namespaces).post(namespaces::namespace_create))
        .route("/api/v1/namespaces/{ns}", get(namespaces::namespace).delete(namespaces::namespace_delete))
        .route("/api/v1/namespaces/{ns}/rename", post(namespaces::namespace_rename))
        .route("/api/v1/manifest", get(cluster::manifest))
        .route("/api/v1/status", get(cluster::status))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(description))
        .route("/verify/{key}", get(verify::verify))
        .route("/{key}", get(short::get).put(short::append));
    routes
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        // Bodies are bounded where they are read, by the value limit and a budget for all of them.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(KnownHeaders::described(), conditional::check))
        .layer(middleware::from_fn_with_state(KnownParameters::described(), query::check))
        .layer(middleware::from_fn_with_state(api.clone(), guard::guard))
        .layer(middleware::from_fn(leftover::read_on))
        .with_state(api)
}

async fn description() -> Response {
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (json, Json(openapi::document())).into_response()
}

async fn no_route(request: Request) -> Problem {
    Problem::no_route(request.uri().path())
}

async fn no_method(request: Request) -> Problem {
    let detail = format!("{} is not done to `{}`; see /openapi.json", request.method(), request.uri().path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}
