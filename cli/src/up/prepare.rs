//! The files of a new cluster: authority, genesis, and per node a directory that could be carried to its machine.
//!
//! ```text
//! DIR/cluster.json                  where everything is
//! DIR/ca/{ca.crt,ca.key,genesis.json}  the authority; no node needs its key
//! DIR/ca/{https-ca.crt,https-ca.key}  the authority of what HTTPS shows
//! DIR/clients/admin/…               an administrator's identity
//! DIR/nodes/NAME/node.toml          the configuration, with paths relative to it
//! DIR/nodes/NAME/{ca.crt,tls.crt,tls.key,log.key,genesis.json}
//! DIR/nodes/NAME/{https-ca.crt,https.crt,https.key}
//! DIR/nodes/NAME/data/              made by the node
//! ```
//!
//! Everything is written into a directory beside `DIR` which takes its place as the last step: a cluster is there
//! whole or not at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use trine_crdt::RegionId;
use trine_identity::authority::CA_KEY_FILE;
use trine_identity::https::HTTPS_CA_FILE;
use trine_identity::https_files::HTTPS_KEY_FILE;
use trine_identity::{Ca, HttpsCa, Key, files};
use trine_ledger::{Genesis, GenesisNode, GenesisRegion};
use trine_node::config::multiaddr;
use trine_protocol::Role;

use super::cluster::{CLUSTER_FILE, Cluster, ClusterNode};
use super::limits::{NODES_DEFAULT, PORT_DEFAULT, REGIONS_DEFAULT};
use super::plan::{self, PlanError, PlannedNode};
use crate::UpArgs;

/// The signed genesis, in every identity's directory.
pub const GENESIS_FILE: &str = "genesis.json";

/// The cluster that `trine up` was asked for: the one that is there, or a new one whose files are made now.
///
/// # Errors
/// When the directory holds something else, an option cannot be honoured by the cluster that is there, or, before any file
/// is written, a new one's ports are taken.
pub fn cluster(args: &UpArgs) -> anyhow::Result<Cluster> {
    if args.data.join(CLUSTER_FILE).exists() {
        return existing(args);
    }
    let planned = planned(args, REGIONS_DEFAULT, NODES_DEFAULT, PORT_DEFAULT)?;
    if !args.prepare {
        plan::check_addresses(planned.iter().map(|node| (node.name.as_str(), [node.http, node.libp2p, node.raft])))
            .context("nothing was made: end what listens there, or choose other ports with --port")?;
    }
    prepare(&args.data, &planned)
}

fn planned(args: &UpArgs, regions: u16, nodes: u16, port: u16) -> Result<Vec<PlannedNode>, PlanError> {
    plan::plan(args.regions.unwrap_or(regions), args.nodes.unwrap_or(nodes), args.port.unwrap_or(port), &args.host)
}

/// Reads a cluster that is there, as long as nothing else was asked for: options shape a new one only.
fn existing(args: &UpArgs) -> anyhow::Result<Cluster> {
    let cluster = Cluster::read(&args.data)?;
    let shape = (regions_of(&cluster), u16::try_from(cluster.nodes.len()).unwrap_or(u16::MAX));
    let port = cluster.nodes.first().and_then(|node| node.http.rsplit_once(':')?.1.parse().ok());
    let (regions, port) = (shape.0.max(1), port.unwrap_or(PORT_DEFAULT));
    let planned = planned(args, regions, shape.1 / regions, port)?;
    let there: Vec<&str> = cluster.nodes.iter().map(|node| node.name.as_str()).collect();
    let wanted: Vec<&str> = planned.iter().map(|node| node.name.as_str()).collect();
    let shaped = args.regions.is_some() || args.nodes.is_some();
    if shaped && there != wanted {
        bail!(
            "{} holds a cluster of other nodes ({}): choose another --data, or leave --regions and --nodes out",
            args.data.display(),
            there.join(", ")
        );
    }
    let placed = args.port.is_some() || !args.host.is_empty();
    let moved = cluster.nodes.iter().zip(&planned).find(|(node, planned)| {
        let libp2p = node.libp2p.split("/p2p/").next().unwrap_or_default();
        (&*node.http, libp2p, &*node.raft)
            != (&planned.http.to_string(), &multiaddr(planned.libp2p), &planned.raft.to_string())
    });
    if let (true, Some((node, _))) = (placed, moved) {
        bail!(
            "{} holds a cluster that listens elsewhere ({} at {} and {}): --port and --host are for a new one; leave them \
             out, or choose another --data",
            args.data.display(),
            node.name,
            node.http,
            node.raft
        );
    }
    complete(&args.data, &cluster)?;
    Ok(cluster)
}

fn regions_of(cluster: &Cluster) -> u16 {
    let regions: std::collections::BTreeSet<_> = cluster.nodes.iter().map(|node| &node.region).collect();
    u16::try_from(regions.len()).unwrap_or(u16::MAX)
}

