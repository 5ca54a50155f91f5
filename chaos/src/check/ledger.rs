//! A region's ledger is one sequence, and what was acknowledged stands in it where it was said to stand.
//!
//! Statement, per region: no index is given to two records; every acknowledged append is held by every node of the
//! region at its index, with its key, value, stamp and leaf; an append that began after another was acknowledged has
//! the higher index; stamps rise with the index; a conditional append comes directly after what it named; a refused
//! one is not there; and each proof that was handed out proves its leaf against the tree of the records held.
//!
//! Every acknowledged leaf is provable because every root is recomputed from all leaves (see `one_ledger`).
//!
//! Source: the log checkers of etcd's robustness tests and of Jepsen's Redpanda and NATS analyses; because each append
//! tells its index, it takes one pass instead of a search.

use std::collections::BTreeMap;

use trine_ledger::tree::{Frontier, Hash, verify_inclusion};

use crate::check::backwards::backwards;
use crate::check::{Check, Evidence, Violation};
use crate::history::{Action, After, Call, Placed};

/// The checker.
pub const CHECK: Check = Check {
    name: "ledger",
    statement: "a region's ledger is one sequence in which every acknowledged append stands where it was said to stand",
    run,
};

fn run(evidence: &Evidence) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut appends: BTreeMap<&str, Vec<(&Call, &Placed)>> = BTreeMap::new();
    for call in evidence.history.calls() {
        if let (Action::Append { .. }, Some(record)) = (&call.action, call.ok().and_then(|seen| seen.record.as_ref())) {
            appends.entry(&record.region).or_default().push((call, record));
        }
    }
    for (region, appends) in &appends {
        given_once(region, appends, &mut found);
        stand(evidence, region, appends, &mut found);
        in_order(region, appends, &mut found);
        proofs_hold(evidence, region, appends, &mut found);
    }
    refused_are_absent(evidence, &mut found);
    for region in evidence.regions() {
        held_is_in_order(evidence, region, &mut found);
    }
    found
}

fn given_once(region: &str, appends: &[(&Call, &Placed)], found: &mut Vec<Violation>) {
    let mut given: BTreeMap<u64, &Call> = BTreeMap::new();
    for (call, record) in appends {
        let other = given.entry(record.index).or_insert(call);
        if (&other.key, &other.action) != (&call.key, &call.action) {
            let what = format!("record {} of {region} was given to calls {} and {}", record.index, other.id, call.id);
            found.push(CHECK.violated(what));
        }
    }
}

fn stand(evidence: &Evidence, region: &str, appends: &[(&Call, &Placed)], found: &mut Vec<Violation>) {
    for held in evidence.held.iter().filter(|held| held.region == region) {
        let records = held.ledgers.get(region).map_or(&[][..], |ledger| &ledger.records);
        for (call, placed) in appends {
            let Action::Append { value, .. } = &call.action else { continue };
            let record = usize::try_from(placed.index).ok().and_then(|index| records.get(index));
            let right = record.is_some_and(|record| {
                record.key == call.key
                    && record.value.as_ref().is_none_or(|held| held == value)
                    && (record.stamp, record.leaf) == (placed.stamp, placed.leaf)
            });
            if !right {
                let there =
                    record.map_or("nothing".to_owned(), |record| format!("{} = {:?}", record.key, record.value));
                let what = format!(
                    "call {} appended {} = {value} as record {} of {region}; {} holds {there} there",
                    call.id, call.key, placed.index, held.node
                );
                found.push(CHECK.violated(what));
            }
        }
    }
}

fn in_order(region: &str, appends: &[(&Call, &Placed)], found: &mut Vec<Violation>) {
    // What an earlier attempt did has its place from then.
    let first = || appends.iter().filter(|(_, record)| !record.again);
    let indexes = first().map(|(call, record)| (*call, record.index)).collect();
    for (before, index, call) in backwards(indexes, true) {
        let what = format!("call {} got record {index} of {region} after {before} had been acknowledged", call.id);
        found.push(CHECK.violated(what));
    }
    let stamps = first().map(|(call, record)| (*call, record.stamp)).collect();
    for (before, stamp, call) in backwards(stamps, true) {
        let what = format!("call {} got the stamp {stamp} in {region} after {before} had been acknowledged", call.id);
        found.push(CHECK.violated(what));
    }
}

fn proofs_hold(evidence: &Evidence, region: &str, appends: &[(&Call, &Placed)], found: &mut Vec<Violation>) {
    let proofs = || appends.iter().filter_map(|(call, record)| Some((call, record, record.proof.as_ref()?)));
    let Some(ledger) = evidence.ledger(region).filter(|_| proofs().next().is_some()) else { return };
    let mut frontier = Frontier::default();
    let mut roots: Vec<Hash> = vec![frontier.root()];
    for record in &ledger.records {
        frontier.push(record.leaf, |_| {});
        roots.push(frontier.root());
    }
    for (call, record, proof) in proofs() {
        let root = usize::try_from(proof.size).ok().and_then(|size| roots.get(size));
        let holds = root == Some(&proof.root)
            && proof.leaf == record.leaf
            && verify_inclusion(&proof.leaf, record.index, proof.size, &proof.path, &proof.root).is_ok();
        if !holds {
            found.push(CHECK.violated(format!(
                "the proof that call {} got of record {} of {region} does not hold",
                call.id, record.index
            )));
        }
    }
}

