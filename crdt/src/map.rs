//! The map: names, and objects of any kind under them.
//!
//! A name stands as long as anything stands under it. Removing one removes exactly the entries below it that the
//! remover has seen; an edit below it that happens at the same time survives. A map whose last field
//! is gone, like a set whose last element is, is gone itself.

use std::collections::BTreeMap;

use crate::entry::Entry;
use crate::object::Object;
use crate::operation::Change;
use crate::path::Path;
use crate::view::{self, View};

/// Removes all that stands at or under a path.
pub(crate) fn remove(object: &Object, at: &Path) -> Change {
    Change::remove(object, |_, entry| entry.path.is_under(at))
}

/// The names of the map at `depth`, and what stands under each.
pub(crate) fn view(entries: Vec<&Entry>, depth: usize) -> View {
    let mut fields: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        if let Some(name) = entry.path.names().get(depth) {
            fields.entry(name).or_default().push(entry);
        }
    }
    View::Map(fields.into_iter().map(|(name, below)| (name.to_owned(), view::views(below, depth + 1))).collect())
}
