//! What a reader sees: entries grouped into kinds, names and elements.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::entry::{Entry, Kind, Value};
use crate::{counter, map, multi_value, register, set};

/// What an object, or a field of a map, looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// A counter's total; the nearest `i64` where it does not fit.
    Counter(i64),
    /// A register's latest value.
    Register(Bytes),
    /// A multi-value register's values, sorted.
    MultiValue(Vec<Bytes>),
    /// A set's elements, sorted.
    Set(Vec<Bytes>),
    /// A map's names and what stands under each: one view a kind.
    Map(BTreeMap<String, Vec<View>>),
}

/// One view a kind, in the order of kinds, of entries whose paths have their first `depth` names in common. Goes as
/// deep as paths do, which is bounded.
pub(crate) fn views(entries: Vec<&Entry>, depth: usize) -> Vec<View> {
    let (here, below): (Vec<&Entry>, Vec<&Entry>) = entries.into_iter().partition(|entry| entry.path.depth() == depth);
    let mut kinds: BTreeMap<Kind, Vec<&Value>> = BTreeMap::new();
    for entry in here {
        kinds.entry(entry.value.kind()).or_default().push(&entry.value);
    }
    let mut views: Vec<View> = kinds
        .into_iter()
        .map(|(kind, values)| {
            let values = values.into_iter();
            match kind {
                Kind::Counter => counter::view(values),
                Kind::Register => register::view(values),
                Kind::MultiValue => multi_value::view(values),
                Kind::Set => set::view(values),
                Kind::Map => unreachable!("no value is a map"),
            }
        })
        .collect();
    if !below.is_empty() {
        views.push(map::view(below, depth));
    }
    views
}
