//! A register holds the latest value in the end, by hybrid time, or one whose fate is unknown.
//!
//! Statement: where a register's write was acknowledged, every node holds in the end the value of the acknowledged
//! write with the highest stamp, or a value of unknown fate; where none was, a value of unknown fate or nothing. What
//! was refused is not there.
//!
//! Nor does a value stand that was seen and overwritten: where a node had acknowledged or shown it and then took another,
//! the other is later, however far ahead the former's stamp lies.
//!
//! A deletion takes away the writes that it has seen, and leaves those that it has not, older or not. So where one was
//! not over when the latest write began, nothing may stand or what others had written at the same time; but no value
//! that a write on the node which had acknowledged it replaced.
//!
//! Source: Jepsen's analyses of last-write-wins stores (Garage's `reg2`), where a value stamped in the future could
//! not be overwritten and acknowledged writes were lost: stamps are told with each answer, so this needs no search.

use std::collections::BTreeMap;

use trine_protocol::Consistency;

use crate::check::sight::{Sight, register, views};
use crate::check::{Check, Evidence, Violation};
use crate::history::{Action, Call, Edit};

/// The checker.
pub const CHECK: Check = Check {
    name: "registers",
    statement: "a register holds the latest acknowledged value in the end, or one of unknown fate",
    run,
};

fn run(evidence: &Evidence) -> Vec<Violation> {
    let sight = Sight::of(&evidence.history);
    let mut registers: BTreeMap<&str, BTreeMap<&str, &Call>> = BTreeMap::new();
    let mut shown: BTreeMap<(&str, &str), Vec<&Call>> = BTreeMap::new();
    for call in evidence.history.calls() {
        if let Some(Edit::Set(value)) = call.edit() {
            registers.entry(&call.key).or_default().insert(value, call);
        }
        // What a read of a whole region shows, its node need not hold.
        let here = matches!(call.consistency, None | Some(Consistency::Eventual | Consistency::Session));
        let seen = call.ok().and_then(|seen| seen.shown.as_ref()).filter(|_| here && call.action == Action::Read);
        if let Some(value) = seen.and_then(|seen| register(views(seen))) {
            shown.entry((&call.key, value)).or_default().push(call);
        }
    }
    let mut found = Vec::new();
    for (key, writes) in registers {
        let acknowledged = writes.iter().filter_map(|(value, write)| Some((write.stamp()?, *value)));
        let latest = acknowledged.max();
        // With the latest, all that it had replaced may be gone.
        let may_be_gone = latest.is_none_or(|(_, value)| sight.may_be_deleted(key, value, None));
        for (nodes, object) in evidence.states(key) {
            let value = object.and_then(|object| register(&object.views)).map(String::as_str);
            let replaced = |value: &str, write: &Call| {
                let shown = shown.get(&(key, value)).into_iter().flatten().copied();
                let told = write.ok().is_some().then_some(write);
                told.into_iter().chain(shown).any(|told| replaced(evidence, &writes, told))
            };
            let right = match value {
                None => may_be_gone,
                Some(value) => writes.get(value).is_some_and(|write| {
                    let latest = latest.is_some_and(|(_, latest)| latest == value);
                    let may_stand = latest || write.is_unknown() || (write.ok().is_some() && may_be_gone);
                    may_stand && !replaced(value, write)
                }),
            };
            if !right {
                let nodes = nodes.join(", ");
                let what = format!("{key} is {value:?} on {nodes}; the latest acknowledged is {latest:?}");
                found.push(CHECK.violated(what));
            }
        }
    }
    found
}

/// Whether the node that had told of a value, as its write or as a read of it, took another after that on the same disk:
/// it had seen what it replaced.
fn replaced(evidence: &Evidence, writes: &BTreeMap<&str, &Call>, told: &Call) -> bool {
    let since_ns = told.returned_ns.unwrap_or(told.invoked_ns);
    let later = writes.values().filter(|later| later.ok().is_some() && later.node == told.node);
    later.into_iter().any(|later| {
        let here = |node: &String| !evidence.speaks_for_another(node, since_ns, later.invoked_ns);
        told.precedes(later) && told.node.as_ref().is_some_and(here)
    })
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
        story.edit("r", Edit::Set("behind".to_owned())).on("eu-west-1-a").stamped(stamp(5));
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
    fn a_value_that_was_seen_and_overwritten_does_not_stand_however_late_its_stamp() {
        let after = |seen_on: &str, consistency: Consistency| {
            let mut story = Story::default();
            story.edit("r", Edit::Set("ahead".to_owned())).on("eu-west-1-a").stamped(stamp(900));
            let read = story.read("r").on(seen_on).but(|call| call.consistency = Some(consistency));
            read.shows(View::Register("ahead".to_owned()));
            story.edit("r", Edit::Set("after".to_owned())).on("us-east-1-a").stamped(stamp(9));
            story.holds("r", View::Register("ahead".to_owned()));
            story
        };
        after("us-east-1-b", Consistency::Session).accepted(&CHECK);
        after("us-east-1-a", Consistency::Regional).accepted(&CHECK);
        after("us-east-1-a", Consistency::Session).rejected(&CHECK, 1);
        after("us-east-1-a", Consistency::Eventual).rejected(&CHECK, 1);
    }

    #[test]
    fn a_register_that_is_gone_is_found() {
        let mut story = Story::default();
        set(&mut story, "only", 1);
        story.node("us-east-1-a");
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn after_a_deletion_what_it_may_not_have_seen_may_stand_or_nothing() {
        let deleted = |value: Option<&str>| {
            let mut story = Story::default();
            story.edit("r", Edit::Set("replaced".to_owned())).stamped(stamp(1));
            story.edit("r", Edit::Set("elsewhere".to_owned())).on("eu-west-1-a").stamped(stamp(5));
            story.edit("r", Edit::Set("latest".to_owned())).stamped(stamp(9));
            story.edit("r", Edit::Delete).ok();
            match value {
                Some(value) => story.holds("r", View::Register(value.to_owned())),
                None => drop(story.node("us-east-1-a")),
            }
            story
        };
        for value in [None, Some("elsewhere"), Some("latest")] {
            deleted(value).accepted(&CHECK);
        }
        deleted(Some("replaced")).rejected(&CHECK, 1);
        deleted(Some("strange")).rejected(&CHECK, 1);
        for value in [None, Some("elsewhere"), Some("latest")] {
            let mut story = deleted(value);
            story.edit("r", Edit::Set("afterwards".to_owned())).stamped(stamp(20));
            story.rejected(&CHECK, 1);
        }
    }
}
