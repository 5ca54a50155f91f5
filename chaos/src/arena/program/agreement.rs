//! Waiting until all nodes say that they hold the same. Only a signal to go on: the verdict comes from the disks.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::task::JoinSet;
use trine_client::Client;
use trine_crdt::RegionId;
use trine_protocol::reply::{LedgerHead, StatusView};

use super::load::pinned;
use crate::arena::cluster::{Layout, NodeLayout};

const POLL: Duration = Duration::from_millis(50);

/// Asks every node, again and again, until all answers are alike; says how long it took.
///
/// # Errors
/// When the time is over, with what differed last.
pub async fn wait(layout: &Layout, patience: Duration) -> anyhow::Result<Duration> {
    wait_for(&layout.client, &layout.nodes, patience).await
}

/// The same of these nodes.
///
/// # Errors
/// When the time is over, with what differed last.
pub async fn wait_for(identity: &Path, nodes: &[NodeLayout], patience: Duration) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let clients: Vec<(String, Client)> = nodes
        .iter()
        .map(|node| Ok((node.name.clone(), pinned(identity, &node.libp2p)?)))
        .collect::<anyhow::Result<_>>()?;
    let mut poll = tokio::time::interval(POLL);
    loop {
        poll.tick().await;
        let mut asked = JoinSet::new();
        for (name, client) in &clients {
            let (name, client) = (name.clone(), client.clone());
            asked.spawn(async move { (name, client.status().await) });
        }
        let mut statuses = Vec::new();
        let mut differs = None;
        for (name, answer) in asked.join_all().await {
            match answer {
                Ok(status) => statuses.push(status),
                Err(error) => differs = Some(format!("{name}: {error}")),
            }
        }
        let differs = differs.or_else(|| difference(&statuses));
        match differs {
            None => return Ok(start.elapsed()),
            Some(what) if start.elapsed() > patience => bail!("no agreement after {} s: {what}", patience.as_secs()),
            Some(_) => {}
        }
    }
}

/// What is not alike yet. Objects are on all nodes; a ledger is on all nodes of its region and on some of each other
/// region's; whoever stood in for one of these may hold a beginning.
fn difference(statuses: &[StatusView]) -> Option<String> {
    let first = statuses.first()?;
    if let Some(other) = statuses.iter().find(|status| status.objects != first.objects) {
        return Some(format!("{} and {} hold different objects", first.node.name, other.node.name));
    }
    let regions: BTreeSet<&RegionId> = statuses.iter().map(|status| &status.node.region).collect();
    for ledger in &regions {
        let of = |region: &RegionId| {
            let nodes = statuses.iter().filter(|status| status.node.region == *region);
            nodes.filter_map(|status| status.ledgers.get(*ledger)).collect::<Vec<&LedgerHead>>()
        };
        let own = of(ledger);
        let whole = own.first()?;
        if own.iter().any(|head| head != whole) {
            return Some(format!("{ledger}: its own nodes differ"));
        }
        if let Some(behind) = regions.iter().find(|region| !of(region).contains(whole)) {
            return Some(format!("{ledger}: {behind} does not hold all {} records", whole.size));
        }
    }
    None
}
