//! Hybrid time does not go back: on a node, over its restarts too, and in a ledger.
//!
//! Statement: an edit that a node began after it had acknowledged another has the later stamp, also when it was started
//! anew between them; no answer about an object tells an earlier time than one of that node that had
//! ended before its call began; and the marks that a node's clock left when it stopped and started do not fall. An edit of an object
//! that is ahead of all clocks is stamped by that object ([`super::carried`]) and says nothing here.
//!
//! Source: S. Kulkarni et al., "Logical physical clocks", 2014; clocks that forgot their high-water mark over a restart
//! (CockroachDB, issue 23122).

use std::collections::{BTreeMap, BTreeSet};

use trine_crdt::Timestamp;

use crate::check::backwards::backwards;
use crate::check::carried::carried;
use crate::check::{Check, ClockMark, Evidence, Violation};
use crate::history::{Action, Call};

/// The checker.
pub const CHECK: Check =
    Check { name: "clocks", statement: "hybrid time does not go back on a node, over its restarts either", run };

fn run(evidence: &Evidence) -> Vec<Violation> {
    // Another disk's clock knows nothing of the former one's.
    let mut edits: BTreeMap<(&str, usize), Vec<(&Call, Timestamp)>> = BTreeMap::new();
    let mut answers: BTreeMap<(&str, usize), Vec<(&Call, u64)>> = BTreeMap::new();
    let carried = carried(evidence);
    for call in evidence.history.calls().iter().filter(|call| !carried.contains(&call.id)) {
        let (Some(node), Some(seen), Some(returned_ns)) = (&call.node, call.ok(), call.returned_ns) else { continue };
        let Some(life) = evidence.life(node, call.invoked_ns, returned_ns) else { continue };
        if call.edit().is_some() {
            edits.entry((node, life)).or_default().push((call, seen.stamp));
        }
        // "Not found" tells no time, and records may be another node's answer, handed on.
        if seen.stamp != Timestamp::ZERO && matches!(call.action, Action::Edit(_) | Action::Read) {
            answers.entry((node, life)).or_default().push((call, seen.stamp.time));
        }
    }
    let mut found = Vec::new();
    for ((node, _), edits) in edits {
        for (before, stamp, call) in backwards(edits, true) {
            let what = format!("{node} stamped call {} {stamp} after it had acknowledged {before}", call.id);
            found.push(CHECK.violated(what));
        }
    }
    for ((node, _), answers) in answers {
        for (before, time, call) in backwards(answers, false) {
            let what = format!("{node} told call {} {time:016x} after it had told {before:016x}", call.id);
            found.push(CHECK.violated(what));
        }
    }
    let mut marks: BTreeMap<&str, Vec<&ClockMark>> = BTreeMap::new();
    let calls = evidence.history.calls().iter();
    let by_objects: BTreeSet<Timestamp> =
        calls.filter(|call| carried.contains(&call.id)).filter_map(Call::stamp).collect();
    for mark in evidence.clocks.iter().filter(|mark| !by_objects.contains(&mark.stamp)) {
        marks.entry(&mark.node).or_default().push(mark);
    }
    for (node, mut marks) in marks {
        marks.sort_by_key(|mark| mark.at_ns);
        let falls = |pair: &&[&ClockMark]| {
            pair[1].stamp.time < pair[0].stamp.time && !evidence.speaks_for_another(node, pair[0].at_ns, pair[1].at_ns)
        };
        for pair in marks.windows(2).filter(falls) {
            let what = format!("the clock of {node} went from {} back to {}", pair[0].stamp, pair[1].stamp);
            found.push(CHECK.violated(what));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use trine_crdt::WriterId;
    use trine_crdt::clock::ntp_of_ns;

    use super::*;
    use crate::check::story::{Story, stamp};
    use crate::check::{Happened, Uptime, Wall};
    use crate::history::Edit;

    fn edit(story: &mut Story, node: &str, from_ns: u64, time: u64) {
        let edit = Edit::Increment(1);
        story.edit("c", edit).on(node).during(from_ns, from_ns + 5).stamped(stamp(time));
    }

    #[test]
    fn stamps_that_rise_on_each_node_are_right_and_overlapping_calls_may_have_any() {
        let mut story = Story::default();
        edit(&mut story, "us-east-1-a", 0, 10);
        edit(&mut story, "us-east-1-a", 10, 11);
        edit(&mut story, "us-east-1-a", 12, 12);
        edit(&mut story, "us-east-1-a", 13, 11 + 5);
        edit(&mut story, "eu-west-1-a", 50, 3);
        story.accepted(&CHECK);
    }

    #[test]
    fn a_stamp_that_falls_or_stays_is_found() {
        for time in [9, 10] {
            let mut story = Story::default();
            edit(&mut story, "us-east-1-a", 0, 10);
            edit(&mut story, "us-east-1-a", 10, time);
            // A stamp that stays breaks the strict rule only.
            story.rejected(&CHECK, if time == 9 { 2 } else { 1 });
        }
    }

    #[test]
    fn a_stamp_that_its_object_accounts_for_says_nothing_of_the_clock_and_any_other_does() {
        let ahead = ntp_of_ns(3_600_000_000_000);
        let told = |seen: u64| {
            let mut story = Story::default();
            story.evidence.wall_ns = Some(0);
            for (node, key, from_ns, time) in
                [("eu-west-1-a", "c", 0, ahead), ("us-east-1-a", "c", 10, seen), ("us-east-1-a", "d", 20, 500)]
            {
                story.edit(key, Edit::Increment(1)).on(node).during(from_ns, from_ns + 5).stamped(stamp(time));
            }
            story
        };
        told(ahead + 1).accepted(&CHECK);
        told(ahead + 2).rejected(&CHECK, 2);
        // An edit that took a place of its own bears no stamp that another bears.
        told(ahead).rejected(&CHECK, 2);
    }

    #[test]
    fn what_began_when_a_call_was_over_accounts_for_nothing_of_it() {
        let ahead = ntp_of_ns(3_600_000_000_000);
        for (began_ns, count) in [(12, 0), (16, 2)] {
            let mut story = Story::default();
            story.evidence.wall_ns = Some(0);
            let edit = Edit::Increment(1);
            story.edit("c", edit.clone()).on("us-east-1-a").during(10, 15).stamped(stamp(ahead));
            story.edit("c", edit.clone()).on("eu-west-1-a").during(began_ns, began_ns + 5).unknown();
            story.edit("d", edit).on("us-east-1-a").during(30, 35).stamped(stamp(500));
            story.rejected(&CHECK, count);
        }
    }

    #[test]
    fn an_answer_that_was_handed_on_is_that_of_the_node_that_gave_it() {
        let told = |writer: u8, time: u64| {
            let mut story = Story::default();
            for (node, from_ns, by) in [("us-east-1-a", 0, 1), ("eu-west-1-a", 10, 2)] {
                let stamp = Timestamp { time: 500 * u64::from(by), writer: WriterId([by; 16]) };
                story.edit("c", Edit::Increment(1)).on(node).during(from_ns, from_ns + 5).stamped(stamp);
            }
            for (from_ns, time, by) in [(20, 1_100, 2), (30, time, writer)] {
                let stamp = Timestamp { time, writer: WriterId([by; 16]) };
                story.read("d").on("us-east-1-a").during(from_ns, from_ns + 5).stamped(stamp);
            }
            story
        };
        told(1, 600).accepted(&CHECK);
        told(2, 1_100).accepted(&CHECK);
        told(2, 1_050).rejected(&CHECK, 1);
        told(1, 400).rejected(&CHECK, 1);
    }

    #[test]
    fn whose_answer_it_is_the_arena_knows_where_no_edit_tells() {
        for (by, count) in [("eu-west-1-a", 0), ("us-east-1-a", 1)] {
            let mut story = Story::default();
            let other = WriterId([7; 16]);
            let uptime = Uptime { node: by.to_owned(), from_ns: 0, until_ns: None, writer: other.to_string() };
            story.evidence.uptimes.push(uptime);
            for (from_ns, stamp) in [(20, Timestamp { time: 1_100, writer: other }), (30, stamp(600))] {
                story.read("d").on("us-east-1-a").during(from_ns, from_ns + 5).stamped(stamp);
            }
            story.rejected(&CHECK, count);
        }
    }

    #[test]
    fn what_lies_ahead_is_judged_by_the_wall_that_sees_it() {
        for (behind_ns, count) in [(0, 2), (600_000_000, 0)] {
            let mut story = Story::default();
            story.evidence.wall_ns = Some(0);
            let node = "us-east-1-a".to_owned();
            story.evidence.walls.push(Wall { node, ahead_ns: 0, behind_ns, starts: 1 });
            let near = ntp_of_ns(700_000_000);
            for (node, key, from_ns, time) in
                [("eu-west-1-a", "c", 0, near), ("us-east-1-a", "c", 10, near + 1), ("us-east-1-a", "d", 20, 500)]
            {
                story.edit(key, Edit::Increment(1)).on(node).during(from_ns, from_ns + 5).stamped(stamp(time));
            }
            story.rejected(&CHECK, count);
        }
    }

    #[test]
    fn what_lies_ahead_is_judged_by_the_time_at_which_the_call_began() {
        for (began_ns, count) in [(10, 0), (250_000_000, 2)] {
            let mut story = Story::default();
            story.evidence.wall_ns = Some(0);
            let near = ntp_of_ns(1_200_000_000);
            for (node, key, from_ns, until_ns, time) in [
                ("eu-west-1-a", "c", 0, 5, near),
                ("us-east-1-a", "c", began_ns, 300_000_000, near + 1),
                ("us-east-1-a", "d", 300_000_020, 300_000_025, 500),
            ] {
                story.edit(key, Edit::Increment(1)).on(node).during(from_ns, until_ns).stamped(stamp(time));
            }
            story.rejected(&CHECK, count);
        }
    }

    #[test]
    fn another_disk_excuses_what_it_parts_and_nothing_else() {
        let lost = Happened {
            kind: "disk-lost".to_owned(),
            targets: vec!["us-east-1-a".to_owned()],
            from_ns: 1_000,
            until_ns: Some(2_000),
            detail: String::new(),
        };
        let after = 20_000_000_000;
        let told = |second_before: u64, second_after: u64| {
            let mut story = Story::default();
            story.evidence.faults = vec![lost.clone()];
            for (from_ns, time) in [(0, 10), (20, second_before), (after, 5), (after + 20, second_after)] {
                edit(&mut story, "us-east-1-a", from_ns, time);
            }
            story
        };
        told(11, 6).accepted(&CHECK);
        told(9, 6).rejected(&CHECK, 2);
        told(11, 4).rejected(&CHECK, 2);
    }

    #[test]
    fn a_mark_that_falls_over_a_restart_is_found() {
        let mut story = Story::default();
        let mark = |at_ns, time| ClockMark { node: "us-east-1-a".to_owned(), at_ns, stamp: stamp(time) };
        story.evidence.clocks = vec![mark(5, 10), mark(1, 3), mark(9, 10)];
        story.accepted(&CHECK);
        story.evidence.clocks.push(mark(10, 9));
        story.rejected(&CHECK, 1);
    }
}
