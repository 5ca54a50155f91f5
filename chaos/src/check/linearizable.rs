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
        let records = Records::of(&calls, home);
        let mut writes: BTreeMap<String, (u64, Option<u64>)> = BTreeMap::new();
        for call in appends() {
            let Action::Append { value, .. } = &call.action else { continue };
            let until_ns = call.returned_ns.filter(|_| !call.is_unknown());
            for name in records.written(value, place(call)) {
                let (from, until) = writes.entry(name).or_insert((call.invoked_ns, None));
                *from = call.invoked_ns.min(*from);
                *until = until_ns.into_iter().chain(*until).min();
            }
        }
        let reads: Vec<(Option<String>, &Call)> = calls
            .iter()
            .filter(|call| call.region == *home && call.consistency == Some(Consistency::Regional))
            .filter_map(|call| Some((read(call, home, &records)?, *call)))
            .collect();
        let mut operations: Vec<Operation<'_>> = writes
            .iter()
            .map(|(name, (from_ns, until_ns))| Operation {
                value: Some(name),
                writes: true,
                from_ns: *from_ns,
                until_ns: *until_ns,
            })
            .collect();
        operations.extend(reads.iter().map(|(name, call)| Operation {
            value: name.as_deref(),
            writes: false,
            from_ns: call.invoked_ns,
            until_ns: call.returned_ns,
        }));
        found.extend(disorder(&operations).map(|why| CHECK.violated(format!("{key} in {home}: {why}"))));
    }
    found
}

/// At which indexes the values of a key stand. One value has one record, but for a region that forgot a request id with its
/// disk: then a later attempt is a write of its own. Whether that may be is `idempotency`'s to say.
struct Records<'a>(BTreeMap<&'a str, BTreeSet<u64>>);

impl<'a> Records<'a> {
    fn of(calls: &[&'a Call], home: &str) -> Self {
        let mut indexes: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
        for call in calls {
            if let (Action::Append { value, .. }, Some(index)) = (&call.action, place(call)) {
                indexes.entry(value).or_default().insert(index);
            }
            if let Some(Shown::Records { records, .. }) = call.ok().and_then(|seen| seen.shown.as_ref()) {
                for version in records.iter().filter(|version| version.region == home) {
                    indexes.entry(&version.value).or_default().insert(version.index);
                }
            }
        }
        Self(indexes)
    }

    /// What a value that stands there is called.
    fn name(&self, value: &str, index: u64) -> String {
        match self.0.get(value) {
            Some(indexes) if indexes.len() > 1 => format!("{value} at {index}"),
            _ => value.to_owned(),
        }
    }

    /// What an attempt may have written: the record that it was told of, or any of its value's.
    fn written(&self, value: &str, told: Option<u64>) -> Vec<String> {
        match (told, self.0.get(value)) {
            (Some(index), _) => vec![self.name(value, index)],
            (None, Some(indexes)) => indexes.iter().map(|index| self.name(value, *index)).collect(),
            (None, None) => vec![value.to_owned()],
        }
    }
}

/// The index that an append was told.
fn place(call: &Call) -> Option<u64> {
    call.ok().and_then(|seen| seen.record.as_ref()).map(|record| record.index)
}

/// The region whose ledger an append went to.
fn home(call: &Call) -> &str {
    call.ok().and_then(|seen| seen.record.as_ref()).map_or(&call.region, |record| &record.region)
}

/// The value that a read showed, or that it showed none; no read that can be judged: nothing.
#[expect(clippy::option_option, reason = "a read that showed nothing is one that counts")]
fn read(call: &Call, home: &str, records: &Records<'_>) -> Option<Option<String>> {
    match call.ok()?.shown.as_ref()? {
        Shown::Nothing => Some(None),
        Shown::Records { more: true, .. } | Shown::Object(_) => None,
        Shown::Records { records: shown, .. } => {
            let latest = shown.iter().rfind(|version| version.region == home);
            Some(latest.map(|version| records.name(&version.value, version.index)))
        }
    }
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
    fn a_second_record_of_a_request_whose_id_was_forgotten_is_a_write_of_its_own() {
        for (last, count) in [(&[(0, "a"), (1, "b"), (7, "a")][..], 0), (&[(0, "a")], 1)] {
            let mut story = Story::default();
            story.append("k", "a").at(0, 0);
            story.append("k", "b").at(1, 1);
            story.call("k", Action::Versions).but(regional).lists(&[(0, "a"), (1, "b")]);
            story.append("k", "a").at(7, 2);
            story.call("k", Action::Versions).but(regional).lists(last);
            story.rejected(&CHECK, count);
        }
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
