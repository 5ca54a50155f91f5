//! All copies of a region's ledger are beginnings of one sequence, and hash to what they say.
//!
//! Statement: whatever a node holds of a region's ledger are a beginning of it, leaf for leaf; and the
//! root that the node has of it is the one that these leaves have.
//!
//! That is consistency in the sense of RFC 9162 for any two copies, without a proof: two lists of leaves of which one
//! begins with the other have trees of which one extends the other.
//!
//! Source: RFC 9162, section 2.1; the split views that transparency logs are audited for.

use trine_ledger::tree::Frontier;

use crate::check::{Check, Evidence, Violation};

/// The checker.
pub const CHECK: Check = Check {
    name: "one-ledger",
    statement: "all copies of a region's ledger are beginnings of one sequence, and hash to what they say",
    run,
};

fn run(evidence: &Evidence) -> Vec<Violation> {
    let mut found = Vec::new();
    for region in evidence.regions() {
        let Some(whole) = evidence.ledger(region) else { continue };
        let mut frontier = Frontier::default();
        let mut roots = vec![frontier.root()];
        for record in &whole.records {
            frontier.push(record.leaf, |_| {});
            roots.push(frontier.root());
        }
        for held in &evidence.held {
            let Some(ledger) = held.ledgers.get(region) else { continue };
            let same = |at: &usize| whole.records.get(*at).map(|record| record.leaf) == Some(ledger.records[*at].leaf);
            let differs = (0..ledger.records.len()).find(|at| !same(at));
            if let Some(at) = differs {
                found.push(CHECK.violated(format!("{} holds another record {at} of {region}", held.node)));
            } else if ledger.root.is_some_and(|root| roots[ledger.records.len()] != root) {
                let size = ledger.records.len();
                found.push(CHECK.violated(format!("{} has another root of {region} at {size} records", held.node)));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::{Story, leaf, record};
    use crate::check::{Held, HeldLedger};

    fn story(mirrored: HeldLedger) -> Story {
        let mut story = Story::default();
        story.ledger(&[(0, "k", "a"), (1, "k", "b"), (2, "k", "c")]);
        let held = Held { ledgers: [("us-east-1".to_owned(), mirrored)].into(), ..story.node("eu-west-1-a").clone() };
        *story.node("eu-west-1-a") = held;
        story
    }

    fn root(count: u64) -> [u8; 32] {
        let mut frontier = Frontier::default();
        (0..count).for_each(|number| frontier.push(leaf(number), |_| {}));
        frontier.root()
    }

    #[test]
    fn a_beginning_with_its_root_is_right() {
        let records = vec![record(0, "k", "a"), record(1, "k", "b")];
        story(HeldLedger { records, root: Some(root(2)) }).accepted(&CHECK);
        story(HeldLedger { records: Vec::new(), root: Some(root(0)) }).accepted(&CHECK);
    }

    #[test]
    fn another_record_a_longer_copy_and_another_root_are_found() {
        let records = vec![record(0, "k", "a"), record(7, "k", "b")];
        story(HeldLedger { records, root: None }).rejected(&CHECK, 1);
        let records = (0..4).map(|number| record(number, "k", "x")).collect();
        story(HeldLedger { records, root: None }).rejected(&CHECK, 1);
        let records = vec![record(0, "k", "a")];
        story(HeldLedger { records, root: Some(root(2)) }).rejected(&CHECK, 1);
    }
}
