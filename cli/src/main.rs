//! `trine`: one binary for the node and for the people who run it.

use std::process::ExitCode;

use trine_cli::{NodeArgs, Programs, run, up};
use trine_node::daemon;

/// A node makes and drops many small values on one thread and frees them on another, where the system's allocator
/// spends a quarter of the core's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(&Programs { node, up: up::run })
}

fn node(args: &NodeArgs) -> anyhow::Result<()> {
    let loaded = args.layers.load(&args.config)?;
    daemon::run(&loaded.config)
}
