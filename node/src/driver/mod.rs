//! The driver: what stands between the core and the world.
//!
//! The core ([`trine_replica::Replica`]) is one value with one door. Somebody has to own it, give it the time, hand it what
//! happened in the order in which it happened, and carry out what it wants done. That is one thread, so that nothing
//! in the core ever needs a lock, and effects are carried out in the order in which the core releases them.
//!
//! ```text
//!   clients ─► requests (bounded, full: Overloaded) ─┐
//!   links ───► inputs (bounded, full: they wait) ────┤► handle ─► Persist ─► committer ─► Persisted ─┐
//!   raft ────►                                       │           Send, Publish, Peers ─► links        │
//!   clock ───► deadline ─────────────────────────────┘           Propose, ReadIndex, Roster ─► raft   │
//!                  ▲                                             Reply ─► the waiting client          │
//!                  └── two numbers and a bell, never a queue ◄────────────────────────────────────────┘
//! ```
//!
//! No cycle of waiting is possible: the driver may wait for a committer, whose reports are two numbers that never fill up;
//! links and the Raft group may wait for the driver, and the driver never waits for them.

mod clock;
pub mod handle;
pub mod limits;
pub mod readiness;
pub mod run;
pub mod world;

pub use clock::{Clock, Clocks};
pub use handle::{DriverHandle, Inbox, Stopped, channel};
pub use readiness::Readiness;
pub use run::{Driver, Stop};
pub use world::{Core, World};
