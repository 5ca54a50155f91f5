//! From an HTTP request to the node and back: what all handlers share.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use trine_protocol::reply::Reply;
use trine_protocol::{Request, RequestError, Role};

use super::guard::Caller;
use super::limits::{BODIES_BYTES_MAX, BODY_MAX, BODY_PERMIT_BYTES};
use super::problem::Problem;
use super::server::Api;
use super::{Backend, headers};

/// A request's caller, its wishes and the node that is to answer.
pub struct Ask {
    backend: Arc<dyn Backend>,
    caller: Caller,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The answering node's region.
    pub region: String,
}

impl FromRequestParts<Api> for Ask {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        Ok(Self {
            backend: Arc::clone(&api.backend),
            caller: parts.extensions.get().copied().unwrap_or(Caller(None)),
            headers: parts.headers.clone(),
            region: api.backend.region().to_string(),
        })
    }
}

impl Ask {
    /// Asks the node; answers with its reply and the headers that go with it.
    ///
    /// # Errors
    /// What the node answers, and when the caller's headers are wrong or its role is too small.
    pub async fn node(&self, request: Request) -> Result<(Reply, HeaderMap), Problem> {
        let options = headers::options(&self.headers)?;
        let unknown = || RequestError::Forbidden { what: "the caller has no role".to_owned() };
        let role = self.caller.0.ok_or_else(unknown)?;
        if role < request.role() {
            let what = format!("this needs the role {}, and yours is {}", name(request.role()), name(role));
            return Err(RequestError::Forbidden { what }.into());
        }
        let mut session = options.session.clone();
        let mut answer = self.backend.request(role, options, request).await?;
        // The caller keeps only the last answer's token, so it carries everything that came before.
        session.merge(&answer.session);
        answer.session = session;
        let headers = headers::of_answer(&answer, &self.region);
        Ok((answer.reply, headers))
    }
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Reader => "reader",
        Role::Writer => "writer",
        Role::Admin => "admin",
        Role::Node => "node",
    }
}

/// The node answered another question than it was asked: an error of ours.
#[must_use]
pub fn unexpected() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "the node answered another question than it was asked")
}

/// The names in a path, percent-decoded; what is no UTF-8 is a problem that says so.
pub struct Names<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for Names<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Path(names) = Path::<T>::from_request_parts(parts, api)
            .await
            .map_err(|rejection| Problem::invalid(format!("the path is wrong: {}", rejection.body_text())))?;
        Ok(Self(names))
    }
}

/// The parameters after the question mark; an unknown or malformed one is a problem that says so.
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let Query(parameters) = Query::<T>::try_from_uri(&parts.uri)
            .map_err(|rejection| Problem::invalid(format!("the query is wrong: {}", rejection.body_text())))?;
        Ok(Self(parameters))
    }
}

/// Room for the bodies of requests under way.
#[derive(Clone)]
pub struct BodyBudget(Arc<Semaphore>);

impl Default for BodyBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BODIES_BYTES_MAX / BODY_PERMIT_BYTES)))
    }
}

/// A body that was read whole, and the room that it takes.
pub struct Payload {
    /// Its bytes.
    pub bytes: Bytes,
    /// Given back when the request is answered.
    _room: OwnedSemaphorePermit,
}

impl BodyBudget {
    /// Reads a body of at most `limit` bytes, in bounded time, within the budget of all bodies.
    ///
    /// # Errors
    /// When it is larger, slower or broken, or when there is no room for it now.
    pub async fn read(&self, body: Body, headers: &HeaderMap, limit: usize) -> Result<Payload, Problem> {
        let too_large = |bytes: u64| RequestError::TooLarge { what: "the body".into(), bytes, limit: limit as u64 };
        let stated = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if let Some(bytes) = stated.filter(|bytes| *bytes > limit as u64) {
            return Err(too_large(bytes).into());
        }
        let most = stated.map_or(limit, |bytes| bytes as usize);
        let permits = most.div_ceil(BODY_PERMIT_BYTES) as u32;
        let room = Arc::clone(&self.0).try_acquire_many_owned(permits).map_err(|_| Problem::overloaded())?;
        let bytes = tokio::time::timeout(BODY_MAX, to_bytes(body, limit)).await.map_err(|_| {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "slow_body", format!("the body took longer than {BODY_MAX:?}"))
        })?;
        let bytes = bytes.map_err(|error| {
            let beyond = std::error::Error::source(&error).is_some_and(|source| source.is::<LengthLimitError>());
            if beyond { too_large(limit as u64 + 1).into() } else { Problem::invalid("the body broke off") }
        })?;
        Ok(Payload { bytes, _room: room })
    }
}

/// Reads a JSON body.
///
/// # Errors
/// When it is no JSON of this form.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::invalid(format!("the body is not what is expected: {error}")))
}
