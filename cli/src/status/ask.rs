//! Asking nodes how they are: each itself, and whether its region takes records.
//!
//! Answers come at different moments, so that under load what differs may only be under way. So nodes are asked again for
//! a while until those that were behind hold what the first answers knew of; who then does not is behind.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use trine_client::CallOptions;
use trine_crdt::RegionId;
use trine_doors::model::Status;
use trine_protocol::reply::{NodeView, Reply};
use trine_protocol::request::CheckpointGet;
use trine_protocol::{Consistency, Missing, Request, RequestError};

use super::super::args::Globals;
use super::super::connect::{Connection, builder, cluster};
use super::super::exit::{Exit, Failure};
use super::judge::{behind, objects_agree};
use crate::limits::{STATUS_ROUNDS_MAX, STATUS_TIMEOUT_MAX};

const ROUND_INTERVAL: Duration = Duration::from_millis(500);

/// What was asked, and what came back.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The node's name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Its region.
    pub region: String,
    /// How it is, or why that is not known.
    pub status: Result<Status, String>,
    /// Whether a read barrier went through its region's log from here; not asked where the node does not answer.
    pub appends: Option<Result<(), String>>,
}

/// All nodes' answers.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The regions that the cluster has.
    pub regions: Vec<String>,
    /// One a node, as they were at last.
    pub nodes: Vec<Heard>,
    /// Per region the most records that any node held at first.
    pub first: BTreeMap<String, u64>,
    /// Whether the objects of some node changed while they were looked at.
    pub moving: bool,
}

/// Asks the node that a connection leads to.
///
/// # Errors
/// As it answers.
pub async fn one(connection: &Connection) -> Result<Status, Failure> {
    match connection.plain(Request::Status).await? {
        Reply::Status(view) => Ok(Status::from(&*view)),
        _ => Err(Failure::unexpected()),
    }
}

/// Asks all nodes.
pub async fn all(globals: &Globals, nodes: &[NodeView]) -> Survey {
    let mut heard = join_all(nodes.iter().map(|node| direct(globals, node, true))).await;
    let mut first: BTreeMap<String, u64> = BTreeMap::new();
    for (region, head) in heard.iter().filter_map(|node| node.status.as_ref().ok()).flat_map(|known| &known.ledgers) {
        let most = first.entry(region.clone()).or_default();
        *most = head.size.max(*most);
    }
    let mut moving = false;
    for _ in 0..STATUS_ROUNDS_MAX {
        if behind(&heard, &first).is_empty() && objects_agree(&heard) {
            break;
        }
        tokio::time::sleep(ROUND_INTERVAL).await;
        let again = nodes.iter().zip(&heard).map(async |(node, before)| match before.status {
            Ok(_) => Heard { appends: before.appends.clone(), ..direct(globals, node, false).await },
            Err(_) => before.clone(),
        });
        let again = join_all(again).await;
        let objects = |heard: &[Heard]| -> Vec<_> {
            heard.iter().map(|node| node.status.as_ref().map(|known| known.objects.clone()).ok()).collect()
        };
        moving = objects(&again) != objects(&heard);
        heard = again;
    }
    let regions = heard.iter().filter_map(|node| node.status.as_ref().ok()).flat_map(|known| known.ledgers.keys());
    let regions: std::collections::BTreeSet<String> =
        regions.cloned().chain(nodes.iter().map(|node| node.region.to_string())).collect();
    Survey { regions: regions.into_iter().collect(), nodes: heard, first, moving }
}

/// Asks one node itself; with `probe`, also whether it gets through to its region's log.
async fn direct(globals: &Globals, node: &NodeView, probe: bool) -> Heard {
    let asked = async {
        let address = node.addresses.first().ok_or_else(|| Failure::new(Exit::Unhealthy, "it has no address"))?;
        let mut globals = globals.clone();
        globals.timeout = globals.timeout.min(STATUS_TIMEOUT_MAX);
        let client = builder(&globals, cluster(&globals)?.as_ref())?.pinned().retries(0).seed(address)?.build()?;
        let status = client.status().await?;
        let appends = if probe { Some(reaches_log(&client, &node.region).await) } else { None };
        client.close().await;
        Ok::<_, Failure>((Status::from(&status), appends))
    };
    let (status, appends) = match asked.await {
        Ok((status, appends)) => (Ok(status), appends),
        Err(failure) => (Err(failure.what), None),
    };
    let known = status.as_ref().ok().map(|known| (known.node.name.clone(), known.node.id.clone()));
    let (name, id) = known.unwrap_or_else(|| (node.name.clone(), node.id.to_string()));
    Heard { name, id, region: node.region.to_string(), status, appends }
}

/// A read that needs the word of a majority of the region's voters, as an append would.
async fn reaches_log(client: &trine_client::Client, region: &RegionId) -> Result<(), String> {
    let options = CallOptions::new().consistency(Consistency::Regional).retries(0);
    match client.request(&options, Request::Checkpoint(CheckpointGet { region: region.clone() })).await {
        // An empty ledger has no checkpoint, and says so after the barrier.
        Ok(_)
        | Err(trine_client::ClientError::Request(RequestError::NotFound { what: Missing::Checkpoint { .. } })) => {
            Ok(())
        }
        Err(error) => Err(error.to_string()),
    }
}
