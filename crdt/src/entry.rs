//! What one edit left in an object: a place, and a value of some kind there.

use std::fmt;

use bytes::Bytes;

use crate::Timestamp;
use crate::limits::ENTRY_OVERHEAD_BYTES;
use crate::path::Path;

/// What an object, or a field of a map, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A sum of increments and decrements.
    Counter,
    /// One value; the latest wins.
    Register,
    /// The values of the latest writes, several where writes were concurrent.
    MultiValue,
    /// A set in which an add wins over a concurrent remove.
    Set,
    /// Names, and objects under them.
    Map,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Counter => "counter",
            Self::Register => "register",
            Self::MultiValue => "multi-value register",
            Self::Set => "set",
            Self::Map => "map",
        })
    }
}

/// A value that stands until the dot of its edit is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// One writer's share of a counter.
    Count { up: u64, down: u64 },
    /// A register's value and when it was written.
    Register { stamp: Timestamp, value: Bytes },
    /// One of a multi-value register's values.
    Held(Bytes),
    /// An element of a set.
    Element(Bytes),
}

impl Value {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Count { .. } => Kind::Counter,
            Self::Register { .. } => Kind::Register,
            Self::Held(_) => Kind::MultiValue,
            Self::Element(_) => Kind::Set,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Count { .. } => 0,
            Self::Register { value, .. } | Self::Held(value) | Self::Element(value) => value.len(),
        }
    }
}

/// A value and where it stands. Its edit's dot is its key in whatever holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: Path,
    pub(crate) value: Value,
}

impl Entry {
    /// An upper bound of what it adds to an encoding, in bytes.
    pub(crate) fn weight(&self) -> usize {
        ENTRY_OVERHEAD_BYTES + self.path.bytes() + self.value.bytes()
    }
}
