//! Deliberate defects and marks on rare branches, to test the tests.
//!
//! Each crate lists its own beside its code: defects in its `mutants.rs` by [`mutants!`], marks in its `marks.rs` by
//! [`marks!`]. Whoever runs the tests puts the lists together. Here is only what such a list is made of.

pub mod marks;
pub mod mutants;
