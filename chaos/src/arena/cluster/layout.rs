//! Where a prepared cluster's files are: `cluster.json`, as `trine up --prepare` writes it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::arena::network::{Map, RegionPlan};

/// The first regions' names, in the order in which `trine up` uses them.
const REGION_NAMES: [&str; 3] = ["us-east-1", "eu-west-1", "ap-southeast-1"];

/// A prepared cluster.
#[derive(Debug, Clone, Deserialize)]
pub struct Layout {
    /// The directory of an administrator's identity.
    pub client: PathBuf,
    /// The nodes.
    pub nodes: Vec<NodeLayout>,
}

/// One node of it.
#[derive(Debug, Clone, Deserialize)]
pub struct NodeLayout {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its directory.
    pub directory: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
    /// Its HTTP API, on its own loopback.
    pub http: String,
    /// Its libp2p address.
    pub libp2p: String,
}

impl Layout {
    /// Reads a prepared directory.
    ///
    /// # Errors
    /// When there is none, or it holds something else.
    pub fn read(directory: &Path) -> anyhow::Result<Self> {
        let directory = std::path::absolute(directory)?;
        let path = directory.join("cluster.json");
        let text = std::fs::read(&path).with_context(|| format!("{} holds no cluster", directory.display()))?;
        let mut layout: Self = serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))?;
        layout.client = directory.join(&layout.client);
        for node in &mut layout.nodes {
            node.directory = directory.join(&node.directory);
            node.config = directory.join(&node.config);
        }
        Ok(layout)
    }

    /// Where a node keeps its data.
    #[must_use]
    pub fn data(node: &NodeLayout) -> PathBuf {
        node.directory.join("data")
    }
}

/// The regions of a cluster of this size, named as `trine up` names them.
#[must_use]
pub fn regions(regions: usize, nodes: usize) -> Vec<RegionPlan> {
    let name = |number: usize| match REGION_NAMES.get(number) {
        Some(name) => (*name).to_owned(),
        None => format!("region-{}", number + 1),
    };
    (0..regions).map(|number| RegionPlan { name: name(number), nodes }).collect()
}

/// Has `trine` make the files, with the map's addresses; a cluster that is there goes on.
///
/// # Errors
/// When `trine` cannot be run or refuses.
pub fn prepare(trine: &Path, directory: &Path, regions: &[RegionPlan], map: &Map) -> anyhow::Result<Layout> {
    let nodes = regions.first().map_or(0, |region| region.nodes);
    let mut command = Command::new(trine);
    command.args(["up", "--prepare", "--regions", &regions.len().to_string(), "--nodes", &nodes.to_string()]);
    command.arg("--data").arg(directory);
    for site in map.sites() {
        // There may be addresses for nodes that join later.
        for (address, letter) in site.addresses.iter().zip('a'..).take(nodes) {
            command.arg("--host").arg(format!("{}-{letter}={address}", site.name));
        }
    }
    let output = command.output().with_context(|| format!("run {}", trine.display()))?;
    ensure!(
        output.status.success(),
        "{} up --prepare refused: {}",
        trine.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Layout::read(directory)
}

/// The `trine` binary: the one named, or the one beside this program.
///
/// # Errors
/// When there is none.
pub fn find_trine(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => std::env::current_exe().context("find this program")?.with_file_name("trine"),
    };
    ensure!(path.is_file(), "{} is not there: build it (cargo build) or name it with --trine PATH", path.display());
    Ok(std::path::absolute(path)?)
}
