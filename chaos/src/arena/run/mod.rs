//! A plan carried out on real processes, from the first start to the evidence.
//!
//! ```text
//!   nodes ready ─ clients work, faults happen ─┬ clients end ─ heal ─ every region answers ─ all agree ─ stop ─ disks
//!                                           duration
//! ```
//!
//! Clients begin their calls when they are due, whether answers come or not; faults happen at their times, drawn by the
//! seed alone (except who leads a region, which is asked). Nothing that a plan asks for is passed over in silence: what
//! cannot be done here is refused before anything starts, and what fails to be done ends the run without a verdict.
//!
//! What nodes say of themselves only tells when to go on. The verdict is the checkers', from the clients' calls and from
//! the disks of the stopped nodes.

pub mod canary;
pub mod disks;
pub mod faults;
mod happening;
pub mod limits;
mod links;
pub mod members;
pub mod needs;
pub mod probe;
pub mod watch;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;

use super::Arena;
use super::cluster::NodeLayout;
use super::program::{Load, Places, agreement};
use crate::arena::run::limits::{AGREEMENT_LOOK, END_GRACE};
use crate::check::Evidence;
use crate::history::Recorder;
use crate::plan::Plan;
use crate::report::Lag;
use faults::Faults;
use watch::Watch;

/// What a run leaves behind.
#[derive(Debug)]
pub struct Ran {
    /// For the checkers.
    pub evidence: Evidence,
    /// How far behind each region was, over time.
    pub lags: Vec<Lag>,
}

/// How far a run is.
#[derive(Debug, Clone)]
pub struct Progress {
    /// What it does.
    pub phase: &'static str,
    /// Since the clients began.
    pub elapsed: Duration,
    /// Calls that ended.
    pub calls: usize,
    /// What goes wrong at the moment.
    pub wrong: Vec<String>,
}

/// Carries a plan out in an arena whose nodes serve; stops them; reads their disks.
///
/// # Errors
/// When a fault cannot be carried out, or the arena itself fails: the run shows nothing then.
pub async fn run(arena: &mut Arena, plan: &Plan, seed: u64, tell: &dyn Fn(&Progress)) -> anyhow::Result<Ran> {
    let recorder = Recorder::default();
    let wall_ns =
        SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_nanos()).ok());
    let layout = arena.cluster().layout().clone();
    let mut watch = Watch::start(&layout, &recorder)?;
    let mut faults = Faults::new(arena, plan, seed, &recorder);
    let places = Places::in_regions(arena.network())?;
    let canaries = canary::start(&layout, &places, &recorder)?;
    let load = Load::start(&layout, &places, &plan.workload, seed, &recorder)?;
    let began_ns = recorder.now_ns();
    let since = |recorder: &Recorder| Duration::from_nanos(recorder.now_ns().saturating_sub(began_ns));

    let mut look = tokio::time::interval(AGREEMENT_LOOK);
    loop {
        look.tick().await;
        let elapsed = since(&recorder);
        if elapsed >= plan.duration {
            break;
        }
        faults.carry_out(arena, &mut watch, elapsed).await?;
        faults.look(arena, &watch)?;
        tell(&Progress { phase: "faults", elapsed, calls: recorder.ended(), wrong: faults.wrong() });
    }

    load.stop();
    let ended_ns = recorder.now_ns();
    let lags = canaries.finish().await?;
    faults.heal(arena).await?;
    let healed_ns = recorder.now_ns();
    let nodes = faults.members(arena);
    let calm = async {
        // What clients had begun before may take its time, or never be answered.
        let answered = probe::until_answered(&layout.client, &nodes, &places, plan, &recorder, healed_ns);
        tokio::try_join!(load.finish(), answered)?;
        let patience = plan.bounds.converge_within + END_GRACE;
        let waited = Duration::from_nanos(recorder.now_ns().saturating_sub(healed_ns));
        // What does not agree in time is for the checkers to say.
        let agreed = agreement::wait_for(&layout.client, &nodes, patience.saturating_sub(waited)).await;
        anyhow::Ok(agreed.is_ok().then(|| recorder.now_ns()))
    };
    tokio::pin!(calm);
    let converged_ns = loop {
        tokio::select! {
            converged = &mut calm => break converged?,
            _ = look.tick() => {
                faults.look(arena, &watch)?;
                faults.start_what_is_down(arena)?;
                let calls = recorder.ended();
                tell(&Progress { phase: "healing", elapsed: since(&recorder), calls, wrong: faults.wrong() });
            }
        }
    };
    faults.members_changed().await?;
    let watch::Heard { mut clocks, doubts, heads } = watch.finish().await;
    arena.parts().0.stop_all().await.context("stop the nodes")?;
    tell(&Progress { phase: "judging", elapsed: since(&recorder), calls: recorder.ended(), wrong: Vec::new() });
    let (held, marks) = disks::read(&nodes, recorder.now_ns());
    clocks.extend(marks);
    let (happened, mut events) = faults.told();
    events.extend(doubts);
    let evidence = Evidence {
        history: recorder.history(),
        bounds: plan.bounds.clone(),
        held,
        faults: happened,
        ended_ns: Some(ended_ns),
        healed_ns: Some(healed_ns),
        converged_ns,
        clocks,
        events,
        wall_ns,
        walls: arena.cluster().walls(),
        said: Vec::new(),
        uptimes: Vec::new(),
        heads,
        key_window_ns: None,
    };
    Ok(Ran { evidence, lags })
}

/// The nodes of a region.
fn of_region<'a>(nodes: &'a [NodeLayout], region: &'a str) -> impl Iterator<Item = &'a NodeLayout> {
    nodes.iter().filter(move |node| node.region == region)
}

/// The regions of these nodes, each once, in their order.
fn regions(nodes: &[NodeLayout]) -> Vec<String> {
    let mut regions: Vec<String> = nodes.iter().map(|node| node.region.clone()).collect();
    regions.dedup();
    regions
}
