//! Whether the node lives, whether it serves, and what it counts.

#![expect(unused_qualifications, reason = "utoipa names parameter types by path")]

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::ask::Parameters;
use super::limits::RETRY_AFTER;
use super::problem::Problem;
use super::server::Api;

/// The process lives
#[utoipa::path(get, path = "/healthz", tag = "health", responses(
    (status = 200, description = "It does", body = String),
    (status = "default", description = "Not asked so", body = Problem, content_type = "application/problem+json"),
))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// What a prober needs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Needs {
    /// Present, with any value or none: the node must take writes as well, edits and appends, not only serve reads
    write: Option<String>,
}

/// The node serves
///
/// Without room or without a majority reads go on: 200, and it says of edits and appends whether they are taken. With `?write`: 503.
#[utoipa::path(get, path = "/readyz", tag = "health", params(Needs), responses(
    (status = 200, description = "It does, and whether it takes writes", body = String),
    (status = 503, description = "It does not, and why", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "Not asked so", body = Problem, content_type = "application/problem+json"),
))]
pub async fn readyz(State(api): State<Api>, Parameters(needs): Parameters<Needs>) -> Result<String, Problem> {
    let not_ready = |reason: String| {
        let mut problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", reason);
        problem.retry_after = Some(RETRY_AFTER.as_secs());
        problem
    };
    api.backend.ready().map_err(not_ready)?;
    match api.backend.writes() {
        Ok(()) => Ok("ready\n".to_owned()),
        Err(reason) if needs.write.is_some() => Err(not_ready(reason)),
        Err(reason) => Ok(format!("ready to read; {reason}\n")),
    }
}

/// What the node counts, for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "health", responses(
    (status = 200, description = "Prometheus text format", body = String, content_type = "text/plain"),
    (status = 404, description = "The node keeps no metrics", body = Problem, content_type = "application/problem+json"),
    (status = "default", description = "Not read", body = Problem, content_type = "application/problem+json"),
))]
pub async fn metrics(State(api): State<Api>) -> Result<Response, Problem> {
    let Some(metrics) = &api.metrics else { return Err(Problem::no_route("/metrics")) };
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()).into_response())
}
