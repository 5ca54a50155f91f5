//! Who may speak at all: requests that were meant for another host, or that another web site made a browser send,
//! are refused before anything reads them.
//!
//! A page of some site can make a browser on this machine send requests to 127.0.0.1, and a host name of its owner can
//! be pointed at 127.0.0.1 once the page has loaded (DNS rebinding). The first leaves a foreign `Origin`, the second a
//! foreign `Host`. Addresses cannot be rebound, so those pass; of names only `localhost` and those configured do.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use trine_protocol::Role;

use super::connection::Connection;
use super::problem::Problem;
use super::server::Api;

/// What the connection says of the caller: its certificate's role, or none when it showed no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller(pub Option<Role>);

/// The paths that answer without a certificate.
pub const OPEN_PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// Refuses foreign hosts and origins, and callers without a certificate.
pub async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    let verdict = check_host(request.uri(), request.headers(), &api.hosts).and_then(|host| {
        check_origin(request.headers(), &host)?;
        let open = OPEN_PATHS.contains(&request.uri().path());
        if !open && request.extensions().get::<Connection>().is_some_and(|connection| connection.reserved) {
            return Err(Problem::crowded());
        }
        let known = request.extensions().get::<Caller>().is_some_and(|caller| caller.0.is_some());
        if known || open {
            Ok(())
        } else {
            Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "show a client certificate of this cluster; `trine tls client` issues one",
            ))
        }
    });
    match verdict {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// The authority that the request was addressed to, when it may have been meant for this node.
fn check_host(uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> Result<Authority, Problem> {
    let refused = |what: &str| {
        let detail =
            format!("{what}; address the node by its IP address, as localhost, or by a name in its `http.hosts`");
        Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", detail)
    };
    let mut named = headers.get_all(header::HOST).iter();
    let authority = match (uri.authority(), named.next(), named.next()) {
        (_, Some(_), Some(_)) => return Err(refused("the request names several hosts")),
        (Some(authority), None, _) => authority.clone(),
        (stated, Some(host), None) => {
            let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
            let host = host.ok_or_else(|| refused("the Host header is malformed"))?;
            if stated.is_some_and(|stated| !stated.as_str().eq_ignore_ascii_case(host.as_str())) {
                return Err(refused("the Host header differs from the request's target"));
            }
            host
        }
        (None, None, _) => return Err(refused("the request names no host")),
    };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    let known =
        address || host.eq_ignore_ascii_case("localhost") || hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
    if known { Ok(authority) } else { Err(refused(&format!("`{host}` is not this node"))) }
}

/// Refuses what a page of another site made a browser send.
fn check_origin(headers: &HeaderMap, host: &Authority) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let same = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"))
        .is_some_and(|(_, site)| site.eq_ignore_ascii_case(host.as_str()));
    if same {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", "the request was made by a page of another site"))
}
