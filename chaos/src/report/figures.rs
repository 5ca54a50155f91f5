//! A run in a few numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::calls::{share, took_us};
use crate::check::Evidence;

/// A run in a few numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Calls done.
    pub ok: u64,
    /// Calls that failed, nothing done.
    pub failed: u64,
    /// Calls of unknown fate.
    pub unknown: u64,
    /// Faults that happened.
    pub faults: u64,
    /// Halts and refusals to start of nodes.
    pub gave_up: u64,
    /// How long calls took that were done: the median, in microseconds.
    pub p50_us: u64,
    /// The 99th percentile.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
    /// From the heal until the last region had acknowledged a write; none: one never did, or nobody asked.
    pub answer_ms: Option<u64>,
    /// From the heal until all nodes held the same; none: they never did.
    pub converge_ms: Option<u64>,
}

impl Figures {
    /// Of a run's evidence.
    #[must_use]
    pub fn of(evidence: &Evidence) -> Self {
        let (ok, failed, unknown) = evidence.history.counts();
        let took = took_us(evidence.history.calls().iter());
        let since_heal = |at_ns: u64| evidence.healed_ns.map(|healed_ns| at_ns.saturating_sub(healed_ns) / 1_000_000);
        let gave_up = evidence.events.iter().filter(|event| event.what != crate::check::Did::Tell);
        Self {
            ok: ok as u64,
            failed: failed as u64,
            unknown: unknown as u64,
            faults: evidence.faults.len() as u64,
            gave_up: gave_up.count() as u64,
            p50_us: share(&took, 50),
            p99_us: share(&took, 99),
            max_us: share(&took, 100),
            answer_ms: answered_ns(evidence).and_then(since_heal),
            converge_ms: evidence.converged_ns.and_then(since_heal),
        }
    }
}

/// When the last of the regions in which anybody wrote after the heal had acknowledged its first such write.
fn answered_ns(evidence: &Evidence) -> Option<u64> {
    let healed_ns = evidence.healed_ns?;
    let mut first: BTreeMap<&str, Option<u64>> = BTreeMap::new();
    for call in evidence.history.calls().iter().filter(|call| call.writes() && call.invoked_ns >= healed_ns) {
        let done = call.ok().and(call.returned_ns);
        let first = first.entry(&call.region).or_default();
        *first = [*first, done].into_iter().flatten().min();
    }
    first.into_values().collect::<Option<Vec<u64>>>()?.into_iter().max()
}
