//! An acknowledged element stays in its set until it is removed, and a node that showed it shows it again.
//!
//! Statement: every element whose add was acknowledged and whose removal was never asked for (or refused) is in the set
//! on every node in the end, unless a deletion of the set was not over when the add began: an element that is not
//! was *lost* after somebody had read it, or *never read*. And an element that a node showed is shown by that node's later
//! answers: one that is not is *stale*, unless the node's disk was lost meanwhile.
//!
//! Source: Jepsen's `checker/set-full`, whose words for what can become of an element these are; its "resurrected"
//! has a checker of its own, and "stale" between nodes is judged by sessions and bounds.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::sight::{Sight, elements, views};
use crate::check::{Check, Evidence, Violation};
use crate::history::{Action, Call, Edit};

/// The checker.
pub const CHECK: Check =
    Check { name: "sets", statement: "an acknowledged element stays in its set until it is removed", run };

fn run(evidence: &Evidence) -> Vec<Violation> {
    let sight = Sight::of(&evidence.history);
    let mut found = Vec::new();
    let mut adds: BTreeMap<&str, Vec<(&Call, &String)>> = BTreeMap::new();
    for call in evidence.history.calls() {
        if let (Some(Edit::Add(element)), true) = (call.edit(), call.ok().is_some()) {
            adds.entry(&call.key).or_default().push((call, element));
        }
    }
    for (key, adds) in adds {
        let reads: BTreeSet<&String> = evidence
            .history
            .of_key(key)
            .filter_map(|call| call.ok()?.shown.as_ref())
            .flat_map(|shown| elements(views(shown)))
            .collect();
        for (nodes, object) in evidence.states(key) {
            let held: BTreeSet<&String> = object.map_or(&[][..], |object| &object.views).iter().collect_elements();
            for (call, element) in &adds {
                if !held.contains(element) && !sight.removed(key, element, None) {
                    let how = if reads.contains(element) { "lost" } else { "never read" };
                    let what =
                        format!("{key}: {element}, added by call {}, is not on {} ({how})", call.id, nodes.join(", "));
                    found.push(CHECK.violated(what));
                }
            }
        }
        nodes_do_not_forget(evidence, &sight, key, &mut found);
    }
    found
}

/// What a node showed it shows again.
fn nodes_do_not_forget(evidence: &Evidence, sight: &Sight<'_>, key: &str, found: &mut Vec<Violation>) {
    let mut reads: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in evidence.history.of_key(key).filter(|call| call.action == Action::Read) {
        if let (Some(node), Some(_)) = (&call.node, call.ok()) {
            reads.entry(node).or_default().push(call);
        }
    }
    for (node, reads) in reads {
        // Each element, with the end of the first read that showed it.
        let mut known: BTreeMap<&String, u64> = BTreeMap::new();
        for read in &reads {
            let Some(shown) = read.ok().and_then(|seen| seen.shown.as_ref()) else { continue };
            let shown: BTreeSet<&String> = elements(views(shown)).collect();
            let missing = known.iter().find(|(element, since_ns)| {
                **since_ns < read.invoked_ns && !shown.contains(*element) && !sight.removed(key, element, Some(read))
            });
            if let Some((element, since_ns)) = missing
                && !evidence.speaks_for_another(node, *since_ns, read.invoked_ns)
            {
                let what = format!("{key}: {node} showed {element}, and not to call {} later (stale)", read.id);
                found.push(CHECK.violated(what));
            }
            let ended = read.returned_ns.unwrap_or(u64::MAX);
            for element in shown {
                let since_ns = known.entry(element).or_insert(ended);
                *since_ns = ended.min(*since_ns);
            }
        }
    }
}

/// The elements of views, from an iterator over them.
trait CollectElements<'a> {
    fn collect_elements(self) -> BTreeSet<&'a String>;
}

