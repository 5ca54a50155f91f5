//! The HTTP API: a mechanical mapping of `trine_protocol` onto paths, headers and JSON.
//!
//! A request passes three doors before a handler sees it: the connection (TLS with a client certificate beyond
//! loopback, [`server`]), the guard (foreign `Host` and `Origin`, callers without a role, [`guard`]) and what the route
//! knows of its query and headers ([`query`], [`conditional`]). A body is read by whoever may do what it is for, within a budget ([`room`]). What comes back is the node's answer or a problem with a stable code ([`problem`]); nothing
//! is decided here that the node decides for other callers too.

pub mod ask;
pub mod backend;
pub mod cluster;
pub mod conditional;
pub mod connection;
pub mod guard;
pub mod headers;
pub mod health;
pub mod ledger;
pub mod leftover;
pub mod limits;
pub mod namespaces;
pub mod objects;
pub mod openapi;
pub mod problem;
pub mod query;
pub mod room;
pub mod routes;
pub mod server;
pub mod short;
pub mod tls;
pub mod verify;

pub use backend::Backend;
pub use server::{HttpConfig, HttpServer, ServeError};
pub use tls::{HttpsConfig, HttpsError};
