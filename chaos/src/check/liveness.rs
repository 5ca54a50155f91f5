//! When everything is healed, every region answers again within the bound.
//!
//! Statement: in each region where anybody appended, or edited, after the heal, an append, or an edit, that began after
//! it was acknowledged within the plan's bound of the heal, and none that began after the bound was refused or left
//! without an answer (a condition that did not hold is an answer).
//!
//! Source: chaos, then heal, then liveness (FoundationDB's and TigerBeetle's simulators): safety alone is kept best by
//! a cluster that does nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::{Check, Evidence, Violation};
use crate::history::{Action, Call, Outcome};
use crate::workload::probe::Asked;

/// The checker.
pub const CHECK: Check = Check {
    name: "liveness",
    statement: "when everything is healed, every region answers again within the bound",
    run,
};

fn run(evidence: &Evidence) -> Vec<Violation> {
    let Some(healed_ns) = evidence.healed_ns else { return Vec::new() };
    let bound = evidence.bounds.answer_within;
    let due_ns = healed_ns.saturating_add(u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX));
    // A region whose nodes answer edits one by one may have no leader.
    let mut asked: BTreeMap<(&str, Asked), Vec<&Call>> = BTreeMap::new();
    for call in evidence.history.calls().iter().filter(|call| call.invoked_ns >= healed_ns) {
        if let Some(kind) = Asked::of(call) {
            asked.entry((&call.region, kind)).or_default().push(call);
        }
    }
    let mut found = Vec::new();
    for ((region, kind), calls) in asked {
        let done = |call: &&&Call| matches!(call.outcome, Outcome::Ok(_));
        let first = calls.iter().filter(done).filter_map(|call| call.returned_ns).min();
        if first.is_none_or(|first| first > due_ns) {
            let took = first.map(|first| Duration::from_nanos(first - healed_ns));
            let what =
                format!("{region} acknowledged its first {kind:?} {took:?} after the heal, not within {bound:?}");
            found.push(CHECK.violated(what));
        }
        for call in calls.iter().filter(|call| call.invoked_ns > due_ns && refuses(call)) {
            let what = format!("call {} in {region} began after the bound and came to {:?}", call.id, call.outcome);
            found.push(CHECK.violated(what));
        }
    }
    found
}

fn refuses(call: &Call) -> bool {
    match (&call.action, &call.outcome) {
        (_, Outcome::Ok(_)) | (Action::Append { only_after: Some(_), .. }, Outcome::Fail(_)) => false,
        (_, Outcome::Fail(_) | Outcome::Unknown(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::Story;
    use crate::history::Edit;

    fn story() -> Story {
        let mut story = Story::default();
        story.evidence.healed_ns = Some(100);
        story.evidence.bounds.answer_within = Duration::from_nanos(50);
        story.edit("c", Edit::Increment(1)).during(50, 60).unknown();
        story
    }

    #[test]
    fn an_answer_in_time_is_right_whatever_was_before() {
        let mut story = story();
        story.edit("c", Edit::Increment(1)).during(110, 120).fail();
        story.edit("c", Edit::Increment(1)).during(120, 140).ok();
        story.accepted(&CHECK);
        self::story().accepted(&CHECK);
    }

    #[test]
    fn a_late_answer_is_found() {
        let mut story = story();
        story.edit("c", Edit::Increment(1)).during(110, 160).ok();
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn a_region_that_does_not_answer_is_found() {
        let mut story = story();
        story.edit("c", Edit::Increment(1)).during(120, 140).ok();
        story.edit("c", Edit::Increment(1)).during(120, 190).on("eu-west-1-a").unknown();
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn a_region_that_takes_edits_and_no_appends_is_found() {
        let mut story = story();
        story.edit("c", Edit::Increment(1)).during(120, 140).ok();
        story.append("k", "a").during(120, 190).unknown();
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn a_refusal_after_the_bound_is_found() {
        let mut story = story();
        story.edit("c", Edit::Increment(1)).during(120, 140).ok();
        story.edit("c", Edit::Increment(1)).during(170, 180).fail();
        story.rejected(&CHECK, 1);
    }
}
