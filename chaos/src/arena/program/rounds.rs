//! Kill after kill under load: a random node each round, then all at once; at the end everything acknowledged is there.

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use super::agreement;
use super::evidence::read_disks;
use super::load::Load;
use super::places::Places;
use crate::arena::Arena;
use crate::arena::digest::Report;
use crate::arena::disk::loss::{Forgotten, Loss};
use crate::chance::Chance;
use crate::check::{Evidence, Happened, Violation, judge};
use crate::history::Recorder;
use crate::plan::Bounds;
use crate::workload::Workload;

/// How the rounds go.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Kills of one random node.
    pub rounds: usize,
    /// Kills of all nodes at once after them.
    pub all_rounds: usize,
    /// Whether what was not synced is lost with each kill; the nodes need forgetful disks then.
    pub power: bool,
    /// What clients do.
    pub workload: Workload,
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
    /// Kills of all nodes at once.
    pub all_rounds: usize,
    /// What was lost with the power, when it was cut.
    pub forgotten: Option<Forgotten>,
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
    /// The same after all were killed, the longest.
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
        let power_was_lost = self.forgotten.is_none_or(|forgotten| !forgotten.is_nothing());
        self.digests_equal && self.violations.is_empty() && self.acknowledged > 0 && power_was_lost
    }
}

/// Runs the rounds in an arena whose nodes are ready; stops them; judges. `tell` hears of each round, `keep` is given
/// what will be judged before it is: judging much takes long, and may be given up.
///
/// # Errors
/// When a node does not come back, or its disk cannot be read.
pub async fn run(
    arena: &mut Arena,
    plan: &Plan,
    tell: impl Fn(usize, &str, Duration, Option<Forgotten>),
    keep: impl FnOnce(&Evidence) -> anyhow::Result<()>,
) -> anyhow::Result<(Summary, Evidence, Report)> {
    let recorder = Recorder::default();
    let layout = arena.cluster().layout().clone();
    let load = Load::start(&layout, &Places::outside(), &plan.workload, plan.seed, &recorder)?;
    let mut chance = Chance::new(plan.seed);
    let (mut ready_ms, mut faults) = (Vec::new(), Vec::new());
    let names = arena.cluster().names();
    let killed = |targets: Vec<String>, from_ns: u64| {
        let kind = if plan.power { "power-loss" } else { "kill" }.to_owned();
        let until_ns = Some(recorder.now_ns());
        Happened { kind, targets, from_ns, until_ns, detail: String::new() }
    };
    let mut all_forgotten = Forgotten::default();
    for round in 0..plan.rounds {
        tokio::time::sleep(plan.before).await;
        let name = names[usize::try_from(chance.below(names.len() as u64))?].clone();
        let from_ns = recorder.now_ns();
        let forgotten = if plan.power {
            Some(arena.cut_power(&name, Some(some_loss(&mut chance)), chance.bits()).await?)
        } else {
            arena.parts().0.node(&name)?.kill().await?;
            None
        };
        all_forgotten.add(forgotten.unwrap_or_default());
        tokio::time::sleep(plan.down).await;
        let (cluster, network) = arena.parts();
        cluster.start(network, &name)?;
        let took =
            cluster.wait_ready(network, &names, plan.patience).await.with_context(|| format!("round {round}"))?;
        faults.push(killed(vec![name.clone()], from_ns));
        ready_ms.push(millis(took));
        tell(round, &name, took, forgotten);
    }
    let mut ready_all_ms = None;
    for round in 0..plan.all_rounds {
        tokio::time::sleep(plan.before).await;
        let from_ns = recorder.now_ns();
        let forgotten = if plan.power {
            Some(arena.cut_all_power(Some(some_loss(&mut chance)), chance.bits()).await?)
        } else {
            arena.parts().0.kill_all().await?;
            None
        };
        all_forgotten.add(forgotten.unwrap_or_default());
        let (cluster, network) = arena.parts();
        cluster.start_all(network)?;
        let took = cluster.wait_ready(network, &names, plan.patience).await.context("after all were killed")?;
        faults.push(killed(names.clone(), from_ns));
        ready_all_ms = ready_all_ms.max(Some(millis(took)));
        tell(plan.rounds + round, "all", took, forgotten);
    }
    if plan.all_rounds > 0 {
        tokio::time::sleep(plan.before).await;
    }
    load.finish().await?;
    let healed_ns = recorder.now_ns();
    agreement::wait(&layout, plan.patience).await?;
    let converged_ns = recorder.now_ns();
    arena.parts().0.stop_all().await?;
    let (report, held) = read_disks(arena)?;
    let evidence = Evidence {
        history: recorder.history(),
        bounds: Bounds { converge_within: plan.patience, ..Bounds::default() },
        held,
        faults,
        ended_ns: Some(healed_ns),
        healed_ns: Some(healed_ns),
        converged_ns: Some(converged_ns),
        ..Evidence::default()
    };
    keep(&evidence)?;
    let violations = judge(&evidence, &[]);
    ready_ms.sort_unstable();
    let (acknowledged, failed, unknown) = evidence.history.counts();
    let appended = |call: &&crate::history::Call| call.ok().is_some_and(|seen| seen.record.is_some());
    let summary = Summary {
        rounds: plan.rounds,
        all_rounds: plan.all_rounds,
        forgotten: plan.power.then_some(all_forgotten),
        acknowledged,
        failed,
        unknown,
        appends: evidence.history.calls().iter().filter(appended).count(),
        ready_ms: (
            ready_ms.get(ready_ms.len() / 2).copied().unwrap_or_default(),
            ready_ms.last().copied().unwrap_or_default(),
        ),
        ready_all_ms,
        agreed_ms: (converged_ns - healed_ns) / 1_000_000,
        digests_equal: report.equal(),
        violations,
    };
    Ok((summary, evidence, report))
}

/// How power is lost this time.
fn some_loss(chance: &mut Chance) -> Loss {
    [Loss::ALL, Loss::SOME, Loss::TORN][chance.below(3) as usize]
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
