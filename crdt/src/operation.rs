//! What a user may ask of an object, and how it becomes one entry that comes and some dots that go.

use bytes::Bytes;

use crate::context::DotSet;
use crate::entry::{Entry, Kind, Value};
use crate::limits::{ELEMENT_BYTES_MAX, MAP_DEPTH_MAX, OBJECT_BYTES_MAX};
use crate::object::Object;
use crate::path::Path;
use crate::{Timestamp, WriterId, counter, map, multi_value, register, set};

/// One edit of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Adds to a counter; negative subtracts.
    Increment(i64),
    /// Sets a register.
    Set(Bytes),
    /// Puts into a multi-value register.
    Put(Bytes),
    /// Adds an element to a set.
    Add(Bytes),
    /// Removes an element from a set, as far as it was seen here.
    Remove(Bytes),
    /// Does an operation to what stands under a name of a map.
    Field {
        /// The name.
        name: String,
        /// The operation there.
        operation: Box<Operation>,
    },
    /// Removes a name of a map and all that stands under it, as far as it was seen here.
    RemoveField(String),
    /// Removes all that stands here, as far as it was seen here. Afterwards any kind may come.
    Delete,
}

/// Why an operation was refused. Only local edits are ever refused; what was accepted anywhere merges everywhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Something of another kind stands there.
    #[error("there is a {actual}, and a {asked} was asked for; delete it first")]
    WrongKind {
        /// What stands there (the first kind, where there are several).
        actual: Kind,
        /// What the operation is for.
        asked: Kind,
    },
    /// The element, name or value is too large, or the object would be.
    #[error("{bytes} bytes are more than the {bytes_max} allowed")]
    TooLarge {
        /// How large it is, or would be.
        bytes: usize,
        /// How large it may be.
        bytes_max: usize,
    },
    /// Maps are nested too deep.
    #[error("maps may be nested {MAP_DEPTH_MAX} deep")]
    TooDeep,
    /// The object has seen this dot, or its removal, though its writer is only now about to use it: somebody made
    /// that up, or this writer's disk was rolled back. The writer must not go on under its identity.
    #[error("dot {seq} was used before; the object has seen this writer up to {last}")]
    Used {
        /// The dot's sequence number.
        seq: u64,
        /// The last that the object has seen of the writer.
        last: u64,
    },
    /// The writer's share of the counter does not fit into 64 bits.
    #[error("the counter cannot take any more")]
    Overflow,
}

/// What an operation does: at most one entry comes, some dots go.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) entry: Option<Entry>,
    pub(crate) gone: DotSet,
}

impl Change {
    /// Replaces every entry that `replaced` picks by a new one at `path`.
    pub(crate) fn replace(
        object: &Object,
        path: &Path,
        value: Value,
        replaced: impl Fn(WriterId, &Entry) -> bool,
    ) -> Self {
        Self { entry: Some(Entry { path: path.clone(), value }), ..Self::remove(object, replaced) }
    }

    /// Removes every entry that `removed` picks.
    pub(crate) fn remove(object: &Object, removed: impl Fn(WriterId, &Entry) -> bool) -> Self {
        let mut gone = DotSet::default();
        for (writer, seq, entry) in object.entries() {
            if removed(writer, entry) {
                gone.insert(writer, seq);
            }
        }
        Self { entry: None, gone }
    }
}

impl Operation {
    /// What the operation would do to `object`.
    pub(crate) fn change(&self, object: &Object, writer: WriterId, stamp: Timestamp) -> Result<Change, EditError> {
        let mut path = Path::new(Vec::new());
        let mut operation = self;
        while let Self::Field { name, operation: below } = operation {
            admit(object, &path, Kind::Map)?;
            path = field(&path, name)?;
            operation = below;
        }
        if let Some(kind) = operation.kind() {
            admit(object, &path, kind)?;
        }
        let change = match operation {
            Self::Increment(by) => counter::increment(object, &path, writer, *by)?,
            Self::Set(value) => register::set(object, &path, stamp, value),
            Self::Put(value) => multi_value::put(object, &path, value),
            Self::Add(element) => set::add(object, &path, sized(element, ELEMENT_BYTES_MAX)?),
            Self::Remove(element) => set::remove(object, &path, element),
            Self::RemoveField(name) => map::remove(object, &path.field(name)),
            Self::Delete => map::remove(object, &path),
            Self::Field { .. } => unreachable!("the loop ends below the last field"),
        };
        bound(object, &change)?;
        Ok(change)
    }

    /// The kind that the operation is for.
    fn kind(&self) -> Option<Kind> {
        match self {
            Self::Increment(_) => Some(Kind::Counter),
            Self::Set(_) => Some(Kind::Register),
            Self::Put(_) => Some(Kind::MultiValue),
            Self::Add(_) | Self::Remove(_) => Some(Kind::Set),
            Self::Field { .. } | Self::RemoveField(_) => Some(Kind::Map),
            Self::Delete => None,
        }
    }
}

fn field(path: &Path, name: &str) -> Result<Path, EditError> {
    if path.depth() >= MAP_DEPTH_MAX {
        return Err(EditError::TooDeep);
    }
    if name.len() > ELEMENT_BYTES_MAX {
        return Err(EditError::TooLarge { bytes: name.len(), bytes_max: ELEMENT_BYTES_MAX });
    }
    Ok(path.field(name))
}

/// Refuses an edit of a kind that does not stand at `path` while others do.
fn admit(object: &Object, path: &Path, asked: Kind) -> Result<(), EditError> {
    let kinds = object.kinds_at(path);
    match kinds.first() {
        Some(actual) if !kinds.contains(&asked) => Err(EditError::WrongKind { actual: *actual, asked }),
        _ => Ok(()),
    }
}

fn sized(bytes: &Bytes, bytes_max: usize) -> Result<&Bytes, EditError> {
    if bytes.len() > bytes_max {
        return Err(EditError::TooLarge { bytes: bytes.len(), bytes_max });
    }
    Ok(bytes)
}

/// Refuses what would make the object too heavy. What only removes, or makes it no heavier, is always allowed.
fn bound(object: &Object, change: &Change) -> Result<(), EditError> {
    let Some(entry) = &change.entry else { return Ok(()) };
    let before = object.weight();
    let goes: usize =
        change.gone.iter().filter_map(|(writer, seq)| object.entries.get(&writer)?.get(&seq)).map(Entry::weight).sum();
    let bytes = before - goes + entry.weight();
    if bytes > OBJECT_BYTES_MAX && bytes > before {
        return Err(EditError::TooLarge { bytes, bytes_max: OBJECT_BYTES_MAX });
    }
    Ok(())
}
