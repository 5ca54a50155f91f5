//! The short forms: a key of the default ledger namespace, right below the root.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;

use super::ask::{Ask, Names};
use super::ledger::{append_to, get_from};
use super::problem::Problem;
use super::server::Api;

/// The ledger namespace that exists from the start.
const NAMESPACE: &str = "default";

/// Append a record to the default namespace
#[utoipa::path(put, path = "/{key}", tag = "short", request_body(content = Vec<u8>, content_type = "application/octet-stream"), params(
    ("key" = String, Path, description = "UTF-8 of 1 byte to 1 KiB, percent-encoded"),
), responses(
    (status = 201, description = "Appended", body = crate::model::Appended),
    (status = "default", description = "Not appended", body = Problem, content_type = "application/problem+json"),
))]
pub async fn append(
    State(api): State<Api>,
    ask: Ask,
    Names(key): Names<String>,
    body: Body,
) -> Result<Response, Problem> {
    append_to(&api, &ask, NAMESPACE.to_owned(), key, body).await
}

/// Read the latest version of a key of the default namespace
#[utoipa::path(get, path = "/{key}", tag = "short", params(
    ("key" = String, Path, description = "UTF-8 of 1 byte to 1 KiB, percent-encoded"),
), responses(
    (status = 200, description = "The value, with its own content type", body = Vec<u8>, content_type = "application/octet-stream"),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get(ask: Ask, Names(key): Names<String>) -> Result<Response, Problem> {
    get_from(&ask, NAMESPACE.to_owned(), key).await
}
