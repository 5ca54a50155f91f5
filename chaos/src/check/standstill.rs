//! A region of which a majority is up takes appends.
//!
//! Statement: while a majority of the nodes that a region has in the end is met by no fault, and neither the network nor
//! the clients are, no append begins later than the plan's bound after the last acknowledgement (or the beginning of that
//! time) and ends without an answer before the next one. What operators do (nodes join, leave, are replaced) is no fault:
//! a region must go on under it.
//!
//! Source: the availability that Raft promises; `liveness` asks only after everything is healed, when a region that stood
//! still because of who was taken away while others were down may have come back by luck.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::check::{Check, Evidence, Happened, Violation};
use crate::history::{Action, Call, Outcome};
use crate::workload::probe::Asked;

/// The checker.
pub const CHECK: Check =
    Check { name: "standstill", statement: "a region of which a majority is up takes appends", run };

/// What operators do.
const OPERATORS: [&str; 3] = ["join", "leave", "replace"];

fn run(evidence: &Evidence) -> Vec<Violation> {
    let bound_ns = u64::try_from(evidence.bounds.answer_within.as_nanos()).unwrap_or(u64::MAX);
    let regions = evidence.regions();
    regions.into_iter().flat_map(|region| stands_still(evidence, region, bound_ns)).collect()
}

fn stands_still(evidence: &Evidence, region: &str, bound_ns: u64) -> Vec<Violation> {
    let nodes: BTreeSet<&str> =
        evidence.held.iter().filter(|held| held.region == region).map(|held| held.node.as_str()).collect();
    let appends: Vec<&Call> = evidence
        .history
        .calls()
        .iter()
        .filter(|call| call.region == region && Asked::of(call) == Some(Asked::Append))
        .collect();
    let end_ns = appends.iter().map(|call| call.returned_ns.unwrap_or(call.invoked_ns)).max().unwrap_or(0);
    let mut found = Vec::new();
    for (from_ns, until_ns) in stretches(&evidence.faults, region, &nodes, end_ns) {
        let within = |call: &&&Call| {
            call.invoked_ns >= from_ns && call.returned_ns.is_some_and(|returned_ns| returned_ns <= until_ns)
        };
        let done = appends.iter().filter(within).filter(|call| answered(call));
        let mut answers: Vec<u64> = done.filter_map(|call| call.returned_ns).chain([from_ns, until_ns]).collect();
        answers.sort_unstable();
        for pair in answers.windows(2) {
            let (last_ns, next_ns) = (pair[0], pair[1]);
            let due_ns = last_ns.saturating_add(bound_ns);
            let unanswered = |call: &&&Call| {
                within(call) && call.invoked_ns >= due_ns && call.returned_ns.is_some_and(|at| at < next_ns)
            };
            let late = appends.iter().filter(unanswered).count();
            if late > 0 {
                let (from, silence) = (Duration::from_nanos(last_ns), Duration::from_nanos(next_ns - last_ns));
                let what = format!(
                    "{region} acknowledged no append for {silence:?} from {from:?} on, though a majority of its nodes was up \
                     and {late} were asked after the bound"
                );
                found.push(CHECK.violated(what));
            }
        }
    }
    found
}

/// Whether the region's leader answered; that a condition did not hold is an answer.
fn answered(call: &Call) -> bool {
    match &call.outcome {
        Outcome::Ok(_) => true,
        Outcome::Fail(_) => matches!(call.action, Action::Append { only_after: Some(_), .. }),
        Outcome::Unknown(_) => false,
    }
}

/// The stretches of time in which a majority of a region's nodes was met by nothing.
fn stretches(faults: &[Happened], region: &str, nodes: &BTreeSet<&str>, end_ns: u64) -> Vec<(u64, u64)> {
    let faults: Vec<&Happened> = faults.iter().filter(|fault| !OPERATORS.contains(&fault.kind.as_str())).collect();
    let ends = faults.iter().filter_map(|fault| fault.until_ns);
    let mut borders: BTreeSet<u64> = faults.iter().map(|fault| fault.from_ns).chain(ends).collect();
    borders.extend([0, end_ns]);
    let borders: Vec<u64> = borders.into_iter().filter(|border| *border <= end_ns).collect();
    let mut calm: Vec<(u64, u64)> = Vec::new();
    for pair in borders.windows(2) {
        let (from_ns, until_ns) = (pair[0], pair[1]);
        let on = |fault: &&&Happened| fault.from_ns <= from_ns && fault.until_ns.is_none_or(|until| until >= until_ns);
        if !majority_is_up(faults.iter().filter(on), region, nodes) {
            continue;
        }
        match calm.last_mut() {
            Some(last) if last.1 == from_ns => last.1 = until_ns,
            _ => calm.push((from_ns, until_ns)),
        }
    }
    calm
}

fn majority_is_up<'a>(faults: impl Iterator<Item = &'a &'a Happened>, region: &str, nodes: &BTreeSet<&str>) -> bool {
    let mut met = BTreeSet::new();
    for fault in faults {
        let network = matches!(fault.kind.as_str(), "split" | "link" | "elect" | "proposals");
        if network || fault.targets.iter().any(|target| target == region || target == "clients") {
            return false;
        }
        met.extend(fault.targets.iter().map(String::as_str).filter(|target| nodes.contains(target)));
    }
    (nodes.len() - met.len()) * 2 > nodes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::Story;

    fn story() -> Story {
        let mut story = Story::default();
        story.evidence.bounds.answer_within = Duration::from_nanos(100);
        for name in ["us-east-1-a", "us-east-1-b", "us-east-1-c"] {
            story.node(name);
        }
        story
    }

    fn met(story: &mut Story, kind: &str, target: &str, until_ns: Option<u64>) {
        let (kind, targets) = (kind.to_owned(), vec![target.to_owned()]);
        let fault = Happened { kind, targets, from_ns: 50, until_ns, detail: String::new() };
        story.evidence.faults.push(fault);
    }

    #[test]
    fn a_region_that_stands_still_is_found_whoever_left_and_while_a_minority_is_down() {
        let mut story = story();
        met(&mut story, "leave", "us-east-1-d", Some(60));
        met(&mut story, "kill", "us-east-1-c", None);
        story.append("k", "a").during(10, 20).ok();
        story.append("k", "b").during(100, 110).unknown();
        story.accepted(&CHECK);
        story.append("k", "c").during(160, 190).unknown();
        story.append("k", "d").during(200, 230).fail();
        story.append("k", "e").during(231, 232).unknown();
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn one_answer_in_time_is_enough() {
        let mut story = story();
        story.append("k", "a").during(60, 90).unknown();
        story.append("k", "b").during(120, 130).ok();
        story.append("k", "c").during(200, 230).unknown();
        story.accepted(&CHECK);
    }

    #[test]
    fn where_a_majority_is_down_or_the_network_is_cut_nothing_is_demanded() {
        for (kind, targets) in [("kill", &["us-east-1-b", "us-east-1-c"][..]), ("split", &["eu-west-1"])] {
            let mut story = story();
            targets.iter().for_each(|target| met(&mut story, kind, target, None));
            story.append("k", "a").during(10, 40).unknown();
            story.append("k", "b").during(160, 190).unknown();
            story.accepted(&CHECK);
        }
    }
}
