//! Who belongs to the cluster: nodes that join, leave, or are replaced by a new one under their name.
//!
//! Rosters are changed by an administrator's request, which any node takes and the region's leader carries out. It is asked
//! again until it is done, at one node of the region after the other, while faults go on.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use tokio::task::JoinSet;
use trine_client::{CallOptions, Client, ClientError};
use trine_crdt::NodeId;
use trine_protocol::request::{NodeRemove, NodeReplace, RegionRecover};
use trine_protocol::{Missing, Request, RequestError};

use super::of_region;
use crate::arena::Arena;
use crate::arena::cluster::NodeLayout;
use crate::arena::program::load::pinned;
use crate::arena::run::limits::{CHANGE_ATTEMPT, CHANGE_PATIENCE, CHANGE_PAUSE};
use crate::plan::Topology;

/// Ports of a node.
const PORTS_PER_NODE: u16 = 3;

/// Who left, and the changes under way.
#[derive(Debug, Default)]
pub struct Members {
    /// Nodes that left for good.
    pub left: BTreeSet<String>,
    changes: JoinSet<anyhow::Result<()>>,
}

impl Members {
    /// Asks the other nodes of a node's region for a change of their roster, in the background.
    ///
    /// # Errors
    /// When a client cannot be built.
    pub fn change(&mut self, arena: &Arena, node: &NodeLayout, request: Request) -> anyhow::Result<()> {
        let layout = arena.cluster().layout();
        let others = of_region(&layout.nodes, &node.region).filter(|other| other.name != node.name);
        let clients = others.map(|other| pinned(&layout.client, &other.libp2p)).collect::<anyhow::Result<Vec<_>>>()?;
        ensure!(!clients.is_empty(), "{} is alone in its region: nobody can change its roster", node.name);
        self.ask(clients, request, format!("the change of {}", node.name));
        Ok(())
    }

    /// Asks one after the other, until one has done it.
    fn ask(&mut self, clients: Vec<Client>, request: Request, what: String) {
        self.changes.spawn(async move {
            let start = Instant::now();
            let mut last = String::new();
            for client in clients.iter().cycle() {
                if start.elapsed() > CHANGE_PATIENCE {
                    break;
                }
                let options = CallOptions::new().retries(0).deadline(CHANGE_ATTEMPT);
                match client.request(&options, request.clone()).await {
                    // A name that a new node has taken meanwhile is off the roster already.
                    Ok(_)
                    | Err(ClientError::Request(RequestError::NotFound {
                        what: Missing::Node { .. } | Missing::ClosedName { .. },
                    })) => return Ok(()),
                    Err(error) => last = error.to_string(),
                }
                tokio::time::sleep(CHANGE_PAUSE).await;
            }
            bail!("{what} ({request:?}) was not done within {} s: {last}", CHANGE_PATIENCE.as_secs())
        });
    }

    /// Asks a region to bring back what its disks lost, in the background; done when it says that all is there.
    ///
    /// # Errors
    /// When a client cannot be built.
    pub fn recover(&mut self, arena: &Arena, region: &str) -> anyhow::Result<()> {
        let layout = arena.cluster().layout();
        let nodes = of_region(&layout.nodes, region);
        let clients = nodes.map(|node| pinned(&layout.client, &node.libp2p)).collect::<anyhow::Result<Vec<_>>>()?;
        self.ask(
            clients,
            Request::RegionRecover(RegionRecover { region: region.parse()? }),
            format!("the recovery of {region}"),
        );
        Ok(())
    }

    /// Waits until all changes are done.
    ///
    /// # Errors
    /// When one could not be done.
    pub async fn changed(&mut self) -> anyhow::Result<()> {
        while let Some(done) = self.changes.join_next().await {
            done??;
        }
        Ok(())
    }
}

/// What `trine tls node` says.
#[derive(Debug, Deserialize)]
struct Issued {
    peer: String,
}

/// Makes the files of one more node of a region, at the next free address.
///
/// # Errors
/// When there is no such address, or `trine` refuses.
pub fn newcomer(arena: &Arena, region: &str) -> anyhow::Result<NodeLayout> {
    let layout = arena.cluster().layout();
    let there: Vec<&NodeLayout> = of_region(&layout.nodes, region).collect();
    let old = there.first().with_context(|| format!("no nodes in {region}"))?;
    let name = Topology::node(region, there.len());
    let address = arena.network().address(region, there.len()).context("no address is left for another node")?;
    let port = |node: &NodeLayout| node.http.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    let first = layout.nodes.iter().filter_map(port).max().context("no ports")? + PORTS_PER_NODE;
    let directory = old.directory.with_file_name(&name);
    let issued = issue(arena, region, &name, &directory)?;
    for file in ["log.key", "genesis.json"] {
        std::fs::copy(old.directory.join(file), directory.join(file)).with_context(|| format!("copy {file}"))?;
    }
    let config = directory.join("node.toml");
    let (http, libp2p, raft) = (format!("127.0.0.1:{first}"), first + 1, first + 2);
    let text = format!(
        "[node]\nname = \"{name}\"\nregion = \"{region}\"\ndata_dir = \"data\"\n\
         [cluster]\ngenesis_file = \"genesis.json\"\n\
         [tls]\nca_file = \"ca.crt\"\ncertificate_file = \"tls.crt\"\nkey_file = \"tls.key\"\nlog_key_file = \"log.key\"\n\
         [listen]\nhttp = \"{http}\"\nlibp2p = \"{address}:{libp2p}\"\nraft = \"{address}:{raft}\"\n",
    );
    std::fs::write(&config, text).with_context(|| format!("write {}", config.display()))?;
    let libp2p = format!("/ip4/{address}/tcp/{libp2p}/p2p/{}", issued.peer);
    Ok(NodeLayout { name, region: region.to_owned(), directory, config, http, libp2p })
}

fn issue(arena: &Arena, region: &str, name: &str, out: &Path) -> anyhow::Result<Issued> {
    let mut command = Command::new(arena.cluster().trine());
    command.args(["tls", "node", name, "--region", region, "-o", "json", "--out"]).arg(out);
    command.arg("--ca").arg(arena.directory().join("ca"));
    let output = command.output().context("run trine tls node")?;
    ensure!(output.status.success(), "trine tls node: {}", String::from_utf8_lossy(&output.stderr).trim());
    serde_json::from_slice(&output.stdout).context("trine tls node said something else")
}

/// The request that takes a node off its roster.
#[must_use]
pub fn remove(node: NodeId) -> Request {
    Request::NodeRemove(NodeRemove { node, force: false })
}

/// The request that lets a new node take a node's name.
#[must_use]
pub fn replace(node: NodeId) -> Request {
    Request::NodeReplace(NodeReplace { node, force: false })
}
