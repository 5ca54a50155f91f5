//! A counter counts each acknowledged increment once, and one of unknown fate at most once.
//!
//! Statement: on every node in the end, and in every read, a counter lies between what must have been added and what
//! may have been. In the end that is what was acknowledged, and that plus what is of unknown fate. A read must have
//! counted at least what its session knew, unless it asked for whatever is there, and at most what had begun when it
//! ended.
//!
//! A deletion takes away what it has seen of each writer, so that an increment need not be counted where a deletion was
//! not over when it began; and it is not counted where the node which had acknowledged it acknowledged a deletion
//! afterwards.
//!
//! Source: Jepsen's `checker/counter`, which judges increments by these two sums, here for increments and decrements:
//! a bound takes what lowers it into account whenever that may have been seen.

use crate::check::sight::may_take;
use crate::check::{Check, Evidence, Violation};
use crate::history::{Call, Edit, Shown, View};
use trine_protocol::Consistency;

/// The checker.
pub const CHECK: Check = Check {
    name: "counters",
    statement: "a counter counts each acknowledged increment once, and one of unknown fate at most once",
    run,
};

fn run(evidence: &Evidence) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut keys: Vec<&str> =
        evidence.history.calls().iter().filter(|it| by(it).is_some()).map(|it| &*it.key).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let calls: Vec<&Call> = evidence.history.of_key(key).collect();
        let deletions: Vec<&Call> =
            calls.iter().filter(|it| it.edit() == Some(&Edit::Delete) && it.may_be_done()).copied().collect();
        let mut bounds = Bounds::default();
        for call in calls.iter().filter(|call| call.may_be_done()) {
            let may_be_deleted = deletions.iter().any(|deletion| may_take(deletion, call, None));
            if !deletions.iter().any(|deletion| takes(evidence, deletion, call)) {
                bounds.add(by(call).unwrap_or_default(), !call.is_unknown() && !may_be_deleted);
            }
        }
        let Bounds { least, most } = bounds;
        for (nodes, object) in evidence.states(key) {
            let total = object.map_or(0, |object| total(&object.views));
            if !(least..=most).contains(&total) {
                let what = format!("{key} is {total} on {}, not between {least} and {most}", nodes.join(", "));
                found.push(CHECK.violated(what));
            }
        }
        for read in calls.iter() {
            let Some(shown) = read.ok().and_then(|seen| seen.shown.as_ref()) else { continue };
            let total = match shown {
                Shown::Object(views) => total(views),
                Shown::Nothing => 0,
                Shown::Records { .. } => continue,
            };
            let Bounds { least, most } = bounds_of_read(evidence, &calls, &deletions, read);
            if !(least..=most).contains(&total) {
                let what = format!("call {} saw {key} as {total}, not between {least} and {most}", read.id);
                found.push(CHECK.violated(what));
            }
        }
    }
    found
}

/// What must have been counted at least, and may have been at most.
#[derive(Default)]
struct Bounds {
    least: i64,
    most: i64,
}

impl Bounds {
    fn add(&mut self, by: i64, surely: bool) {
        self.least = self.least.saturating_add(if surely { by } else { by.min(0) });
        self.most = self.most.saturating_add(if surely { by } else { by.max(0) });
    }
}

fn bounds_of_read(evidence: &Evidence, calls: &[&Call], deletions: &[&Call], read: &Call) -> Bounds {
    let mut bounds = Bounds::default();
    for call in calls.iter().filter(|call| call.may_be_done()) {
        let Some(by) = by(call) else { continue };
        let later = read.returned_ns.is_some_and(|returned| call.invoked_ns > returned);
        let here = |deletion: &&&Call| deletion.node == read.node && deletion.precedes(read);
        let taken = |deletion: &&Call| takes(evidence, deletion, call) && same_disk(evidence, deletion, read);
        if later || deletions.iter().filter(here).any(taken) {
            continue;
        }
        let told = call.id == read.id
            || (read.consistency != Some(Consistency::Eventual)
                && call.session == read.session
                && call.precedes(read)
                && call.ok().is_some_and(|seen| read.knew.covers(&seen.session)));
        let may_be_deleted = deletions.iter().any(|deletion| may_take(deletion, call, Some(read)));
        bounds.add(by, told && !may_be_deleted);
    }
    bounds
}

