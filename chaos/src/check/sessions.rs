//! A session never reads behind itself: the four guarantees of Terry.
//!
//! Statement, for two calls of one session on one key of which one had ended before the other began, and whose later
//! one was sent with all that the earlier one had told the session:
//! - *read your writes*: a read shows what the session wrote;
//! - *monotonic reads*: a read shows what an earlier read showed;
//! - *monotonic writes*: a write is ordered behind what the session wrote on the same node;
//! - *writes follow reads*: a write is ordered behind what the session read on the same node, be it of another key: a
//!   node has seen what it shows, whoever wrote it, and stamps above that.
//!
//! The last two are promised on one node only: a write does not wait for what its session did on another, and where
//! clocks differ by more than deltas need to travel, it may be stamped before it.
//!
//! A token holds few exact object writes and forgets the oldest, which is why it matters what a call was sent with; and
//! of the elements that a read showed it names only the latest write, so that others are judged where it knows of them.
//! So is the value of a register that somebody deletes: the latest write in it may then be a deletion. Where both reads
//! were one node's, on one disk, nothing is excused by what a session knows: what a node holds only grows.
//! "Ordered behind" is a later stamp for edits and a higher index in the same ledger for records. Edits that may find
//! nothing to remove need no stamp. Reads that ask for `eventual` consistency asked for none of this, but of one node.
//!
//! Source: D. Terry et al., "Session guarantees for weakly consistent replicated data", 1994; sessions that did not
//! survive failover (MongoDB 3.6, Jepsen).

use std::collections::{BTreeMap, BTreeSet};

use trine_crdt::Timestamp;
use trine_crdt::clock::ntp_of_ns;
use trine_protocol::Consistency;

use crate::check::sight::{Sight, elements, field, has_element, register, values, versions, views};
use crate::check::{Check, Evidence, Violation};
use crate::history::{Action, Call, Edit, Shown, View};

/// The checker.
pub const CHECK: Check =
    Check { name: "sessions", statement: "a session reads its writes, and its reads and writes do not go back", run };

/// Faults after which other nodes may mirror the other regions' ledgers.
const MOVES_MIRRORS: [&str; 5] = ["join", "leave", "replace", "disk-lost", "disk-restored"];

fn run(evidence: &Evidence) -> Vec<Violation> {
    let sight = Sight::of(&evidence.history);
    let mut groups: BTreeMap<(usize, &str), Vec<&Call>> = BTreeMap::new();
    for call in evidence.history.calls().iter().filter(|call| call.ok().is_some()) {
        groups.entry((call.session, &call.key)).or_default().push(call);
    }
    let mut found = Vec::new();
    for ((session, key), calls) in groups {
        for (place, later) in calls.iter().enumerate() {
            for earlier in calls[..place].iter().filter(|earlier| earlier.precedes(later)) {
                if let Some(what) = broken(evidence, &sight, earlier, later) {
                    let ids = format!("session {session} on {key}: call {} after call {}", later.id, earlier.id);
                    found.push(CHECK.violated(format!("{ids} {what}")));
                    break;
                }
            }
        }
    }
    found.extend(across_keys(evidence, &sight));
    found.extend(forgets(evidence));
    found
}

/// Sessions that went on without what their last call had told them, though they have room for far more.
fn forgets(evidence: &Evidence) -> Vec<Violation> {
    // By session: its last call, and when all calls before that had ended.
    let mut last: BTreeMap<usize, (&Call, u64)> = BTreeMap::new();
    let mut found = Vec::new();
    for call in evidence.history.calls() {
        let before = last.get(&call.session).copied();
        // Calls that overlap may tell more than a session keeps.
        let alone = before.filter(|(earlier, ended_ns)| *ended_ns < earlier.invoked_ns && earlier.ok().is_some());
        if let Some((earlier, _)) = alone.filter(|(earlier, _)| earlier.precedes(call) && !told(earlier, call)) {
            let ids = format!("session {}: call {} after call {}", call.session, call.id, earlier.id);
            found.push(CHECK.violated(format!("{ids} does not know what that told")));
        }
        let ended_ns = before.map_or(0, |(earlier, ended_ns)| earlier.returned_ns.unwrap_or(0).max(ended_ns));
        last.insert(call.session, (call, ended_ns));
    }
    found
}