/// A value that was refused each time it was asked for stands nowhere.
fn refused_are_absent(evidence: &Evidence, found: &mut Vec<Violation>) {
    let mut tried: BTreeMap<(&str, &str), (bool, u64)> = BTreeMap::new();
    for call in evidence.history.calls() {
        if let Action::Append { value, .. } = &call.action {
            tried.entry((&call.key, value)).or_insert((false, call.id)).0 |= call.may_be_done();
        }
    }
    for region in evidence.regions() {
        for (index, record) in evidence.ledger(region).iter().flat_map(|ledger| ledger.records.iter().enumerate()) {
            let Some(value) = &record.value else { continue };
            if let Some((false, id)) = tried.get(&(record.key.as_str(), value.as_str())) {
                let what = format!("call {id} was refused, and {} = {value} is record {index} of {region}", record.key);
                found.push(CHECK.violated(what));
            }
        }
    }
}

fn held_is_in_order(evidence: &Evidence, region: &str, found: &mut Vec<Violation>) {
    let Some(ledger) = evidence.ledger(region) else { return };
    let mut conditions: BTreeMap<(&str, &str), After> = BTreeMap::new();
    for call in evidence.history.calls() {
        if let Action::Append { value, only_after: Some(after) } = &call.action {
            conditions.insert((&call.key, value), *after);
        }
    }
    let mut latest: BTreeMap<&str, u64> = BTreeMap::new();
    for (index, record) in ledger.records.iter().enumerate() {
        if index.checked_sub(1).is_some_and(|before| ledger.records[before].stamp >= record.stamp) {
            found.push(CHECK.violated(format!("record {index} of {region} is not stamped after the one before it")));
        }
        let before = latest.insert(&record.key, index as u64);
        let after = record.value.as_ref().and_then(|value| conditions.get(&(record.key.as_str(), value.as_str())));
        let wrong = match after {
            Some(After::Nothing) => before.is_some(),
            Some(After::Record(named)) => before != Some(*named),
            None => false,
        };
        if wrong {
            let what = format!(
                "record {index} of {region} was to come after {after:?} of {}, and came after {before:?}",
                record.key
            );
            found.push(CHECK.violated(what));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::{Story, leaf};
    use crate::history::Proof;

    fn story() -> Story {
        let mut story = Story::default();
        story.append("k", "a").at(0, 0);
        story.append("k", "b").at(1, 1);
        story.append("k", "c").unknown();
        story.append("k", "d").fail();
        story
    }

    #[test]
    fn appends_that_stand_are_right_whatever_became_of_the_unknown_one() {
        for records in [&[(0, "k", "a"), (1, "k", "b")][..], &[(0, "k", "a"), (1, "k", "b"), (2, "k", "c")]] {
            let mut story = story();
            story.ledger(records);
            story.accepted(&CHECK);
        }
    }

    #[test]
    fn a_lost_a_moved_and_a_replaced_append_are_found() {
        for (records, count) in [
            (&[(0, "k", "a")][..], 1),
            (&[(0, "k", "a"), (2, "k", "c"), (3, "k", "b")], 1),
            (&[(0, "k", "a"), (1, "x", "b")], 1),
            (&[(0, "k", "a"), (1, "k", "x")], 1),
            (&[], 2),
        ] {
            let mut story = story();
            story.ledger(records);
            story.rejected(&CHECK, count);
        }
    }

    #[test]
    fn a_refused_append_that_stands_is_found() {
        let mut story = story();
        story.ledger(&[(0, "k", "a"), (1, "k", "b"), (2, "k", "d")]);
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn an_index_given_twice_and_one_out_of_order_are_found() {
        let mut story = Story::default();
        story.append("k", "a").at(3, 3);
        story.append("k", "b").during(10, 40).at(3, 4);
        story.rejected(&CHECK, 1);
        let mut story = Story::default();
        story.append("k", "a").at(3, 3);
        story.append("k", "b").at(2, 4);
        story.rejected(&CHECK, 1);
        let mut story = Story::default();
        story.append("k", "a").at(3, 3);
        story.append("k", "b").at(4, 2);
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn stamps_that_fall_along_the_ledger_are_found() {
        let mut story = Story::default();
        story.ledger(&[(5, "k", "a"), (4, "k", "b")]);
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn a_condition_that_did_not_hold_is_found() {
        for (only_after, count) in [(After::Record(0), 0), (After::Nothing, 1), (After::Record(7), 1)] {
            let mut story = Story::default();
            let action = Action::Append { value: "b".to_owned(), only_after: Some(only_after) };
            story.call("k", action).unknown();
            story.ledger(&[(0, "k", "a"), (1, "k", "b")]);
            story.rejected(&CHECK, count);
        }
    }

    #[test]
    fn a_proof_holds_against_the_held_tree_or_not_at_all() {
        let mut frontier = Frontier::default();
        frontier.push(leaf(0), |_| {});
        frontier.push(leaf(1), |_| {});
        let right = Proof { size: 2, root: frontier.root(), leaf: leaf(0), path: vec![leaf(1)] };
        let wrong = [
            Proof { root: leaf(9), ..right.clone() },
            Proof { leaf: leaf(1), ..right.clone() },
            Proof { path: vec![leaf(2)], ..right.clone() },
            Proof { size: 1, ..right.clone() },
        ];
        for (proof, count) in std::iter::once((right, 0)).chain(wrong.map(|proof| (proof, 1))) {
            let mut story = Story::default();
            story.append("k", "a").with_proof(proof).at(0, 0);
            story.ledger(&[(0, "k", "a"), (1, "k", "b")]);
            story.rejected(&CHECK, count);
        }
    }
}
