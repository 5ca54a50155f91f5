//! What stopped nodes hold, recomputed from their disks and compared: nothing is taken from what they said.
//!
//! Per node and objects namespace: every object row is read, its checksum and its form checked, and the sum of digests
//! taken. Per region: the own ledger is applied anew from the log's files, every other one put together from the
//! mirrored records, each verified against its header. Equal nodes give equal rows.

mod ledgers;
mod log;
mod objects;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::cluster::Layout;

pub use ledgers::LedgerReader;
pub use objects::objects;

/// One ledger's head.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Head {
    /// How many records.
    pub size: u64,
    /// The root, in hexadecimal.
    pub root: String,
}

/// The objects of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// The sum of their digests, in hexadecimal.
    pub digest: String,
}

/// What one node holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Objects by namespace.
    pub objects: BTreeMap<String, Sum>,
    /// Ledgers by region.
    pub ledgers: BTreeMap<String, Head>,
}

/// What all nodes hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// By node.
    pub nodes: BTreeMap<String, Holding>,
    /// Whether all hold the same objects.
    pub objects_equal: bool,
    /// Whether all hold the same ledgers.
    pub ledgers_equal: bool,
}

impl Report {
    /// Whether all nodes hold the same.
    #[must_use]
    pub fn equal(&self) -> bool {
        self.objects_equal && self.ledgers_equal
    }
}

/// A stopped node's directory: its name, region and data.
#[derive(Debug, Clone)]
pub struct Place {
    /// The node's name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its data directory.
    pub data: PathBuf,
}

/// The nodes of a directory: a cluster's (`cluster.json`), or one node's (`node.toml`).
///
/// # Errors
/// When it is neither.
pub fn places(directory: &Path) -> anyhow::Result<Vec<Place>> {
    if directory.join("cluster.json").exists() {
        let place = |node: &super::cluster::NodeLayout| Place {
            name: node.name.clone(),
            region: node.region.clone(),
            data: Layout::data(node),
        };
        return Ok(Layout::read(directory)?.nodes.iter().map(place).collect());
    }
    let path = directory.join("node.toml");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{} holds neither a cluster nor a node", directory.display()))?;
    let config: toml::Table = text.parse().with_context(|| format!("read {}", path.display()))?;
    let read = |key: &str| -> anyhow::Result<String> {
        let value = config.get("node").and_then(|node| node.get(key)).and_then(toml::Value::as_str);
        value.map(str::to_owned).with_context(|| format!("{} names no {key}", path.display()))
    };
    let data = directory.join(read("data_dir")?);
    Ok(vec![Place { name: read("name")?, region: read("region")?, data }])
}

/// Reads what stopped nodes hold.
///
/// # Errors
/// When a node still runs, or its data is damaged, with which bytes.
pub fn read(places: &[Place]) -> anyhow::Result<Report> {
    ensure!(!places.is_empty(), "no nodes");
    let mut nodes = BTreeMap::new();
    for place in places {
        nodes.insert(place.name.clone(), hold(place).with_context(|| format!("what {} holds", place.name))?);
    }
    let mut holdings = nodes.values();
    let first = holdings.next().context("no nodes")?;
    let objects_equal = holdings.clone().all(|other| other.objects == first.objects);
    let ledgers_equal = holdings.all(|other| other.ledgers == first.ledgers);
    Ok(Report { nodes, objects_equal, ledgers_equal })
}

fn hold(place: &Place) -> anyhow::Result<Holding> {
    let objects = objects::sums(&place.data)?;
    let region = place.region.parse().with_context(|| format!("region {}", place.region))?;
    let ledgers = LedgerReader::open(&place.data, region)?.heads()?;
    Ok(Holding { objects, ledgers })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
