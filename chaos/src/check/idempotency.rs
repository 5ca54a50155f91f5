//! All attempts at one append under one request id have one effect.
//!
//! Statement: in each region's ledger, the attempts at one append have at most one record within the time for which its
//! key is remembered, and each acknowledgement tells that one; over all regions there are no more records of a value than
//! attempts at it. Where a run makes that time shorter than an attempt may be under way, one that was handed on and whose
//! answer nobody waits for any more may come after it. A region whose disks all went back has lost the keys of what it
//! acknowledged since then, whose records alone come back from other regions: where it went back between two attempts,
//! they are two appends.
//!
//! Source: FoundationDB's `commit_unknown_result`, whose blind retry is the classic double effect. The idempotency table
//! is a region's, so that an attempt in another region is another append; and a key is forgotten after its time, so that
//! the same key with another value is another append, too.

use std::collections::BTreeMap;

use trine_crdt::clock::ntp_of_ns;

use crate::check::{Check, Evidence, Happened, Violation};
use crate::history::{Action, Call};

/// The checker.
pub const CHECK: Check =
    Check { name: "idempotency", statement: "all attempts under one request id have one effect in a region", run };

/// What leaves a node with less than it had.
const OLD_DISKS: [&str; 2] = ["disk-restored", "disk-lost"];

fn run(evidence: &Evidence) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut attempts: BTreeMap<(&str, &str), Vec<&Call>> = BTreeMap::new();
    for call in evidence.history.calls() {
        if let Action::Append { value, .. } = &call.action {
            attempts.entry((&call.key, value)).or_default().push(call);
        }
    }
    let mut told: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    for call in evidence.history.calls() {
        let Action::Append { value, .. } = &call.action else { continue };
        let (Some(id), Some(record)) = (&call.request_id, call.ok().and_then(|seen| seen.record.as_ref())) else {
            continue;
        };
        let first = *told.entry((&record.region, id, value)).or_insert(record.index);
        if first != record.index
            && !went_back(evidence, &record.region, &attempts[&(call.key.as_str(), value.as_str())])
        {
            let (region, index) = (&record.region, record.index);
            found.push(CHECK.violated(format!("request {id} is records {first} and {index} of {region}")));
        }
    }
    let window = evidence.key_window_ns.map_or(u64::MAX, ntp_of_ns);
    let mut stands: BTreeMap<(&str, &str), Vec<(&str, usize)>> = BTreeMap::new();
    let mut stamps: BTreeMap<(&str, usize), u64> = BTreeMap::new();
    for region in evidence.regions() {
        for (index, record) in evidence.ledger(region).iter().flat_map(|ledger| ledger.records.iter().enumerate()) {
            if let Some(value) = &record.value {
                stands.entry((&record.key, value)).or_default().push((region, index));
                stamps.insert((region, index), record.stamp.time);
            }
        }
    }
    let remembered = |before: &(&str, usize), after: &(&str, usize)| {
        stamps.get(after).zip(stamps.get(before)).is_none_or(|(after, before)| after.saturating_sub(*before) <= window)
    };
    for ((key, value), places) in stands {
        let Some(calls) = attempts.get(&(key, value)) else { continue };
        let with_id = calls.iter().all(|call| call.request_id.is_some());
        // Of each that is not the first of its region: whether the key of one before it was remembered.
        let again = |at: &usize| {
            let before: Vec<_> = places[..*at].iter().filter(|before| before.0 == places[*at].0).collect();
            let known = before.iter().any(|before| remembered(before, &places[*at]));
            (with_id && !before.is_empty()).then_some(known)
        };
        let twice = (0..places.len()).any(|at| again(&at) == Some(true) && !went_back(evidence, places[at].0, calls));
        // What was handed on, and came when the key had been forgotten: no attempt of its own.
        let late = (0..places.len()).filter(|at| again(at) == Some(false)).count();
        if twice || places.len() - late > calls.len() {
            let attempts = calls.len();
            found.push(CHECK.violated(format!("{key} = {value} was tried {attempts} times and stands at {places:?}")));
        }
    }
    found
}

