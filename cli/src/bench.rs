//! `trine bench …`: how fast a running cluster is, measured the way that its users would feel it.
//!
//! The load is a closed loop: a number of clients, each with one request under way, through the client library. Latency is
//! what a client waits; errors are counted and never as successes. `bench lag` writes in one region and reads in the
//! others until the write is seen there; what it reports includes the reader's own request, so it is an upper bound.

mod figures;
mod fill;
mod lag;
mod load;
mod place;
mod progress;

use clap::{Args, Subcommand};
use trine_node::config::units::{parse_bytes, parse_duration};
use trine_protocol::{Consistency, Durability};

use super::args::Globals;
use super::exit::Failure;
use super::output::Output;

/// How fast a running cluster is.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Appends to a ledger
    Append(LoadArgs),
    /// Writes to objects
    Object(ObjectArgs),
    /// Reads records, or objects, that it wrote before
    Read(ReadArgs),
    /// Writes this many objects, each once, so that a full node can be measured
    Load(FillArgs),
    /// How long a write takes until the other regions show it
    Lag(LagArgs),
}

/// `trine bench load`.
#[derive(Debug, Clone, Args)]
pub struct FillArgs {
    /// How many objects
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub objects: u64,
    /// How large a value is
    #[arg(long, default_value = "64B", value_parser = parse_bytes, value_name = "SIZE")]
    pub value: u64,
    /// How many clients at once
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub clients: u32,
    /// How many connections the clients share
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub connections: u32,
    /// What a write must survive
    #[arg(long, default_value = "local", value_name = "LEVEL")]
    pub durability: Durability,
    /// The objects namespace; without it, `bench-objects`, created when it is not there
    #[arg(short, long)]
    pub namespace: Option<String>,
}

/// What all loads have.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// How many clients at once; several numbers make several runs
    #[arg(long, value_delimiter = ',', default_value = "1,64,256", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub clients: Vec<u32>,
    /// How large a value is
    #[arg(long, default_value = "256B", value_parser = parse_bytes, value_name = "SIZE")]
    pub value: u64,
    /// How long each run takes
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// How many connections the clients share
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub connections: u32,
    /// How many keys are written, or read
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub keys: u64,
    /// The namespace; without it, `bench-records` or `bench-objects`, created when it is not there
    #[arg(short, long)]
    pub namespace: Option<String>,
}

/// `trine bench object`.
#[derive(Debug, Clone, Args)]
pub struct ObjectArgs {
    /// How many clients, and what they share
    #[command(flatten)]
    pub load: LoadArgs,
    /// What is done to an object; several make several runs
    #[arg(long, value_delimiter = ',', default_value = "set", value_name = "EDIT")]
    pub edit: Vec<EditKind>,
    /// What a write must survive; several levels make several runs
    #[arg(long, value_delimiter = ',', default_value = "region", value_name = "LEVEL")]
    pub durability: Vec<Durability>,
}

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum EditKind {
    /// A register is set
    Set,
    /// A counter is incremented
    Incr,
    /// An element that is not there yet is added to a set
    Add,
}

/// `trine bench read`.
#[derive(Debug, Clone, Args)]
pub struct ReadArgs {
    /// How many clients, and what they share
    #[command(flatten)]
    pub load: LoadArgs,
    /// Reads objects, which are registers, instead of records
    #[arg(long)]
    pub objects: bool,
    /// How fresh a read must be; several levels make several runs
    #[arg(long, value_delimiter = ',', default_value = "session", value_name = "LEVEL")]
    pub consistency: Vec<Consistency>,
}

/// `trine bench lag`.
#[derive(Debug, Clone, Args)]
pub struct LagArgs {
    /// How many writes
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub writes: u32,
    /// How long to wait between two writes
    #[arg(long, default_value = "50ms", value_parser = parse_duration, value_name = "DURATION")]
    pub interval: std::time::Duration,
    /// How many clients write other objects meanwhile
    #[arg(long, default_value_t = 0, value_name = "CLIENTS")]
    pub load: u32,
    /// How many writes a second these clients begin together at most; 0: each its next one when its last was answered
    #[arg(long, default_value_t = 0, value_name = "WRITES", requires = "load")]
    pub rate: u32,
    /// How large their values are
    #[arg(long, default_value = "256B", value_parser = parse_bytes, value_name = "SIZE")]
    pub value: u64,
    /// The objects namespace; without it, `bench-objects`, created when it is not there
    #[arg(short, long)]
    pub namespace: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// When the cluster cannot be asked at all; single failures are counted.
pub async fn run(globals: &Globals, command: &BenchCommand) -> Result<Output, Failure> {
    match command {
        BenchCommand::Append(args) => load::append(globals, args).await,
        BenchCommand::Object(args) => load::object(globals, args).await,
        BenchCommand::Read(args) => load::read(globals, args).await,
        BenchCommand::Load(args) => fill::run(globals, args).await,
        BenchCommand::Lag(args) => lag::run(globals, args).await,
    }
}
