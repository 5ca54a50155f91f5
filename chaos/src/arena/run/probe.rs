//! After the heal: does every region answer again?
//!
//! One client in each region appends and edits, at one node of it after the other, until both were acknowledged there.

use tokio::task::JoinSet;
use trine_client::Session;

use super::{of_region, regions};
use crate::arena::cluster::NodeLayout;
use crate::arena::program::Places;
use crate::arena::program::load::{ask, pinned};
use crate::arena::run::limits::PROBE_BOUNDS;
use crate::history::Recorder;
use crate::plan::Plan;
use crate::workload::probe::Asked;

/// Clients of the workload have smaller numbers.
const FIRST_CLIENT: usize = 1_000_000;

/// Asks in every region until it has answered, or too late.
///
/// # Errors
/// When a client cannot be built, or panics.
pub async fn until_answered(
    identity: &std::path::Path,
    nodes: &[NodeLayout],
    places: &Places,
    plan: &Plan,
    recorder: &Recorder,
    healed_ns: u64,
) -> anyhow::Result<()> {
    let bound = plan.bounds.answer_within * PROBE_BOUNDS;
    let due_ns = healed_ns.saturating_add(u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX));
    let mut asking = JoinSet::new();
    for (number, region) in regions(nodes).into_iter().enumerate() {
        let region_name = region.clone();
        let clients = of_region(nodes, &region)
            .map(|node| Ok((node.name.clone(), pinned(identity, &node.libp2p)?)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let (recorder, client, session) = (recorder.clone(), FIRST_CLIENT + number, Session::new());
        let ask_there = async move {
            let mut pause = tokio::time::interval(std::time::Duration::from_millis(50));
            let mut open = Asked::ALL.to_vec();
            for (attempt, (node, connection)) in clients.iter().cycle().enumerate() {
                // Each region is asked once, however late.
                if open.is_empty() || (attempt > 0 && recorder.now_ns() > due_ns) {
                    return;
                }
                pause.tick().await;
                for asked in open.clone() {
                    let next = asked.next(node, &region, format!("v{client}-{attempt}"));
                    let call = ask(&recorder, connection, session.clone(), client, &next).await;
                    if call.ok().is_some() {
                        open.retain(|other| *other != asked);
                    }
                    recorder.push(call);
                }
            }
        };
        asking.spawn_on(ask_there, &places.of(&region_name));
    }
    while let Some(ended) = asking.join_next().await {
        ended?;
    }
    Ok(())
}