/// Whether all disks of a region went back, or were lost, between two of these attempts: what the first wrote came after the
/// image, and the last was not over when the disks had gone back. What another region answered is no attempt here.
fn went_back(evidence: &Evidence, region: &str, attempts: &[&Call]) -> bool {
    let of_region = |node: &str| node.rsplit_once('-').is_some_and(|(of, _)| of == region);
    let held = evidence.held.iter().map(|held| &held.node);
    let whole = |fault: &&Happened| {
        // Who left later may have had it all then.
        let ran =
            evidence.uptimes.iter().filter(|uptime| uptime.until_ns >= fault.until_ns || uptime.until_ns.is_none());
        let ran = ran.filter(|uptime| fault.until_ns.is_some_and(|back_ns| uptime.from_ns <= back_ns));
        let mut nodes = held.clone().chain(ran.map(|uptime| &uptime.node)).filter(|node| of_region(node)).peekable();
        OLD_DISKS.contains(&fault.kind.as_str())
            && nodes.peek().is_some()
            && nodes.all(|node| fault.targets.contains(node))
    };
    let elsewhere = |call: &&&Call| {
        let record = call.ok().and_then(|seen| seen.record.as_ref());
        record.is_some_and(|record| record.region != region)
    };
    evidence.faults.iter().filter(whole).any(|fault| {
        let Some(back_ns) = fault.until_ns else { return false };
        let image_ns = if fault.kind == "disk-lost" { 0 } else { fault.from_ns };
        let over_by = |call: &Call, ns: u64| call.returned_ns.is_some_and(|returned_ns| returned_ns <= ns);
        let mut here = attempts.iter().filter(|call| !elsewhere(call));
        let before = here.clone().any(|call| call.invoked_ns < back_ns && !over_by(call, image_ns));
        before && here.any(|call| !over_by(call, back_ns))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Uptime;
    use crate::check::story::Story;

    fn id(call: &mut Call) {
        call.request_id = Some("r".to_owned());
    }

    #[test]
    fn attempts_that_come_to_one_record_are_right() {
        let mut story = Story::default();
        story.append("k", "a").but(id).unknown();
        story.append("k", "a").but(id).at(0, 0);
        story.append("k", "a").but(id).at(0, 0);
        story.ledger(&[(0, "k", "a")]);
        story.accepted(&CHECK);
    }

    #[test]
    fn two_records_of_one_request_are_found() {
        let mut story = Story::default();
        story.append("k", "a").but(id).unknown();
        story.append("k", "a").but(id).at(1, 1);
        story.ledger(&[(0, "k", "a"), (1, "k", "a")]);
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn a_key_that_was_forgotten_may_stand_again_and_one_that_is_remembered_may_not() {
        for (window_ns, count) in [(None, 1), (Some(5_000_000_000), 1), (Some(1_000_000_000), 0)] {
            let mut story = Story::default();
            story.append("k", "a").but(id).unknown();
            story.append("k", "a").but(id).unknown();
            let later = ntp_of_ns(2_000_000_000);
            story.ledger(&[(0, "k", "a"), (later, "k", "a")]);
            story.evidence.key_window_ns = window_ns;
            story.rejected(&CHECK, count);
        }
    }

    #[test]
    fn what_was_handed_on_may_come_when_its_key_is_forgotten_and_is_no_attempt_of_its_own() {
        for (window_ns, with_id, count) in
            [(2_000_000_000, true, 1), (1_000_000_000, true, 0), (1_000_000_000, false, 1)]
        {
            let mut story = Story::default();
            let call = story.append("k", "a");
            let call = if with_id { call.but(id) } else { call };
            call.at(0, 0);
            story.ledger(&[(0, "k", "a"), (ntp_of_ns(1_500_000_000), "k", "a")]);
            story.evidence.key_window_ns = Some(window_ns);
            story.rejected(&CHECK, count);
        }
    }

    #[test]
    fn where_all_disks_of_the_region_went_back_between_them_two_attempts_are_two_appends() {
        let told = |kind: &str, targets: &[&str], back_ns: u64| {
            let mut story = Story::default();
            story.node("us-east-1-b");
            story.append("k", "a").but(id).during(100, 200).at(0, 0);
            story.append("k", "a").but(id).during(300, 400).at(1, 1);
            story.ledger(&[(0, "k", "a"), (1, "k", "a")]);
            let targets = targets.iter().map(|target| (*target).to_owned()).collect();
            let (kind, detail) = (kind.to_owned(), String::new());
            let from_ns = back_ns.min(230) - 30;
            story.evidence.faults.push(Happened { kind, targets, from_ns, until_ns: Some(back_ns), detail });
            story
        };
        let both = ["us-east-1-a", "us-east-1-b"];
        told("disk-restored", &both, 190).accepted(&CHECK);
        told("disk-lost", &both, 250).accepted(&CHECK);
        // The image has what was over when it was taken.
        told("disk-restored", &both, 250).rejected(&CHECK, 2);
        told("disk-restored", &both[..1], 250).rejected(&CHECK, 2);
        let mut story = told("disk-lost", &both, 250);
        let (node, writer) = ("us-east-1-c".to_owned(), String::new());
        story.evidence.uptimes.push(Uptime { node, from_ns: 0, until_ns: Some(300), writer });
        story.rejected(&CHECK, 2);
        told("kill", &both, 250).rejected(&CHECK, 2);
        told("disk-restored", &both, 50).rejected(&CHECK, 2);
        told("disk-restored", &both, 450).rejected(&CHECK, 2);
    }

    #[test]
    fn two_answers_for_one_request_are_found() {
        let mut story = Story::default();
        story.append("k", "a").but(id).at(0, 0);
        story.append("k", "a").but(id).at(1, 1);
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn an_append_without_id_that_stands_twice_is_found() {
        let mut story = Story::default();
        story.append("k", "a").unknown();
        story.ledger(&[(0, "k", "a"), (1, "k", "a")]);
        story.rejected(&CHECK, 1);
    }
}
