//! `trine status`: whether all nodes serve, and whether they hold the same.
//!
//! One node says who the others are; each is then asked itself, because nobody's word about another counts here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::Args;
use futures::future::join_all;
use serde::Serialize;
use trine_protocol::Request;
use trine_protocol::reply::{NodeView, Reply};

use super::args::Globals;
use super::connect::{Connection, builder, cluster};
use super::exit::{Exit, Failure};
use super::nodes::list;
use super::output::{Output, pairs, short, table};
use crate::model::Status;

/// How long each node may take to say how it is.
const NODE_TIMEOUT_MAX: Duration = Duration::from_secs(3);

/// `trine status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Ask all nodes, also when --endpoint names one
    #[arg(long)]
    all: bool,
}

/// How the cluster is.
#[derive(Debug, Serialize)]
struct ClusterStatus {
    cluster: String,
    /// Whether every node answered and serves.
    healthy: bool,
    /// Whether all that answered hold the same objects.
    objects_agree: bool,
    /// Whether of each ledger all that answered and hold it (its own nodes, and the mirrors) hold the same.
    ledgers_agree: bool,
    nodes: Vec<NodeStatus>,
}

/// How a node is.
#[derive(Debug, Serialize)]
struct NodeStatus {
    name: String,
    id: String,
    region: String,
    reachable: bool,
    status: Option<Status>,
    error: Option<String>,
}

/// Does it.
///
/// # Errors
/// When no node answers.
pub async fn run(globals: &Globals, args: &StatusArgs) -> Result<Output, Failure> {
    let connection = Connection::open(globals)?;
    let one = globals.endpoint.as_ref().is_some_and(|endpoint| !endpoint.contains(','));
    if one && !args.all {
        return Ok(node(&ask(&connection).await?));
    }
    let mut nodes = list(&connection).await?;
    nodes.sort_by(|a, b| (&a.region, &a.name).cmp(&(&b.region, &b.name)));
    let nodes = join_all(nodes.iter().map(|node| direct(globals, node))).await;
    Ok(shown(summed(nodes)))
}

async fn ask(connection: &Connection) -> Result<Status, Failure> {
    match connection.plain(Request::Status).await? {
        Reply::Status(view) => Ok(Status::from(&*view)),
        _ => Err(Failure::unexpected()),
    }
}

/// Asks one node itself.
async fn direct(globals: &Globals, node: &NodeView) -> NodeStatus {
    let asked = async {
        let address = node.addresses.first().ok_or_else(|| Failure::new(Exit::Unhealthy, "it has no address"))?;
        let mut globals = globals.clone();
        globals.timeout = globals.timeout.min(NODE_TIMEOUT_MAX);
        let client = builder(&globals, cluster(&globals)?.as_ref())?.pinned().retries(0).seed(address)?.build()?;
        let status = client.status().await?;
        client.close().await;
        Ok::<_, Failure>(Status::from(&status))
    };
    let answered = asked.await;
    NodeStatus {
        name: node.name.clone(),
        id: node.id.to_string(),
        region: node.region.to_string(),
        reachable: answered.is_ok(),
        error: answered.as_ref().err().map(|failure| failure.what.clone()),
        status: answered.ok(),
    }
}

fn summed(nodes: Vec<NodeStatus>) -> ClusterStatus {
    let known: Vec<&Status> = nodes.iter().filter_map(|node| node.status.as_ref()).collect();
    let objects: BTreeSet<String> = known.iter().map(|status| object_digest(status)).collect();
    ClusterStatus {
        cluster: known.first().map(|status| status.cluster.clone()).unwrap_or_default(),
        healthy: known.len() == nodes.len() && known.iter().all(|status| serves(status)),
        objects_agree: objects.len() <= 1,
        ledgers_agree: ledgers_agree(&known),
        nodes,
    }
}

/// Whether a node serves reads and writes: on a full disk it is ready, with a reason why writes are refused.
fn serves(status: &Status) -> bool {
    status.ready && status.reason.is_none()
}

/// A region's own nodes must hold its ledger; elsewhere only the mirrors do, and the others hold nothing of it.
fn ledgers_agree(known: &[&Status]) -> bool {
    let mut heads: BTreeMap<&str, BTreeSet<(u64, &str)>> = BTreeMap::new();
    for status in known {
        for (region, head) in &status.ledgers {
            if head.size > 0 || *region == status.node.region {
                heads.entry(region).or_default().insert((head.size, &head.root));
            }
        }
    }
    heads.values().all(|heads| heads.len() <= 1)
}

/// All of a node's object digests in one text: equal on nodes that hold the same. A namespace in which nothing was ever written
/// does not count, because a node may not have heard of it yet; one whose objects were all removed does.
fn object_digest(status: &Status) -> String {
    let held = status.objects.iter().filter(|(_, sum)| sum.digest.bytes().any(|digit| digit != b'0'));
    held.map(|(namespace, sum)| format!("{namespace}={}", sum.digest)).collect::<Vec<_>>().join(" ")
}

fn shown(status: ClusterStatus) -> Output {
    let rows = status.nodes.iter().map(|node| match &node.status {
        Some(known) => vec![
            node.name.clone(),
            node.region.clone(),
            known.reason.clone().unwrap_or_else(|| if known.ready { "ready" } else { "not ready" }.to_owned()),
            known.node.raft.clone(),
            known.ledgers.values().map(|head| head.size.to_string()).collect::<Vec<_>>().join(" "),
            known.objects.values().map(|sum| sum.count).sum::<u64>().to_string(),
            digest(known),
        ],
        None => {
            let error = node.error.clone().unwrap_or_default();
            vec![node.name.clone(), node.region.clone(), format!("unreachable: {error}")]
        }
    });
    let people = table(&["node", "region", "state", "raft", "records", "objects", "digest"], rows);
    let verdict = format!(
        "{}; objects {}; ledgers {}",
        if status.healthy { "all nodes serve" } else { "some nodes do not serve" },
        if status.objects_agree { "agree" } else { "differ" },
        if status.ledgers_agree { "agree" } else { "differ" },
    );
    let exit = if status.healthy { Exit::Done } else { Exit::Unhealthy };
    let ids: Vec<String> = status.nodes.iter().map(|node| node.id.clone()).collect();
    Output::new(&status, people).ids(ids).note(verdict).exit(exit)
}

/// The digests of a node's object namespaces as one, short enough for a table.
fn digest(status: &Status) -> String {
    short(blake3::hash(object_digest(status).as_bytes()).to_hex().as_str())
}

fn node(status: &Status) -> Output {
    let mut lines = vec![
        ("cluster", status.cluster.clone()),
        ("node", format!("{} ({})", status.node.name, status.node.id)),
        ("region", status.node.region.clone()),
        ("ready", status.reason.clone().unwrap_or_else(|| if status.ready { "yes" } else { "no" }.to_owned())),
        ("raft", format!("{} in term {}", status.node.raft, status.term)),
        ("leader", status.leader.clone().unwrap_or_else(|| "(not known)".to_owned())),
        ("connected", format!("{} nodes", status.connected.len())),
        ("time", status.time.clone()),
        ("stamps held", status.stamps_held.to_string()),
    ];
    for (region, head) in &status.ledgers {
        lines.push(("ledger", format!("{region}: {} records, root {}", head.size, head.root)));
    }
    for (namespace, sum) in &status.objects {
        lines.push(("objects", format!("{namespace}: {}, digest {}", sum.count, sum.digest)));
    }
    let exit = if serves(status) { Exit::Done } else { Exit::Unhealthy };
    Output::new(status, pairs(&lines)).ids([&status.node.id]).exit(exit)
}
