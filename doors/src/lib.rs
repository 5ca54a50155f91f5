//! The doors by which people and their tools come in: the conversation as JSON, and the HTTP API.
//!
//! [`model`] says how requests and replies look; [`http`] maps them onto paths, headers and bodies, and keeps room for
//! everybody. Behind both is a [`Backend`], which answers: the daemon's driver is one, and this crate knows no other thing
//! of a node.

pub mod model;

pub mod http;

pub use http::Backend;
