//! What may stand after the question mark.
//!
//! A parameter that nobody reads is worse than an error: `DELETE …?field=a` that passes over `field` removes the whole
//! object. So each route takes the parameters that its description (`/openapi.json`) names, and no other; one that is
//! not described cannot be read, and one that is new is refused until it is described. Names and values are UTF-8 or
//! refused, as in paths: what is replaced in silence is another question than the one that was asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::openapi;
use super::problem::Problem;

/// The names that each method of each path takes.
#[derive(Debug, Clone, Default)]
pub struct KnownParameters(Arc<BTreeMap<(String, String), Vec<String>>>);

impl KnownParameters {
    /// Those of the API's description.
    #[must_use]
    pub fn described() -> Self {
        Self(Arc::new(openapi::parameters("query")))
    }

    /// Checks a query against what the route takes.
    ///
    /// # Errors
    /// What is unknown, given twice, or no text.
    pub fn check(&self, path: &str, method: &str, query: &str) -> Result<(), Problem> {
        // HEAD is a GET whose body is not wanted.
        let method = if method == "HEAD" { "GET" } else { method };
        let known = match self.0.get(&(path.to_owned(), method.to_owned())) {
            Some(known) => known.as_slice(),
            // Not done to this path with any parameter: that is what is said.
            None if self.0.keys().any(|(known, _)| known == path) => return Ok(()),
            None => &[],
        };
        let mut seen: Vec<String> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name).ok_or_else(|| wrong("a parameter's name is not percent-encoded UTF-8"))?;
            if !known.contains(&name) {
                return Err(wrong(&unknown(&name, method, path, known)));
            }
            if decoded(value).is_none() {
                return Err(wrong(&format!("the value of `{name}` is not percent-encoded UTF-8")));
            }
            if seen.contains(&name) {
                return Err(wrong(&format!("`{name}` is given twice")));
            }
            seen.push(name);
        }
        Ok(())
    }
}

fn unknown(name: &str, method: &str, path: &str, known: &[String]) -> String {
    let takes = match known {
        [] => "no parameters".to_owned(),
        known => known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    };
    let name: String = name.chars().take(64).collect();
    format!("unknown parameter `{}`; {method} {path} takes {takes}", name.escape_debug())
}

fn wrong(what: &str) -> Problem {
    Problem::invalid(format!("the query is wrong: {what}"))
}

/// Undoes the encoding of a form; none when what comes out is no UTF-8, or an escape is not two digits.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex_digit(rest.next()?)? << 4 | hex_digit(rest.next()?)?,
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Refuses queries that the route does not know.
pub async fn check(State(known): State<KnownParameters>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let verdict = match (path, request.uri().query()) {
        (Some(path), Some(query)) => known.check(path, request.method().as_str(), query),
        // No such path: that is what is said.
        _ => Ok(()),
    };
    match verdict {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}
