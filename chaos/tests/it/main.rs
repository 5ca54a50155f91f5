//! The arenas, in the short form that every build runs.

mod disk;
mod power;
mod sim;