impl<'a, I: Iterator<Item = &'a crate::history::View>> CollectElements<'a> for I {
    fn collect_elements(self) -> BTreeSet<&'a String> {
        self.flat_map(|view| elements(std::slice::from_ref(view))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Happened;
    use crate::check::story::Story;
    use crate::history::View;

    fn set(elements: &[&str]) -> View {
        View::Set(elements.iter().map(|element| (*element).to_owned()).collect())
    }

    fn add(story: &mut Story, element: &str) {
        story.edit("s", Edit::Add(element.to_owned())).ok();
    }

    #[test]
    fn what_was_added_and_not_removed_is_there() {
        let mut story = Story::default();
        add(&mut story, "a");
        story.edit("s", Edit::Add("b".to_owned())).unknown();
        add(&mut story, "c");
        story.edit("s", Edit::Remove("c".to_owned())).unknown();
        story.holds("s", set(&["a"]));
        story.accepted(&CHECK);
        story.holds("s", set(&["a", "b", "c"]));
        story.accepted(&CHECK);
    }

    #[test]
    fn lost_elements_are_found_read_or_not() {
        let mut story = Story::default();
        add(&mut story, "a");
        add(&mut story, "b");
        story.read("s").shows(set(&["a"]));
        story.holds("s", set(&[]));
        story.rejected(&CHECK, 2);
        let words: Vec<String> = (CHECK.run)(&story.told()).into_iter().map(|it| it.what).collect();
        assert!(words[0].contains("(lost)") && words[1].contains("(never read)"), "{words:?}");
    }

    #[test]
    fn an_element_whose_removal_was_refused_must_be_there() {
        let mut story = Story::default();
        add(&mut story, "a");
        story.edit("s", Edit::Remove("a".to_owned())).fail();
        story.holds("s", set(&[]));
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn a_deletion_takes_what_had_begun_before_it_was_over_and_no_more() {
        let mut story = Story::default();
        add(&mut story, "a");
        story.edit("s", Edit::Add("b".to_owned())).during(20, 60).ok();
        story.edit("s", Edit::Delete).during(30, 50).ok();
        story.edit("s", Edit::Add("c".to_owned())).during(70, 75).ok();
        story.holds("s", set(&["c"]));
        story.accepted(&CHECK);
        story.holds("s", set(&["b"]));
        story.rejected(&CHECK, 1);
        story.edit("s", Edit::Delete).fail();
        story.rejected(&CHECK, 1);
        story.edit("s", Edit::Delete).unknown();
        story.accepted(&CHECK);
    }

    #[test]
    fn what_another_node_showed_in_its_place_binds_that_one() {
        for (node, count) in [("us-east-1-a", 0), ("us-east-1-b", 1)] {
            let mut story = Story::default();
            add(&mut story, "a");
            let other = trine_crdt::Timestamp { time: 900, writer: trine_crdt::WriterId([2; 16]) };
            story.edit("t", Edit::Increment(1)).on("us-east-1-b").stamped(other);
            story.read("s").shows_at(set(&["a"]), other);
            story.read("s").on(node).shows_nothing();
            story.rejected(&CHECK, count);
        }
    }

    #[test]
    fn a_node_shows_what_it_showed_until_a_deletion_begins() {
        for (begins, count) in [(25, 0), (36, 1)] {
            let mut story = Story::default();
            story.edit("s", Edit::Add("a".to_owned())).during(1, 5).ok();
            story.read("s").session(1).during(10, 15).shows(set(&["a"]));
            story.read("s").session(2).during(30, 35).shows_nothing();
            story.edit("s", Edit::Delete).session(3).during(begins, 90).ok();
            story.rejected(&CHECK, count);
        }
    }

    #[test]
    fn a_node_that_forgets_is_found_unless_it_lost_its_disk() {
        let mut story = Story::default();
        story.read("s").session(1).shows(set(&["a"]));
        story.read("s").session(2).shows(set(&[]));
        story.edit("s", Edit::Add("a".to_owned())).during(1, 90).ok();
        story.rejected(&CHECK, 1);
        let (kind, targets) = ("disk-lost".to_owned(), vec!["us-east-1-a".to_owned()]);
        let fault = Happened { kind, targets, from_ns: 16, until_ns: Some(18), detail: String::new() };
        story.evidence.faults.push(fault);
        story.accepted(&CHECK);
    }
}
