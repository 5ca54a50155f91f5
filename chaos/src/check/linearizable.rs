//! Regional reads of a ledger's key are linearizable with the appends to it.
//!
//! Statement: to regional reads, the latest record of a key that only one region appends to is a register: all appends
//! and reads can be put into one order that respects time, in which each read returns the append before it.
//!
//! A key that several regions append to is none: a region hears of another's records when it does. What an earlier
//! attempt may have done counts from the first attempt's beginning to the first acknowledgement.
//!
//! Source: M. Herlihy, J. Wing, "Linearizability", 1990; judged by zones (see `zones`). etcd's analysis by Jepsen (2020)
//! and the reads of deposed leaders (reliability of leases under drifting clocks) are what it is after.

use std::collections::{BTreeMap, BTreeSet};

use trine_protocol::Consistency;

use crate::check::zones::{Operation, disorder};
use crate::check::{Check, Evidence, Violation};
use crate::history::{Action, Call, Shown};

/// The checker.
pub const CHECK: Check = Check {
    name: "linearizable",
    statement: "regional reads of a ledger's key are linearizable with the appends to it",
    run,
};

fn run(evidence: &Evidence) -> Vec<Violation> {
    let mut keys: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in evidence.history.calls() {
        if matches!(call.action, Action::Append { .. } | Action::Latest | Action::Versions) {
            keys.entry(&call.key).or_default().push(call);
        }
    }
    let mut found = Vec::new();
    for (key, calls) in keys {
        let appends = || calls.iter().filter(|call| call.writes() && call.may_be_done());
        let homes: BTreeSet<&str> = appends().map(|call| home(call)).collect();
        let Some(home) = homes.first().filter(|_| homes.len() == 1) else { continue };
        let mut operations: BTreeMap<&str, Operation<'_>> = BTreeMap::new();
        for call in appends() {
            let Action::Append { value, .. } = &call.action else { continue };
            let until_ns = call.returned_ns.filter(|_| !call.is_unknown());
            let write = operations.entry(value).or_insert(Operation {
                value: Some(value),
                writes: true,
                from_ns: call.invoked_ns,
                until_ns: None,
            });
            write.from_ns = write.from_ns.min(call.invoked_ns);
            write.until_ns = write.until_ns.into_iter().chain(until_ns).min();
        }
        let mut operations: Vec<Operation<'_>> = operations.into_values().collect();
        operations.extend(calls.iter().filter(|call| call.region == *home).filter_map(|call| read(call, home)));
        found.extend(disorder(&operations).map(|why| CHECK.violated(format!("{key} in {home}: {why}"))));
    }
    found
}

/// The region whose ledger an append went to.
fn home(call: &Call) -> &str {
    call.ok().and_then(|seen| seen.record.as_ref()).map_or(&call.region, |record| &record.region)
}

fn read<'a>(call: &'a Call, home: &str) -> Option<Operation<'a>> {
    if call.consistency != Some(Consistency::Regional) {
        return None;
    }
    let value = match call.ok()?.shown.as_ref()? {
        Shown::Nothing => None,
        Shown::Records { more: true, .. } | Shown::Object(_) => return None,
        Shown::Records { records, .. } => {
            records.iter().rfind(|version| version.region == home).map(|version| version.value.as_str())
        }
    };
    Some(Operation { value, writes: false, from_ns: call.invoked_ns, until_ns: call.returned_ns })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::Story;

    fn regional(call: &mut Call) {
        call.consistency = Some(Consistency::Regional);
    }

    #[test]
    fn reads_that_follow_the_appends_are_right() {
        let mut story = Story::default();
        story.call("k", Action::Latest).but(regional).shows_nothing();
        story.append("k", "a").at(0, 0);
        story.call("k", Action::Latest).but(regional).lists(&[(0, "a")]);
        story.append("k", "b").during(40, 90).unknown();
        story.call("k", Action::Versions).but(regional).lists(&[(0, "a"), (1, "b")]);
        story.accepted(&CHECK);
    }

    #[test]
    fn a_stale_read_is_found_when_it_was_regional() {
        for (change, count) in [(regional as fn(&mut Call), 1), (|_: &mut Call| {}, 0)] {
            let mut story = Story::default();
            story.append("k", "a").at(0, 0);
            story.append("k", "b").at(1, 1);
            story.call("k", Action::Latest).but(change).lists(&[(0, "a")]);
            story.rejected(&CHECK, count);
        }
    }

    #[test]
    fn a_value_that_comes_and_goes_is_found() {
        let mut story = Story::default();
        story.append("k", "a").unknown();
        story.call("k", Action::Latest).but(regional).lists(&[(0, "a")]);
        story.call("k", Action::Latest).but(regional).shows_nothing();
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn keys_of_several_regions_are_not_judged() {
        let mut story = Story::default();
        story.append("k", "a").at(0, 0);
        story.append("k", "b").on("eu-west-1-a").at(0, 1);
        story.call("k", Action::Latest).but(regional).lists(&[(0, "a")]);
        story.accepted(&CHECK);
    }
}
