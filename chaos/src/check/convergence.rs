//! In the end all nodes hold the same, within the bound.
//!
//! Statement: all nodes hold the same objects, byte for byte; all nodes of a region, and all that must mirror it, hold
//! its ledger whole, and in each region somebody does; and that was so within the plan's bound of the heal.
//!
//! Source: strong eventual consistency (Shapiro et al., "Conflict-free replicated data types", 2011): nodes that have
//! received the same updates have the same state. The bound makes it a statement that can fail.

use std::time::Duration;

use crate::check::{Check, Evidence, Held, Violation};

/// The checker.
pub const CHECK: Check =
    Check { name: "convergence", statement: "in the end all nodes hold the same, within the bound", run };

fn run(evidence: &Evidence) -> Vec<Violation> {
    let mut found = Vec::new();
    if let Some(healed_ns) = evidence.healed_ns.filter(|_| !evidence.held.is_empty()) {
        let took =
            evidence.converged_ns.map(|converged_ns| Duration::from_nanos(converged_ns.saturating_sub(healed_ns)));
        let bound = evidence.bounds.converge_within;
        match took {
            None => found.push(CHECK.violated(format!("not all nodes held the same within {bound:?} of the heal"))),
            Some(took) if took > bound => {
                found.push(CHECK.violated(format!("all nodes held the same {took:?} after the heal, not {bound:?}")));
            }
            Some(_) => {}
        }
    }
    found.extend(differences(&evidence.held).into_iter().map(|what| CHECK.violated(what)));
    found
}

/// In what nodes differ. Arenas ask it too, to see whether a healed world has converged.
#[must_use]
pub fn differences(held: &[Held]) -> Vec<String> {
    let mut found = Vec::new();
    let Some(first) = held.first() else { return found };
    for other in &held[1..] {
        if first.namespaces == other.namespaces && first.objects == other.objects {
            continue;
        }
        let keys = first.objects.keys().chain(other.objects.keys());
        let differs = |key: &&String| first.objects.get(*key) != other.objects.get(*key);
        let at = keys.into_iter().find(differs);
        let show = |held: &Held| at.and_then(|key| held.objects.get(key)).map(|object| format!("{:?}", object.views));
        let (here, there) = (show(first), show(other));
        found.push(format!(
            "the objects of {} and {} differ, at {at:?}:\n  {here:?}\n  {there:?}",
            first.node, other.node
        ));
    }
    let mut regions: Vec<&str> = held.iter().map(|held| held.region.as_str()).collect();
    regions.sort_unstable();
    regions.dedup();
    for ledger in &regions {
        let size = |held: &Held| held.ledgers.get(*ledger).map_or(0, |ledger| ledger.records.len());
        let whole = held.iter().map(size).max().unwrap_or_default();
        for held in held.iter().filter(|held| (held.region == *ledger || held.mirrors) && size(held) < whole) {
            found.push(format!("{} holds {} records of {ledger}, which has {whole}", held.node, size(held)));
        }
        for region in &regions {
            if !held.iter().any(|held| held.region == *region && size(held) == whole) {
                found.push(format!("nobody in {region} holds all {whole} records of {ledger}"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::{Story, record};
    use crate::history::View;

    fn story() -> Story {
        let mut story = Story::default();
        story.holds("c", View::Counter(1));
        story.ledger(&[(0, "k", "a"), (1, "k", "b")]);
        let first = story.node("us-east-1-a").clone();
        let (node, region) = ("eu-west-1-a".to_owned(), "eu-west-1".to_owned());
        story.evidence.held.push(Held { node, region, ..first });
        story.evidence.healed_ns = Some(1_000);
        story.evidence.converged_ns = Some(2_000);
        story
    }

    #[test]
    fn nodes_that_hold_the_same_in_time_are_right() {
        story().accepted(&CHECK);
        let mut story = story();
        // A node that need not mirror may hold less, while another of its region holds all.
        let (node, region) = ("eu-west-1-b".to_owned(), "eu-west-1".to_owned());
        let held = Held { node, region, mirrors: false, ledgers: [].into(), ..story.node("us-east-1-a").clone() };
        story.evidence.held.push(held);
        story.accepted(&CHECK);
    }

    #[test]
    fn objects_that_differ_are_found() {
        let mut story = story();
        story.holds("c", View::Counter(2));
        story.rejected(&CHECK, 1);
        let mut story = self::story();
        story.node("eu-west-1-a").objects.clear();
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn ledgers_that_are_not_whole_are_found() {
        let mut story = story();
        let records = vec![record(0, "k", "a")];
        story.node("eu-west-1-a").ledgers.get_mut("us-east-1").expect("a mirror").records = records;
        story.rejected(&CHECK, 2);
        story.node("eu-west-1-a").mirrors = false;
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn what_takes_too_long_is_found() {
        let mut story = story();
        story.evidence.converged_ns = Some(61_000_000_000_000);
        story.rejected(&CHECK, 1);
        story.evidence.converged_ns = None;
        story.rejected(&CHECK, 1);
    }
}
