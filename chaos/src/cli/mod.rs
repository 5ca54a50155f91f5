//! The command line.

mod probe;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Splits regions and checks what survives.
#[derive(Debug, Parser)]
#[command(name = "trine-chaos", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures the arena's own network: delay errors, packets a second, cuts.
    Probe(probe::Probe),
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_env("TRINE_LOG").unwrap_or_else(|_| "warn".into()))
        .init();
    let done = match Cli::parse().command {
        Command::Probe(probe) => probe.run(),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(1)
        }
    }
}
