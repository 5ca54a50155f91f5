//! The counter: per writer, the sums of what it added and subtracted.
//!
//! An increment replaces the writer's own entry by one with the new sums and leaves the others' alone; the value is
//! the difference over all writers. Removing a counter (as a field, or by deleting the object) removes the entries
//! seen. A writer that increments at the same time replaces its own entry by one that the remover has not seen: that
//! writer's whole share survives, not only the last increment. After a removal that it has seen, a writer starts from 0.

use crate::WriterId;
use crate::entry::{Entry, Value};
use crate::object::Object;
use crate::operation::{Change, EditError};
use crate::path::Path;
use crate::view::View;

pub(crate) fn increment(object: &Object, at: &Path, writer: WriterId, by: i64) -> Result<Change, EditError> {
    let mine = |other: WriterId, entry: &Entry| {
        other == writer && entry.path == *at && matches!(entry.value, Value::Count { .. })
    };
    let (mut up, mut down) = (0u64, 0u64);
    for (other, _, entry) in object.entries() {
        if let Value::Count { up: ups, down: downs } = entry.value
            && mine(other, entry)
        {
            up = up.checked_add(ups).ok_or(EditError::Overflow)?;
            down = down.checked_add(downs).ok_or(EditError::Overflow)?;
        }
    }
    let side = if by < 0 { &mut down } else { &mut up };
    *side = side.checked_add(by.unsigned_abs()).ok_or(EditError::Overflow)?;
    Ok(Change::replace(object, at, Value::Count { up, down }, mine))
}

/// The total, computed in 128 bits. Where writers together went beyond 64 bits it is the nearest `i64`.
pub(crate) fn view<'a>(entries: impl Iterator<Item = &'a Value>) -> View {
    let total: i128 = entries
        .map(|value| match value {
            Value::Count { up, down } => i128::from(*up) - i128::from(*down),
            _ => 0,
        })
        .sum();
    View::Counter(i64::try_from(total).unwrap_or(if total < 0 { i64::MIN } else { i64::MAX }))
}
