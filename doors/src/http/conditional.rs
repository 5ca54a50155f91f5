//! Headers that make another request of a request.
//!
//! A condition that is passed over is a write that should not have been done; a key that is passed over is an increment
//! done twice. So each route honours the headers that its description names, and refuses the others of this kind with a
//! code: content codings 415, parts of a body 400, the rest 501. What all routes understand (`Trine-Consistency` and its
//! like) is read in [`super::headers`]; a `Trine-…` header that nobody knows is refused, as a slip of the pen would
//! otherwise be a wish that nobody heard.
//!
//! Reads know conditions by what they answer: whatever comes with an `ETag` is answered 304 or 412 (RFC 9110, 13).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::headers::{self, METADATA_PREFIX, OPTIONS, TOLD};
use super::openapi;
use super::problem::Problem;

/// The headers that each method of each path names.
#[derive(Debug, Clone, Default)]
pub struct KnownHeaders(Arc<BTreeMap<(String, String), Vec<String>>>);

impl KnownHeaders {
    /// Those of the API's description.
    #[must_use]
    pub fn described() -> Self {
        Self(Arc::new(openapi::parameters("header")))
    }

    /// Refuses what the route would pass over.
    ///
    /// # Errors
    /// Which header it is, and what it would take.
    pub fn check(&self, path: Option<&str>, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(path) = path else { return Ok(()) };
        let known = self.0.get(&(path.to_owned(), method.as_str().to_owned()));
        if known.is_none() && !is_read(method) {
            // Not done to this path, whatever the headers: that is what is said.
            return Ok(());
        }
        let honours = |name: &HeaderName| known.is_some_and(|known| known.iter().any(|one| *name == one.as_str()));
        for (name, value) in headers {
            let text = value.to_str().unwrap_or_default().trim();
            if name == header::CONTENT_ENCODING && !text.eq_ignore_ascii_case("identity") {
                let detail = format!("a body in `{text}` is not decoded here: send it as it is");
                return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported", detail));
            }
            if name == header::CONTENT_RANGE && !is_read(method) {
                return Err(Problem::invalid("Content-Range: values are written whole, never in part"));
            }
            if let Some(rest) = name.as_str().strip_prefix("trine-") {
                let told = OPTIONS.contains(name) || TOLD.contains(name);
                let metadata = name.as_str().starts_with(METADATA_PREFIX);
                if metadata && method != Method::PUT {
                    let detail = format!("{name}: metadata travels with records, and {method} appends none");
                    return Err(Problem::invalid(detail));
                }
                if !told && !metadata {
                    let known = OPTIONS.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(", ");
                    return Err(Problem::invalid(format!("the header Trine-{rest} is not known; known are {known}")));
                }
            }
            let precondition = name == header::IF_MATCH || name == header::IF_UNMODIFIED_SINCE;
            let matters = name == headers::IDEMPOTENCY_KEY || precondition || name == header::IF_NONE_MATCH;
            // A read is answered by what it read.
            let judged = is_read(method) && name != header::IF_UNMODIFIED_SINCE;
            if matters && !judged && !honours(name) {
                return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, "unsupported", unheard(name, method)));
            }
        }
        Ok(())
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn unheard(name: &HeaderName, method: &Method) -> String {
    let instead = if name == headers::IDEMPOTENCY_KEY {
        "; nothing was done. Appends to ledgers take it; an edit of an object is made once by `If-Match` with the ETag that was read"
    } else {
        "; nothing was done"
    };
    format!("{name} is not honoured by this {method}{instead}")
}

/// Refuses headers that the route would pass over, and answers reads by their conditions.
pub async fn check(State(known): State<KnownHeaders>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    if let Err(problem) = known.check(path, request.method(), request.headers()) {
        return problem.into_response();
    }
    if !is_read(request.method()) {
        return next.run(request).await;
    }
    let conditions = [header::IF_MATCH, header::IF_NONE_MATCH].map(|name| all(request.headers(), &name));
    let response = next.run(request).await;
    match conditions {
        [None, None] => response,
        [wanted, held] => judged(response, wanted.as_deref(), held.as_deref()),
    }
}

/// All values of a header that is a list.
fn all(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// An answer as the conditions want it.
fn judged(response: Response, wanted: Option<&str>, held: Option<&str>) -> Response {
    if response.status() != StatusCode::OK {
        return response;
    }
    let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
    if wanted.is_some_and(|wanted| !tag.is_some_and(|tag| names(wanted, tag))) {
        let detail = format!("If-Match: the ETag is {}", tag.unwrap_or("none"));
        return Problem::new(StatusCode::PRECONDITION_FAILED, "conflict", detail).into_response();
    }
    if held.is_some_and(|held| tag.is_some_and(|tag| names(held, tag))) {
        let mut headers = response.headers().clone();
        headers.remove(header::CONTENT_TYPE);
        headers.remove(header::CONTENT_LENGTH);
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    response
}

/// Whether a list of entity tags names this one, weakly or not.
fn names(list: &str, tag: &str) -> bool {
    list.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// A header that says that what is answered depends on what the caller accepts.
pub fn varies(headers: &mut HeaderMap) {
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
}
