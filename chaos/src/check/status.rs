//! What a node says of itself and of others is so, or was a moment ago.
//!
//! Statement: a leader that a node names, and a peer that it is connected to, ran within the last seconds; the ledgers
//! that it says it holds do not become shorter while its process runs; and when all is at rest it says the sums and
//! heads that its disk holds, that it is ready where nothing is wrong any more, and that a node of its region leads that
//! runs.
//!
//! Source: "all nodes serve" of a cluster of which a region had lost its majority; a status that compared the heads of a
//! node that was a mirror no more. An operator acts on what is said here and on nothing else.

use crate::check::{Check, Evidence, Held, Said, Violation};

/// The checker.
pub const CHECK: Check =
    Check { name: "status", statement: "what a node says of itself and of others is so, or was a moment ago", run };

/// How long a node may take to notice that another is gone: a silent link is closed after 1.5 s, and a region then
/// chooses a leader.
const NOTICES_WITHIN_NS: u64 = 5_000_000_000;

fn run(evidence: &Evidence) -> Vec<Violation> {
    let mut found = Vec::new();
    for said in &evidence.said {
        found.extend(gone(evidence, said));
        if said.at_rest {
            found.extend(untrue(evidence, said));
        }
    }
    found.extend(shrinks(evidence));
    found.into_iter().map(|what| CHECK.violated(what)).collect()
}

/// Whom a node names although it has been gone for long.
fn gone(evidence: &Evidence, said: &Said) -> Vec<String> {
    let since_ns = said.at_ns.saturating_sub(NOTICES_WITHIN_NS);
    let ran = |name: &str| {
        let mut own = evidence.uptimes.iter().filter(|uptime| uptime.node == name);
        own.any(|uptime| uptime.from_ns <= said.at_ns && uptime.until_ns.is_none_or(|until_ns| until_ns >= since_ns))
    };
    // Whoever sleeps, or is cut off from its region, believes what it heard last.
    let apart = evidence.faults.iter().any(|fault| {
        matches!(fault.kind.as_str(), "split" | "pause" | "link")
            && fault.from_ns <= said.at_ns
            && fault.until_ns.is_none_or(|until_ns| until_ns >= since_ns)
    });
    // Without a majority nobody says that nobody leads.
    let region = evidence.held.iter().find(|held| held.node == said.node).map(|held| held.region.as_str());
    let own: Vec<&Held> = evidence.held.iter().filter(|held| Some(held.region.as_str()) == region).collect();
    let majority = own.iter().filter(|held| ran(&held.node)).count() * 2 > own.len();
    let at = format!("{} said at {} ms", said.node, said.at_ns / 1_000_000);
    let leader = said.leader.iter().filter(|leader| !apart && majority && !ran(leader));
    let leader = leader.map(|leader| format!("{at} that {leader} leads, which has not run for seconds"));
    let connected = said.connected.iter().filter(|peer| !apart && !ran(peer));
    let connected = connected.map(|peer| format!("{at} that it is connected to {peer}, which has not run for seconds"));
    leader.chain(connected).collect()
}

/// What is not so of what a node says when all is at rest.
fn untrue(evidence: &Evidence, said: &Said) -> Vec<String> {
    let Some(held) = evidence.held.iter().find(|held| held.node == said.node) else { return Vec::new() };
    let mut found = Vec::new();
    if said.objects != held.namespaces {
        found.push(format!(
            "{} says that its objects sum up to {:?}, and holds {:?}",
            said.node, said.objects, held.namespaces
        ));
    }
    for (region, ledger) in &held.ledgers {
        if *region != held.region && !held.mirrors {
            continue;
        }
        let told = said.ledgers.get(region).copied().unwrap_or_default();
        let size = ledger.records.len() as u64;
        if told.size != size || ledger.root.is_some_and(|root| root != told.root) {
            found.push(format!(
                "{} says {} records of {region}, and holds {size}, or another root",
                said.node, told.size
            ));
        }
    }
    if evidence.converged_ns.is_some() {
        if let Some(reason) = said.reason.clone().or_else(|| (!said.ready).then(|| "it is not ready".to_owned())) {
            found.push(format!("{} says when all is well: {reason}", said.node));
        }
        if !said.leader.as_ref().is_some_and(|leader| leads(evidence, held, leader)) {
            found.push(format!("{} says that {:?} leads its region", said.node, said.leader));
        }
    }
    found
}

/// Whether a node may be what a region's nodes take for their leader: one of theirs, of which all speak.
fn leads(evidence: &Evidence, held: &Held, leader: &str) -> bool {
    let of_region =
        |said: &&Said| evidence.held.iter().any(|other| other.node == said.node && other.region == held.region);
    let runs = evidence.uptimes.iter().any(|uptime| uptime.node == leader && uptime.until_ns.is_none());
    let mut all = evidence.said.iter().filter(|said| said.at_rest).filter(of_region);
    runs && all.all(|said| said.leader.as_deref() == Some(leader))
}

