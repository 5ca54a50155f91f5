//! What nodes hold is whole, their sums are those of what they hold, and none gave up without cause.
//!
//! Statement: nothing on a node's disk failed to be read or verified; each record of its own region's ledger has the
//! rows that it is found and proven by; each partition's kept sum is the sum of its objects' digests; and no node halted or refused to start, unless writing to its disk had failed.
//!
//! Source: sums that are kept up to date with each write are what repair compares (a wrong one hides a difference for
//! ever); nodes that cannot start after a crash are the commonest finding of crash tests.

use crate::check::{Check, Did, Evidence, Violation};

/// The checker.
pub const CHECK: Check =
    Check { name: "intact", statement: "what nodes hold is whole, and none gave up without cause", run };

/// Faults after which a node may halt rather than go on.
const CAUSES: [&str; 2] = ["disk-fails", "disk-full"];

fn run(evidence: &Evidence) -> Vec<Violation> {
    let mut found = Vec::new();
    for held in &evidence.held {
        found.extend(held.damage.iter().map(|damage| CHECK.violated(format!("{}: {damage}", held.node))));
        for (partition, sum) in &held.partitions {
            if sum.kept.as_ref() != Some(&sum.counted) {
                let what = format!("{}: the sum of {partition} is not that of its objects", held.node);
                found.push(CHECK.violated(what));
            }
        }
    }
    for event in &evidence.events {
        let gave_up = matches!(event.what, Did::Halt | Did::RefuseToStart);
        let cause = evidence.faults.iter().any(|fault| {
            CAUSES.contains(&fault.kind.as_str()) && fault.targets.contains(&event.node) && fault.from_ns <= event.at_ns
        });
        if gave_up && !cause {
            found.push(CHECK.violated(format!("{}: {:?}: {}", event.node, event.what, event.words)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::Story;
    use crate::check::{Happened, KeptSum, NodeEvent, Sum};

    fn halted() -> Story {
        let mut story = Story::default();
        let (node, words) = ("us-east-1-a".to_owned(), "the disk said no".to_owned());
        story.evidence.events.push(NodeEvent { node, at_ns: 50, what: Did::Halt, words });
        story
    }

    #[test]
    fn a_node_that_halts_without_cause_is_found() {
        halted().rejected(&CHECK, 1);
        for (kind, from_ns, count) in [("disk-fails", 10, 0), ("disk-fails", 60, 1), ("kill", 10, 1)] {
            let mut story = halted();
            let (kind, targets) = (kind.to_owned(), vec!["us-east-1-a".to_owned()]);
            story.evidence.faults.push(Happened { kind, targets, from_ns, until_ns: None, detail: String::new() });
            story.rejected(&CHECK, count);
        }
    }

    #[test]
    fn damage_and_a_sum_of_something_else_are_found() {
        let mut story = Story::default();
        let sum = |count| Sum { count, digest: "00".to_owned() };
        let right = KeptSum { counted: sum(1), kept: Some(sum(1)) };
        story.node("us-east-1-a").partitions.insert("objects 7".to_owned(), right);
        story.accepted(&CHECK);
        let wrong = KeptSum { counted: sum(1), kept: Some(sum(2)) };
        story.node("us-east-1-a").partitions.insert("objects 8".to_owned(), wrong);
        story.node("us-east-1-a").partitions.insert("objects 9".to_owned(), KeptSum { counted: sum(1), kept: None });
        story.rejected(&CHECK, 2);
        story.node("us-east-1-a").damage.push("a row's checksum is wrong".to_owned());
        story.rejected(&CHECK, 3);
    }
}
