//! No index of a region's ledger is signed with two contents.
//!
//! Statement: each head that a region showed under its key while the run lasted is a beginning of the ledger that the
//! region has in the end: no longer than that, and with the root that a beginning of that length has.
//!
//! A region whose disks went back in time and that went on as if nothing had been would show heads of a second history; the
//! first one's are then no beginnings of what it holds, whichever of the two the disks end up with.
//!
//! Source: the gossip of signed tree heads by which transparency logs are caught (RFC 9162, section 8.1).

use std::collections::BTreeMap;

use trine_ledger::tree::Frontier;

use crate::check::{Check, Evidence, SignedHead, Violation};

/// The checker.
pub const CHECK: Check =
    Check { name: "signed-once", statement: "no index of a region's ledger is signed with two contents", run };

fn run(evidence: &Evidence) -> Vec<Violation> {
    let mut heads: BTreeMap<&str, Vec<&SignedHead>> = BTreeMap::new();
    evidence.heads.iter().for_each(|head| heads.entry(&head.region).or_default().push(head));
    let mut found = Vec::new();
    for (region, heads) in heads {
        let Some(whole) = evidence.ledger(region) else { continue };
        let mut frontier = Frontier::default();
        let mut roots = vec![frontier.root()];
        for record in &whole.records {
            frontier.push(record.leaf, |_| {});
            roots.push(frontier.root());
        }
        for head in heads {
            let root = usize::try_from(head.size).ok().and_then(|size| roots.get(size));
            let why = match root {
                Some(root) if *root == head.root => continue,
                Some(_) => "holds others in the end".to_owned(),
                None => format!("holds {} in the end", whole.records.len()),
            };
            let SignedHead { node, size, .. } = head;
            found.push(CHECK.violated(format!("{region} signed {size} records, as {node} showed, and {why}")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::{Story, leaf};

    fn story(size: u64, root_of: u64) -> Story {
        let mut story = Story::default();
        story.ledger(&[(0, "k", "a"), (1, "k", "b"), (2, "k", "c")]);
        let mut frontier = Frontier::default();
        (0..root_of).for_each(|number| frontier.push(leaf(number), |_| {}));
        let (node, region, root) = ("us-east-1-a".to_owned(), "us-east-1".to_owned(), frontier.root());
        story.evidence.heads.push(SignedHead { node, region, size, root });
        story
    }

    #[test]
    fn beginnings_of_what_stands_in_the_end_are_right() {
        (0..=3).for_each(|size| story(size, size).accepted(&CHECK));
    }

    #[test]
    fn a_head_of_other_records_or_of_more_is_found() {
        story(2, 3).rejected(&CHECK, 1);
        story(4, 4).rejected(&CHECK, 1);
    }
}
