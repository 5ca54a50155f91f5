//! One node, from its configuration to its end.
//!
//! Starting is a chain in which each link needs the one before: who am I (certificate, genesis), whose disk is this, what
//! is on it, the core, the log, the network, the driver, the API. What can fail for reasons of the operator fails
//! before anything is bound or written. Stopping is the chain backwards, and never takes longer than
//! [`STOP_MAX`](limits::STOP_MAX): the API says that it goes, the log hands leadership over, the driver stops, the
//! committers write what they hold.
//!
//! Whether the node founds its region's Raft group or waits to be let in is the group's affair; it is told the founders only
//! when the genesis names this node, with this key, among them.

mod admission;
mod backend;
mod check;
pub mod figures;
mod identity;
mod limits;
mod lines;
mod log_file;
mod pump;
mod quiet;
mod signals;
mod start;
mod telemetry;
mod world;

pub use check::check;
pub use signals::SUPERVISED;
pub use start::{Left, Unfit, run};
