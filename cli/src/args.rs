//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use trine_crdt::RegionId;
use trine_node::config::Layers;
use trine_node::config::units::parse_duration;
use trine_protocol::{Consistency, Durability};

use super::session_file::Afterwards;
use super::{
    bench, choice, completion, config, ledger, manifest, namespace, nodes, object, recover, region, status, tls,
};
use crate::up::choice::DATA_DEFAULT;

/// A geo-replicated store: ledgers that prove themselves and objects that merge.
#[derive(Debug, Parser)]
#[command(name = "trine", version, propagate_version = true, max_term_width = 120)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Globals {
    /// How the result is printed; what is meant for people goes to standard error with json and yaml
    #[arg(short, long, visible_alias = "format", global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub output: Format,
    /// Ask this node and no other: host:port or multiaddr of its libp2p port, or the name of a node that `trine up` runs here.
    /// Several, separated by commas, stand in for each other
    #[arg(long, global = true, env = "TRINE_ENDPOINT", value_name = "ADDRESS")]
    pub endpoint: Option<String>,
    /// The directory of a cluster that `trine up` runs here; without it, the nearest `trine-data` upwards from the working
    /// directory, otherwise the one that `trine use` chose
    #[arg(long, global = true, env = "TRINE_CLUSTER", value_name = "DIR")]
    pub cluster: Option<PathBuf>,
    /// The directory with ca.crt, tls.crt and tls.key to show who is asking
    #[arg(long, global = true, env = "TRINE_IDENTITY", value_name = "DIR")]
    pub identity: Option<PathBuf>,
    /// Ask nodes of this region. What is written is written there or not at all; a read goes to another region, and says so, while
    /// no node of this one can be reached
    #[arg(long, global = true, env = "TRINE_REGION", value_name = "REGION")]
    pub region: Option<RegionId>,
    /// A file with what the session has seen; read before and written after, so that later commands never read behind it
    #[arg(long, global = true, env = "TRINE_SESSION", value_name = "FILE")]
    pub session: Option<PathBuf>,
    /// How long to try, such as 500ms, 5s or 2m
    #[arg(long, global = true, default_value = "10s", value_parser = parse_duration, value_name = "DURATION")]
    pub timeout: Duration,
    /// Do what would otherwise be asked about
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// Print just the ids, or just the value of a `get`
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// What failed after the command's work was done.
    #[arg(skip)]
    pub afterwards: Afterwards,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For programs
    Json,
    /// For both
    Yaml,
}

/// How fresh a read must be.
#[derive(Debug, Clone, Args)]
pub struct ReadArgs {
    /// How fresh: eventual, session, bounded=500ms, regional or global
    #[arg(long, value_name = "LEVEL")]
    pub consistency: Option<Consistency>,
}

/// What a write must survive.
#[derive(Debug, Clone, Args)]
pub struct WriteArgs {
    /// What it must survive: local (this node's crash), region (a minority of the region), regions=K or all
    #[arg(long, value_name = "LEVEL")]
    pub durability: Option<Durability>,
    /// Say what would be done and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a real cluster on this machine: a process a node
    Up(UpArgs),
    /// Run one node
    Node(NodeArgs),
    /// Choose the cluster that commands ask, or show which it is
    Use(choice::UseArgs),
    /// Whether all nodes serve, and whether they hold the same
    Status(status::StatusArgs),
    /// The nodes of all regions
    #[command(subcommand)]
    Nodes(nodes::NodesCommand),
    /// The regions
    #[command(subcommand)]
    Region(region::RegionCommand),
    /// Namespaces of ledgers and objects
    #[command(subcommand)]
    Namespace(namespace::NamespaceCommand),
    /// Records that nobody can alter
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Objects that every region writes and all agree on
    #[command(subcommand)]
    Object(object::ObjectCommand),
    /// The sealed segments of the regions' ledgers
    #[command(subcommand)]
    Manifest(manifest::ManifestCommand),
    /// Certificates of nodes and clients
    #[command(subcommand)]
    Tls(tls::TlsCommand),
    /// A node's configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// When a majority of a region's nodes is lost for ever; on stopped nodes
    #[command(subcommand)]
    Recover(recover::RecoverCommand),
    /// How fast a running cluster is
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// The options of every command
    Options,
    /// Which version this is
    Version,
    /// A script that completes commands in a shell
    Completion(completion::CompletionArgs),
}

/// `trine up`.
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    /// How many regions; a new cluster has 3 unless told otherwise
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=24))]
    pub regions: Option<u16>,
    /// How many nodes in each region; a new cluster has 3 unless told otherwise
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub nodes: Option<u16>,
    /// Where to keep the data; a cluster that is there goes on where it was
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT)]
    pub data: PathBuf,
    /// The first port of a new cluster, 7420 unless told otherwise; the nodes use this one and those after it
    #[arg(long, alias = "base-port")]
    pub port: Option<u16>,
    /// Start the nodes without gossip: everything still arrives, only later
    #[arg(long)]
    pub no_gossip: bool,
    /// Only write certificates and configurations; start nothing
    #[arg(long)]
    pub prepare: bool,
    /// The address of a region's or a node's machine, for --prepare of a new cluster; 127.0.0.1 otherwise
    #[arg(long, value_name = "NAME=IP", requires = "prepare")]
    pub host: Vec<String>,
}

/// `trine node`.
#[derive(Debug, Clone, Args)]
pub struct NodeArgs {
    /// The node's configuration; several override each other in their order
    #[arg(long, value_name = "FILE", required = true)]
    pub config: Vec<PathBuf>,
    /// What comes before and after it.
    #[command(flatten)]
    pub layers: Layers,
}
