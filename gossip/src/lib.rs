//! How any lattice spreads and heals between peers: rumor, repair, windows.
//!
//! Two kinds of state travel, by the same rule: *being told is a matter of speed, comparing is a matter of truth.*
//!
//! - **Small and everywhere** ([`Versioned`], the cluster's metadata): fresh entries go out at once as a
//!   [`rumor`], which may be lost; [`repair`] compares digests with a peer at a time and sends what differs.
//! - **Large, where policy says** (objects): intervals of deltas are pushed through the window of a [`Link`],
//!   which may lose them; comparing version vectors ([`vectors`]) finds what is missing and marks it dirty again,
//!   so that what is repaired passes through the same window.
//!
//! Every part is a plain state: methods take what happened and what the time is, and return what to send. None
//! reads a clock or draws chance; all are correct when messages are dropped, repeated, reordered and late, and
//! none grows beyond what [`limits`] say, whatever peers do.

pub mod digest;
pub mod entry;
pub mod lattice;
pub mod limits;
pub mod link;
pub mod marks;
pub mod mutants;
pub mod repair;
pub mod rumor;
pub mod vectors;
pub mod versioned;

pub use digest::Digest;
pub use entry::{Entry, Version};
pub use lattice::Lattice;
pub use link::Link;
pub use repair::{Repair, RepairMessage};
pub use rumor::Rumors;
pub use versioned::Versioned;
