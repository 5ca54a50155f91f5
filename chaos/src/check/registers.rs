//! A register holds the latest value in the end, by hybrid time, or one whose fate is unknown.
//!
//! Statement: where a register's write was acknowledged, every node holds in the end the value of the acknowledged
//! write with the highest stamp, or a value of unknown fate; where none was, a value of unknown fate or nothing. What
//! was refused is not there.
//!
//! Source: Jepsen's analyses of last-write-wins stores (Garage's `reg2`), where a value stamped in the future could
//! not be overwritten and acknowledged writes were lost: stamps are told with each answer, so this needs no search.

use std::collections::{BTreeMap, BTreeSet};

use trine_crdt::Timestamp;

use crate::check::sight::register;
use crate::check::{Check, Evidence, Violation};
use crate::history::Edit;

/// The checker.
pub const CHECK: Check = Check {
    name: "registers",
    statement: "a register holds the latest acknowledged value in the end, or one of unknown fate",
    run,
};

#[derive(Default)]
struct Writes<'a> {
    latest: Option<(Timestamp, &'a str)>,
    unknown: BTreeSet<&'a str>,
    deleted: bool,
}

fn run(evidence: &Evidence) -> Vec<Violation> {
    let mut registers: BTreeMap<&str, Writes<'_>> = BTreeMap::new();
    for call in evidence.history.calls() {
        match call.edit() {
            Some(Edit::Set(value)) => {
                let writes = registers.entry(&call.key).or_default();
                if call.is_unknown() {
                    writes.unknown.insert(value);
                }
                let written = call.stamp().map(|stamp| (stamp, value.as_str()));
                writes.latest = writes.latest.max(written);
            }
            Some(Edit::Delete) if call.may_be_done() => registers.entry(&call.key).or_default().deleted = true,
            _ => {}
        }
    }
    let mut found = Vec::new();
    for (key, writes) in registers.into_iter().filter(|(_, writes)| !writes.deleted) {
        for (nodes, object) in evidence.states(key) {
            let value = object.and_then(|object| register(&object.views)).map(String::as_str);
            let right = match value {
                None => writes.latest.is_none(),
                Some(value) => writes.latest.is_some_and(|(_, last)| last == value) || writes.unknown.contains(value),
            };
            if !right {
                let (nodes, latest) = (nodes.join(", "), writes.latest);
                let what = format!("{key} is {value:?} on {nodes}; the latest acknowledged is {latest:?}");
                found.push(CHECK.violated(what));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::{Story, stamp};
    use crate::history::View;

    fn set(story: &mut Story, value: &str, time: u64) {
        story.edit("r", Edit::Set(value.to_owned())).stamped(stamp(time));
    }

    fn holding(value: &str) -> Story {
        let mut story = Story::default();
        set(&mut story, "first", 1);
        set(&mut story, "latest", 9);
        set(&mut story, "behind", 5);
        story.edit("r", Edit::Set("unknown".to_owned())).unknown();
        story.edit("r", Edit::Set("refused".to_owned())).fail();
        story.holds("r", View::Register(value.to_owned()));
        story
    }

    #[test]
    fn the_latest_by_stamp_or_one_of_unknown_fate_is_right() {
        holding("latest").accepted(&CHECK);
        holding("unknown").accepted(&CHECK);
    }

    #[test]
    fn an_overwritten_a_refused_and_a_strange_value_are_found() {
        for value in ["first", "behind", "refused", "strange"] {
            holding(value).rejected(&CHECK, 1);
        }
    }

    #[test]
    fn a_register_that_is_gone_is_found() {
        let mut story = Story::default();
        set(&mut story, "only", 1);
        story.node("us-east-1-a");
        story.rejected(&CHECK, 1);
    }
}
