//! A node that runs answers each call within the time that it may take.
//!
//! Statement: no call stays without an answer at a node that ran all the time it could take, was reached by its client,
//! and neither slept nor changed its disk. An error is an answer; so is that nobody knows what became of it.
//!
//! Source: requests that were dropped from a queue without a word, so that clients waited for ever.

use crate::check::{Check, Evidence, Violation};
use crate::history::Call;

/// The checker.
pub const CHECK: Check =
    Check { name: "answers", statement: "a node that runs answers each call within the time that it may take", run };

/// Within how long a call of a client is answered: the longest that it may wait, and a moment.
const WITHIN_NS: u64 = 3_400_000_000;
/// Faults of which it is not known whom they keep from answering.
const OF_ALL: [&str; 5] = ["split", "join", "leave", "replace", "disk-restored"];

fn run(evidence: &Evidence) -> Vec<Violation> {
    // Whether nodes ran is known in the simulated world only.
    let (Some(end_ns), false) = (evidence.converged_ns, evidence.uptimes.is_empty()) else { return Vec::new() };
    let open = evidence.history.calls().iter().filter(|call| call.returned_ns.is_none());
    let due = open.filter(|call| call.invoked_ns + WITHIN_NS <= end_ns && could(evidence, call));
    due.map(|call| {
        CHECK.violated(format!("call {} got no answer from {}", call.id, call.node.as_deref().unwrap_or("?")))
    })
    .collect()
}

/// Whether nothing kept a call's node from answering it.
fn could(evidence: &Evidence, call: &Call) -> bool {
    let Some(node) = &call.node else { return false };
    let until_ns = call.invoked_ns + WITHIN_NS;
    let ran = |uptime: &crate::check::Uptime| {
        uptime.node == *node
            && uptime.from_ns <= call.invoked_ns
            && uptime.until_ns.is_none_or(|until| until >= until_ns)
    };
    let kept = evidence.faults.iter().any(|fault| {
        let meets = OF_ALL.contains(&fault.kind.as_str()) || fault.targets.contains(node);
        let ended = fault.until_ns.or(evidence.healed_ns).is_some_and(|ended| ended < call.invoked_ns);
        meets && fault.from_ns <= until_ns && !ended
    });
    evidence.uptimes.iter().any(ran) && !kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::Story;
    use crate::check::{Happened, Uptime};

    fn story(kind: Option<(&str, &str)>) -> Story {
        let mut story = Story::default();
        story.read("s").but(|call| call.returned_ns = None).unknown();
        story.evidence.converged_ns = Some(60_000_000_000);
        let node = "us-east-1-a".to_owned();
        story.evidence.uptimes.push(Uptime { node, from_ns: 0, until_ns: None, writer: String::new() });
        if let Some((kind, target)) = kind {
            let (kind, targets) = (kind.to_owned(), vec![target.to_owned()]);
            let until_ns = Some(1_000_000_000);
            story.evidence.faults.push(Happened { kind, targets, from_ns: 0, until_ns, detail: String::new() });
        }
        story
    }

    #[test]
    fn silence_is_found_where_nothing_explains_it() {
        story(None).rejected(&CHECK, 1);
        story(Some(("kill", "us-east-1-b"))).rejected(&CHECK, 1);
        story(Some(("pause", "us-east-1-a"))).accepted(&CHECK);
        story(Some(("split", "eu-west-1"))).accepted(&CHECK);
        let mut ended = story(None);
        ended.evidence.uptimes[0].until_ns = Some(1_000);
        ended.accepted(&CHECK);
        let mut early = story(None);
        early.evidence.converged_ns = Some(1_000_000_000);
        early.accepted(&CHECK);
    }

    #[test]
    fn what_was_answered_was_answered() {
        let mut story = story(None);
        story.read("s").shows_nothing();
        story.read("s").unknown();
        story.rejected(&CHECK, 1);
    }
}
