//! The checkers: one property each, judged from a run's evidence when the world is calm again.
//!
//! A checker knows neither arena nor product: it sees what clients were told, what nodes held in the end, and what was
//! done to them. Each is a file with its statement, where the idea comes from, and the check, and is itself tested with
//! histories that it must accept and histories that it must reject.

pub mod answers;
pub mod clocks;
pub mod convergence;
pub mod counters;
pub mod drift;
pub mod evidence;
pub mod freshness;
pub mod idempotency;
pub mod intact;
pub mod ledger;
pub mod linearizable;
pub mod liveness;
pub mod lost;
pub mod maps;
pub mod multi_values;
pub mod nowhere;
pub mod one_ledger;
pub mod registers;
pub mod resurrection;
pub mod sessions;
pub mod sets;
pub mod signed_once;
pub mod standstill;
pub mod status;

mod answered;
mod backwards;
mod carried;
mod sight;
#[cfg(test)]
#[allow(dead_code, reason = "each checker uses what it needs")]
pub(crate) mod story;
mod zones;

use serde::Serialize;

pub use evidence::{
    ClockMark, Did, Evidence, Happened, Held, HeldLedger, HeldObject, HeldRecord, KeptSum, NodeEvent, Said, SaidLedger,
    SignedHead, Sum, Uptime, Wall,
};

/// The most violations that one checker reports of one run.
pub const VIOLATIONS_MAX: usize = 20;

/// A checker.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Its name, as plans name it.
    pub name: &'static str,
    /// What it demands, in one sentence.
    pub statement: &'static str,
    /// Finds what breaks it.
    pub run: fn(&Evidence) -> Vec<Violation>,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The checker that found it.
    pub check: &'static str,
    /// How the promise was broken.
    pub what: String,
}

/// All checkers.
pub const ALL: [Check; 22] = [
    intact::CHECK,
    convergence::CHECK,
    one_ledger::CHECK,
    signed_once::CHECK,
    ledger::CHECK,
    idempotency::CHECK,
    linearizable::CHECK,
    registers::CHECK,
    counters::CHECK,
    sets::CHECK,
    maps::CHECK,
    multi_values::CHECK,
    nowhere::CHECK,
    resurrection::CHECK,
    sessions::CHECK,
    freshness::CHECK,
    clocks::CHECK,
    drift::CHECK,
    liveness::CHECK,
    answers::CHECK,
    status::CHECK,
    standstill::CHECK,
];

impl Check {
    /// A violation of this checker's statement.
    #[must_use]
    pub fn violated(&self, what: String) -> Violation {
        Violation { check: self.name, what }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.check, self.what)
    }
}

/// Lets these checkers judge; none named: all.
#[must_use]
pub fn judge(evidence: &Evidence, names: &[String]) -> Vec<Violation> {
    let settled = answered::settle(evidence);
    let evidence = settled.as_ref().unwrap_or(evidence);
    let excused = lost::excuse(evidence);
    let evidence = excused.as_ref().unwrap_or(evidence);
    let chosen = ALL.iter().filter(|check| names.is_empty() || names.iter().any(|name| name == check.name));
    chosen
        .flat_map(|check| {
            let mut found = (check.run)(evidence);
            found.truncate(VIOLATIONS_MAX);
            found
        })
        .collect()
}
