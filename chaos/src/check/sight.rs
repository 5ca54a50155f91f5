//! Whether a read that had to see a write shows it.
//!
//! A read shows a write's value, or a later write's effect: a register's later value, an element's removal, a put that
//! replaced it. What may have replaced it excuses: a removal counts whenever it may have been done, wherever.

use std::collections::{BTreeMap, BTreeSet};

use trine_crdt::Timestamp;

use crate::history::{Action, Call, Edit, History, Known, Shown, Version, View};

/// What has to be known of a whole history to say what a read may leave out.
#[derive(Debug, Default)]
pub struct Sight<'a> {
    /// By key and value: the stamp of an acknowledged write.
    stamps: BTreeMap<(&'a str, &'a str), Timestamp>,
    /// By key and value: what an acknowledged edit told its session.
    told: BTreeMap<(&'a str, &'a str), &'a Known>,
    /// Elements whose removal was or may have been done.
    removed: BTreeSet<(&'a str, &'a str)>,
    /// By key: what may have replaced or removed more than an element.
    sweeps: BTreeMap<&'a str, Vec<&'a Call>>,
}

impl<'a> Sight<'a> {
    /// Of this history.
    #[must_use]
    pub fn of(history: &'a History) -> Self {
        let mut sight = Self::default();
        for call in history.calls().iter().filter(|call| call.may_be_done()) {
            let element = match call.edit() {
                Some(Edit::Add(element)) => Some(element),
                Some(Edit::Field(_, inner)) => match &**inner {
                    Edit::Add(element) => Some(element),
                    _ => None,
                },
                _ => None,
            };
            if let (Some(element), Some(seen)) = (element, call.ok()) {
                sight.told.insert((&call.key, element), &seen.session);
            }
            match (&call.action, call.stamp()) {
                (Action::Edit(Edit::Set(value)) | Action::Append { value, .. }, Some(stamp)) => {
                    sight.stamps.insert((&call.key, value), stamp);
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

    /// The stamp of an acknowledged write of this value: to a register, or as a record.
    #[must_use]
    pub fn stamp(&self, key: &str, value: &str) -> Option<Timestamp> {
        self.stamps.get(&(key, value)).copied()
    }

    /// Whether a call was sent with what the add of this element had told: a read names to its session only the latest
    /// of the writes that it shows, so that a session need not know of all.
    #[must_use]
    pub fn known(&self, call: &Call, element: &str) -> bool {
        self.told.get(&(call.key.as_str(), element)).is_some_and(|told| call.knew.covers(told))
    }

    /// Whether an element may have been removed.
    #[must_use]
    pub fn removed(&self, key: &str, element: &str) -> bool {
        self.removed.contains(&(key, element)) || self.may_be_swept(key, |edit| matches!(edit, Edit::Delete))
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
        let ended = read.and_then(|read| read.returned_ns).unwrap_or(u64::MAX);
        self.sweeps.get(write.key.as_str()).into_iter().flatten().any(|other| {
            other.id != write.id
                && other.edit().is_some_and(replaces)
                && !other.precedes(write)
                && other.invoked_ns <= ended
        })
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
            Edit::Add(element) => !self.removed(&write.key, element) && !has_element(shown, element),
            Edit::Set(_) if self.may_be_swept(&write.key, |edit| matches!(edit, Edit::Delete)) => false,
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
                    !self.removed(&write.key, element)
                        && !self.may_be_replaced(write, Some(read))
                        && !has_element(field(shown, name), element)
                }
                _ => false,
            },
            _ => false,
        }
    }
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
