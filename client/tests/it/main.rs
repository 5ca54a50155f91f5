//! What the client library does without a network.

mod building;
mod session;
