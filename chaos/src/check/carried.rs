//! Edits that are stamped ahead because what they had seen was.
//!
//! An edit is stamped above all that its object has seen. Where that lies further ahead than any clock explains, the object
//! counts on by itself, by one, and its node's clock stays with the wall. How far ahead a stamp lies is judged by the wall
//! of the node that sees it, which may be behind. So such a stamp tells nothing of that node's clock: it is excused where
//! another edit of the object accounts for it, which is itself judged; nothing else is. An edit that found nothing to remove tells the
//! very stamp that its object had seen.

use std::collections::{BTreeMap, BTreeSet};

use trine_crdt::clock::ntp_of_ns;
use trine_replica::limits::CLOCK_DRIFT_MS_MAX;

use crate::check::Evidence;
use crate::history::Call;

/// The ids of calls whose stamps say nothing of their nodes' clocks.
pub fn carried(evidence: &Evidence) -> BTreeSet<u64> {
    let Some(start_ns) = evidence.wall_ns else { return BTreeSet::new() };
    let mut keys: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in evidence.history.calls().iter().filter(|call| call.edit().is_some() && call.may_be_done()) {
        keys.entry(&call.key).or_default().push(call);
    }
    let behind: BTreeMap<&str, u64> = evidence.walls.iter().map(|wall| (wall.node.as_str(), wall.behind_ns)).collect();
    let ahead = |call: &&&Call| {
        let Some(stamp) = call.stamp() else { return false };
        let behind_ns = call.node.as_deref().and_then(|node| behind.get(node)).copied().unwrap_or_default();
        // It was stamped at some time of the call. What lay ahead then lay ahead when the call began.
        stamp.time > ntp_of_ns((start_ns + call.invoked_ns + CLOCK_DRIFT_MS_MAX * 1_000_000).saturating_sub(behind_ns))
    };
    let mut found = BTreeSet::new();
    for calls in keys.into_values() {
        for call in calls.iter().filter(ahead) {
            // What began when the call was over, its object had not seen.
            let may_be_seen = |other: &&&Call| !call.precedes(other);
            let accounts = call.stamp().is_some_and(|stamp| {
                // What took no place of its own found nothing to do.
                let nothing = call.ok().is_some_and(|seen| seen.session.positions.is_empty());
                let told = |other: &&Call, seen| nothing && other.id != call.id && seen == stamp;
                let below =
                    |other: &&Call| other.stamp().is_some_and(|seen| seen.time == stamp.time - 1 || told(other, seen));
                calls.iter().filter(may_be_seen).any(below)
            });
            // Nor is it known whether what nobody knows of was seen.
            if accounts || calls.iter().filter(may_be_seen).any(|other| other.is_unknown()) {
                found.insert(call.id);
            }
        }
    }
    found
}
