//! A multi-value register keeps each put until one replaces it that had seen it.
//!
//! Statement: in the end every node holds an acknowledged put unless another put may have replaced it, which only one
//! that was not over when it began can have done; something stands where any put was acknowledged, unless a deletion was
//! not over when it began; and of two values that both stand, neither was put on a node that had acknowledged the other
//! before: it had seen it.
//!
//! Source: the multi-value registers of Riak ("siblings"), whose loss and whose explosion (Riak's issue 679 and its
//! kin) are the two ways in which this goes wrong.

use std::collections::BTreeMap;

use crate::check::sight::{Sight, may_take, multi_values};
use crate::check::{Check, Evidence, Violation};
use crate::history::{Call, Edit};

/// The checker.
pub const CHECK: Check = Check {
    name: "multi-values",
    statement: "a multi-value register keeps each put until one replaces it that had seen it",
    run,
};

fn run(evidence: &Evidence) -> Vec<Violation> {
    let sight = Sight::of(&evidence.history);
    let mut found = Vec::new();
    let mut puts: BTreeMap<&str, BTreeMap<&str, &Call>> = BTreeMap::new();
    for call in evidence.history.calls() {
        if let Some(Edit::Put(value)) = call.edit() {
            puts.entry(&call.key).or_default().insert(value, call);
        }
    }
    for (key, puts) in puts {
        let deletions: Vec<&Call> = sight.deletions(key).collect();
        for (nodes, object) in evidence.states(key) {
            let held: Vec<&String> = multi_values(object.map_or(&[], |object| &object.views)).collect();
            let nodes = nodes.join(", ");
            let acknowledged = || puts.iter().filter(|(_, put)| put.ok().is_some());
            // A put that was replaced is gone with what replaced it, which began later.
            let stays = |put: &Call| !deletions.iter().any(|deletion| may_take(deletion, put, None));
            if held.is_empty() && acknowledged().any(|(_, put)| stays(put)) {
                found.push(CHECK.violated(format!("{key}: nothing stands on {nodes}, though puts were acknowledged")));
                continue;
            }
            for (value, put) in acknowledged() {
                if !held.iter().any(|held| held == value) && !sight.may_be_replaced(put, None) {
                    let what =
                        format!("{key}: {value}, put by call {}, is not on {nodes}, and nothing replaced it", put.id);
                    found.push(CHECK.violated(what));
                }
            }
            for earlier in held.iter().filter_map(|value| puts.get(value.as_str())) {
                for later in held.iter().filter_map(|value| puts.get(value.as_str())) {
                    let Some(node) = earlier.node.as_deref().filter(|_| earlier.node == later.node) else { continue };
                    let seen = earlier.ok().is_some() && earlier.precedes(later);
                    let since_ns = earlier.returned_ns.unwrap_or(earlier.invoked_ns);
                    if seen && !evidence.speaks_for_another(node, since_ns, later.invoked_ns) {
                        let what = format!(
                            "{key} on {nodes}: call {} did not replace what call {} had put",
                            later.id, earlier.id
                        );
                        found.push(CHECK.violated(what));
                    }
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::Story;
    use crate::history::View;

    fn holding(values: &[&str]) -> Story {
        let mut story = Story::default();
        story.edit("m", Edit::Put("a".to_owned())).ok();
        story.edit("m", Edit::Put("b".to_owned())).during(20, 60).ok();
        story.edit("m", Edit::Put("c".to_owned())).during(30, 50).on("eu-west-1-a").ok();
        story.holds("m", View::MultiValue(values.iter().map(|value| (*value).to_owned()).collect()));
        story
    }

    #[test]
    fn concurrent_puts_may_stand_together_or_replace_each_other() {
        for values in [&["b", "c"][..], &["b"], &["c"]] {
            holding(values).accepted(&CHECK);
        }
    }

    #[test]
    fn a_register_that_lost_all_is_found() {
        holding(&[]).rejected(&CHECK, 1);
    }

    #[test]
    fn a_put_that_did_not_replace_what_its_node_had_seen_is_found() {
        holding(&["a", "b"]).rejected(&CHECK, 1);
        holding(&["a", "c"]).accepted(&CHECK);
    }

    #[test]
    fn a_put_that_nothing_came_after_must_stand() {
        let mut story = holding(&["b"]);
        story.edit("m", Edit::Put("d".to_owned())).during(90, 95).ok();
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn a_deletion_empties_a_register_that_nobody_put_into_afterwards() {
        let mut story = holding(&[]);
        story.edit("m", Edit::Delete).during(70, 80).ok();
        story.accepted(&CHECK);
        story.edit("m", Edit::Put("d".to_owned())).during(90, 95).ok();
        story.rejected(&CHECK, 1);
        story.holds("m", View::MultiValue(["c".to_owned()].into()));
        story.rejected(&CHECK, 1);
        story.holds("m", View::MultiValue(["d".to_owned()].into()));
        story.accepted(&CHECK);
    }
}
