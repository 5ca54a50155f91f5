//! The crate's promises, each told in a file of its own.

mod conflict;
mod missing;
mod session;
