//! Errors as RFC 9457 problem details, each with a stable `code`.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use trine_protocol::{Missing, RequestError};
use utoipa::ToSchema;

use super::limits::RETRY_AFTER;

/// The media type of an error.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind of problem, as a URI: `urn:trine:problem:` and the code.
    pub r#type: String,
    /// The kind of problem, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The kind of problem, for programs; stable.
    pub code: String,
    /// What happened here and what to do.
    pub detail: String,
    /// What kind of thing is not there, where the code is `not_found`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<MissingKind>,
    /// After how many seconds to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// What kind of thing is not there, for programs; stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingKind {
    /// A key of a ledger.
    Key,
    /// An object.
    Object,
    /// A namespace.
    Namespace,
    /// A record at a place.
    Record,
    /// A signed checkpoint of a ledger.
    Checkpoint,
    /// A ledger that is another region's.
    Ledger,
    /// A region.
    Region,
    /// The founding document.
    Genesis,
    /// A node.
    Node,
    /// A name that is closed since its node was removed.
    ClosedName,
}

impl From<&Missing> for MissingKind {
    fn from(missing: &Missing) -> Self {
        match missing {
            Missing::Key { .. } => Self::Key,
            Missing::Object { .. } => Self::Object,
            Missing::Namespace { .. } => Self::Namespace,
            Missing::Record { .. } => Self::Record,
            Missing::Checkpoint { .. } => Self::Checkpoint,
            Missing::Ledger { .. } => Self::Ledger,
            Missing::Region { .. } => Self::Region,
            Missing::Genesis => Self::Genesis,
            Missing::Node { .. } => Self::Node,
            Missing::ClosedName { .. } => Self::ClosedName,
        }
    }
}

impl Problem {
    /// A problem of the HTTP layer itself.
    #[must_use]
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            r#type: format!("urn:trine:problem:{code}"),
            title: title(code).to_owned(),
            status: status.as_u16(),
            code: code.to_owned(),
            detail: detail.into(),
            missing: None,
            retry_after: None,
        }
    }

    /// The request is wrong.
    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", detail)
    }

    /// There is no such path.
    #[must_use]
    pub fn no_route(path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "no_route", format!("there is no `{path}` here; see /openapi.json"))
    }

    /// The node has no room for the request's body now.
    #[must_use]
    pub fn overloaded() -> Self {
        RequestError::Overloaded { retry_after: RETRY_AFTER }.into()
    }

    /// All of the node's places are taken by callers for whom it is at work.
    #[must_use]
    pub fn crowded() -> Self {
        let detail =
            "the node is at work for as many connections as it serves; of this one it takes /healthz and /readyz alone";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "overloaded", detail).retry_after(RETRY_AFTER)
    }

    fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after.as_secs_f64().ceil().max(1.0) as u64);
        self
    }
}

/// What a code means, for people.
fn title(code: &str) -> &'static str {
    match code {
        "invalid" => "The request is wrong",
        "not_found" => "Not found",
        "no_route" => "No such path",
        "method_not_allowed" => "Not with this method",
        "unauthorized" => "A client certificate is required",
        "forbidden" => "Refused",
        "foreign_host" => "Addressed to another host",
        "foreign_origin" => "Sent by another site",
        "conflict" => "It contradicts what is there",
        "standstill" => "The region would come to a standstill",
        "ambiguous" => "A name of several namespaces",
        "not_empty" => "It holds something",
        "too_large" => "Too large",
        "wrong_kind" => "The object is of another kind",
        "overloaded" => "Overloaded",
        "unavailable" => "Cannot be served now",
        "not_ready" => "The node does not serve yet",
        "unknown" => "No answer in time",
        "slow_body" => "The body did not arrive in time",
        "disk_full" => "The disk is full",
        "damaged" => "Damaged data",
        "stale" => "Older than asked for",
        "unsupported" => "Not supported",
        _ => "Failed",
    }
}

/// The status that an error of the protocol is answered with.
#[must_use]
pub fn status_of(error: &RequestError) -> StatusCode {
    match error {
        RequestError::Invalid { .. } => StatusCode::BAD_REQUEST,
        RequestError::NotFound { .. } => StatusCode::NOT_FOUND,
        RequestError::Forbidden { .. } => StatusCode::FORBIDDEN,
        // The caller's headers stated it.
        RequestError::Conflict { what } if what.of_precondition() => StatusCode::PRECONDITION_FAILED,
        RequestError::Conflict { .. }
        | RequestError::Ambiguous { .. }
        | RequestError::NotEmpty { .. }
        | RequestError::WrongKind { .. }
        | RequestError::Standstill { .. } => StatusCode::CONFLICT,
        RequestError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        RequestError::Overloaded { .. } => StatusCode::TOO_MANY_REQUESTS,
        RequestError::Unavailable { .. } | RequestError::Stale { .. } => StatusCode::SERVICE_UNAVAILABLE,
        RequestError::Unknown => StatusCode::GATEWAY_TIMEOUT,
        RequestError::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
        RequestError::Unsupported { .. } => StatusCode::NOT_IMPLEMENTED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        let problem = Self::new(status_of(&error), error.code(), error.to_string());
        match error {
            RequestError::NotFound { what } => Self { missing: Some((&what).into()), ..problem },
            RequestError::Overloaded { retry_after } => problem.retry_after(retry_after),
            RequestError::Unavailable { .. } | RequestError::Stale { .. } | RequestError::DiskFull => {
                problem.retry_after(RETRY_AFTER)
            }
            _ => problem,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
