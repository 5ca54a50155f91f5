//! What was removed does not come back.
//!
//! Statement: an element whose removal was acknowledged by a node that had it (it had acknowledged the add before, or
//! shown the element to a read) is on no node in the end, and that node shows it to no read that began afterwards. The
//! same for the fields of maps, and for all that stood in an object that was deleted: elements, fields, and the values of
//! registers. What was added and removed at the same time by others may stand: adds win.
//!
//! Source: tombstones collected too early (Cassandra's "zombies", Riak's doomstones), the "resurrected" of Jepsen's
//! `checker/set-full`. Elements are added once in a run, so that one that is there again can only have come back.

use std::collections::BTreeMap;

use crate::check::sight::{field, has_element, multi_values, register, views};
use crate::check::{Check, Evidence, Violation};
use crate::history::{Action, Call, Edit, View};

/// The checker.
pub const CHECK: Check =
    Check { name: "resurrection", statement: "what was removed where it had been seen does not come back", run };

fn run(evidence: &Evidence) -> Vec<Violation> {
    let mut keys: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in evidence.history.calls() {
        if matches!(call.action, Action::Edit(_) | Action::Read) {
            keys.entry(&call.key).or_default().push(call);
        }
    }
    let mut found = Vec::new();
    for (key, calls) in keys {
        let mut written: BTreeMap<Place<'_>, &Call> = BTreeMap::new();
        for call in &calls {
            if let Some(place) = written_by(call) {
                written.insert(place, call);
            }
        }
        for removal in calls.iter().filter(|call| call.ok().is_some() && call.node.is_some()) {
            let gone: Vec<Place<'_>> = match removal.edit() {
                Some(Edit::Remove(element)) => vec![(None, element)],
                Some(Edit::RemoveField(name)) => {
                    written.keys().filter(|(field, _)| *field == Some(name.as_str())).copied().collect()
                }
                Some(Edit::Delete) => written.keys().copied().collect(),
                _ => continue,
            };
            for place in gone.into_iter().filter(|place| had(evidence, &calls, written.get(place), removal, *place)) {
                came_back(evidence, key, &calls, removal, place, &mut found);
            }
        }
    }
    found
}

/// The field, if any, and the element or value that stands there.
type Place<'a> = (Option<&'a str>, &'a str);

/// What a call writes. Counters have no values that could come back; they are judged by their bounds.
fn written_by(call: &Call) -> Option<Place<'_>> {
    match call.edit()? {
        Edit::Add(value) | Edit::Set(value) | Edit::Put(value) => Some((None, value)),
        Edit::Field(name, inner) => match &**inner {
            Edit::Add(element) => Some((Some(name), element)),
            _ => None,
        },
        _ => None,
    }
}

fn shows(views: &[View], (name, value): Place<'_>) -> bool {
    let views = name.map_or(views, |name| field(views, name));
    let is_value = register(views).is_some_and(|shown| shown == value);
    is_value || has_element(views, value) || multi_values(views).any(|shown| shown == value)
}

/// Whether the node that took a removal had the element then, on the disk that it had then.
fn had(evidence: &Evidence, calls: &[&Call], write: Option<&&Call>, removal: &Call, place: Place<'_>) -> bool {
    let same = |call: &Call| {
        let since_ns = call.returned_ns.unwrap_or(call.invoked_ns);
        let node = removal.node.as_deref();
        !node.is_some_and(|node| evidence.speaks_for_another(node, since_ns, removal.invoked_ns))
    };
    let here = |call: &Call| call.node == removal.node && call.precedes(removal) && same(call);
    write.is_some_and(|write| write.ok().is_some() && here(write))
        || calls
            .iter()
            .filter(|call| call.action == Action::Read && here(call))
            .any(|read| read.ok().and_then(|seen| seen.shown.as_ref()).is_some_and(|shown| shows(views(shown), place)))
}

