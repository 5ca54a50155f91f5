//! What is read, and what stands in the end, was written: by a call that was or may have been done, before it was read.
//!
//! Statement: every value, element and record in a read or on a disk is one that a call of the history wrote under the
//! same key; that call was not refused, and had begun when the read ended.
//!
//! Source: "garbage reads" and "aborted reads" (Adya's G1a) in Jepsen's analyses; because all values differ, a map from
//! value to call decides.

use std::collections::{BTreeSet, HashMap};

use crate::check::sight::{versions, views};
use crate::check::{Check, Evidence, Violation};
use crate::history::{Action, Call, Edit, View};

/// The checker.
pub const CHECK: Check =
    Check { name: "nowhere", statement: "what is read or stands in the end was written by somebody before", run };

/// Who wrote a value, first: (key, value) → whether it may have been done, and when it began. It is asked for each element
/// of each set that was read, and never walked: hashed.
type Written<'a> = HashMap<(&'a str, &'a str), (bool, u64)>;

fn run(evidence: &Evidence) -> Vec<Violation> {
    let mut written: Written<'_> = HashMap::new();
    for call in evidence.history.calls() {
        if let Some(value) = value_of(call) {
            let entry = written.entry((&call.key, value)).or_insert((false, call.invoked_ns));
            entry.0 |= call.may_be_done();
        }
    }
    let mut found = Vec::new();
    for read in evidence.history.calls() {
        let Some(shown) = read.ok().and_then(|seen| seen.shown.as_ref()) else { continue };
        let records = versions(shown).iter().map(|version| version.value.as_str());
        let ended = read.returned_ns.unwrap_or(u64::MAX);
        for value in records.chain(values(views(shown))) {
            if let Some(why) = strange(&written, &read.key, value, ended) {
                found.push(CHECK.violated(format!("call {} saw {value} under {}, which {why}", read.id, read.key)));
            }
        }
    }
    stands(evidence, &written, &mut found);
    found
}

/// The same for what stands in the end.
fn stands(evidence: &Evidence, written: &Written<'_>, found: &mut Vec<Violation>) {
    let keys: BTreeSet<&String> = evidence.held.iter().flat_map(|held| held.objects.keys()).collect();
    for key in keys {
        for (nodes, object) in evidence.states(key) {
            for value in object.iter().flat_map(|object| values(&object.views)) {
                if let Some(why) = strange(written, key, value, u64::MAX) {
                    let nodes = nodes.join(", ");
                    found.push(CHECK.violated(format!("{key} holds {value} on {nodes}, which {why}")));
                }
            }
        }
    }
    for region in evidence.regions() {
        for (index, record) in evidence.ledger(region).iter().flat_map(|ledger| ledger.records.iter().enumerate()) {
            let Some(value) = &record.value else { continue };
            if let Some(why) = strange(written, &record.key, value, u64::MAX) {
                let what = format!("record {index} of {region} is {} = {value}, which {why}", record.key);
                found.push(CHECK.violated(what));
            }
        }
    }
}

fn strange(written: &Written<'_>, key: &str, value: &str, ended_ns: u64) -> Option<&'static str> {
    match written.get(&(key, value)) {
        None => Some("nobody wrote there"),
        Some((false, _)) => Some("was refused"),
        Some((true, begun)) if *begun > ended_ns => Some("was written only later"),
        Some((true, _)) => None,
    }
}

fn value_of(call: &Call) -> Option<&str> {
    fn of(edit: &Edit) -> Option<&str> {
        match edit {
            Edit::Set(value) | Edit::Put(value) | Edit::Add(value) => Some(value),
            Edit::Field(_, inner) => of(inner),
            Edit::Increment(_) | Edit::Remove(_) | Edit::RemoveField(_) | Edit::Delete => None,
        }
    }
    match &call.action {
        Action::Append { value, .. } => Some(value),
        Action::Edit(edit) => of(edit),
        _ => None,
    }
}

fn values(views: &[View]) -> Vec<&str> {
    let mut all: Vec<&str> = Vec::new();
    for view in views {
        match view {
            View::Counter(_) => {}
            View::Register(value) => all.push(value),
            View::MultiValue(values) | View::Set(values) => all.extend(values.iter().map(String::as_str)),
            View::Map(fields) => fields.values().for_each(|field| all.extend(values(field))),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::Story;

    #[test]
    fn what_was_written_or_may_have_been_may_be_seen() {
        let mut story = Story::default();
        story.edit("r", Edit::Set("a".to_owned())).unknown();
        story.read("r").shows(View::Register("a".to_owned()));
        story.append("k", "b").at(0, 0);
        story.call("k", Action::Latest).lists(&[(0, "b")]);
        story.ledger(&[(0, "k", "b")]);
        story.holds("r", View::Register("a".to_owned()));
        story.accepted(&CHECK);
    }

    #[test]
    fn garbage_refused_values_and_those_of_other_keys_are_found() {
        for value in ["garbage", "refused", "elsewhere"] {
            let mut story = Story::default();
            story.edit("s", Edit::Add("refused".to_owned())).fail();
            story.edit("other", Edit::Add("elsewhere".to_owned())).ok();
            story.read("s").shows(View::Set([value.to_owned()].into()));
            story.rejected(&CHECK, 1);
            story.holds("s", View::Map([("f".to_owned(), vec![View::Register(value.to_owned())])].into()));
            story.rejected(&CHECK, 2);
        }
    }

    #[test]
    fn a_read_of_the_future_and_a_record_from_nowhere_are_found() {
        let mut story = Story::default();
        story.read("s").during(1, 2).shows(View::Set(["a".to_owned()].into()));
        story.edit("s", Edit::Add("a".to_owned())).during(3, 4).ok();
        story.rejected(&CHECK, 1);
        let mut story = Story::default();
        story.ledger(&[(0, "k", "b")]);
        story.rejected(&CHECK, 1);
    }
}
