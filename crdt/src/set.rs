//! The set: an element stands as long as the dot of one of its adds does.
//!
//! An add makes a new entry and replaces those of the same element that it has seen; a remove removes those that it
//! has seen. So an add that happens at the same time as a remove wins, and an element that was removed comes back
//! only when somebody adds it again.

use bytes::Bytes;

use crate::entry::{Entry, Value};
use crate::object::Object;
use crate::operation::Change;
use crate::path::Path;
use crate::view::View;

pub(crate) fn add(object: &Object, at: &Path, element: &Bytes) -> Change {
    Change::replace(object, at, Value::Element(element.clone()), |_, entry| is(entry, at, element))
}

pub(crate) fn remove(object: &Object, at: &Path, element: &Bytes) -> Change {
    Change::remove(object, |_, entry| is(entry, at, element))
}

fn is(entry: &Entry, at: &Path, element: &Bytes) -> bool {
    matches!(&entry.value, Value::Element(other) if other == element) && entry.path == *at
}

/// The elements, sorted.
pub(crate) fn view<'a>(entries: impl Iterator<Item = &'a Value>) -> View {
    let mut elements: Vec<Bytes> = entries
        .filter_map(|value| match value {
            Value::Element(element) => Some(element.clone()),
            _ => None,
        })
        .collect();
    elements.sort_unstable();
    elements.dedup();
    View::Set(elements)
}
