//! No stamp lies further in the future than the clocks of the cluster and the allowed drift explain.
//!
//! Statement: an edit that a node acknowledged has a stamp no later than the true time of the acknowledgement, plus how
//! far that node's own wall was ever ahead, plus the allowed drift, plus what the clock's mark adds at each start. So has
//! a record, of whose region any node may have led. As long as nothing but clocks went wrong, so that every node heard the
//! others: plus no more than the allowed drift once again and how far most walls were ahead, however far its own was,
//! because it must not be believed then. An edit of an object that is ahead of all clocks is stamped by that object
//! ([`super::carried`]).
//!
//! Source: a store that believed stamps of ten years ahead, so that values could not be overwritten any more (Garage's
//! registers under scrambled clocks); the bound is that of Kulkarni et al., "Logical physical clocks", 2014.

use std::collections::BTreeMap;

use trine_crdt::clock::ntp_of_ns;
use trine_crdt::limits::CLOCK_MARK_AHEAD_NS;
use trine_replica::limits::CLOCK_DRIFT_MS_MAX;

use crate::check::carried::carried;
use crate::check::{Check, Evidence, Violation, Wall};

/// Kinds of faults that keep no node from hearing the others.
const CLOCKS: [&str; 3] = ["skew", "jump", "drift"];

/// The checker.
pub const CHECK: Check = Check {
    name: "drift",
    statement: "no stamp is further in the future than clocks and the allowed drift explain",
    run,
};

fn run(evidence: &Evidence) -> Vec<Violation> {
    let Some(start_ns) = evidence.wall_ns else { return Vec::new() };
    let walls: BTreeMap<&str, &Wall> = evidence.walls.iter().map(|wall| (wall.node.as_str(), wall)).collect();
    let mut ahead: Vec<u64> = walls.values().map(|wall| wall.ahead_ns).collect();
    ahead.sort_unstable();
    let most_ns = ahead.get(ahead.len() / 2).copied().unwrap_or_default();
    let others = evidence.faults.iter().filter(|fault| !CLOCKS.contains(&fault.kind.as_str()));
    let heard_until_ns = others.map(|fault| fault.from_ns).min().unwrap_or(u64::MAX);
    let (drift_ns, carried) = (CLOCK_DRIFT_MS_MAX * 1_000_000, carried(evidence));
    let mut found = Vec::new();
    for call in evidence.history.calls().iter().filter(|call| !carried.contains(&call.id)) {
        let (Some(seen), Some(at_ns)) = (call.ok(), call.returned_ns) else { continue };
        let doubted = at_ns < heard_until_ns;
        let most = |wall: &Wall| {
            let wall_ns = if doubted { wall.ahead_ns.min(most_ns + drift_ns) } else { wall.ahead_ns };
            wall_ns + drift_ns + wall.starts * CLOCK_MARK_AHEAD_NS
        };
        let (who, stamp, ahead_ns) = match &seen.record {
            Some(record) => {
                let leads =
                    |wall: &&Wall| wall.node.rsplit_once('-').is_some_and(|(region, _)| region == record.region);
                let Some(ahead_ns) = evidence.walls.iter().filter(leads).map(most).max() else { continue };
                (record.region.as_str(), record.stamp, ahead_ns)
            }
            None if call.edit().is_some() => {
                let Some(wall) = call.node.as_deref().and_then(|node| walls.get(node)) else { continue };
                (wall.node.as_str(), seen.stamp, most(wall))
            }
            None => continue,
        };
        if stamp.time > ntp_of_ns(start_ns + at_ns + ahead_ns) {
            let ahead_ms = ahead_ns / 1_000_000;
            let what =
                format!("{who} stamped call {} {stamp}, more than {ahead_ms} ms ahead of the true time", call.id);
            found.push(CHECK.violated(what));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Happened;
    use crate::check::story::{Story, stamp};
    use crate::history::Edit;

    const SECOND_NS: u64 = 1_000_000_000;

    /// An edit acknowledged one second into the run, stamped so far ahead of that.
    fn story(ahead_ns: u64, wall_ahead_ns: u64) -> Story {
        let mut story = Story::default();
        story.evidence.wall_ns = Some(100 * SECOND_NS);
        let node = "us-east-1-a".to_owned();
        story.evidence.walls.push(Wall { node, ahead_ns: wall_ahead_ns, behind_ns: 0, starts: 1 });
        let time = ntp_of_ns(101 * SECOND_NS + ahead_ns);
        story.edit("c", Edit::Increment(1)).during(SECOND_NS - 5, SECOND_NS).stamped(stamp(time));
        story
    }

    #[test]
    fn stamps_within_the_allowed_drift_are_right() {
        story(0, 0).accepted(&CHECK);
        story(1_299_000_000, 0).accepted(&CHECK);
        story(7 * SECOND_NS, 6 * SECOND_NS).accepted(&CHECK);
    }

    #[test]
    fn stamps_from_further_ahead_are_found() {
        story(1_301_000_000, 0).rejected(&CHECK, 1);
        story(8 * SECOND_NS, 6 * SECOND_NS).rejected(&CHECK, 1);
    }

    #[test]
    fn a_record_may_be_as_far_ahead_as_whoever_is_furthest_in_its_region() {
        for (ahead_ns, count) in [(6 * SECOND_NS, 0), (8 * SECOND_NS, 1)] {
            let mut story = story(0, 0);
            let walls = [("us-east-1-b", 6 * SECOND_NS), ("eu-west-1-a", 60 * SECOND_NS)];
            let wall =
                |(node, ahead_ns): (&str, u64)| Wall { node: node.to_owned(), ahead_ns, behind_ns: 0, starts: 1 };
            story.evidence.walls.extend(walls.map(wall));
            story.append("k", "v").during(SECOND_NS - 5, SECOND_NS).at(0, ntp_of_ns(101 * SECOND_NS + ahead_ns));
            story.rejected(&CHECK, count);
        }
    }

    #[test]
    fn a_node_that_hears_others_is_not_excused_by_its_own_wall() {
        let with_others = |kind: &str| {
            let mut story = story(8 * SECOND_NS, 9 * SECOND_NS);
            for node in ["eu-west-1-a", "ap-southeast-1-a"] {
                story.evidence.walls.push(Wall { node: node.to_owned(), ahead_ns: 0, behind_ns: 0, starts: 1 });
            }
            let (kind, targets) = (kind.to_owned(), vec!["us-east-1-a".to_owned()]);
            let detail = String::new();
            story.evidence.faults.push(Happened { kind, targets, from_ns: 10, until_ns: None, detail });
            story
        };
        with_others("split").accepted(&CHECK);
        with_others("skew").rejected(&CHECK, 1);
    }

    #[test]
    fn where_walls_are_not_known_nothing_is_said() {
        let mut story = story(9 * SECOND_NS, 0);
        story.evidence.walls.clear();
        story.accepted(&CHECK);
        story.evidence.wall_ns = None;
        story.accepted(&CHECK);
    }
}
