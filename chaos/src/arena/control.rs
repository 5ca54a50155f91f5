//! Commands to a running arena: JSON lines over the unix socket `chaos.sock` in its directory.
//!
//! One request a line, one answer a line. The socket belongs to the user who started the arena.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::Arena;
use super::cluster::clock::Skew;
use super::cluster::{STOP_GRACE, readiness};
use super::disk::fault::{DiskCounts, Fault};
use super::disk::loss::{Forgotten, Loss};
use super::network::privilege::Privilege;
use super::network::router::Counts;
use super::network::{Cut, Shape};

/// The longest line, in bytes.
pub const LINE_BYTES_MAX: u64 = 64 * 1024;

/// One change of a pair's shape; what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reshape {
    /// The one-way delay.
    pub delay: Option<Duration>,
    /// Jitter.
    pub jitter: Option<Duration>,
    /// Loss.
    pub loss: Option<f64>,
    /// Doubles.
    pub duplicate: Option<f64>,
    /// Disorder.
    pub reorder: Option<f64>,
    /// How late a packet in disorder is.
    pub reorder_late: Option<Duration>,
    /// Bytes a second; 0: without bound.
    pub rate_bytes: Option<u64>,
    /// How many bytes may wait.
    pub queue_bytes: Option<u64>,
}

impl Reshape {
    /// Changes a shape.
    pub fn apply(&self, shape: &mut Shape) {
        shape.delay = self.delay.unwrap_or(shape.delay);
        shape.jitter = self.jitter.unwrap_or(shape.jitter);
        shape.loss = self.loss.unwrap_or(shape.loss);
        shape.duplicate = self.duplicate.unwrap_or(shape.duplicate);
        shape.reorder = self.reorder.unwrap_or(shape.reorder);
        shape.reorder_late = self.reorder_late.unwrap_or(shape.reorder_late);
        shape.queue_bytes = self.queue_bytes.unwrap_or(shape.queue_bytes);
        if let Some(rate) = self.rate_bytes {
            shape.rate_bytes = (rate > 0).then_some(rate);
        }
    }
}

/// What can be asked of an arena.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Command {
    /// Cuts.
    Split(Cut),
    /// Takes cuts back: all, or those of a region or node.
    Heal {
        /// Whose.
        region: Option<String>,
    },
    /// Changes how two places hear each other.
    Shape {
        /// The one.
        a: String,
        /// The other.
        b: String,
        /// Only from `a` to `b`.
        one_way: bool,
        /// The change.
        change: Reshape,
    },
    /// SIGKILL.
    Kill {
        /// The node; none: all.
        node: Option<String>,
        /// And the loss of power.
        power: Option<Power>,
    },
    /// Makes a node's disk fail, or work again.
    Disk {
        /// The node.
        node: String,
        /// How.
        fault: Fault,
    },
    /// Starts a node that does not run.
    Start {
        /// The node.
        node: String,
    },
    /// Asks a node to end, and waits for it.
    Stop {
        /// The node.
        node: String,
    },
    /// SIGSTOP.
    Pause {
        /// The node.
        node: String,
    },
    /// SIGCONT.
    Resume {
        /// The node.
        node: String,
    },
    /// Sets a node's clock wrong, or right.
    Skew {
        /// The node.
        node: String,
        /// How.
        skew: Skew,
    },
    /// How everything stands.
    Status,
}

/// A loss of power.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Power {
    /// How; none: as each disk has been told.
    pub loss: Option<Loss>,
    /// What decides where chance does.
    pub seed: u64,
}

/// An answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// Done.
    Done,
    /// This many cuts were taken back.
    Healed(usize),
    /// So much was lost with the power.
    Forgotten(Forgotten),
    /// To `Status`.
    Status(Box<Status>),
    /// Not done, and why.
    Failed(String),
}

/// How everything stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// The arena's process.
    pub pid: u32,
    /// Whether it lives in a user namespace of its own.
    pub private: bool,
    /// The network namespaces: nodes', by region its clients', and that of clients from outside.
    pub spaces: BTreeMap<String, PathBuf>,
    /// The nodes.
    pub nodes: Vec<NodeStatus>,
    /// The pairs of places, one direction each.
    pub links: Vec<LinkStatus>,
    /// The cuts that stand.
    pub cuts: Vec<Cut>,
    /// What the network did.
    pub counts: Counts,
}

/// One node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// What its process does.
    pub state: String,
    /// The process.
    pub pid: Option<u32>,
    /// How often it was started.
    pub starts: u32,
    /// Whether it says that it serves.
    pub ready: bool,
    /// Its libp2p address.
    pub libp2p: String,
    /// Its HTTP API, on its region's loopback.
    pub http: String,
    /// What its forgetful disk did, when it has one.
    pub disk: Option<DiskCounts>,
    /// What its clock is off by, in seconds, when it has one of its own.
    pub skew_seconds: Option<f64>,
}

