//! Whether the node lives, whether it serves, and what it counts.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::limits::RETRY_AFTER;
use super::problem::Problem;
use super::server::Api;

/// The process lives
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "It does", body = String)))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// The node serves
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, description = "It does", body = String),
    (status = 503, description = "It does not, and why", body = Problem, content_type = "application/problem+json"),
))]
pub async fn readyz(State(api): State<Api>) -> Result<&'static str, Problem> {
    api.backend.ready().map(|()| "ready\n").map_err(|reason| {
        let mut problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", reason);
        problem.retry_after = Some(RETRY_AFTER.as_secs());
        problem
    })
}

/// What the node counts, for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "health", responses(
    (status = 200, description = "Prometheus text format", body = String, content_type = "text/plain"),
    (status = 404, description = "The node keeps no metrics", body = Problem, content_type = "application/problem+json"),
))]
pub async fn metrics(State(api): State<Api>) -> Result<Response, Problem> {
    let Some(metrics) = &api.metrics else { return Err(Problem::no_route("/metrics")) };
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()).into_response())
}
