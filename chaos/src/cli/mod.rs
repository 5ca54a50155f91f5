//! The command line.

mod bitrot;
mod check;
mod command;
mod crowd;
mod digest;
mod failover;
mod memory;
#[cfg(feature = "mutants")]
mod mutants;
mod probe;
mod program;
mod run;
mod sim;
mod table;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use trine_chaos::arena::cluster::enter::{Entrance, become_program};

/// Splits regions and checks what survives.
#[derive(Debug, Parser)]
#[command(name = "trine-chaos", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a cluster, a network namespace a region, until Ctrl-C
    Up(up::Up),
    /// Measure the arena's own network: delay errors, packets a second, cuts
    Probe(probe::Probe),
    /// Kill nodes under load, round after round, and check that nothing acknowledged was lost
    Rounds(program::Rounds),
    /// Turn one bit after the other in the files of nodes under load, and see it healed or refused
    Bitrot(bitrot::Bitrot),
    /// Let a crowd that says nothing stand at every port of every node, and see that whoever speaks is served
    Crowd(crowd::Crowd),
    /// Cut a region off under load, heal, and measure how fast the regions agree
    Partition(program::Partition),
    /// Take a region's leader away, again and again, and measure how soon the region appends
    Failover(failover::Failover),
    /// Carry plans out on real processes, and judge what survives
    Run(run::Run),
    /// Print what the runs of a report directory came to
    Table(table::Table),
    /// Run the core in a simulated world, from a seed or many
    Sim(sim::Sim),
    /// Break the core on purpose, one defect after the other, and see which checker sees it
    #[cfg(feature = "mutants")]
    Mutants(mutants::Mutants),
    /// Judge a recorded history
    Check(check::Check),
    /// Recompute what stopped nodes hold, and compare it
    Digest(digest::Digest),
    /// Join a network namespace, then become a program
    #[command(hide = true)]
    Enter {
        #[arg(long)]
        network: PathBuf,
        #[arg(long)]
        die_with: Option<u32>,
        #[arg(last = true, required = true)]
        program: Vec<String>,
    },
    #[command(flatten)]
    Ask(command::Ask),
}

/// What is told when nothing else is asked for. A disk that loses power has nobody to answer, of which its server complains.
const QUIET: &str = "warn,fuser=off";

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_env("TRINE_LOG").unwrap_or_else(|_| QUIET.into()))
        .init();
    let done = match Cli::parse().command {
        Command::Up(up) => up.run(),
        Command::Probe(probe) => probe.run(),
        Command::Rounds(rounds) => rounds.run(),
        Command::Bitrot(bitrot) => bitrot.run(),
        Command::Crowd(crowd) => crowd.run(),
        Command::Partition(partition) => partition.run(),
        Command::Failover(failover) => failover.run(),
        Command::Run(run) => run.run(),
        Command::Table(table) => table.run(),
        Command::Sim(sim) => sim.run(),
        #[cfg(feature = "mutants")]
        Command::Mutants(mutants) => mutants.run(),
        Command::Check(check) => check.run(),
        Command::Digest(digest) => digest.run(),
        Command::Enter { network, die_with, program } => {
            let entrance = Entrance { user: None, network, die_with };
            become_program(&entrance, &program).map(|never| match never {})
        }
        Command::Ask(ask) => ask.run(),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(1)
        }
    }
}
