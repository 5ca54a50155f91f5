//! From an HTTP request to the node and back: what all handlers share.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use trine_protocol::reply::Reply;
use trine_protocol::request::{ObjectCondition, Options};
use trine_protocol::{Request, RequestError, Role};

use super::connection::Connection;
use super::guard::Caller;
use super::problem::Problem;
use super::room::{self, BodyPool, ConnectionRoom, Payload};
use super::server::Api;
use super::{Backend, headers};

/// A request's caller, its wishes and the node that is to answer.
pub struct Ask {
    backend: Arc<dyn Backend>,
    caller: Caller,
    pool: BodyPool,
    connection: ConnectionRoom,
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
            pool: api.bodies.clone(),
            connection: parts.extensions.get().map(|at: &Connection| at.room.clone()).unwrap_or_default(),
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
        self.with(request, headers::options(&self.headers)?).await
    }

    /// As [`Self::node`], for an edit that is made only when the object is what is wanted.
    ///
    /// # Errors
    /// As [`Self::node`].
    pub async fn edit(&self, request: Request, object: Option<ObjectCondition>) -> Result<(Reply, HeaderMap), Problem> {
        let options = Options { object, ..headers::options(&self.headers)? };
        self.with(request, options).await
    }

    async fn with(&self, request: Request, options: Options) -> Result<(Reply, HeaderMap), Problem> {
        let role = self.allowed(request.role())?;
        let mut session = options.session.clone();
        let mut answer = self.backend.request(role, options, request).await?;
        // The caller keeps only the last answer's token, so it carries everything that came before.
        session.merge(&answer.session);
        answer.session = session;
        let headers = headers::of_answer(&answer, &self.region);
        Ok((answer.reply, headers))
    }

    /// Reads the request's body, of at most `limit` bytes, for what needs the role `needed`: who may not do it is told
    /// so before a byte of room is taken.
    ///
    /// # Errors
    /// When the caller's role is too small, or the body is larger, slower or broken, or there is no room for it now.
    pub async fn body(&self, body: Body, needed: Role, limit: usize) -> Result<Payload, Problem> {
        self.allowed(needed)?;
        headers::options(&self.headers)?;
        room::read(body, &self.headers, limit, &self.pool, &self.connection).await
    }

    /// The caller's role, when it is as great as what is needed.
    fn allowed(&self, needed: Role) -> Result<Role, Problem> {
        let unknown = || RequestError::Forbidden { what: "the caller has no role".to_owned() };
        let role = self.caller.0.ok_or_else(unknown)?;
        if role < needed {
            let what = format!("this needs the role {}, and yours is {}", name(needed), name(role));
            return Err(RequestError::Forbidden { what }.into());
        }
        Ok(role)
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

/// The parameters after the question mark; a malformed one is a problem that says so ([`super::query`] saw to the
/// unknown ones).
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let Query(parameters) = Query::<T>::try_from_uri(&parts.uri)
            .map_err(|rejection| Problem::invalid(format!("the query is wrong: {}", rejection.body_text())))?;
        Ok(Self(parameters))
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
