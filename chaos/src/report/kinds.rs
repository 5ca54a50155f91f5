//! A run's calls by what they asked: how they ended, how long they took.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::seconds::{share, took_us};
use crate::history::{Action, Call, Edit, Outcome};

/// The calls of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    /// Calls done.
    pub ok: u64,
    /// Calls that failed, nothing done.
    pub failed: u64,
    /// Calls of unknown fate.
    pub unknown: u64,
    /// How long those took that were done: the median, in microseconds.
    pub p50_us: u64,
    /// The 99th percentile.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// By kind.
pub fn by_kind(calls: &[Call]) -> BTreeMap<String, Kind> {
    let mut kinds: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in calls {
        kinds.entry(name(&call.action)).or_default().push(call);
    }
    let kind = |calls: Vec<&Call>| {
        let count = |of: fn(&Outcome) -> bool| calls.iter().filter(|call| of(&call.outcome)).count() as u64;
        let took = took_us(calls.iter().copied());
        Kind {
            ok: took.len() as u64,
            failed: count(|outcome| matches!(outcome, Outcome::Fail(_))),
            unknown: count(|outcome| matches!(outcome, Outcome::Unknown(_))),
            p50_us: share(&took, 50),
            p99_us: share(&took, 99),
            max_us: share(&took, 100),
        }
    };
    kinds.into_iter().map(|(name, calls)| (name.to_owned(), kind(calls))).collect()
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
