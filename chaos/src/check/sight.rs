//! Whether a read that had to see a write shows it.
//!
//! A read shows a write's value, or a later write's effect: a register's later value, an element's removal, a put that
//! replaced it. What may have replaced it excuses: the removal of an element counts whenever it may have been done,
//! wherever. A deletion takes away what it has seen, and it has seen nothing of what began when it was over: so it
//! excuses only for what had begun before that.

use std::collections::{BTreeMap, BTreeSet};

use trine_crdt::Timestamp;

use crate::history::{Action, Call, Edit, History, Known, Shown, Version, View};

/// What has to be known of a whole history to say what a read may leave out.
#[derive(Debug, Default)]
pub struct Sight<'a> {
    /// By key and value: the stamp of an acknowledged write of it, as an element, a register's value or a record.
    stamps: BTreeMap<(&'a str, &'a str), Timestamp>,
    /// By key and value: what an acknowledged edit told its session.
    told: BTreeMap<(&'a str, &'a str), &'a Known>,
    /// By key and value: who wrote an element or a register's value; a value is written once.
    writes: BTreeMap<(&'a str, &'a str), &'a Call>,
    /// Elements whose removal was or may have been done.
    removed: BTreeSet<(&'a str, &'a str)>,
    /// Counters from which somebody takes away.
    sinking: BTreeSet<&'a str>,
    /// By key: what may have replaced or removed more than an element.
    sweeps: BTreeMap<&'a str, Vec<&'a Call>>,
}

impl<'a> Sight<'a> {
    /// Of this history.
    #[must_use]
    pub fn of(history: &'a History) -> Self {
        let mut sight = Self::default();
        for call in history.calls().iter().filter(|call| call.may_be_done()) {
            let value = match call.edit() {
                Some(Edit::Add(value) | Edit::Set(value)) => Some(value),
                Some(Edit::Field(_, inner)) => match &**inner {
                    Edit::Add(element) => Some(element),
                    _ => None,
                },
                _ => None,
            };
            if let Some(value) = value {
                sight.writes.insert((&call.key, value), call);
            }
            if let (Some(value), Some(seen)) = (value, call.ok()) {
                sight.told.insert((&call.key, value), &seen.session);
            }
            let written = match &call.action {
                Action::Append { value, .. } | Action::Edit(Edit::Put(value)) => Some(value),
                _ => value,
            };
            if let (Some(value), Some(stamp)) = (written, call.stamp()) {
                sight.stamps.insert((&call.key, value), stamp);
            }
            match (&call.action, call.stamp()) {
                (Action::Edit(Edit::Increment(..0)), _) => {
                    sight.sinking.insert(&call.key);
                }
                (Action::Edit(Edit::Remove(element)), _) => {
                    sight.removed.insert((&call.key, element));
                }
                (Action::Edit(Edit::Field(_, edit)), _) => {
                    if let Edit::Remove(element) = &**edit {
                        sight.removed.insert((&call.key, element));
                    }
                }
                (Action::Edit(Edit::Put(_) | Edit::RemoveField(_) | Edit::Delete), _) => {
                    sight.sweeps.entry(&call.key).or_default().push(call);
                }
                _ => {}
            }
        }
        sight
    }

    /// The stamp of an acknowledged write of this value.
    #[must_use]
    pub fn stamp(&self, key: &str, value: &str) -> Option<Timestamp> {
        self.stamps.get(&(key, value)).copied()
    }

    /// Whether a counter may have become less: somebody deletes it, or counts down.
    #[must_use]
    pub fn may_sink(&self, key: &str) -> bool {
        self.sinking.contains(key) || self.deletions(key).next().is_some()
    }

    /// Whether a call was sent with what the write of this element or register's value had told: a read names to its
    /// session only the latest of the writes that it shows, so that a session need not know of all.
    #[must_use]
    pub fn known(&self, call: &Call, value: &str) -> bool {
        self.told.get(&(call.key.as_str(), value)).is_some_and(|told| call.knew.covers(told))
    }

    /// Whether an element may have been removed, by itself or with all that stood there, before `read` ended, if one is
    /// given.
    #[must_use]
    pub fn removed(&self, key: &str, element: &str, read: Option<&Call>) -> bool {
        self.removed.contains(&(key, element)) || self.may_be_deleted(key, element, read)
    }

    /// Whether an element or a register's value may have been deleted with all that stood there, or with what had
    /// replaced it, before `read` ended, if one is given.
    #[must_use]
    pub fn may_be_deleted(&self, key: &str, value: &str, read: Option<&Call>) -> bool {
        match self.writes.get(&(key, value)) {
            Some(write) => self.deletions(key).any(|deletion| may_take(deletion, write, read)),
            // Who wrote it is not known, and so neither is when.
            None => self.deletions(key).next().is_some(),
        }
    }

