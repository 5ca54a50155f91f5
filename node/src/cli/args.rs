//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A geo-replicated store: ledgers that prove themselves and objects that merge.
#[derive(Debug, Parser)]
#[command(name = "trine", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a real cluster on this machine: a process a node
    Up(UpArgs),
    /// Run one node
    Node(NodeArgs),
}

/// `trine up`.
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    /// How many regions
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=24))]
    pub regions: u16,
    /// How many nodes in each region
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub nodes: u16,
    /// Where to keep the data; a cluster that is there goes on where it was
    #[arg(long, value_name = "DIR", default_value = "trine-data")]
    pub data: PathBuf,
    /// The first port; the nodes use this one and those after it
    #[arg(long, default_value_t = 7420)]
    pub port: u16,
    /// Start the nodes without gossip: everything still arrives, only later
    #[arg(long)]
    pub no_gossip: bool,
}

/// `trine node`.
#[derive(Debug, Clone, Args)]
pub struct NodeArgs {
    /// The node's configuration
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}
