//! The HTTP API: a mechanical mapping of `trine_protocol` onto paths, headers and JSON.

pub mod backend;
pub mod server;

pub use backend::Backend;
pub use server::{HttpConfig, HttpServer, ServeError};
