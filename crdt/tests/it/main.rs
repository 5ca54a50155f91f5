//! The crate's promises, each told in a file of its own.

mod cases;
mod clock;
mod codec;
mod digest;
mod edits;
mod exhaustive;
mod extremes;
mod formats;
mod history;
mod model;
mod oracles;
mod random;
mod removal;
