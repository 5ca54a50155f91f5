//! Which cluster, which regions, and who asks.
//!
//! A cluster that `trine up` or `trine-chaos up` made says all of it in the `cluster.json` of its directory; any other is
//! named by a region's addresses and the directory of an identity. There is one client per region that was asked for,
//! and it never leaves that region: a
//! release that its region does not take is counted as such, not moved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde::Deserialize;
use trine_client::Client;
use trine_crdt::RegionId;

use super::limits::CALL_TIMEOUT_DEFAULT;
use super::trust::Trust;

/// Which cluster and which regions of it.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// The directory of a cluster that runs here; otherwise the one that `trine` would ask from here
    #[arg(long, value_name = "DIR", global = true)]
    pub cluster: Option<PathBuf>,
    /// A region by its name, or by NAME=/ip4/… when no cluster's directory says where its nodes are; may be repeated
    #[arg(long = "region", value_name = "NAME[=MULTIADDR]", global = true)]
    pub regions: Vec<RegionArg>,
    /// The directory of ca.crt, tls.crt, tls.key and genesis.json; otherwise the one of the cluster's directory
    #[arg(long, value_name = "DIR", global = true)]
    pub identity: Option<PathBuf>,
    /// How long one call may take, retries included, such as 10s
    #[arg(long, value_parser = parse_duration, default_value = "10s", global = true)]
    pub timeout: Duration,
}

/// `NAME` or `NAME=MULTIADDR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionArg {
    /// The region.
    pub region: RegionId,
    /// One of its nodes.
    pub address: Option<String>,
}

impl FromStr for RegionArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, address) = match text.split_once('=') {
            Some((name, address)) => (name, Some(address)),
            None => (text, None),
        };
        if address.is_some_and(|address| !address.starts_with('/')) {
            return Err("an address looks like /ip4/127.0.0.1/tcp/7421".to_owned());
        }
        let region = name.parse().map_err(|_| format!("`{name}` is no name of a region"))?;
        Ok(Self { region, address: address.map(str::to_owned) })
    }
}

/// Reads `500ms`, `10s`, `2m`.
///
/// # Errors
/// When it is none.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time such as 500ms, 10s or 2m");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let count: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => return Err(wrong()),
    };
    Ok(Duration::from_millis(count.checked_mul(unit_ms).ok_or_else(wrong)?))
}

/// `cluster.json`, as far as it matters here.
#[derive(Debug, Deserialize)]
struct ClusterFile {
    client: PathBuf,
    nodes: Vec<ClusterNode>,
}

#[derive(Debug, Deserialize)]
struct ClusterNode {
    region: RegionId,
    libp2p: String,
}

/// A cluster as the arguments name it.
#[derive(Debug)]
pub struct Place {
    /// Addresses of nodes, region by region.
    pub regions: BTreeMap<RegionId, Vec<String>>,
    /// Keys that proofs are checked with.
    pub trust: Trust,
    identity: PathBuf,
    timeout: Duration,
}

impl Place {
    /// Finds the cluster and opens its founding document.
    ///
    /// # Errors
    /// When a file is missing or unusable, or nothing says where a region is.
    pub fn find(args: &PlaceArgs) -> anyhow::Result<Self> {
        let directory = match &args.cluster {
            Some(directory) => Some(directory.clone()),
            None if args.identity.is_some() => None,
            None => current(),
        };
        let file = directory.as_deref().map(read).transpose()?;
        let identity = args.identity.clone().or_else(|| Some(directory?.join(&file.as_ref()?.client))).context(
            "no cluster runs here: start one with `trine up`, or name one with --cluster DIR or --identity DIR",
        )?;
        let mut known: BTreeMap<RegionId, Vec<String>> = BTreeMap::new();
        for node in file.into_iter().flat_map(|file| file.nodes) {
            known.entry(node.region).or_default().push(node.libp2p);
        }
        let regions = choose(known, &args.regions)?;
        let trust = Trust::read(&identity)?;
        if let Some(stranger) = regions.keys().find(|region| trust.log_key(region).is_none()) {
            bail!("the cluster's founding document knows no region {stranger}");
        }
        Ok(Self { regions, trust, identity, timeout: args.timeout })
    }

