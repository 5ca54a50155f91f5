//! A counter counts each acknowledged increment once, and one of unknown fate at most once.
//!
//! Statement: on every node in the end, and in every read, a counter lies between what must have been added and what
//! may have been. In the end that is what was acknowledged, and that plus what is of unknown fate. A read must have
//! counted at least what its session knew, and at most what had begun when it ended.
//!
//! Source: Jepsen's `checker/counter`, which judges increments by these two sums, here for increments and decrements:
//! a bound takes what lowers it into account whenever that may have been seen.

use crate::check::{Check, Evidence, Violation};
use crate::history::{Call, Edit, Shown, View};

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
        let (mut least, mut most) = (0i64, 0i64);
        for call in calls.iter().filter(|call| call.may_be_done()) {
            let by = by(call).unwrap_or_default();
            least = least.saturating_add(if call.is_unknown() { by.min(0) } else { by });
            most = most.saturating_add(if call.is_unknown() { by.max(0) } else { by });
        }
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
            let (least, most) = bounds_of_read(&calls, read);
            if !(least..=most).contains(&total) {
                let what = format!("call {} saw {key} as {total}, not between {least} and {most}", read.id);
                found.push(CHECK.violated(what));
            }
        }
    }
    found
}

/// What a read must have counted at least, and may have at most.
fn bounds_of_read(calls: &[&Call], read: &Call) -> (i64, i64) {
    let (mut least, mut most) = (0i64, 0i64);
    for call in calls.iter().filter(|call| call.may_be_done()) {
        let Some(by) = by(call) else { continue };
        if read.returned_ns.is_some_and(|returned| call.invoked_ns > returned) {
            continue;
        }
        let own = call.id == read.id;
        let known = own
            || (call.session == read.session
                && call.precedes(read)
                && call.ok().is_some_and(|seen| read.knew.covers(&seen.session)));
        least = least.saturating_add(if known { by } else { by.min(0) });
        most = most.saturating_add(if known { by } else { by.max(0) });
    }
    (least, most)
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
}