/// Whether a deletion surely took an increment away: both were acknowledged by one node, one after the other. It takes
/// all that this node's writer had counted, whose next increment begins anew.
fn takes(evidence: &Evidence, deletion: &Call, increment: &Call) -> bool {
    let done = deletion.ok().is_some() && increment.ok().is_some();
    done && deletion.node == increment.node && increment.precedes(deletion) && same_disk(evidence, increment, deletion)
}

/// Whether a node spoke for itself, on one disk, from one call's end to another's beginning.
fn same_disk(evidence: &Evidence, earlier: &Call, later: &Call) -> bool {
    let since_ns = earlier.returned_ns.unwrap_or(earlier.invoked_ns);
    let here = |node: &String| !evidence.speaks_for_another(node, since_ns, later.invoked_ns);
    later.node.as_ref().is_some_and(here)
}

fn by(call: &Call) -> Option<i64> {
    match call.edit() {
        Some(Edit::Increment(by)) => Some(*by),
        _ => None,
    }
}

fn total(views: &[View]) -> i64 {
    views.iter().map(|view| if let View::Counter(total) = view { *total } else { 0 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::Story;

    fn story() -> Story {
        let mut story = Story::default();
        story.edit("c", Edit::Increment(2)).ok();
        story.edit("c", Edit::Increment(1)).unknown();
        story.edit("c", Edit::Increment(10)).fail();
        story
    }

    #[test]
    fn a_total_between_what_was_and_what_may_have_been_done_is_right() {
        for total in [2, 3] {
            let mut story = story();
            story.read("c").shows(View::Counter(total));
            story.holds("c", View::Counter(total));
            story.accepted(&CHECK);
        }
    }

    #[test]
    fn a_lost_increment_one_done_twice_and_a_refused_one_are_found() {
        for total in [0, 1, 4, 12, 13] {
            let mut story = story();
            story.holds("c", View::Counter(total));
            story.rejected(&CHECK, 1);
        }
    }

    #[test]
    fn a_read_that_forgets_what_its_session_added_is_found() {
        let mut story = story();
        story.read("c").shows(View::Counter(1));
        story.rejected(&CHECK, 1);
        let mut story = story_of_another_session();
        story.read("c").shows(View::Counter(0));
        story.accepted(&CHECK);
        let mut story = story_of_another_session();
        story.read("c").shows(View::Counter(3));
        story.rejected(&CHECK, 1);
    }

    fn story_of_another_session() -> Story {
        let mut story = Story::default();
        story.edit("c", Edit::Increment(2)).session(7).ok();
        story
    }

    /// What stands in the end and was read there, one after the other: 2 here, 4 there, a deletion here, 8 here.
    fn deleted(held: i64, read: i64) -> Story {
        let mut story = Story::default();
        story.edit("c", Edit::Increment(2)).ok();
        story.edit("c", Edit::Increment(4)).on("eu-west-1-a").ok();
        story.edit("c", Edit::Delete).ok();
        story.edit("c", Edit::Increment(8)).ok();
        story.read("c").shows(View::Counter(read));
        story.holds("c", View::Counter(held));
        story
    }

    #[test]
    fn a_deletion_takes_what_its_node_had_counted_and_perhaps_what_others_had() {
        for total in [8, 12] {
            deleted(total, total).accepted(&CHECK);
        }
        for total in [0, 2, 4, 6, 10, 14] {
            // 10 lies between the bounds, which are no sums.
            deleted(total, 8).rejected(&CHECK, usize::from(total != 10));
            deleted(8, total).rejected(&CHECK, usize::from(total != 10));
        }
    }

    #[test]
    fn a_deletion_that_begins_after_a_read_excuses_nothing() {
        let mut story = Story::default();
        story.edit("c", Edit::Increment(2)).during(10, 15).ok();
        story.read("c").during(20, 25).shows(View::Counter(0));
        story.edit("c", Edit::Delete).during(30, 35).ok();
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn a_read_that_asked_for_whatever_is_there_may_lack_what_its_session_added() {
        for (consistency, count) in [(Consistency::Eventual, 0), (Consistency::Session, 1)] {
            let mut story = story();
            story.read("c").but(|call| call.consistency = Some(consistency)).shows(View::Counter(0));
            story.rejected(&CHECK, count);
        }
    }
}