    /// A client of the nodes of a region, and of no others; `retries` is how often a call may be sent again.
    ///
    /// # Errors
    /// When the region was not asked for, or the identity is unusable.
    pub fn client(&self, region: &RegionId, retries: Option<u32>) -> anyhow::Result<Client> {
        let addresses = self.regions.get(region).with_context(|| format!("nothing says where {region} is"))?;
        let mut builder =
            Client::builder().directory(&self.identity)?.region_only(region.clone()).deadline(self.timeout);
        for address in addresses {
            builder = builder.seed(address)?;
        }
        if let Some(retries) = retries {
            builder = builder.retries(retries);
        }
        Ok(builder.build()?)
    }

    /// The one region that was asked for.
    ///
    /// # Errors
    /// When there are several.
    pub fn only(&self) -> anyhow::Result<&RegionId> {
        let mut regions = self.regions.keys();
        let names = || self.regions.keys().map(RegionId::as_str).collect::<Vec<_>>().join(", ");
        match (regions.next(), regions.next()) {
            (Some(region), None) => Ok(region),
            _ => bail!("say which region to ask with --region: {}", names()),
        }
    }
}

/// The regions asked for, or all that are known.
fn choose(
    mut known: BTreeMap<RegionId, Vec<String>>,
    asked: &[RegionArg],
) -> anyhow::Result<BTreeMap<RegionId, Vec<String>>> {
    let mut chosen: BTreeMap<RegionId, Vec<String>> = BTreeMap::new();
    for RegionArg { region, address } in asked {
        let addresses = chosen.entry(region.clone()).or_default();
        match (address, known.remove(region)) {
            (Some(address), _) => addresses.push(address.clone()),
            (None, Some(nodes)) => addresses.extend(nodes),
            (None, None) if addresses.is_empty() => {
                bail!("nothing says where {region} is: use --region {region}=/ip4/…/tcp/…, or --cluster DIR")
            }
            (None, None) => {}
        }
    }
    let regions = if asked.is_empty() { known } else { chosen };
    ensure!(!regions.is_empty(), "no region: use --region NAME=/ip4/…/tcp/…, or --cluster DIR");
    Ok(regions)
}

fn read(directory: &Path) -> anyhow::Result<ClusterFile> {
    let path = directory.join("cluster.json");
    let text = std::fs::read(&path).with_context(|| format!("{} holds no cluster", directory.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not what `trine up` writes", path.display()))
}

/// The cluster that `trine` would ask from here: the nearest upwards, otherwise the one chosen with `trine use`, otherwise the only one.
fn current() -> Option<PathBuf> {
    let there = |directory: &PathBuf| directory.join("cluster.json").is_file();
    let working = std::env::current_dir().ok()?;
    let mut above = working.ancestors().flat_map(|above| [above.to_owned(), above.join("trine-data")]);
    if let Some(nearest) = above.find(there) {
        return Some(nearest);
    }
    let not_empty = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = not_empty("XDG_STATE_HOME").or_else(|| Some(not_empty("HOME")?.join(".local/state")))?;
    let read = |name: &str| std::fs::read_to_string(state.join("trine").join(name));
    if let Ok(chosen) = read("current") {
        return Some(PathBuf::from(chosen.trim_end_matches('\n')));
    }
    let known: Vec<PathBuf> = read("clusters").ok()?.lines().map(PathBuf::from).filter(there).collect();
    <[PathBuf; 1]>::try_from(known).ok().map(|[only]| only)
}

impl Default for PlaceArgs {
    fn default() -> Self {
        Self { cluster: None, regions: Vec::new(), identity: None, timeout: CALL_TIMEOUT_DEFAULT }
    }
}
