//! The real arena: a cluster of processes on this machine, with an ocean between its regions.

pub mod cluster;
pub mod control;
pub mod digest;
pub mod disk;
pub mod network;
pub mod program;
pub mod run;

use std::path::{Path, PathBuf};

use anyhow::Context;

use cluster::{Cluster, Layout, NodeLayout, layout};
use disk::Disks;
use disk::loss::{Forgotten, Loss};
use network::privilege::Privilege;
use network::{Network, NetworkConfig, RegionPlan};

use crate::plan::Nodes;

/// What the arena is to be.
#[derive(Debug, Clone)]
pub struct ArenaConfig {
    /// Where the cluster's files are, or are to be made.
    pub directory: PathBuf,
    /// How many regions.
    pub regions: usize,
    /// How many nodes in each.
    pub nodes: usize,
    /// The `trine` binary; none: the one beside this program.
    pub trine: Option<PathBuf>,
    /// How the nodes are set up.
    pub settings: Nodes,
    /// What the network's chance starts from.
    pub seed: u64,
    /// The largest packet, in bytes.
    pub mtu_bytes: u16,
    /// What the nodes' data directories are on.
    pub disk: DiskKind,
    /// Whether the nodes' clocks can be set wrong.
    pub clocks: bool,
    /// For how many more nodes in each region there is to be room.
    pub joins: usize,
}

/// What the nodes' data directories are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiskKind {
    /// The machine's own disk.
    #[default]
    Plain,
    /// Disks of our own, which can lose power and fail.
    Forgetful,
}

/// Network and nodes.
#[derive(Debug)]
pub struct Arena {
    directory: PathBuf,
    privilege: Privilege,
    // The nodes end before their disks and their network do.
    cluster: Cluster,
    disks: Disks,
    network: Network,
    clocks: bool,
}

impl Arena {
    /// Makes the network and the files; starts no node. Nodes must be started on the thread that owns the arena.
    ///
    /// # Errors
    /// When the kernel or `trine` refuses something.
    pub fn new(config: &ArenaConfig, privilege: Privilege) -> anyhow::Result<Self> {
        let trine = layout::find_trine(config.trine.as_deref())?;
        let regions = layout::regions(config.regions, config.nodes);
        let room = regions.iter().map(|region| RegionPlan { nodes: region.nodes + config.joins, ..region.clone() });
        let network = Network::start(&NetworkConfig {
            regions: room.collect(),
            seed: config.seed,
            mtu_bytes: config.mtu_bytes,
            ..NetworkConfig::default()
        })?;
        let files = layout::prepare(&trine, &config.directory, &regions, network.map())?;
        let directory = std::path::absolute(&config.directory).context("find the directory")?;
        let disks = match config.disk {
            DiskKind::Plain => Disks::default(),
            DiskKind::Forgetful => {
                Disks::mount(files.nodes.iter().map(|node| (node.name.clone(), Layout::data(node))))?
            }
        };
        let mut cluster = Cluster::new(&trine, files, &config.settings);
        if config.clocks {
            cluster.own_clocks()?;
        }
        Ok(Self { directory, privilege, cluster, disks, network, clocks: config.clocks })
    }

    /// Takes charge of one more node; does not start it. Its data are on the machine's own disk.
    ///
    /// # Errors
    /// When there is one of that name.
    pub fn adopt(&mut self, node: &NodeLayout) -> anyhow::Result<()> {
        self.cluster.adopt(node, self.clocks)
    }

    /// Where the files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// How it came by its namespaces.
    #[must_use]
    pub fn privilege(&self) -> Privilege {
        self.privilege
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The nodes.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The forgetful disks; none when the nodes are on the machine's own.
    pub fn disks(&mut self) -> &mut Disks {
        &mut self.disks
    }

    /// Kills a node and takes the power from its disk; none: as the disk has been told.
    ///
    /// # Errors
    /// When it does not run or has no such disk.
    pub async fn cut_power(&mut self, node: &str, how: Option<Loss>, seed: u64) -> anyhow::Result<Forgotten> {
        self.disks.get(node)?;
        self.cluster.node(node)?.kill().await?;
        let disk = self.disks.get(node)?;
        disk.lose(how.unwrap_or_else(|| disk.loss()), seed)
    }

    /// The same of all nodes at once; of those that do not run, too.
    ///
    /// # Errors
    /// When a node has no such disk.
    pub async fn cut_all_power(&mut self, how: Option<Loss>, seed: u64) -> anyhow::Result<Forgotten> {
        let names = self.cluster.names();
        names.iter().try_for_each(|name| self.disks.get(name).map(drop))?;
        self.cluster.kill_all().await?;
        let mut forgotten = Forgotten::default();
        for (number, name) in (0..).zip(&names) {
            let disk = self.disks.get(name)?;
            forgotten.add(disk.lose(how.unwrap_or_else(|| disk.loss()), seed.wrapping_add(number))?);
        }
        Ok(forgotten)
    }

    /// The nodes, to be commanded, and the network they need for it.
    pub fn parts(&mut self) -> (&mut Cluster, &Network) {
        (&mut self.cluster, &self.network)
    }
}
