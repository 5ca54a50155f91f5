//! What an object ought to be, said as plainly as possible and with no thought of cost: keep every edit for ever, and
//! for each the set of edits that it removed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use trine_crdt::{Object, Operation, Timestamp, View};

use crate::history::{Knowledge, writer};

type Id = (usize, u64);

#[derive(Clone)]
enum Left {
    Nothing,
    Count(i128),
    Register(Timestamp, Bytes),
    Held(Bytes),
    Element(Bytes),
}

struct Edit {
    id: Id,
    stamp: Timestamp,
    path: Vec<String>,
    left: Left,
    removes: BTreeSet<Id>,
}

#[derive(Default)]
pub struct Model(Vec<Edit>);

impl Model {
    /// An edit by somebody who knows as much.
    pub fn edit(&mut self, by: usize, seq: u64, stamp: Timestamp, operation: &Operation, known: &Knowledge) {
        let mut path = Vec::new();
        let mut operation = operation;
        while let Operation::Field { name, operation: below } = operation {
            path.push(name.clone());
            operation = below;
        }
        let seen = self.standing(known);
        let pick = |wanted: &dyn Fn(&Edit) -> bool| -> BTreeSet<Id> {
            seen.iter().filter(|edit| wanted(edit)).map(|edit| edit.id).collect()
        };
        let (left, removes) = match operation {
            Operation::Increment(by_much) => {
                let mine = |edit: &Edit| edit.id.0 == by && edit.path == path && matches!(edit.left, Left::Count(_));
                let before: i128 = seen
                    .iter()
                    .filter(|edit| mine(edit))
                    .map(|edit| if let Left::Count(sum) = edit.left { sum } else { 0 })
                    .sum();
                (Left::Count(before + i128::from(*by_much)), pick(&mine))
            }
            Operation::Set(value) => (
                Left::Register(stamp, value.clone()),
                pick(&|edit| edit.path == path && matches!(edit.left, Left::Register(..))),
            ),
            Operation::Put(value) => {
                (Left::Held(value.clone()), pick(&|edit| edit.path == path && matches!(edit.left, Left::Held(_))))
            }
            Operation::Add(element) | Operation::Remove(element) => {
                let same = pick(&|edit| edit.path == path && matches!(&edit.left, Left::Element(e) if e == element));
                let adds = matches!(operation, Operation::Add(_));
                (if adds { Left::Element(element.clone()) } else { Left::Nothing }, same)
            }
            Operation::RemoveField(name) => {
                let top: Vec<String> = path.iter().chain([name]).cloned().collect();
                (Left::Nothing, pick(&|edit| edit.path.starts_with(&top)))
            }
            Operation::Delete => (Left::Nothing, pick(&|edit| edit.path.starts_with(&path))),
            Operation::Field { .. } => unreachable!("the loop ended below it"),
        };
        drop(seen);
        self.0.push(Edit { id: (by, seq), stamp, path, left, removes });
    }

    fn known(&self, known: &Knowledge) -> Vec<&Edit> {
        let mut left = known.clone();
        self.0
            .iter()
            .filter(|edit| {
                let take = left[edit.id.0] > 0;
                left[edit.id.0] -= usize::from(take);
                take
            })
            .collect()
    }

    /// The known edits that left something which no known edit removed.
    fn standing(&self, known: &Knowledge) -> Vec<&Edit> {
        let known = self.known(known);
        let removed: BTreeSet<Id> = known.iter().flat_map(|edit| edit.removes.iter().copied()).collect();
        known.into_iter().filter(|edit| !matches!(edit.left, Left::Nothing) && !removed.contains(&edit.id)).collect()
    }

    /// Compares all that can be seen of an object with what that knowledge ought to look like.
    pub fn check(&self, object: &Object, known: &Knowledge) {
        assert_eq!(object.view(), views(&self.standing(known), 0), "the views");
        let edits = self.known(known);
        let mut last = vec![0; known.len()];
        for edit in &edits {
            last[edit.id.0] = edit.id.1;
        }
        for (by, last) in last.iter().enumerate() {
            assert_eq!(object.context().last(&writer(by)), *last, "the last dot of writer {by}");
        }
        let ahead: BTreeSet<Id> =
            edits.iter().flat_map(|e| e.removes.iter().copied()).filter(|id| id.1 > last[id.0]).collect();
        assert_eq!(object.context().ahead_len(), ahead.len(), "removals that wait for their edits: {ahead:?}");
        let latest = edits.iter().map(|edit| edit.stamp).max().unwrap_or(Timestamp::ZERO);
        assert_eq!(object.latest_stamp(), latest, "the latest stamp");
    }
}

fn views(edits: &[&Edit], depth: usize) -> Vec<View> {
    let here: Vec<&&Edit> = edits.iter().filter(|edit| edit.path.len() == depth).collect();
    let mut views = Vec::new();
    let counts: Vec<i128> =
        here.iter().filter_map(|e| if let Left::Count(n) = e.left { Some(n) } else { None }).collect();
    if !counts.is_empty() {
        views.push(View::Counter(i64::try_from(counts.iter().sum::<i128>()).expect("small numbers")));
    }
    let latest = here
        .iter()
        .filter_map(|e| if let Left::Register(at, value) = &e.left { Some((at, value)) } else { None })
        .max();
    if let Some((_, value)) = latest {
        views.push(View::Register(value.clone()));
    }
    let held: BTreeSet<_> =
        here.iter().filter_map(|e| if let Left::Held(v) = &e.left { Some(v.clone()) } else { None }).collect();
    if !held.is_empty() {
        views.push(View::MultiValue(held.into_iter().collect()));
    }
    let elements: BTreeSet<_> =
        here.iter().filter_map(|e| if let Left::Element(v) = &e.left { Some(v.clone()) } else { None }).collect();
    if !elements.is_empty() {
        views.push(View::Set(elements.into_iter().collect()));
    }
    let mut fields: BTreeMap<String, Vec<&Edit>> = BTreeMap::new();
    for edit in edits.iter().filter(|edit| edit.path.len() > depth) {
        fields.entry(edit.path[depth].clone()).or_default().push(edit);
    }
    if !fields.is_empty() {
        views.push(View::Map(fields.into_iter().map(|(name, below)| (name, self::views(&below, depth + 1))).collect()));
    }
    views
}