    /// The deletions of an object that were or may have been done.
    pub fn deletions(&self, key: &str) -> impl Iterator<Item = &'a Call> {
        let sweeps = self.sweeps.get(key).into_iter().flatten().copied();
        sweeps.filter(|call| call.edit() == Some(&Edit::Delete))
    }

    /// Whether something else than `write` may have replaced what it wrote: it was not over when `write` began, and had
    /// begun when `read` ended, if one is given.
    #[must_use]
    pub fn may_be_replaced(&self, write: &Call, read: Option<&Call>) -> bool {
        let replaces = |edit: &Edit| match (write.edit(), edit) {
            (_, Edit::Delete) | (Some(Edit::Put(_)), Edit::Put(_)) => true,
            (Some(Edit::Field(name, _)), Edit::RemoveField(other)) => name == other,
            _ => false,
        };
        let sweeps = self.sweeps.get(write.key.as_str()).into_iter().flatten();
        sweeps
            .into_iter()
            .any(|other| other.id != write.id && other.edit().is_some_and(replaces) && may_take(other, write, read))
    }

    /// Whether an edit of this key that removes or replaces more than an element was or may have been done.
    #[must_use]
    pub fn may_be_swept(&self, key: &str, wanted: impl Fn(&Edit) -> bool) -> bool {
        self.sweeps.get(key).into_iter().flatten().any(|call| call.edit().is_some_and(&wanted))
    }

    /// Whether a read of the same key lacks what a write wrote, and nothing may have replaced it. Counters are judged
    /// by their bounds elsewhere.
    #[must_use]
    pub fn lacks(&self, read: &Call, write: &Call) -> bool {
        let Some(shown) = read.ok().and_then(|seen| seen.shown.as_ref()) else { return false };
        match (&write.action, &read.action) {
            (Action::Append { value, .. }, Action::Versions) => match shown {
                Shown::Records { more: true, .. } => false,
                shown => !versions(shown).iter().any(|version| version.value == *value),
            },
            (Action::Append { .. }, Action::Latest) => {
                let shown = versions(shown).last().map(|version| version.stamp);
                write.stamp().is_some_and(|stamp| shown.is_none_or(|shown| shown < stamp))
            }
            (Action::Edit(edit), Action::Read) => self.lacks_edit(read, write, edit, views(shown)),
            _ => false,
        }
    }

    fn lacks_edit(&self, read: &Call, write: &Call, edit: &Edit, shown: &[View]) -> bool {
        match edit {
            Edit::Add(element) => !self.removed(&write.key, element, Some(read)) && !has_element(shown, element),
            Edit::Set(_) if self.may_be_replaced(write, Some(read)) => false,
            Edit::Set(_) => match register(shown) {
                None => true,
                Some(value) => {
                    let shown = self.stamp(&write.key, value);
                    shown.zip(write.stamp()).is_some_and(|(shown, written)| shown < written)
                }
            },
            Edit::Put(value) => {
                !self.may_be_replaced(write, Some(read)) && !multi_values(shown).any(|shown| shown == value)
            }
            Edit::Field(name, inner) => match &**inner {
                Edit::Add(element) => {
                    !self.removed(&write.key, element, Some(read))
                        && !self.may_be_replaced(write, Some(read))
                        && !has_element(field(shown, name), element)
                }
                _ => false,
            },
            _ => false,
        }
    }
}

/// Whether what sweeps may have taken away what `write` wrote: it was not over when `write` began, and had begun when
/// `read` ended, if one is given.
#[must_use]
pub fn may_take(sweep: &Call, write: &Call, read: Option<&Call>) -> bool {
    let ended = read.and_then(|read| read.returned_ns).unwrap_or(u64::MAX);
    !sweep.precedes(write) && sweep.invoked_ns <= ended
}

/// The records that a read showed.
#[must_use]
pub fn versions(shown: &Shown) -> &[Version] {
    match shown {
        Shown::Records { records, .. } => records,
        _ => &[],
    }
}

/// The views that a read showed.
#[must_use]
pub fn views(shown: &Shown) -> &[View] {
    match shown {
        Shown::Object(views) => views,
        _ => &[],
    }
}

/// The elements of a set.
pub fn elements(views: &[View]) -> impl Iterator<Item = &String> {
    views.iter().filter_map(|view| if let View::Set(elements) = view { Some(elements) } else { None }).flatten()
}

/// Every value that a read showed: elements, values of registers, and those of fields.
#[must_use]
pub fn values(views: &[View]) -> Vec<&String> {
    let mut found = Vec::new();
    for view in views {
        match view {
            View::Counter(_) => {}
            View::Register(value) => found.push(value),
            View::MultiValue(elements) | View::Set(elements) => found.extend(elements),
            View::Map(fields) => fields.values().for_each(|views| found.extend(values(views))),
        }
    }
    found
}

/// Whether a set has an element.
#[must_use]
pub fn has_element(views: &[View], element: &str) -> bool {
    views.iter().any(|view| if let View::Set(elements) = view { elements.contains(element) } else { false })
}

/// The values of a multi-value register.
pub fn multi_values(views: &[View]) -> impl Iterator<Item = &String> {
    views.iter().filter_map(|view| if let View::MultiValue(values) = view { Some(values) } else { None }).flatten()
}

/// The value of a register.
#[must_use]
pub fn register(views: &[View]) -> Option<&String> {
    views.iter().find_map(|view| if let View::Register(value) = view { Some(value) } else { None })
}

/// What stands under a name of a map.
#[must_use]
pub fn field<'a>(views: &'a [View], name: &str) -> &'a [View] {
    let map = views.iter().find_map(|view| if let View::Map(fields) = view { Some(fields) } else { None });
    map.and_then(|fields| fields.get(name)).map_or(&[], Vec::as_slice)
}
