//! The real arena: a cluster of processes on this machine, with an ocean between its regions.

pub mod cluster;
pub mod control;
pub mod digest;
pub mod network;
pub mod program;

use std::path::{Path, PathBuf};

use anyhow::Context;

use cluster::{Cluster, layout};
use network::privilege::Privilege;
use network::{Network, NetworkConfig};

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
    /// Whether nodes gossip.
    pub gossip: bool,
    /// What the network's chance starts from.
    pub seed: u64,
    /// The largest packet, in bytes.
    pub mtu_bytes: u16,
}

/// Network and nodes.
#[derive(Debug)]
pub struct Arena {
    directory: PathBuf,
    privilege: Privilege,
    // The nodes end before their network does.
    cluster: Cluster,
    network: Network,
}

impl Arena {
    /// Makes the network and the files; starts no node. Nodes must be started on the thread that owns the arena.
    ///
    /// # Errors
    /// When the kernel or `trine` refuses something.
    pub fn new(config: &ArenaConfig, privilege: Privilege) -> anyhow::Result<Self> {
        let trine = layout::find_trine(config.trine.as_deref())?;
        let regions = layout::regions(config.regions, config.nodes);
        let network = Network::start(&NetworkConfig {
            regions: regions.clone(),
            seed: config.seed,
            mtu_bytes: config.mtu_bytes,
            ..NetworkConfig::default()
        })?;
        let files = layout::prepare(&trine, &config.directory, &regions, network.map())?;
        let directory = std::path::absolute(&config.directory).context("find the directory")?;
        Ok(Self { directory, privilege, cluster: Cluster::new(&trine, files, config.gossip), network })
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

    /// The nodes, to be commanded, and the network they need for it.
    pub fn parts(&mut self) -> (&mut Cluster, &Network) {
        (&mut self.cluster, &self.network)
    }
}
