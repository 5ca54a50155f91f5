//! The arenas, in the short form that every build runs.

mod arena;
mod cases;
mod directories;
mod disk;
mod operator;
mod power;
mod rounds;
mod run;
mod scripts;
mod sim;

/// As in the programs: the simulator lives on small pieces of memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
