//! Commands to a running arena: `split`, `heal`, `delay`, `loss`, `kill` and the like.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};

use trine_chaos::arena::cluster::enter::{Entrance, become_program};
use trine_chaos::arena::control::{self, Command, Power, Reshape, Response, Status};
use trine_chaos::arena::disk::fault::Fault;
use trine_chaos::arena::disk::loss::Loss;
use trine_chaos::arena::network::{Cut, Direction};
use trine_chaos::units::{parse_share, parse_time};

/// Which arena, and how the answer looks.
#[derive(Debug, Args)]
pub struct Target {
    /// The arena's directory
    #[arg(long, value_name = "DIR", default_value = "trine-chaos-data")]
    data: PathBuf,
    /// How the answer looks
    #[arg(short, long, value_parser = ["table", "json"], default_value = "table")]
    output: String,
}

#[derive(Debug, Subcommand)]
pub enum Ask {
    /// Cut a region off, or nodes; clients from outside still reach it
    Split {
        #[command(flatten)]
        target: Target,
        /// The region, or `clients of REGION`
        #[arg(required_unless_present = "node", conflicts_with = "node")]
        region: Option<String>,
        /// Only from these regions, nodes or clients (`clients of REGION`, `_client`: those from outside)
        #[arg(long)]
        from: Vec<String>,
        /// Only what goes in, or what comes out
        #[arg(long, value_parser = ["both", "in", "out"], default_value = "both")]
        direction: String,
        /// Only what comes out
        #[arg(long, conflicts_with = "direction")]
        one_way: bool,
        /// Closed for so long, open for as long, and so on
        #[arg(long, value_parser = parse_time)]
        flap: Option<Duration>,
        /// These nodes, off from all others, their own region's too; among themselves they still reach each other
        #[arg(long)]
        node: Vec<String>,
        /// From clients, too
        #[arg(long)]
        clients: bool,
    },
    /// Take cuts back: all, or those of a region or node
    Heal {
        #[command(flatten)]
        target: Target,
        /// The region or node
        region: Option<String>,
    },
    /// Set the one-way delay between two places
    Delay {
        #[command(flatten)]
        target: Target,
        /// The one
        a: String,
        /// The other
        b: String,
        /// Such as 38ms
        #[arg(value_parser = parse_time)]
        delay: Duration,
        /// Up to this much more, drawn for each packet
        #[arg(long, value_parser = parse_time)]
        jitter: Option<Duration>,
        /// Only from the first to the second
        #[arg(long)]
        one_way: bool,
    },
    /// Lose, double or disorder a share of the packets between two places
    Loss {
        #[command(flatten)]
        target: Target,
        /// The one
        a: String,
        /// The other
        b: String,
        /// The share lost, such as 1%
        #[arg(value_parser = parse_share)]
        loss: f64,
        /// The share that arrives twice
        #[arg(long, value_parser = parse_share)]
        duplicate: Option<f64>,
        /// The share that arrives late
        #[arg(long, value_parser = parse_share)]
        reorder: Option<f64>,
        /// Only from the first to the second
        #[arg(long)]
        one_way: bool,
    },
    /// Let a share of the packets between two places arrive twice
    Duplicate {
        #[command(flatten)]
        target: Target,
        /// The one
        a: String,
        /// The other
        b: String,
        /// The share, such as 1%
        #[arg(value_parser = parse_share)]
        share: f64,
        /// Only from the first to the second
        #[arg(long)]
        one_way: bool,
    },
    /// Let a share of the packets between two places arrive late, after those sent behind them
    Reorder {
        #[command(flatten)]
        target: Target,
        /// The one
        a: String,
        /// The other
        b: String,
        /// The share, such as 1%
        #[arg(value_parser = parse_share)]
        share: f64,
        /// How late
        #[arg(long, value_parser = parse_time)]
        late: Option<Duration>,
        /// Only from the first to the second
        #[arg(long)]
        one_way: bool,
    },
    /// Bound the bandwidth between two places
    Bandwidth {
        #[command(flatten)]
        target: Target,
        /// The one
        a: String,
        /// The other
        b: String,
        /// Bytes a second; 0: without bound
        rate_bytes: u64,
        /// How many bytes may wait
        #[arg(long)]
        queue_bytes: Option<u64>,
        /// Only from the first to the second
        #[arg(long)]
        one_way: bool,
    },
    /// SIGKILL a node, or all
    Kill {
        #[command(flatten)]
        target: Target,
        /// The node
        #[arg(required_unless_present = "all")]
        node: Option<String>,
        /// All nodes at once
        #[arg(long, conflicts_with = "node")]
        all: bool,
        /// And take the power from its disk: what was not synced is lost (needs `up --disk forgetful`)
        #[arg(long)]
        power: bool,
        /// What of it is lost: all, some (pages and later names), or torn (sectors and any names); otherwise as
        /// `trine-chaos disk` said
        #[arg(long, requires = "power", value_parser = Loss::parse)]
        loss: Option<Loss>,
        /// What decides where chance does
        #[arg(long, requires = "power", default_value_t = 1)]
        seed: u64,
    },
    /// Make a node's disk fail, or work again (needs `up --disk forgetful`)
    Disk {
        #[command(flatten)]
        target: Target,
        /// The node
        node: String,
        #[command(subcommand)]
        fault: DiskFault,
    },
    /// Set a node's clock wrong, or right again (needs `up --clocks`)
    Skew {
        #[command(flatten)]
        target: Target,
        /// The node
        node: String,
        /// +500ms, -2s, drift=1.01, or ok
        #[arg(allow_hyphen_values = true)]
        skew: String,
    },
    /// Start a node that does not run
    Start {
        #[command(flatten)]
        target: Target,
        /// The node
        node: String,
    },
    /// Ask a node to end, and wait for it
    Stop {
        #[command(flatten)]
        target: Target,
        /// The node
        node: String,
    },
    /// SIGSTOP a node
    Pause {
        #[command(flatten)]
        target: Target,
        /// The node
        node: String,
    },
    /// SIGCONT a node
    Resume {
        #[command(flatten)]
        target: Target,
        /// The node
        node: String,
    },
    /// Show nodes, links and cuts
    Status {
        #[command(flatten)]
        target: Target,
    },
    /// Run a command inside a network: a node's, a region's clients' (by the region's name), or `_client`
    Exec {
        #[command(flatten)]
        target: Target,
        /// The region
        region: String,
        /// The command
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

/// What is wrong with a disk.
#[derive(Debug, Subcommand)]
pub enum DiskFault {
    /// Nothing fits any more
    Full {
        /// This many bytes still fit
        #[arg(long, default_value_t = 0)]
        left_bytes: u64,
        /// The disk says that there is room
        #[arg(long)]
        untold: bool,
    },
    /// Each sync takes this much longer
    Slow {
        /// Such as 50ms
        #[arg(value_parser = parse_time)]
        time: Duration,
        /// Not only syncs: each operation
        #[arg(long)]
        every: bool,
    },
    /// Syncs fail with an input/output error; what they were about is given up
    FailSync {
        /// Only the n-th from now on
        number: Option<u64>,
    },
    /// Writes fail with an input/output error
    FailWrite {
        /// Only the n-th from now on
        number: Option<u64>,
    },
    /// Writes are done in part
    Short,
    /// A loss of power leaves some sectors and some names of what was not synced
    Torn,
    /// Nothing is wrong
    Ok,
}

impl DiskFault {
    fn fault(&self) -> Fault {
        match *self {
            Self::Full { left_bytes, untold } => Fault::Full { left_bytes, told: !untold },
            Self::Slow { time, every: false } => Fault::SlowSync(time),
            Self::Slow { time, every: true } => Fault::SlowAll(time),
            Self::FailSync { number } => Fault::FailSync(number),
            Self::FailWrite { number } => Fault::FailWrite(number),
            Self::Short => Fault::ShortWrites,
            Self::Torn => Fault::Loss(Loss::TORN),
            Self::Ok => Fault::Nothing,
        }
    }
}

impl Ask {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (target, command) = match self {
            Self::Exec { target, region, command } => return exec(&target.data, &region, &command),
            Self::Split { target, region, from, direction, one_way, flap, node, clients } => {
                let direction = match direction.as_str() {
                    "in" => Direction::In,
                    "out" => Direction::Out,
                    _ if one_way => Direction::Out,
                    _ => Direction::Both,
                };
                let places = region.into_iter().chain(node).collect();
                (target, Command::Split(Cut { places, from, clients, direction, flap }))
            }
            Self::Heal { target, region } => (target, Command::Heal { region }),
            Self::Delay { target, a, b, delay, jitter, one_way } => {
                let change = Reshape { delay: Some(delay), jitter, ..Reshape::default() };
                (target, Command::Shape { a, b, one_way, change })
            }
            Self::Loss { target, a, b, loss, duplicate, reorder, one_way } => {
                let change = Reshape { loss: Some(loss), duplicate, reorder, ..Reshape::default() };
                (target, Command::Shape { a, b, one_way, change })
            }
            Self::Duplicate { target, a, b, share, one_way } => {
                let change = Reshape { duplicate: Some(share), ..Reshape::default() };
                (target, Command::Shape { a, b, one_way, change })
            }
            Self::Reorder { target, a, b, share, late, one_way } => {
                let change = Reshape { reorder: Some(share), reorder_late: late, ..Reshape::default() };
                (target, Command::Shape { a, b, one_way, change })
            }
            Self::Bandwidth { target, a, b, rate_bytes, queue_bytes, one_way } => {
                let change = Reshape { rate_bytes: Some(rate_bytes), queue_bytes, ..Reshape::default() };
                (target, Command::Shape { a, b, one_way, change })
            }
            Self::Kill { target, node, all: _, power, loss, seed } => {
                (target, Command::Kill { node, power: power.then_some(Power { loss, seed }) })
            }
            Self::Disk { target, node, fault } => (target, Command::Disk { node, fault: fault.fault() }),
            Self::Skew { target, node, skew } => {
                let skew = skew.parse().map_err(anyhow::Error::msg)?;
                (target, Command::Skew { node, skew })
            }
            Self::Start { target, node } => (target, Command::Start { node }),
            Self::Stop { target, node } => (target, Command::Stop { node }),
            Self::Pause { target, node } => (target, Command::Pause { node }),
            Self::Resume { target, node } => (target, Command::Resume { node }),
            Self::Status { target } => (target, Command::Status),
        };
        let response = control::ask(&target.data, &command)?;
        if target.output == "json" {
            let text = match &response {
                Response::Status(status) => serde_json::to_string_pretty(status)?,
                other => serde_json::to_string(other)?,
            };
            println!("{text}");
            return Ok(ExitCode::SUCCESS);
        }
        match response {
            Response::Status(status) => print_status(&status),
            Response::Healed(count) => println!("{count} cuts taken back"),
            Response::Forgotten(forgotten) => println!("lost with the power: {forgotten}"),
            Response::Done | Response::Failed(_) => println!("done"),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn status(data: &Path) -> anyhow::Result<Box<Status>> {
    match control::ask(data, &Command::Status)? {
        Response::Status(status) => Ok(status),
        other => bail!("the arena answered {other:?}"),
    }
}

fn exec(data: &Path, region: &str, command: &[String]) -> anyhow::Result<ExitCode> {
    let status = status(data)?;
    let Some(network) = status.spaces.get(region) else {
        bail!("no region {region}; there are {}", status.spaces.keys().cloned().collect::<Vec<_>>().join(", "));
    };
    let user = status.private.then(|| format!("/proc/{}/ns/user", status.pid).into());
    let never = become_program(&Entrance { user, network: network.clone(), die_with: None }, command)?;
    match never {}
}

fn print_status(status: &Status) {
    let mut nodes = comfy_table::Table::new();
    nodes.load_style(comfy_table::presets::NOTHING);
    nodes.set_header(["NODE", "REGION", "STATE", "READY", "STARTS", "SYNCS", "CLOCK", "LIBP2P"]);
    for node in &status.nodes {
        nodes.add_row([
            node.name.clone(),
            node.region.clone(),
            node.state.clone(),
            if node.ready { "yes" } else { "no" }.to_owned(),
            node.starts.to_string(),
            node.disk.map_or_else(|| "-".to_owned(), |disk| disk.syncs.to_string()),
            node.skew_seconds.map_or_else(|| "true".to_owned(), |skew| format!("{skew:+.3} s")),
            node.libp2p.clone(),
        ]);
    }
    println!("{nodes}\n");
    let mut links = comfy_table::Table::new();
    links.load_style(comfy_table::presets::NOTHING);
    links.set_header(["FROM", "TO", "DELAY", "JITTER", "LOSS", "TWICE", "LATE", "BYTES/S"]);
    for link in status.links.iter().filter(|link| !link.from.starts_with('_') && !link.to.starts_with('_')) {
        links.add_row([
            link.from.clone(),
            link.to.clone(),
            format!("{:?}", link.shape.delay),
            format!("{:?}", link.shape.jitter),
            format!("{}%", link.shape.loss * 100.0),
            format!("{}%", link.shape.duplicate * 100.0),
            format!("{}%", link.shape.reorder * 100.0),
            link.shape.rate_bytes.map_or_else(|| "-".to_owned(), |rate| rate.to_string()),
        ]);
    }
    println!("{links}\n");
    for cut in &status.cuts {
        let from = if cut.from.is_empty() { "all others".to_owned() } else { cut.from.join(", ") };
        let clients = if cut.clients { " and clients" } else { "" };
        let what = cut.places.join(", ");
        let flap = cut.flap.map(|period| format!(", flapping every {period:?}")).unwrap_or_default();
        println!("cut: {what} from {from}{clients} ({:?}{flap})", cut.direction);
    }
    let counts = status.counts;
    println!(
        "packets: {} in, {} delivered, {} cut, {} lost, {} overflowed, {} under way",
        counts.packets, counts.delivered, counts.cut, counts.lost, counts.overflowed, counts.under_way
    );
}
