//! The register: one value, and the latest write wins.
//!
//! A write replaces all values that it has seen. Of concurrent ones the latest by hybrid time is read; equal stamps,
//! which no honest writer makes, are decided by the BLAKE3 of the value, so that all nodes read the same.

use bytes::Bytes;

use crate::Timestamp;
use crate::entry::{Kind, Value};
use crate::object::Object;
use crate::operation::Change;
use crate::path::Path;
use crate::view::View;

pub(crate) fn set(object: &Object, at: &Path, stamp: Timestamp, value: &Bytes) -> Change {
    let value = Value::Register { stamp, value: value.clone() };
    Change::replace(object, at, value, |_, entry| entry.path == *at && entry.value.kind() == Kind::Register)
}

pub(crate) fn view<'a>(entries: impl Iterator<Item = &'a Value>) -> View {
    let latest = entries
        .filter_map(|value| match value {
            Value::Register { stamp, value } => Some((stamp, value)),
            _ => None,
        })
        .max_by(|(a_stamp, a), (b_stamp, b)| {
            a_stamp.cmp(b_stamp).then_with(|| blake3::hash(a).as_bytes().cmp(blake3::hash(b).as_bytes()))
        });
    View::Register(latest.map(|(_, value)| value.clone()).unwrap_or_default())
}
