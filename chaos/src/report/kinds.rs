//! A run's calls by what they asked: how they ended, how long they took.

use std::collections::BTreeMap;

use super::calls::Calls;
use crate::history::{Action, Call, Edit};

/// By kind.
pub fn by_kind(calls: &[Call]) -> BTreeMap<String, Calls> {
    let mut kinds: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in calls {
        kinds.entry(name(&call.action)).or_default().push(call);
    }
    kinds.into_iter().map(|(name, calls)| (name.to_owned(), Calls::of(&calls))).collect()
}

/// What a call asks, for people.
fn name(action: &Action) -> &'static str {
    match action {
        Action::Append { only_after: None, .. } => "append",
        Action::Append { only_after: Some(_), .. } => "append on condition",
        Action::Latest => "read the latest record",
        Action::Versions => "read all records",
        Action::Read => "read an object",
        Action::Edit(edit) => match edit {
            Edit::Increment(_) => "add to a counter",
            Edit::Set(_) => "set a register",
            Edit::Put(_) => "put a value",
            Edit::Add(_) => "add to a set",
            Edit::Remove(_) => "remove from a set",
            Edit::Field(..) | Edit::RemoveField(_) => "change a map",
            Edit::Delete => "delete an object",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::story::Story;

    #[test]
    fn calls_are_counted_by_what_they_ask() {
        let mut story = Story::default();
        story.edit("c", Edit::Increment(1)).during(0, 3_000_000).ok();
        story.edit("c", Edit::Increment(1)).during(0, 9_000_000).unknown();
        story.edit("s", Edit::Add("a".to_owned())).during(0, 1_000_000).fail();
        let kinds = by_kind(story.told().history.calls());
        assert_eq!(kinds.keys().collect::<Vec<_>>(), ["add to a counter", "add to a set"]);
        let counter = &kinds["add to a counter"];
        assert_eq!((counter.ok, counter.unknown, counter.failed, counter.max_us), (1, 1, 0, 3_000));
        assert_eq!((kinds["add to a set"].failed, kinds["add to a set"].max_us), (1, 0));
    }
}
