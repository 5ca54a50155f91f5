//! Delta lattices, dots and hybrid time: values that merge.
//!
//! Everything here is a value or a pure function of values. Time and chance are arguments. Two nodes that
//! hold the same deltas hold the same state, to the byte of its canonical encoding.

pub mod codec;
pub mod dot;
pub mod identity;
pub mod timestamp;

pub use dot::{Dot, VersionVector};
pub use identity::{IdentityError, NamespaceId, NodeId, PartitionId, RegionId, WriterId};
pub use timestamp::{Now, Timestamp};
