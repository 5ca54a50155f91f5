//! The crate's promises, each told in a file of its own.

mod missing;
mod session;
