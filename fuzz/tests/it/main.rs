//! The corpora, as every build runs them.

mod corpora;
mod memory;
mod mutations;