/// One direction.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkStatus {
    /// From where.
    pub from: String,
    /// To where.
    pub to: String,
    /// How it behaves.
    pub shape: Shape,
}

/// Where an arena of this directory listens.
#[must_use]
pub fn socket_path(directory: &Path) -> PathBuf {
    directory.join("chaos.sock")
}

/// Asks a running arena.
///
/// # Errors
/// When none runs there, or it did not do it.
pub fn ask(directory: &Path, command: &Command) -> anyhow::Result<Response> {
    let path = socket_path(directory);
    let mut stream = UnixStream::connect(&path)
        .with_context(|| format!("no arena listens at {} (`trine-chaos up` starts one)", path.display()))?;
    let mut line = serde_json::to_vec(command)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).context("the arena did not answer")?;
    match serde_json::from_str(&answer).context("the arena answered something else")? {
        Response::Failed(why) => bail!(why),
        response => Ok(response),
    }
}

impl Arena {
    /// Carries a command out.
    pub async fn obey(&mut self, command: Command) -> Response {
        match self.try_obey(command).await {
            Ok(response) => response,
            Err(error) => Response::Failed(format!("{error:#}")),
        }
    }

    async fn try_obey(&mut self, command: Command) -> anyhow::Result<Response> {
        match command {
            Command::Split(cut) => drop(self.network.router().cut(cut)?),
            Command::Heal { region } => {
                return Ok(Response::Healed(self.network.router().heal(region.as_deref())?));
            }
            Command::Shape { a, b, one_way, change } => self.reshape(&a, &b, one_way, &change)?,
            Command::Kill { node: Some(node), power: None } => self.cluster.node(&node)?.kill().await?,
            Command::Kill { node: None, power: None } => self.cluster.kill_all().await?,
            Command::Kill { node: Some(node), power: Some(power) } => {
                return Ok(Response::Forgotten(self.cut_power(&node, power.loss, power.seed).await?));
            }
            Command::Kill { node: None, power: Some(power) } => {
                return Ok(Response::Forgotten(self.cut_all_power(power.loss, power.seed).await?));
            }
            Command::Disk { node, fault } => self.disks.get(&node)?.set(fault),
            Command::Skew { node, skew } => self.cluster.node(&node)?.clock()?.set(skew)?,
            Command::Start { node } => self.cluster.start(&self.network, &node)?,
            Command::Stop { node } => self.cluster.node(&node)?.stop(STOP_GRACE).await?,
            Command::Pause { node } => self.cluster.node(&node)?.pause()?,
            Command::Resume { node } => self.cluster.node(&node)?.resume()?,
            Command::Status => return Ok(Response::Status(Box::new(self.status()))),
        }
        Ok(Response::Done)
    }

    fn reshape(&self, a: &str, b: &str, one_way: bool, change: &Reshape) -> anyhow::Result<()> {
        let shares = [change.loss, change.duplicate, change.reorder];
        if shares.iter().flatten().any(|share| !(0.0..=1.0).contains(share)) {
            bail!("a share is between 0 and 1");
        }
        self.network.router().change(|map, rules| {
            let (a, b) = (map.find(a)?, map.find(b)?);
            change.apply(rules.shape_mut(a, b));
            if !one_way {
                change.apply(rules.shape_mut(b, a));
            }
            Ok(())
        })
    }

    /// How everything stands.
    pub fn status(&mut self) -> Status {
        let (network, disks) = (&self.network, &self.disks);
        let nodes = self
            .cluster
            .nodes_mut()
            .iter_mut()
            .map(|node| {
                let state = node.state();
                let skew_seconds = node.skew();
                let layout = node.layout();
                NodeStatus {
                    name: layout.name.clone(),
                    region: layout.region.clone(),
                    state: state.to_string(),
                    pid: node.pid(),
                    starts: node.starts(),
                    ready: state == super::cluster::State::Running && readiness::is_ready(network, layout),
                    libp2p: layout.libp2p.clone(),
                    http: layout.http.clone(),
                    disk: disks.counts(&layout.name),
                    skew_seconds,
                }
            })
            .collect();
        let rules = network.router().rules();
        let sites = network.map().sites();
        let pairs = (0..sites.len()).flat_map(|from| (0..sites.len()).map(move |to| (from, to)));
        let link = |(from, to): (usize, usize)| LinkStatus {
            from: sites[from].name.clone(),
            to: sites[to].name.clone(),
            shape: *rules.shape(from, to),
        };
        Status {
            pid: std::process::id(),
            private: self.privilege == Privilege::UserNamespace,
            spaces: network
                .map()
                .ports()
                .iter()
                .filter_map(|port| Some((port.name.clone(), network.space(&port.name)?.path())))
                .collect(),
            nodes,
            links: pairs.filter(|(from, to)| from != to).map(link).collect(),
            cuts: rules.cuts().cloned().collect(),
            counts: network.router().counts(),
        }
    }
}
