//! The multi-value register: a write replaces what it has seen, and concurrent values all stand until the next.

use bytes::Bytes;

use crate::entry::{Kind, Value};
use crate::object::Object;
use crate::operation::Change;
use crate::path::Path;
use crate::view::View;

pub(crate) fn put(object: &Object, at: &Path, value: &Bytes) -> Change {
    let value = Value::Held(value.clone());
    Change::replace(object, at, value, |_, entry| entry.path == *at && entry.value.kind() == Kind::MultiValue)
}

/// The values, sorted; one that was written twice at the same time is shown once.
pub(crate) fn view<'a>(entries: impl Iterator<Item = &'a Value>) -> View {
    let mut values: Vec<Bytes> = entries
        .filter_map(|value| match value {
            Value::Held(value) => Some(value.clone()),
            _ => None,
        })
        .collect();
    values.sort_unstable();
    values.dedup();
    View::MultiValue(values)
}
