//! A region is cut off under load; both sides go on; after the heal, how long until something crosses, and all agree?

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Serialize;
use trine_client::{CallOptions, Client};
use trine_protocol::{Consistency, View};

use super::agreement;
use super::history::{Event, History, Outcome};
use super::load::{Load, counter_key, pinned};
use super::rounds::read_disks;
use super::verify::{Violation, verify};
use crate::arena::Arena;
use crate::arena::network::Cut;

/// How often the other side is asked whether something came.
const POLL: Duration = Duration::from_millis(10);

/// How it goes.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The region that is cut off.
    pub region: String,
    /// Load before the cut.
    pub before: Duration,
    /// How long the cut lasts.
    pub cut: Duration,
    /// Clients in each region.
    pub clients_per_region: usize,
    /// How long crossing and agreement may take.
    pub patience: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The region that was cut off.
    pub region: String,
    /// Calls acknowledged before the cut ended, in the region cut off.
    pub acknowledged_inside: usize,
    /// The same in the others.
    pub acknowledged_outside: usize,
    /// Of all these, how many began during the cut.
    pub acknowledged_during_cut: usize,
    /// Calls of unknown fate.
    pub unknown: usize,
    /// From the heal to the first update of the region cut off that is seen in another, in milliseconds.
    pub first_out_ms: u64,
    /// From the heal to the first update of another region that is seen in the one cut off.
    pub first_in_ms: u64,
    /// From the heal, at which the load ends, until all nodes say the same.
    pub agreed_ms: u64,
    /// Whether the disks of the stopped nodes are equal.
    pub digests_equal: bool,
    /// Broken promises.
    pub violations: Vec<Violation>,
}

impl Summary {
    /// Whether nothing was lost and all are equal.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.digests_equal && self.violations.is_empty() && self.acknowledged_during_cut > 0
    }
}

/// Runs it in an arena whose nodes are ready; stops them; verifies.
///
/// # Errors
/// When nothing crosses, nodes do not agree in time, or a disk cannot be read.
pub async fn run(arena: &mut Arena, plan: &Plan) -> anyhow::Result<(Summary, Vec<Event>)> {
    let layout = arena.cluster().layout().clone();
    let node_of = |inside: bool| layout.nodes.iter().find(|node| (node.region == plan.region) == inside);
    let inside = node_of(true).with_context(|| format!("no region {}", plan.region))?;
    let outside = node_of(false).context("only one region")?;
    let watch_out = Watch::new(pinned(&layout.client, &outside.libp2p)?, counter_key(&plan.region));
    let watch_in = Watch::new(pinned(&layout.client, &inside.libp2p)?, counter_key(&outside.region));

    let history = History::default();
    let load = Load::start(&layout, plan.clients_per_region, &history)?;
    tokio::time::sleep(plan.before).await;
    let cut_ns = history.now_ns();
    arena.network().router().cut(Cut { region: plan.region.clone(), ..Cut::default() })?;
    tokio::time::sleep(plan.cut).await;
    // The clients end before the heal: what is seen to cross later was written during the cut.
    load.finish().await?;
    let (before_out, before_in) = (watch_out.read().await?, watch_in.read().await?);
    arena.network().router().heal(None);
    let healed = Instant::now();
    let (first_out, first_in, agreed) = tokio::join!(
        watch_out.wait_above(before_out, healed, plan.patience),
        watch_in.wait_above(before_in, healed, plan.patience),
        agreement::wait(&layout, plan.patience),
    );
    let (first_out_ms, first_in_ms, agreed_ms) = (millis(first_out?), millis(first_in?), millis(agreed?));
    arena.parts().0.stop_all().await?;
    let events = history.events();
    let (report, nodes) = read_disks(arena)?;
    let is_ok = |event: &&Event| matches!(event.outcome, Outcome::Ok { .. });
    let acknowledged: Vec<&Event> = events.iter().filter(is_ok).collect();
    let acknowledged_inside = acknowledged.iter().filter(|event| event.region == plan.region).count();
    let summary = Summary {
        region: plan.region.clone(),
        acknowledged_inside,
        acknowledged_outside: acknowledged.len() - acknowledged_inside,
        acknowledged_during_cut: acknowledged.iter().filter(|event| event.invoked_ns >= cut_ns).count(),
        unknown: events.iter().filter(|event| matches!(event.outcome, Outcome::Unknown(_))).count(),
        first_out_ms,
        first_in_ms,
        agreed_ms,
        digests_equal: report.equal(),
        violations: verify(&events, &nodes),
    };
    Ok((summary, events))
}

/// Watches one region's counter from a node of another.
struct Watch {
    client: Client,
    key: String,
}

impl Watch {
    fn new(client: Client, key: String) -> Self {
        Self { client, key }
    }

    async fn read(&self) -> anyhow::Result<i64> {
        let options = CallOptions::new().consistency(Consistency::Eventual);
        let view = self.client.object_get_with(&options, "objects", &self.key).await?;
        let total = view.and_then(|view| {
            view.views.into_iter().find_map(|view| match view {
                View::Counter(total) => Some(total),
                _ => None,
            })
        });
        Ok(total.unwrap_or_default())
    }

    async fn wait_above(&self, before: i64, healed: Instant, patience: Duration) -> anyhow::Result<Duration> {
        let mut poll = tokio::time::interval(POLL);
        while healed.elapsed() <= patience {
            poll.tick().await;
            if self.read().await? > before {
                return Ok(healed.elapsed());
            }
        }
        bail!("{} did not grow within {} s of the heal", self.key, patience.as_secs())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
