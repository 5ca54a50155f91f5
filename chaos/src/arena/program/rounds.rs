//! Kill after kill under load: a random node each round, then all at once; at the end everything acknowledged is there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;
use trine_crdt::View;

use super::agreement;
use super::history::{Event, History, Outcome};
use super::load::Load;
use super::verify::{Held, Violation, verify};
use crate::arena::Arena;
use crate::arena::digest::{self, LedgerReader, Place, Report};
use crate::chance::Chance;

/// How the rounds go.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Kills of one random node.
    pub rounds: usize,
    /// Whether all nodes are killed at once after them.
    pub all: bool,
    /// Clients in each region.
    pub clients_per_region: usize,
    /// Load before each kill.
    pub before: Duration,
    /// How long a killed node stays down.
    pub down: Duration,
    /// How long nodes may take to be ready, or to agree.
    pub patience: Duration,
    /// Who is killed.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Kills of one node.
    pub rounds: usize,
    /// Whether all were killed at once, too.
    pub all: bool,
    /// Calls acknowledged.
    pub acknowledged: usize,
    /// Calls that failed, nothing done.
    pub failed: usize,
    /// Calls of unknown fate.
    pub unknown: usize,
    /// Acknowledged appends.
    pub appends: usize,
    /// From the start of a killed node to its readiness, in milliseconds: the median and the longest.
    pub ready_ms: (u64, u64),
    /// The same after all were killed.
    pub ready_all_ms: Option<u64>,
    /// From the end of the load to agreement, in milliseconds.
    pub agreed_ms: u64,
    /// Whether the disks of the stopped nodes are equal.
    pub digests_equal: bool,
    /// Broken promises; none when all is well.
    pub violations: Vec<Violation>,
}

impl Summary {
    /// Whether all is well.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.digests_equal && self.violations.is_empty() && self.acknowledged > 0
    }
}

/// Runs the rounds in an arena whose nodes are ready; stops them; verifies. `tell` hears of each round.
///
/// # Errors
/// When a node does not come back, or its disk cannot be read.
pub async fn run(
    arena: &mut Arena,
    plan: &Plan,
    tell: impl Fn(usize, &str, Duration),
) -> anyhow::Result<(Summary, Vec<Event>, Report)> {
    let history = History::default();
    let layout = arena.cluster().layout().clone();
    let load = Load::start(&layout, plan.clients_per_region, &history)?;
    let mut chance = Chance::new(plan.seed);
    let mut ready_ms = Vec::new();
    let names = arena.cluster().names();
    for round in 0..plan.rounds {
        tokio::time::sleep(plan.before).await;
        let name = names[usize::try_from(chance.below(names.len() as u64))?].clone();
        let (cluster, network) = arena.parts();
        cluster.node(&name)?.kill().await?;
        tokio::time::sleep(plan.down).await;
        cluster.start(network, &name)?;
        let took =
            cluster.wait_ready(network, &names, plan.patience).await.with_context(|| format!("round {round}"))?;
        ready_ms.push(millis(took));
        tell(round, &name, took);
    }
    let mut ready_all_ms = None;
    if plan.all {
        tokio::time::sleep(plan.before).await;
        let (cluster, network) = arena.parts();
        cluster.kill_all().await?;
        cluster.start_all(network)?;
        let took = cluster.wait_ready(network, &names, plan.patience).await.context("after all were killed")?;
        ready_all_ms = Some(millis(took));
        tell(plan.rounds, "all", took);
        tokio::time::sleep(plan.before).await;
    }
    load.finish().await?;
    let quiet = Instant::now();
    agreement::wait(&layout, plan.patience).await?;
    let agreed_ms = millis(quiet.elapsed());
    arena.parts().0.stop_all().await?;
    let events = history.events();
    let (report, nodes) = read_disks(arena)?;
    let violations = verify(&events, &nodes);
    ready_ms.sort_unstable();
    let count = |wanted: fn(&Outcome) -> bool| events.iter().filter(|event| wanted(&event.outcome)).count();
    let summary = Summary {
        rounds: plan.rounds,
        all: plan.all,
        acknowledged: count(|outcome| matches!(outcome, Outcome::Ok { .. })),
        failed: count(|outcome| matches!(outcome, Outcome::Fail(_))),
        unknown: count(|outcome| matches!(outcome, Outcome::Unknown(_))),
        appends: count(|outcome| matches!(outcome, Outcome::Ok { record: Some(_), .. })),
        ready_ms: (
            ready_ms.get(ready_ms.len() / 2).copied().unwrap_or_default(),
            ready_ms.last().copied().unwrap_or_default(),
        ),
        ready_all_ms,
        agreed_ms,
        digests_equal: report.equal(),
        violations,
    };
    Ok((summary, events, report))
}

/// Reads what the stopped nodes hold, for the digests and for the checkers.
///
/// # Errors
/// When a disk is damaged.
pub fn read_disks(arena: &Arena) -> anyhow::Result<(Report, Vec<Held>)> {
    let places = digest::places(arena.directory())?;
    let report = digest::read(&places)?;
    let nodes = places.iter().map(held).collect::<anyhow::Result<_>>()?;
    Ok((report, nodes))
}

fn held(place: &Place) -> anyhow::Result<Held> {
    let mut held = Held { node: place.name.clone(), region: place.region.clone(), ..Held::default() };
    LedgerReader::open(&place.data, place.region.parse()?)?.own(|index, key, leaf, _| {
        let leaf = leaf.iter().map(|byte| format!("{byte:02x}")).collect();
        held.records.insert(index, (key.to_owned(), leaf));
    })?;
    digest::objects(&place.data, |_, key, object| {
        let key = String::from_utf8_lossy(key).into_owned();
        for view in object.view() {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            match view {
                View::Register(value) => drop(held.registers.insert(key.clone(), text(&value))),
                View::Counter(total) => drop(held.counters.insert(key.clone(), total)),
                View::Set(elements) => {
                    held.sets.insert(key.clone(), elements.iter().map(|element| text(element)).collect());
                }
                View::MultiValue(_) | View::Map(_) => {}
            }
        }
        Ok(())
    })?;
    Ok(held)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Counts by kind of outcome, for tables.
#[must_use]
pub fn outcomes(events: &[Event]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in events {
        let name = match &event.outcome {
            Outcome::Ok { .. } => "ok".to_owned(),
            Outcome::Fail(why) => format!("failed: {why}"),
            Outcome::Unknown(why) => format!("unknown: {why}"),
        };
        *counts.entry(name).or_insert(0) += 1;
    }
    counts
}
