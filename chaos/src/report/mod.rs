//! What a run came to: figures by second and region, what went wrong when, and the verdict; for people and for programs.
//!
//! A report is made from a run's evidence alone, so that both arenas write the same: times are nanoseconds of the run,
//! real or virtual.

mod calls;
mod chart;
mod figures;
mod html;
mod kinds;
pub mod runs;
mod seconds;
pub mod simulated;
mod timeline;
pub mod words;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::check::{ALL, Evidence, Happened, NodeEvent, Violation};
use crate::history::Call;
use crate::plan::{ArenaKind, Plan};

pub use calls::Calls;
pub use figures::Figures;
pub use seconds::Second;
pub use simulated::Simulated;

/// The most calls that a report shows beside what they broke.
const CALLS_MAX: usize = 40;

/// How far behind the others a region was at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lag {
    /// The region.
    pub region: String,
    /// When, in nanoseconds of the run.
    pub at_ns: u64,
    /// The age of the oldest write elsewhere that was not seen there; none: nobody there answered.
    pub behind_ns: Option<u64>,
}

/// What a run came to, the better first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every checker is content.
    Held,
    /// The run shows nothing.
    CouldNotRun,
    /// A checker is not content.
    Broken,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Held => "held",
            Self::Broken => "BROKEN",
            Self::CouldNotRun => "could not run",
        })
    }
}

/// One checker's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The checker.
    pub check: String,
    /// What it demands.
    pub statement: String,
    /// How that was broken; empty: it held.
    pub violations: Vec<String>,
}

/// A run's report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was to happen.
    pub plan: Plan,
    /// What decided the rest.
    pub seed: String,
    /// Where.
    pub arena: ArenaKind,
    /// What it came to.
    pub verdict: Verdict,
    /// In numbers.
    pub figures: Figures,
    /// In a simulated run, what that was like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<Simulated>,
    /// By what calls asked.
    #[serde(default)]
    pub kinds: BTreeMap<String, Calls>,
    /// By checker.
    pub checks: Vec<Checked>,
    /// The faults as they happened.
    pub faults: Vec<Happened>,
    /// What nodes did of themselves.
    pub events: Vec<NodeEvent>,
    /// When the clients ended, in nanoseconds of the run.
    pub ended_ns: Option<u64>,
    /// When everything was healed.
    pub healed_ns: Option<u64>,
    /// When all nodes held the same.
    pub converged_ns: Option<u64>,
    /// By region and second of the run in which calls began.
    pub regions: BTreeMap<String, Vec<Second>>,
    /// By region, how far behind it was.
    pub lags: BTreeMap<String, Vec<Lag>>,
    /// The calls that the violations name, as far as they are not too many.
    pub calls: Vec<Call>,
}

impl Report {
    /// The report of a run that was judged.
    #[must_use]
    pub fn new(
        (plan, seed, arena): (&Plan, u64, ArenaKind),
        evidence: &Evidence,
        lags: &[Lag],
        found: &[Violation],
    ) -> Self {
        let judged =
            ALL.iter().filter(|check| plan.checks.is_empty() || plan.checks.iter().any(|name| name == check.name));
        let checks = judged.map(|check| Checked {
            check: check.name.to_owned(),
            statement: check.statement.to_owned(),
            violations: found.iter().filter(|it| it.check == check.name).map(|it| it.what.clone()).collect(),
        });
        let mut by_region: BTreeMap<String, Vec<Lag>> = BTreeMap::new();
        for lag in lags {
            by_region.entry(lag.region.clone()).or_default().push(lag.clone());
        }
        let named: BTreeSet<u64> = found.iter().flat_map(|violation| numbers(&violation.what)).collect();
        let calls = evidence.history.calls().iter().filter(|call| named.contains(&call.id));
        Self {
            plan: plan.clone(),
            seed: seed.to_string(),
            arena,
            verdict: if found.is_empty() { Verdict::Held } else { Verdict::Broken },
            figures: Figures::of(evidence),
            simulated: None,
            kinds: kinds::by_kind(evidence.history.calls()),
            checks: checks.collect(),
            faults: evidence.faults.clone(),
            events: evidence.events.clone(),
            ended_ns: evidence.ended_ns,
            healed_ns: evidence.healed_ns,
            converged_ns: evidence.converged_ns,
            regions: seconds::by_region(evidence.history.calls()),
            lags: by_region,
            calls: calls.take(CALLS_MAX).cloned().collect(),
        }
    }

    /// Adds what an arena demands beyond the checkers.
    pub fn also(&mut self, name: &str, statement: &str, violations: Vec<String>) {
        if !violations.is_empty() {
            self.verdict = Verdict::Broken;
        }
        self.checks.push(Checked { check: name.to_owned(), statement: statement.to_owned(), violations });
    }
}

/// The calls that a violation names, as `call 7`.
fn numbers(what: &str) -> Vec<u64> {
    let word = |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
    what.split("call ").skip(1).filter_map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violations_calls_are_found_in_its_words() {
        assert_eq!(numbers("call 12 does not show what call 7 wrote to set-1"), [12, 7]);
        assert_eq!(numbers("nobody in us-east-1 holds all 5 records"), [] as [u64; 0]);
    }
}