/// Ledgers that became shorter while a node's process ran.
fn shrinks(evidence: &Evidence) -> Vec<String> {
    let mut found = Vec::new();
    for (place, later) in evidence.said.iter().enumerate() {
        let Some(earlier) = evidence.said[..place].iter().rev().find(|said| said.node == later.node) else { continue };
        let runs = |uptime: &&crate::check::Uptime| uptime.node == later.node && uptime.from_ns < earlier.at_ns;
        let same_run =
            evidence.uptimes.iter().filter(runs).any(|uptime| uptime.until_ns.is_none_or(|at| at >= later.at_ns));
        for (region, before) in earlier.ledgers.iter().filter(|_| same_run) {
            let after = later.ledgers.get(region).copied().unwrap_or_default().size;
            if after < before.size {
                found.push(format!("{} said {} records of {region}, and then {after}", later.node, before.size));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::Story;
    use crate::check::{SaidLedger, Uptime};

    const SECOND_NS: u64 = 1_000_000_000;

    fn uptime(node: &str, from_s: u64, until_s: Option<u64>) -> Uptime {
        let until_ns = until_s.map(|until| until * SECOND_NS);
        Uptime { node: node.to_owned(), from_ns: from_s * SECOND_NS, until_ns, writer: String::new() }
    }

    fn said(node: &str, at_s: u64, leader: &str, size: u64) -> Said {
        let ledgers = [("us-east-1".to_owned(), SaidLedger { size, root: [0; 32] })].into();
        let (node, leader) = (node.to_owned(), Some(leader.to_owned()));
        Said { node, at_ns: at_s * SECOND_NS, ready: true, leader, ledgers, ..Said::default() }
    }

    /// A region of two nodes with one record, of which `us-east-1-b` leads, ended at 20 s and began again at 30 s.
    fn story() -> Story {
        let mut story = Story::default();
        story.ledger(&[(0, "k", "v")]);
        let records = story.evidence.held[0].ledgers.clone();
        story.node("us-east-1-b").ledgers = records;
        story.evidence.converged_ns = Some(40 * SECOND_NS);
        story.evidence.uptimes =
            vec![uptime("us-east-1-a", 0, None), uptime("us-east-1-b", 0, Some(20)), uptime("us-east-1-b", 30, None)];
        // A third, which is never asked, so that two are a majority.
        story.node("us-east-1-c");
        story.evidence.uptimes.push(uptime("us-east-1-c", 0, None));
        story
    }

    #[test]
    fn what_was_so_a_moment_ago_may_be_said_and_what_was_long_since_may_not() {
        let mut story = story();
        story.evidence.said = [5, 19, 24].map(|at_s| said("us-east-1-a", at_s, "us-east-1-b", 1)).into();
        story.accepted(&CHECK);
        story.evidence.said.push(said("us-east-1-a", 27, "us-east-1-b", 1));
        story.rejected(&CHECK, 1);
        story.evidence.said[3].connected.push("us-east-1-b".to_owned());
        story.rejected(&CHECK, 2);
    }

    #[test]
    fn a_ledger_that_becomes_shorter_under_one_process_is_found() {
        let mut story = story();
        story.evidence.said = vec![said("us-east-1-b", 5, "us-east-1-a", 9), said("us-east-1-b", 31, "us-east-1-a", 4)];
        story.accepted(&CHECK);
        story.evidence.said.push(said("us-east-1-b", 32, "us-east-1-a", 3));
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn at_rest_all_that_is_said_is_true() {
        let rest = |change: &dyn Fn(&mut Said)| {
            let mut story = story();
            for node in ["us-east-1-a", "us-east-1-b"] {
                story.evidence.said.push(Said { at_rest: true, ..said(node, 50, "us-east-1-b", 1) });
            }
            change(&mut story.evidence.said[0]);
            story
        };
        rest(&|_| {}).accepted(&CHECK);
        rest(&|said| said.ready = false).rejected(&CHECK, 1);
        rest(&|said| said.reason = Some("the disk is full".to_owned())).rejected(&CHECK, 1);
        rest(&|said| said.ledgers.clear()).rejected(&CHECK, 1);
        rest(&|said| drop(said.objects.insert("objects".to_owned(), crate::check::Sum::default()))).rejected(&CHECK, 1);
        // Then neither is believed of whom the other says something else.
        rest(&|said| said.leader = Some("us-east-1-a".to_owned())).rejected(&CHECK, 2);
        rest(&|said| said.leader = None).rejected(&CHECK, 2);
    }
}