fn came_back(
    evidence: &Evidence,
    key: &str,
    calls: &[&Call],
    removal: &Call,
    place: Place<'_>,
    found: &mut Vec<Violation>,
) {
    let name = place.0.map_or(String::new(), |name| format!(".{name}"));
    let what = format!("{key}{name}: {} was removed by call {}", place.1, removal.id);
    for (nodes, object) in evidence.states(key) {
        if object.is_some_and(|object| shows(&object.views, place)) {
            found.push(CHECK.violated(format!("{what} and is on {}", nodes.join(", "))));
        }
    }
    let later = calls.iter().filter(|read| read.action == Action::Read && removal.precedes(read));
    for read in later.filter(|read| read.node == removal.node) {
        if read.ok().and_then(|seen| seen.shown.as_ref()).is_some_and(|shown| shows(views(shown), place)) {
            found.push(CHECK.violated(format!("{what}, and call {} saw it on the same node", read.id)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Happened;
    use crate::check::story::Story;

    fn set(elements: &[&str]) -> View {
        View::Set(elements.iter().map(|element| (*element).to_owned()).collect())
    }

    fn story() -> Story {
        let mut story = Story::default();
        story.edit("s", Edit::Add("a".to_owned())).ok();
        story.edit("s", Edit::Remove("a".to_owned())).ok();
        story
    }

    #[test]
    fn what_was_removed_and_stays_away_is_right() {
        let mut story = story();
        story.read("s").shows(set(&[]));
        story.holds("s", set(&[]));
        story.accepted(&CHECK);
    }

    #[test]
    fn an_element_that_is_there_again_is_found() {
        let mut story = story();
        story.holds("s", set(&["a"]));
        story.rejected(&CHECK, 1);
        story.read("s").shows(set(&["a"]));
        story.rejected(&CHECK, 2);
    }

    #[test]
    fn a_removal_where_the_element_had_not_been_seen_says_nothing() {
        let mut story = Story::default();
        story.edit("s", Edit::Add("a".to_owned())).ok();
        story.edit("s", Edit::Remove("a".to_owned())).on("eu-west-1-a").ok();
        story.holds("s", set(&["a"]));
        story.accepted(&CHECK);
    }

    #[test]
    fn a_removal_where_a_read_had_shown_it_counts() {
        let mut story = Story::default();
        story.edit("s", Edit::Add("a".to_owned())).ok();
        story.read("s").on("eu-west-1-a").shows(set(&["a"]));
        story.edit("s", Edit::Remove("a".to_owned())).on("eu-west-1-a").ok();
        story.holds("s", set(&["a"]));
        story.rejected(&CHECK, 1);
    }

    #[test]
    fn a_removal_on_another_disk_under_the_same_name_says_nothing() {
        let mut story = Story::default();
        story.edit("s", Edit::Add("a".to_owned())).during(10, 20).ok();
        story.edit("s", Edit::Remove("a".to_owned())).during(50, 60).ok();
        story.holds("s", set(&["a"]));
        story.rejected(&CHECK, 1);
        let (kind, targets) = ("disk-lost".to_owned(), vec!["us-east-1-a".to_owned()]);
        let fault = Happened { kind, targets, from_ns: 30, until_ns: Some(40), detail: String::new() };
        story.evidence.faults.push(fault);
        story.accepted(&CHECK);
    }

    #[test]
    fn a_field_that_comes_back_is_found() {
        let mut story = Story::default();
        story.edit("m", Edit::Field("f".to_owned(), Box::new(Edit::Add("a".to_owned())))).ok();
        story.edit("m", Edit::RemoveField("f".to_owned())).ok();
        story.holds("m", View::Map([("f".to_owned(), vec![set(&["a"])])].into()));
        story.rejected(&CHECK, 1);
        story.holds("m", View::Map([].into()));
        story.accepted(&CHECK);
    }

    #[test]
    fn whatever_stood_in_a_deleted_object_is_found_when_it_comes_back() {
        let field = |edit| Edit::Field("f".to_owned(), Box::new(edit));
        let value = || "a".to_owned();
        for (edit, view) in [
            (Edit::Add(value()), set(&["a"])),
            (Edit::Set(value()), View::Register(value())),
            (Edit::Put(value()), View::MultiValue([value()].into())),
            (field(Edit::Add(value())), View::Map([("f".to_owned(), vec![set(&["a"])])].into())),
        ] {
            let mut story = Story::default();
            story.edit("o", edit.clone()).ok();
            story.edit("o", Edit::Delete).ok();
            story.read("o").shows_nothing();
            story.accepted(&CHECK);
            story.read("o").shows(view.clone());
            story.rejected(&CHECK, 1);
            story.holds("o", view.clone());
            story.rejected(&CHECK, 2);
            let mut story = Story::default();
            story.edit("o", edit).on("eu-west-1-a").ok();
            story.edit("o", Edit::Delete).ok();
            story.holds("o", view);
            story.accepted(&CHECK);
        }
    }
}
