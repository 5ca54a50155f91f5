//! `trine-chaos`: splits regions and checks what survives.

mod cli;

/// A simulated world makes and drops many small values: with the system's allocator that takes a sixth of its time
/// (in builds without optimisation this one is the slower).
#[cfg(not(debug_assertions))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
