//! Delta lattices, dots and hybrid time: values that merge.
//!
//! Everything here is a value or a pure function of values. Time and chance are arguments. Two nodes that
//! hold the same deltas hold the same state, to the byte of its canonical encoding.
//!
//! Reading order: [`context`] says what removal means without tombstones, [`object`] why objects converge, [`delta`]
//! what travels; then one file a kind, [`mod@format`] for the bytes, and [`clock`] for time. [`mutants`] and [`marks`] are
//! for testing the tests.

pub mod identity;
pub mod timestamp;
pub mod version_range;

pub mod clock;
pub mod dot;

pub mod context;
pub mod delta;
pub mod object;
pub mod operation;

mod entry;
mod path;

mod counter;
mod map;
mod multi_value;
mod register;
mod set;

mod view;

pub mod digest;
pub mod format;

pub mod codec;
pub mod frame;
pub mod limits;
pub mod marks;
pub mod mutants;

pub use clock::{Clock, Drift, TickError};
pub use context::Context;
pub use delta::Delta;
pub use digest::SumDigest;
pub use dot::{Dot, VersionVector};
pub use entry::Kind;
pub use format::FormatError;
pub use identity::{IdentityError, NamespaceId, NodeId, PartitionId, RegionId, WriterId};
pub use object::Object;
pub use operation::{EditError, Operation};
pub use timestamp::{Now, Timestamp};
pub use version_range::{FORMAT_LEVELS, VersionRange};
pub use view::View;