/// Edits that a node stamped below what it had shown the session before, of whichever key.
fn across_keys(evidence: &Evidence, sight: &Sight<'_>) -> Vec<Violation> {
    let Some(start_ns) = evidence.wall_ns else { return Vec::new() };
    // Where nodes come and go, who mirrored what and answered by itself is not known.
    if evidence.faults.iter().any(|fault| MOVES_MIRRORS.contains(&fault.kind.as_str())) {
        return Vec::new();
    }
    let mirrors: BTreeSet<&str> =
        evidence.held.iter().filter(|held| held.mirrors).map(|held| held.node.as_str()).collect();
    let mut found = Vec::new();
    // By session and node: what was shown, when that call had ended.
    let mut shown: BTreeMap<(usize, &str), Vec<(&Call, Timestamp)>> = BTreeMap::new();
    for call in evidence.history.calls().iter().filter(|call| call.ok().is_some()) {
        let (Some(node), Some(returned_ns)) = (call.node.as_deref(), call.returned_ns) else { continue };
        let before = shown.entry((call.session, node)).or_default();
        if let Some(stamp) = written(call) {
            let above = before.iter().find(|(earlier, shown)| {
                earlier.key != call.key
                    && earlier.precedes(call)
                    && *shown >= stamp
                    && same_disk(evidence, earlier, call)
            });
            if let Some((earlier, shown)) = above {
                let what = format!("session {} on {node}: call {} is stamped {stamp}", call.session, call.id);
                found.push(CHECK.violated(format!("{what} after call {} was shown {shown}", earlier.id)));
            }
        }
        // A node hands on what it does not hold, and regional reads. What is ahead of the time moves no clock, perhaps.
        let local = mirrors.contains(node) && call.consistency != Some(Consistency::Regional);
        let now = ntp_of_ns(start_ns + returned_ns);
        before.extend(read(sight, call).filter(|stamp| local && stamp.time <= now).map(|stamp| (call, stamp)));
    }
    found
}

/// Whether what one call told the session was sent with the other.
fn told(earlier: &Call, later: &Call) -> bool {
    earlier.precedes(later) && earlier.ok().is_some_and(|seen| later.knew.covers(&seen.session))
}

