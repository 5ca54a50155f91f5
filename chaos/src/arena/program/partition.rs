//! A region is cut off under load; both sides go on; after the heal, how long until something crosses, and all agree?

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Serialize;
use trine_client::{CallOptions, Client};
use trine_protocol::{Consistency, View};

use super::agreement;
use super::evidence::read_disks;
use super::load::{Load, pinned};
use super::places::Places;
use crate::arena::Arena;
use crate::arena::network::Cut;
use crate::check::{Evidence, Happened, Violation, judge};
use crate::history::{Call, Recorder};
use crate::plan::Bounds;
use crate::workload::Workload;
use crate::workload::request::OBJECTS;

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
    /// What clients do.
    pub workload: Workload,
    /// What chance starts from.
    pub seed: u64,
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

/// Runs it in an arena whose nodes are ready; stops them; judges. `keep` is given what will be judged before it is.
///
/// # Errors
/// When nothing crosses, nodes do not agree in time, or a disk cannot be read.
pub async fn run(
    arena: &mut Arena,
    plan: &Plan,
    keep: impl FnOnce(&Evidence) -> anyhow::Result<()>,
) -> anyhow::Result<(Summary, Evidence)> {
    let layout = arena.cluster().layout().clone();
    let node_of = |inside: bool| layout.nodes.iter().find(|node| (node.region == plan.region) == inside);
    let inside = node_of(true).with_context(|| format!("no region {}", plan.region))?;
    let outside = node_of(false).context("only one region")?;
    let inner = pinned(&layout.client, &inside.libp2p)?;
    let outer = pinned(&layout.client, &outside.libp2p)?;

    let recorder = Recorder::default();
    let load = Load::start(&layout, &Places::outside(), &plan.workload, plan.seed, &recorder)?;
    tokio::time::sleep(plan.before).await;
    let cut_ns = recorder.now_ns();
    arena.network().router().cut(Cut { places: vec![plan.region.clone()], ..Cut::default() })?;
    tokio::time::sleep(plan.cut).await;
    // The clients end before the heal: what is seen to cross later was written during the cut.
    load.finish().await?;
    let watch_out = Watch::begin(&inner, &outer, &plan.region).await?;
    let watch_in = Watch::begin(&outer, &inner, &outside.region).await?;
    arena.network().router().heal(None)?;
    let (healed, healed_ns) = (Instant::now(), recorder.now_ns());
    let (first_out, first_in, agreed) = tokio::join!(
        watch_out.wait_above(healed, plan.patience),
        watch_in.wait_above(healed, plan.patience),
        agreement::wait(&layout, plan.patience),
    );
    let (first_out_ms, first_in_ms, agreed) = (millis(first_out?), millis(first_in?), agreed?);
    arena.parts().0.stop_all().await?;
    let (report, held) = read_disks(arena)?;
    let (kind, targets) = ("split".to_owned(), vec![plan.region.clone()]);
    let split = Happened { kind, targets, from_ns: cut_ns, until_ns: Some(healed_ns), detail: String::new() };
    let evidence = Evidence {
        history: recorder.history(),
        bounds: Bounds { converge_within: plan.patience, ..Bounds::default() },
        held,
        faults: vec![split],
        ended_ns: Some(healed_ns),
        healed_ns: Some(healed_ns),
        converged_ns: Some(healed_ns + u64::try_from(agreed.as_nanos())?),
        ..Evidence::default()
    };
    keep(&evidence)?;
    let violations = judge(&evidence, &[]);
    let acknowledged: Vec<&Call> = evidence.history.calls().iter().filter(|call| call.ok().is_some()).collect();
    let acknowledged_inside = acknowledged.iter().filter(|call| call.region == plan.region).count();
    let summary = Summary {
        region: plan.region.clone(),
        acknowledged_inside,
        acknowledged_outside: acknowledged.len() - acknowledged_inside,
        acknowledged_during_cut: acknowledged.iter().filter(|call| call.invoked_ns >= cut_ns).count(),
        unknown: evidence.history.counts().2,
        first_out_ms,
        first_in_ms,
        agreed_ms: millis(agreed),
        digests_equal: report.equal(),
        violations,
    };
    Ok((summary, evidence))
}

/// A counter that one side of a cut has added to, watched from the other.
struct Watch {
    client: Client,
    key: String,
    before: i64,
}

impl Watch {
    /// Adds on one side, where the other cannot see it yet.
    async fn begin(here: &Client, there: &Client, region: &str) -> anyhow::Result<Self> {
        let mut watch = Self { client: there.clone(), key: format!("watch/{region}"), before: 0 };
        watch.before = watch.read().await?;
        here.incr(OBJECTS, &watch.key, 1).await?;
        Ok(watch)
    }

    async fn read(&self) -> anyhow::Result<i64> {
        let options = CallOptions::new().consistency(Consistency::Eventual);
        let view = self.client.object_get_with(&options, OBJECTS, &self.key).await?;
        let total = view.and_then(|view| {
            view.views.into_iter().find_map(|view| match view {
                View::Counter(total) => Some(total),
                _ => None,
            })
        });
        Ok(total.unwrap_or_default())
    }

    async fn wait_above(&self, healed: Instant, patience: Duration) -> anyhow::Result<Duration> {
        let mut poll = tokio::time::interval(POLL);
        while healed.elapsed() <= patience {
            poll.tick().await;
            if self.read().await? > self.before {
                return Ok(healed.elapsed());
            }
        }
        bail!("{} did not grow within {} s of the heal", self.key, patience.as_secs())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
