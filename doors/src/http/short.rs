//! The short forms: a key of the default ledger namespace, right below the root. `/_` and all below it are no keys: whatever
//! the node will serve besides has its place there.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;

use super::ask::{Ask, Names};
use super::ledger::{append_to, get_from};
use super::problem::Problem;
use super::server::Api;

/// The ledger namespace that exists from the start.
const NAMESPACE: &str = "default";
/// What is no key, so that paths below it can be the node's own.
const OWN: &str = "_";

/// Append a record to the default namespace
#[utoipa::path(put, path = "/{key}", tag = "short", request_body(content = Vec<u8>, content_type = "application/octet-stream"), params(
    ("key" = String, Path, description = "UTF-8 of 1 byte to 1 KiB, percent-encoded; `_` and all below it are the node's own"),
    ("Trine-Durability" = Option<String>, Header, description = "What the write must survive: local, region, regions=2, all"),
    ("Idempotency-Key" = Option<String>, Header, description = "The same key within ten minutes returns the first append's answer"),
    ("If-Match" = Option<String>, Header, description = "Append only when this is the key's latest version in this region"),
    ("If-None-Match" = Option<String>, Header, description = "`*`: append only when the key has no version in this region"),
), responses(
    (status = 201, description = "Appended", body = crate::model::Appended),
    (status = 200, description = "Appended before under the same idempotency key", body = crate::model::Appended),
    (status = 412, description = "The precondition did not hold", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "Not appended", body = Problem, content_type = "application/problem+json"),
))]
pub async fn append(
    State(api): State<Api>,
    ask: Ask,
    Names(key): Names<String>,
    body: Body,
) -> Result<Response, Problem> {
    if key == OWN {
        return Err(Problem::no_route("/_"));
    }
    append_to(&api, &ask, NAMESPACE.to_owned(), key, body).await
}

/// Read the latest version of a key of the default namespace
#[utoipa::path(get, path = "/{key}", tag = "short", params(
    ("key" = String, Path, description = "UTF-8 of 1 byte to 1 KiB, percent-encoded; `_` and all below it are the node's own"),
), responses(
    (status = 200, description = "The value, with its own content type", body = Vec<u8>, content_type = "*/*"),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn get(ask: Ask, Names(key): Names<String>) -> Result<Response, Problem> {
    if key == OWN {
        return Err(Problem::no_route("/_"));
    }
    get_from(&ask, NAMESPACE.to_owned(), key).await
}
