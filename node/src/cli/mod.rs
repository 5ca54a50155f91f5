//! The command line: `trine <noun> <verb>`.

pub mod args;

use std::process::ExitCode;

use clap::Parser as _;

pub use args::{Cli, NodeArgs, UpArgs};

/// The programs behind `trine node` and `trine up`, which the daemon provides.
pub struct Programs {
    /// Runs one node until it is told to stop.
    pub node: fn(&NodeArgs) -> anyhow::Result<()>,
    /// Runs a cluster on this machine until it is told to stop.
    pub up: fn(&UpArgs) -> anyhow::Result<()>,
}

/// Runs the command line of this process. `main` does nothing else.
#[must_use]
pub fn run(programs: &Programs) -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.command {
        args::Command::Node(node) => (programs.node)(node),
        args::Command::Up(up) => (programs.up)(up),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("trine: {error:#}");
            ExitCode::FAILURE
        }
    }
}