/// Makes a new cluster's files in `directory`.
///
/// # Errors
/// When the directory holds anything.
pub fn prepare(directory: &Path, planned: &[PlannedNode]) -> anyhow::Result<Cluster> {
    let occupied = directory.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        bail!("{} is not empty and holds no cluster: choose another --data", directory.display());
    }
    let absolute = std::path::absolute(directory)?;
    let parent = absolute.parent().context("the data directory has no parent")?;
    std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let name = absolute.file_name().context("the data directory has no name")?.to_string_lossy().into_owned();
    let beside = parent.join(format!(".{name}.new"));
    if beside.exists() {
        std::fs::remove_dir_all(&beside).with_context(|| format!("cannot remove {}", beside.display()))?;
    }
    write_all(&beside, planned)?;
    std::fs::rename(&beside, &absolute).with_context(|| format!("cannot make {}", absolute.display()))?;
    Ok(Cluster::read(directory)?)
}

/// Gives nodes that have none a certificate for HTTPS, where the authority's key is at hand.
fn complete(directory: &Path, cluster: &Cluster) -> anyhow::Result<()> {
    let lacking = |node: &&ClusterNode| !node.directory.join(HTTPS_KEY_FILE).exists();
    let ca = directory.join("ca");
    if !ca.join(CA_KEY_FILE).exists() || !cluster.nodes.iter().any(|node| lacking(&node)) {
        return Ok(());
    }
    let https = HttpsCa::of(&Ca::open(&ca)?)?;
    for node in cluster.nodes.iter().filter(lacking) {
        let host = node.raft.rsplit_once(':').map(|(host, _)| host.to_owned());
        https.issue(&node.name, host.as_slice())?.write(&node.directory)?;
    }
    if !cluster.client.join(HTTPS_CA_FILE).exists() {
        https.tell(&cluster.client)?;
    }
    Ok(())
}

/// The address of a node's machine.
fn host(node: &PlannedNode) -> String {
    node.libp2p.ip().to_string()
}

fn write_all(directory: &Path, planned: &[PlannedNode]) -> anyhow::Result<()> {
    files::make_directory(directory)?;
    let ca = Ca::create(&directory.join("ca"))?;
    let https = HttpsCa::of(&ca)?;
    let mut log_keys: BTreeMap<RegionId, Key> = BTreeMap::new();
    let mut regions: Vec<GenesisRegion> = Vec::new();
    let mut cluster =
        Cluster { cluster: ca.cluster().to_owned(), client: PathBuf::from("clients/admin"), nodes: Vec::new() };
    for node in planned {
        let bundle = ca.issue_node(&node.region, &node.name)?;
        let peer = bundle.key.peer().to_string();
        let home = PathBuf::from("nodes").join(&node.name);
        bundle.write(&directory.join(&home))?;
        https.issue(&node.name, &[host(node)])?.write(&directory.join(&home))?;
        let log_key = log_keys.entry(node.region.clone()).or_insert_with(Key::generate);
        log_key.write(&directory.join(&home).join("log.key"))?;
        let address = format!("{}/p2p/{peer}", multiaddr(node.libp2p));
        if regions.last().is_none_or(|region| region.id != node.region) {
            regions.push(GenesisRegion { id: node.region.clone(), log_key: log_key.public(), nodes: Vec::new() });
        }
        regions.last_mut().expect("one was pushed").nodes.push(GenesisNode {
            name: node.name.clone(),
            peer,
            addresses: vec![address.clone()],
            raft: node.raft.to_string(),
        });
        cluster.nodes.push(ClusterNode {
            name: node.name.clone(),
            region: node.region.clone(),
            config: home.join("node.toml"),
            directory: home,
            http: node.http.to_string(),
            libp2p: address,
            raft: node.raft.to_string(),
        });
    }
    let genesis = Genesis { cluster: ca.cluster().to_owned(), regions }.sign(ca.key().signing())?;
    for (node, place) in planned.iter().zip(&cluster.nodes) {
        files::create_public(&directory.join(&place.directory).join(GENESIS_FILE), &genesis)?;
        files::create_public(&directory.join(&place.config), configuration(node).as_bytes())?;
    }
    // Clients whose certificates are issued later get it from there.
    files::create_public(&ca.directory().join(GENESIS_FILE), &genesis)?;
    ca.issue_client(Role::Admin, "admin")?.write(&directory.join(&cluster.client))?;
    https.tell(&directory.join(&cluster.client))?;
    files::create_public(&directory.join(&cluster.client).join(GENESIS_FILE), &genesis)?;
    cluster.write(directory)?;
    Ok(())
}

/// A node's configuration, as a person would write it.
fn configuration(node: &PlannedNode) -> String {
    format!(
        r#"# {name}: made by `trine up`. Paths are relative to this file.

[node]
name = "{name}"
region = "{region}"
data_dir = "data"

[cluster]
genesis_file = "{GENESIS_FILE}"

[tls]
ca_file = "ca.crt"
certificate_file = "tls.crt"
key_file = "tls.key"
log_key_file = "log.key"

[listen]
http = "{http}"
libp2p = "{libp2p}"
raft = "{raft}"
"#,
        name = node.name,
        region = node.region,
        http = node.http,
        libp2p = node.libp2p,
        raft = node.raft,
    )
}
