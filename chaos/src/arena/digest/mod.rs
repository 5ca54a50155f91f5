//! What stopped nodes hold, recomputed from their disks and compared: nothing is taken from what they said.
//!
//! Per node and objects namespace: every object row is read, its checksum and its form checked, and the sum of digests
//! taken. Per region: the own ledger is applied anew from the log's files, every other one put together from the
//! mirrored records, each verified against its header.
//!
//! Objects must be equal on all nodes. A ledger is held whole by all nodes of its own region and mirrored by some nodes
//! of each other one (two by default); who stood in for one of these keeps what it had. So in each region somebody
//! must hold the same head, and whoever holds less must hold exactly a beginning of it.

mod journal;
mod ledgers;
mod log;
mod objects;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::cluster::Layout;

pub use ledgers::{LedgerReader, Standing};
pub use objects::{clock_mark, kept_sums, objects};

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
    /// The node's region.
    pub region: String,
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
    /// Whether every region holds the same head of every ledger, and all that is less is a beginning of it.
    pub ledgers_equal: bool,
    /// Per ledger, how many nodes hold it whole.
    pub ledger_holders: BTreeMap<String, usize>,
    /// What differs, in words.
    pub differences: Vec<String>,
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
    let objects_equal = nodes.values().map(|holding| &holding.objects).collect::<BTreeSet<_>>().len() == 1;
    let mut roots = BTreeMap::new();
    for ledger in places.iter().map(|place| &place.region).collect::<BTreeSet<_>>() {
        let sizes = nodes.values().filter_map(|holding| Some(holding.ledgers.get(ledger)?.size)).collect();
        if let Some(place) = places.iter().find(|place| place.region == *ledger) {
            let own = LedgerReader::open(&place.data, place.region.parse()?)?;
            roots.insert(ledger.clone(), own.roots_at(&sizes)?);
        }
    }
    let (differences, ledger_holders) = compare_ledgers(&nodes, &roots);
    Ok(Report { nodes, objects_equal, ledgers_equal: differences.is_empty(), ledger_holders, differences })
}

/// Per ledger and size, the root that its own region's log gives.
type Roots = BTreeMap<String, BTreeMap<u64, String>>;

/// What differs between ledgers, and how many nodes hold each whole. A mirror that never had a record is no row on
/// disk.
fn compare_ledgers(nodes: &BTreeMap<String, Holding>, roots: &Roots) -> (Vec<String>, BTreeMap<String, usize>) {
    let regions: BTreeSet<&str> = nodes.values().map(|holding| holding.region.as_str()).collect();
    let mut differences = Vec::new();
    let mut holders = BTreeMap::new();
    for (ledger, roots) in roots {
        let Some((&whole, _)) = roots.last_key_value() else { continue };
        let mut with = BTreeSet::new();
        for (name, holding) in nodes {
            let Some(head) = holding.ledgers.get(ledger) else { continue };
            if roots.get(&head.size) != Some(&head.root) {
                differences.push(format!("{name} holds {} other records of {ledger}", head.size));
            } else if head.size == whole {
                with.insert(holding.region.as_str());
                *holders.entry(ledger.clone()).or_insert(0) += 1;
            } else if holding.region == *ledger {
                differences.push(format!("{name} holds {} of {whole} records of {ledger}, its own", head.size));
            }
        }
        if whole > 0 {
            let without = regions.difference(&with);
            differences.extend(without.map(|region| format!("{region} does not hold all {whole} records of {ledger}")));
        }
    }
    (differences, holders)
}

fn hold(place: &Place) -> anyhow::Result<Holding> {
    let objects = objects::sums(&place.data)?;
    let region = place.region.parse().with_context(|| format!("region {}", place.region))?;
    let ledgers = LedgerReader::open(&place.data, region)?.heads()?;
    Ok(Holding { region: place.region.clone(), objects, ledgers })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes as `name: region, ledger:size …`.
    #[allow(clippy::type_complexity, reason = "a table of test lines")]
    fn nodes(lines: &[(&str, &str, &[(&str, u64)])]) -> BTreeMap<String, Holding> {
        let head = |size: u64| Head { size, root: format!("root of {size}") };
        lines
            .iter()
            .map(|(name, region, ledgers)| {
                let ledgers = ledgers.iter().map(|(ledger, size)| ((*ledger).to_owned(), head(*size))).collect();
                ((*name).to_owned(), Holding { region: (*region).to_owned(), objects: BTreeMap::new(), ledgers })
            })
            .collect()
    }

    #[test]
    fn each_region_holds_a_ledger_whole_and_stand_ins_a_beginning() {
        let root = |size: u64| (size, format!("root of {size}"));
        let roots = BTreeMap::from([("us".to_owned(), BTreeMap::from([root(5), root(7)]))]);
        let differ = |lines| compare_ledgers(&nodes(lines), &roots).0;
        let none: Vec<String> = Vec::new();
        assert_eq!(differ(&[("ua", "us", &[("us", 7)]), ("ea", "eu", &[("us", 7)]), ("eb", "eu", &[])]), none);
        assert_eq!(differ(&[("ua", "us", &[("us", 7)]), ("ea", "eu", &[("us", 7)]), ("eb", "eu", &[("us", 5)])]), none);
        assert_eq!(differ(&[("ua", "us", &[("us", 7)]), ("ea", "eu", &[("us", 5)])]).len(), 1, "a region is behind");
        assert_eq!(differ(&[("ua", "us", &[("us", 7)]), ("ea", "eu", &[])]).len(), 1, "a region has no mirror");
        assert_eq!(differ(&[("ua", "us", &[("us", 7)]), ("ub", "us", &[("us", 5)])]).len(), 1, "a voter is behind");
        let mut forked = nodes(&[("ua", "us", &[("us", 7)]), ("ea", "eu", &[("us", 7)]), ("eb", "eu", &[("us", 5)])]);
        let head = forked.get_mut("eb").and_then(|node| node.ledgers.get_mut("us")).expect("it holds one");
        head.root = "another".to_owned();
        assert_eq!(compare_ledgers(&forked, &roots).0, ["eb holds 5 other records of us"]);
    }
}
