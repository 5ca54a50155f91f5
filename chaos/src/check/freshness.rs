//! A read is not older than it was asked to be.
//!
//! Statement: a read that asked for a bound shows every write that had been acknowledged, anywhere, for longer than the
//! bound when it began; and where the plan sets a bound for quiet times, so does every read that began when, for so
//! long, no fault had been going on.
//!
//! That is judged by the clock of the run, never by a node's: bounds that were computed with a remote clock are what
//! it is after.
//!
//! Source: bounded staleness as Cosmos DB and Spanner's stale reads promise it; "claimed bound ≥ real staleness".

use std::collections::BTreeMap;

use trine_protocol::Consistency;

use crate::check::sight::Sight;
use crate::check::{Check, Evidence, Violation};
use crate::history::{Call, Outcome};

/// The checker.
pub const CHECK: Check = Check { name: "freshness", statement: "a read is not older than it was asked to be", run };

fn run(evidence: &Evidence) -> Vec<Violation> {
    let sight = Sight::of(&evidence.history);
    let quiet = evidence.bounds.fresh_within.map(nanos);
    let mut keys: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in evidence.history.calls().iter().filter(|call| matches!(call.outcome, Outcome::Ok(_))) {
        keys.entry(&call.key).or_default().push(call);
    }
    let mut found = Vec::new();
    for calls in keys.into_values() {
        for read in calls.iter().filter(|call| !call.writes()) {
            let asked = match read.consistency {
                Some(Consistency::Bounded(bound)) => Some(nanos(bound)),
                _ => quiet.filter(|bound| is_quiet(evidence, read.invoked_ns.saturating_sub(*bound), read.invoked_ns)),
            };
            let Some(bound_ns) = asked else { continue };
            let due_ns = read.invoked_ns.saturating_sub(bound_ns);
            let due = calls.iter().filter(|write| write.writes() && write.returned_ns.is_some_and(|at| at < due_ns));
            if let Some(write) = due.into_iter().find(|write| sight.lacks(read, write)) {
                let late_ms = (read.invoked_ns - write.returned_ns.unwrap_or_default()) / 1_000_000;
                let what = format!(
                    "call {} does not show what call {} wrote to {}, acknowledged {late_ms} ms before",
                    read.id, write.id, read.key
                );
                found.push(CHECK.violated(what));
            }
        }
    }
    found
}

/// Whether no fault went on at any time between these.
fn is_quiet(evidence: &Evidence, from_ns: u64, until_ns: u64) -> bool {
    evidence.faults.iter().all(|fault| {
        let ended = fault.until_ns.or(evidence.healed_ns);
        fault.from_ns > until_ns || ended.is_some_and(|ended| ended < from_ns)
    })
}

fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::check::Happened;
    use crate::check::story::Story;
    use crate::history::{Edit, View};

    /// An add that is acknowledged at 20 and a read by another that begins at 100 and does not show it.
    fn story(consistency: Consistency) -> Story {
        let mut story = Story::default();
        story.edit("s", Edit::Add("a".to_owned())).during(10, 20).ok();
        let read = story.read("s").session(1).during(100, 110).but(|call| call.consistency = Some(consistency));
        read.shows(View::Set([].into()));
        story
    }

    #[test]
    fn a_read_within_its_bound_is_right() {
        story(Consistency::Bounded(Duration::from_nanos(90))).accepted(&CHECK);
        story(Consistency::Session).accepted(&CHECK);
    }

    #[test]
    fn a_read_behind_its_bound_is_found() {
        story(Consistency::Bounded(Duration::from_nanos(70))).rejected(&CHECK, 1);
    }

    #[test]
    fn in_quiet_times_the_plans_bound_holds_for_all() {
        let mut story = story(Consistency::Session);
        story.evidence.bounds.fresh_within = Some(Duration::from_nanos(70));
        story.rejected(&CHECK, 1);
        for (until_ns, count) in [(Some(29), 1), (Some(40), 0), (None, 0)] {
            let fault =
                Happened { kind: "split".to_owned(), targets: vec![], from_ns: 5, until_ns, detail: String::new() };
            story.evidence.faults = vec![fault];
            story.rejected(&CHECK, count);
        }
    }
}
