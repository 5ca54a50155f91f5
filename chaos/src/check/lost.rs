//! What went with a disk: the one thing that the checkers excuse.
//!
//! An edit that asked for one node's durability only, and was acknowledged by a node whose disk was then lost or taken
//! back to what it was before, may or may not have got away first. Its call counts as of unknown fate from then on.

use crate::check::Evidence;
use crate::history::{History, Outcome};
use trine_protocol::Durability;

/// Faults with which what a node alone had is gone.
const KINDS: [&str; 2] = ["disk-lost", "disk-restored"];

/// The evidence with such calls excused; none: there is nothing to excuse.
#[must_use]
pub fn excuse(evidence: &Evidence) -> Option<Evidence> {
    let lost = |node: &str, at_ns: u64| {
        evidence.faults.iter().any(|fault| {
            KINDS.contains(&fault.kind.as_str())
                && fault.targets.iter().any(|target| target == node)
                && fault.until_ns.is_none_or(|until_ns| at_ns <= until_ns)
        })
    };
    if !evidence.faults.iter().any(|fault| KINDS.contains(&fault.kind.as_str())) {
        return None;
    }
    let mut calls = evidence.history.calls().to_vec();
    for call in &mut calls {
        let alone = call.durability == Some(Durability::Local) && call.edit().is_some();
        let gone = call.node.as_deref().is_some_and(|node| lost(node, call.invoked_ns));
        if alone && gone && call.ok().is_some() {
            call.outcome = Outcome::Unknown("its node's disk was lost".to_owned());
        }
    }
    Some(Evidence { history: History::new(calls), ..evidence.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::Story;
    use crate::check::{Happened, judge};
    use crate::history::{Edit, View};

    fn story(kind: &str, from_ns: u64) -> Story {
        let mut story = Story::default();
        for (element, durability) in [("a", Durability::Local), ("b", Durability::Region)] {
            let told = story.edit("set-1", Edit::Add(element.to_owned()));
            told.during(10, 20).but(|call| call.durability = Some(durability)).ok();
        }
        story.holds("set-1", View::Set(["b".to_owned()].into()));
        let (kind, targets) = (kind.to_owned(), vec!["us-east-1-a".to_owned()]);
        let until_ns = Some(from_ns + 10);
        story.evidence.faults.push(Happened { kind, targets, from_ns, until_ns, detail: String::new() });
        story
    }

    fn violations(story: &Story) -> usize {
        judge(&story.told(), &["sets".to_owned()]).len()
    }

    #[test]
    fn what_one_node_alone_had_may_go_with_its_disk() {
        assert_eq!(violations(&story("disk-lost", 30)), 0);
        assert_eq!(violations(&story("disk-restored", 30)), 0);
    }

    #[test]
    fn a_loss_before_the_call_or_another_fault_excuses_nothing() {
        assert_eq!(violations(&story("kill", 30)), 1);
        let mut early = story("disk-lost", 0);
        early.evidence.faults[0].until_ns = Some(5);
        assert_eq!(violations(&early), 1);
    }

    #[test]
    fn what_a_region_had_is_never_excused() {
        let mut story = story("disk-lost", 30);
        story.holds("set-1", View::Set([].into()));
        assert_eq!(violations(&story), 1);
    }
}
