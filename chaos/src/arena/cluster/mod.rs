//! The nodes of the arena: real processes of the real binary, each inside a network namespace of its own.
//!
//! The files come from `trine up --prepare`, so that the arena has no second idea of how a cluster is made. A node
//! is started through `trine-chaos enter`, which joins the namespace, asks the kernel to be killed when the arena
//! dies, and becomes the node: no node outlives its arena, however that ends.

pub mod clock;
pub mod enter;
pub mod layout;
pub mod process;
pub mod readiness;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

pub use layout::{Layout, NodeLayout};
pub use process::{Process, State};

use super::network::Network;
use crate::check::Wall;
use crate::plan::Nodes;

/// How long a node may take to end by itself.
pub const STOP_GRACE: Duration = Duration::from_secs(15);
/// How often a starting node is asked whether it is ready.
const READY_POLL: Duration = Duration::from_millis(25);

/// All nodes.
#[derive(Debug)]
pub struct Cluster {
    trine: PathBuf,
    settings: Vec<(&'static str, String)>,
    layout: Layout,
    nodes: Vec<Process>,
}

impl Cluster {
    /// Takes charge of the nodes of a prepared directory; starts none.
    #[must_use]
    pub fn new(trine: &Path, layout: Layout, settings: &Nodes) -> Self {
        let nodes = layout.nodes.iter().cloned().map(Process::new).collect();
        Self { trine: trine.to_owned(), settings: environment(settings), layout, nodes }
    }

    /// Gives the nodes clocks that can be set wrong, from their next start on.
    ///
    /// # Errors
    /// When the library that it takes is not installed.
    pub fn own_clocks(&mut self) -> anyhow::Result<()> {
        self.nodes.iter_mut().try_for_each(Process::own_clock)
    }

    /// Takes charge of one more node; does not start it.
    ///
    /// # Errors
    /// When there is one of that name, or no clock for it.
    pub fn adopt(&mut self, node: &NodeLayout, own_clock: bool) -> anyhow::Result<()> {
        ensure!(!self.names().contains(&node.name), "there is a {} already", node.name);
        let mut process = Process::new(node.clone());
        if own_clock {
            process.own_clock()?;
        }
        self.nodes.push(process);
        self.layout.nodes.push(node.clone());
        Ok(())
    }

    /// The daemon's binary.
    #[must_use]
    pub fn trine(&self) -> &Path {
        &self.trine
    }

    /// The files.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The nodes' names.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.layout().name.clone()).collect()
    }

    /// How far ahead of the true time each node's clock ever was and how far behind it, and how often the node was started.
    #[must_use]
    pub fn walls(&self) -> Vec<Wall> {
        let wall = |node: &Process| Wall {
            node: node.layout().name.clone(),
            ahead_ns: u64::try_from(node.ahead().as_nanos()).unwrap_or(u64::MAX),
            behind_ns: u64::try_from(node.behind().as_nanos()).unwrap_or(u64::MAX),
            starts: u64::from(node.starts()),
        };
        self.nodes.iter().map(wall).collect()
    }

    /// The processes.
    pub fn nodes_mut(&mut self) -> &mut [Process] {
        &mut self.nodes
    }

    /// One of them.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn node(&mut self, name: &str) -> anyhow::Result<&mut Process> {
        let names = self.names().join(", ");
        self.nodes
            .iter_mut()
            .find(|node| node.layout().name == name)
            .with_context(|| format!("no node {name}; there are {names}"))
    }

    /// Starts a node.
    ///
    /// # Errors
    /// When it runs already or cannot be started.
    pub fn start(&mut self, network: &Network, name: &str) -> anyhow::Result<()> {
        let (trine, settings) = (self.trine.clone(), self.settings.clone());
        let node = self.node(name)?;
        let space = network.space(name).with_context(|| format!("no network of {name}"))?;
        node.start(&trine, space, &settings)
    }

    /// Starts all nodes that do not run.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn start_all(&mut self, network: &Network) -> anyhow::Result<()> {
        for name in self.names() {
            if !self.node(&name)?.state().is_alive() {
                self.start(network, &name)?;
            }
        }
        Ok(())
    }

    /// Waits until these nodes say that they serve; says how long it took.
    ///
    /// # Errors
    /// When one ends meanwhile, or the time is over, with the node's last words.
    pub async fn wait_ready(
        &mut self,
        network: &Network,
        names: &[String],
        patience: Duration,
    ) -> anyhow::Result<Duration> {
        let start = Instant::now();
        let mut waiting = names.to_vec();
        let mut poll = tokio::time::interval(READY_POLL);
        while !waiting.is_empty() {
            poll.tick().await;
            for name in std::mem::take(&mut waiting) {
                let node = self.node(&name)?;
                if !node.state().is_alive() {
                    bail!("{name} ended while it started ({}):\n{}", node.state(), node.last_words());
                }
                if !readiness::is_ready(network, node.layout()) {
                    waiting.push(name);
                }
            }
            if start.elapsed() > patience {
                let (name, patience) = (waiting.first().cloned().unwrap_or_default(), patience.as_secs());
                let words = self.node(&name)?.last_words();
                bail!("{} not ready after {patience} s; {name} says:\n{words}", waiting.join(", "));
            }
        }
        Ok(start.elapsed())
    }

    /// Kills all nodes that run, as near to at once as signals go.
    ///
    /// # Errors
    /// When a process cannot be waited for.
    pub async fn kill_all(&mut self) -> anyhow::Result<()> {
        for node in self.nodes.iter_mut().filter(|node| node.pid().is_some()) {
            node.send_kill()?;
        }
        for node in self.nodes.iter_mut().filter(|node| node.pid().is_some()) {
            node.kill().await?;
        }
        Ok(())
    }

    /// Ends all nodes: asks each, kills what does not end.
    ///
    /// # Errors
    /// When a process cannot be waited for.
    pub async fn stop_all(&mut self) -> anyhow::Result<()> {
        for node in &mut self.nodes {
            node.ask_to_stop();
        }
        for node in &mut self.nodes {
            node.stop(STOP_GRACE).await?;
        }
        Ok(())
    }
}

/// What nodes are told beyond their files.
fn environment(settings: &Nodes) -> Vec<(&'static str, String)> {
    let mut told = Vec::new();
    if !settings.gossip {
        told.push(("TRINE_CLUSTER__GOSSIP", "false".to_owned()));
    }
    if let Some(rows) = settings.delta_rows_max {
        told.push(("TRINE_STORAGE__DELTA_ROWS", rows.to_string()));
    }
    if let Some(bytes) = settings.segment_bytes {
        told.push(("TRINE_STORAGE__SEGMENT", format!("{bytes}B")));
    }
    told
}
