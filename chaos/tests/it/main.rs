//! The arenas, in the short form that every build runs.

mod arena;
mod cases;
mod disk;
mod power;
mod rounds;
mod run;
mod sim;