fn broken(evidence: &Evidence, sight: &Sight<'_>, earlier: &Call, later: &Call) -> Option<&'static str> {
    // A write waits for nothing that its session did on another node, so that it can be stamped by a slower clock.
    let here = same_disk(evidence, earlier, later);
    let waits = told(earlier, later) && later.consistency != Some(Consistency::Eventual);
    match (earlier.writes(), later.writes()) {
        (true, false) if waits => sight.lacks(later, earlier).then_some("does not show what the session wrote"),
        (false, false) if waits || here => {
            goes_back(sight, earlier, later, here).then_some("shows less than the session read")
        }
        (true, true) if here => {
            let falls = falls(earlier.edit().and(earlier.stamp()), written(later)) || sinks(earlier, later);
            falls.then_some("is ordered before what the session wrote")
        }
        (false, true) if here => {
            falls(read(sight, earlier), written(later)).then_some("is ordered before what the session read")
        }
        _ => None,
    }
}

/// Whether one node answered both, by itself and on one disk.
fn same_disk(evidence: &Evidence, earlier: &Call, later: &Call) -> bool {
    let since_ns = earlier.returned_ns.unwrap_or(earlier.invoked_ns);
    let here = |node: &String| !evidence.speaks_for_another(node, since_ns, later.invoked_ns);
    earlier.node == later.node && later.node.as_ref().is_some_and(here)
}

/// Whether a read lacks what an earlier one showed; `here`: on the same node.
fn goes_back(sight: &Sight<'_>, earlier: &Call, later: &Call, here: bool) -> bool {
    let shown = |call: &Call| call.ok().and_then(|seen| seen.shown.clone());
    let (Some(before), Some(after)) = (shown(earlier), shown(later)) else { return false };
    let key = &later.key;
    match (&earlier.action, &later.action) {
        (Action::Latest | Action::Versions, Action::Latest) => {
            let stamp = |shown: &Shown| versions(shown).last().map(|version| version.stamp);
            stamp(&after) < stamp(&before)
        }
        (Action::Latest | Action::Versions, Action::Versions) => {
            let whole = !matches!(after, Shown::Records { more: true, .. });
            whole && versions(&before).iter().any(|version| !versions(&after).contains(version))
        }
        (Action::Read, Action::Read) => {
            let (before, after) = (views(&before), views(&after));
            let lacks = |before: &[View], after: &[View]| {
                let stays = |one: &&String| (here || sight.known(later, one)) && !sight.removed(key, one, Some(later));
                elements(before).filter(stays).any(|one| !has_element(after, one))
            };
            let names = before.iter().filter_map(|view| if let View::Map(fields) = view { Some(fields) } else { None });
            let swept = |name: &String| {
                let removes = |edit: &Edit| matches!(edit, Edit::RemoveField(other) if other == name);
                sight.may_be_swept(key, removes)
            };
            let (was, is) = (register(before), register(after));
            let stamp = |value: Option<&String>| value.map(|value| sight.stamp(key, value));
            let register_falls = match (stamp(was), stamp(is)) {
                (Some(Some(before)), Some(Some(after))) => after < before,
                (Some(_), None) => true,
                _ => false,
            };
            // Where nobody deletes, the latest write in a register is the value that it shows.
            let excused = |value: &String| {
                let deletes = sight.deletions(key).next().is_some();
                deletes && (sight.may_be_deleted(key, value, Some(later)) || !(here || sight.known(later, value)))
            };
            let register_falls = register_falls && !was.is_some_and(excused);
            let counter_falls = here && !sight.may_sink(key) && counter(after) < counter(before);
            counter_falls
                || lacks(before, after)
                || names
                    .flat_map(BTreeMap::keys)
                    .any(|name| !swept(name) && lacks(field(before, name), field(after, name)))
                || register_falls
        }
        _ => false,
    }
}

/// The stamp of an edit that adds something: one that removes may find nothing to do.
fn written(call: &Call) -> Option<Timestamp> {
    fn adds(edit: &Edit) -> bool {
        match edit {
            Edit::Increment(_) | Edit::Set(_) | Edit::Put(_) | Edit::Add(_) => true,
            Edit::Field(_, edit) => adds(edit),
            Edit::Remove(_) | Edit::RemoveField(_) | Edit::Delete => false,
        }
    }
    call.stamp().filter(|_| call.edit().is_some_and(adds))
}

/// Whether a record stands before an earlier one of the same ledger, and is not one that was there before.
fn sinks(earlier: &Call, later: &Call) -> bool {
    let record = |call: &Call| call.ok().and_then(|seen| seen.record.clone());
    let (Some(before), Some(after)) = (record(earlier), record(later)) else { return false };
    before.region == after.region
        && after.index <= before.index
        && !after.again
        && earlier.request_id != later.request_id
}

/// The latest stamp of all that a read showed: of whatever a set, a register or a map holds, and of records.
fn read(sight: &Sight<'_>, call: &Call) -> Option<Timestamp> {
    let shown = call.ok()?.shown.as_ref()?;
    let values = values(views(shown)).into_iter().filter_map(|value| sight.stamp(&call.key, value));
    values.chain(versions(shown).iter().map(|version| version.stamp)).max()
}

fn counter(views: &[View]) -> i64 {
    views.iter().map(|view| if let View::Counter(total) = view { *total } else { 0 }).sum()
}

fn falls<T: Ord>(before: Option<T>, after: Option<T>) -> bool {
    before.zip(after).is_some_and(|(before, after)| after <= before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::{Story, stamp};

    fn set(elements: &[&str]) -> View {
        View::Set(elements.iter().map(|element| (*element).to_owned()).collect())
    }

    #[test]
    fn a_session_that_sees_what_it_did_is_right() {
        let mut story = Story::default();
        story.edit("s", Edit::Add("a".to_owned())).ok();
        story.read("s").shows(set(&["a"]));
        story.read("s").shows(set(&["a", "b"]));
        story.edit("r", Edit::Set("x".to_owned())).stamped(stamp(5));
        story.read("r").shows(View::Register("x".to_owned()));
        story.edit("r", Edit::Set("y".to_owned())).stamped(stamp(6));
        story.append("k", "v").at(0, 7);
        story.call("k", Action::Versions).lists(&[(7, "v")]);
        story.accepted(&CHECK);
    }

    #[test]
    fn a_read_without_the_sessions_own_write_is_found() {
        let mut story = Story::default();
        story.edit("s", Edit::Add("a".to_owned())).ok();
        story.read("s").on("eu-west-1-a").shows_nothing();
        story.append("k", "v").at(0, 0);
        story.call("k", Action::Latest).shows_nothing();
        story.call("k", Action::Versions).shows_nothing();
        story.rejected(&CHECK, 3);
    }

    #[test]
    fn a_session_that_forgets_what_it_was_just_told_is_found() {
        let mut story = Story::default();
        story.edit("s", Edit::Add("a".to_owned())).ok();
        story.read("other").but(|call| call.knew.positions.clear()).shows_nothing();
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn one_node_does_not_go_back_whatever_the_session_knows_and_whoever_wrote() {
        // Of a writer that gave no edit a stamp.
        let itself = Timestamp { time: 900, writer: trine_crdt::WriterId([9; 16]) };
        let counted = |first: i64, second: i64, node: &str| {
            let mut story = Story::default();
            story.edit("c", Edit::Increment(5)).session(1).during(1, 2).ok();
            story.read("c").shows(View::Counter(first));
            story.read("c").on(node).shows_at(View::Counter(second), itself);
            story
        };
        counted(3, 5, "us-east-1-a").accepted(&CHECK);
        counted(5, 3, "us-east-1-b").accepted(&CHECK);
        counted(5, 3, "us-east-1-a").rejected(&CHECK, 1);
        let elements = |node: &str| {
            let mut story = Story::default();
            story.edit("s", Edit::Add("b".to_owned())).session(1).during(1, 2).ok();
            story.read("s").shows(set(&["a", "b"]));
            story.read("s").on(node).shows_at(set(&["a"]), itself);
            story
        };
        elements("us-east-1-b").accepted(&CHECK);
        elements("us-east-1-a").rejected(&CHECK, 1);
    }

    #[test]
    fn what_a_node_handed_on_is_not_what_it_holds() {
        for (by, count) in [(2, 0), (1, 1)] {
            let mut story = Story::default();
            story.edit("d", Edit::Increment(1)).session(3).ok();
            let other = Timestamp { time: 900, writer: trine_crdt::WriterId([2; 16]) };
            story.edit("d", Edit::Increment(1)).session(4).on("us-east-1-b").stamped(other);
            let by = Timestamp { time: 901, writer: trine_crdt::WriterId([by; 16]) };
            story.read("c").shows_at(View::Counter(5), by);
            story.read("c").shows(View::Counter(3));
            story.rejected(&CHECK, count);
        }
    }

    #[test]
    fn an_edit_is_stamped_above_all_that_its_node_has_shown() {
        let told = |change: &dyn Fn(&mut Story)| {
            let mut story = Story::default();
            story.evidence.wall_ns = Some(1_000_000_000);
            story.node("us-east-1-a");
            story.append("k", "v").session(1).on("eu-west-1-a").during(1, 2).at(0, 9);
            story.call("k", Action::Latest).lists(&[(9, "v")]);
            change(&mut story);
            story.edit("c", Edit::Increment(1)).stamped(stamp(8));
            story
        };
        told(&|_| {}).rejected(&CHECK, 1);
        // It holds no records of others, and had them from a node that does.
        told(&|story| story.node("us-east-1-a").mirrors = false).accepted(&CHECK);
        let mut elsewhere = told(&|_| {});
        elsewhere.edit("c", Edit::Increment(1)).on("us-east-1-b").stamped(stamp(7));
        elsewhere.rejected(&CHECK, 1);
        for (time, count) in [(8, 1), (10, 0)] {
            let mut story = Story::default();
            story.edit("s", Edit::Add("a".to_owned())).session(1).stamped(stamp(9));
            story.read("s").shows(set(&["a"]));
            story.edit("s", Edit::Add("b".to_owned())).stamped(stamp(time));
            story.rejected(&CHECK, count);
        }
    }

    #[test]
    fn another_session_and_one_that_forgot_may_see_less() {
        let mut story = Story::default();
        story.edit("s", Edit::Add("a".to_owned())).ok();
        story.read("s").session(1).shows(set(&[]));
        story.append("k", "v").at(0, 0);
        story.read("s").but(|call| call.knew.positions.clear()).shows(set(&[]));
        story.read("s").but(|call| call.consistency = Some(Consistency::Eventual)).shows(set(&[]));
        story.accepted(&CHECK);
    }

    #[test]
    fn reads_that_go_back_are_found() {
        let mut story = Story::default();
        story.edit("s", Edit::Add("b".to_owned())).during(1, 2).ok();
        story.read("s").shows(set(&["a", "b"]));
        story.read("s").shows(set(&["a"]));
        // It lacks the session's own write as well, and is told once.
        story.rejected(&CHECK, 1);
        let mut story = Story::default();
        story.edit("s", Edit::Add("b".to_owned())).session(1).during(1, 2).ok();
        story.read("s").shows(set(&["a", "b"]));
        let knows = |call: &mut Call| call.knew.positions.extend([("s us-east-1-a".to_owned(), 9)]);
        story.read("s").but(knows).shows(set(&["a"]));
        story.rejected(&CHECK, 1);
        let mut story = Story::default();
        story.call("k", Action::Versions).lists(&[(0, "a"), (1, "b")]);
        story.call("k", Action::Latest).lists(&[(0, "a")]);
        story.call("k", Action::Versions).lists(&[(1, "b")]);
        story.rejected(&CHECK, 2);
        let mut story = Story::default();
        story.edit("r", Edit::Set("x".to_owned())).session(1).stamped(stamp(1));
        story.edit("r", Edit::Set("y".to_owned())).session(1).stamped(stamp(2));
        story.read("r").shows(View::Register("y".to_owned()));
        story.read("r").shows(View::Register("x".to_owned()));
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn writes_that_are_ordered_before_their_session_are_found() {
        let mut story = Story::default();
        story.edit("r", Edit::Set("x".to_owned())).stamped(stamp(9));
        story.edit("r", Edit::Set("y".to_owned())).stamped(stamp(8));
        story.rejected(&CHECK, 1);
        let mut story = Story::default();
        story.edit("r", Edit::Set("x".to_owned())).stamped(stamp(9));
        story.edit("r", Edit::Set("y".to_owned())).on("eu-west-1-a").stamped(stamp(8));
        story.accepted(&CHECK);
        let mut story = Story::default();
        story.edit("r", Edit::Set("x".to_owned())).session(1).stamped(stamp(9));
        story.read("r").shows(View::Register("x".to_owned()));
        story.edit("r", Edit::Set("y".to_owned())).stamped(stamp(8));
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn what_was_deleted_may_be_gone_and_what_came_afterwards_may_not() {
        let deleted = |during: (u64, u64)| {
            let mut story = Story::default();
            story.edit("s", Edit::Add("a".to_owned())).during(10, 15).ok();
            story.edit("r", Edit::Set("x".to_owned())).during(10, 15).stamped(stamp(9));
            story.read("s").during(20, 25).shows(set(&["a"]));
            story.read("r").during(20, 25).shows(View::Register("x".to_owned()));
            story.edit("s", Edit::Delete).session(1).during(during.0, during.1).ok();
            story.edit("r", Edit::Delete).session(1).during(during.0, during.1).ok();
            story.read("s").during(50, 55).shows_nothing();
            story.read("r").during(50, 55).shows_nothing();
            story
        };
        deleted((30, 35)).accepted(&CHECK);
        deleted((12, 70)).accepted(&CHECK);
        // It was over before either was written, or had not begun when it was missed.
        deleted((1, 5)).rejected(&CHECK, 2);
        deleted((60, 65)).rejected(&CHECK, 2);
    }

    #[test]
    fn a_deletion_may_bring_an_older_value_of_a_register_to_light() {
        for (deletes, count) in [(true, 0), (false, 1)] {
            let mut story = Story::default();
            story.edit("r", Edit::Set("x".to_owned())).session(1).stamped(stamp(1));
            story.edit("r", Edit::Set("y".to_owned())).session(2).on("eu-west-1-a").stamped(stamp(2));
            story.read("r").shows(View::Register("y".to_owned()));
            if deletes {
                story.edit("r", Edit::Delete).session(2).on("eu-west-1-a").ok();
            }
            story.read("r").shows(View::Register("x".to_owned()));
            story.rejected(&CHECK, count);
        }
    }
}
