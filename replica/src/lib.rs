//! One node's whole mind: what it knows, its reads and writes, its reaction to loss.
//!
//! There is one door, [`Replica::handle`], and one exported timer, [`Replica::deadline`]. The caller's duties:
//!
//! 1. Hand every input over in the order in which it happened, with what the clocks say.
//! 2. Carry out the effects of one outbox in order. `Persist` batches of one durability reach the disk in the
//!    order of their ids; when a batch is as durable as it asks for, say `Persisted`. The core itself holds
//!    back whatever would reveal a batch until then.
//! 3. Call again with `Tick` at the deadline.
//! 4. Never retry, reorder or drop on the core's behalf where order is promised (persisting, proposing,
//!    committing); messages between nodes may be dropped, repeated, reordered and late.

mod authored;
mod buffer;
pub mod clock_judge;
mod clocks;
pub mod config;
mod delivery;
pub mod delta_log;
mod durable_time;
pub mod effect;
mod extension;
pub mod forks;
mod held;
pub mod input;
mod joining;
mod ledger;
pub mod limits;
mod links;
mod log_time;
mod membership;
pub mod message;
mod messages;
mod metadata;
mod mirrors;
mod namespaces;
pub mod objects;
mod objects_listed;
mod objects_served;
mod opened_notes;
mod problems;
mod reads;
mod recovery;
mod remembered;
mod repair;
mod replica;
mod requests;
mod rosters;
pub mod rows;
pub mod signing;
pub mod sizes;
mod standing;
pub mod store;
mod tree;
mod turn;
mod versions;
mod views;
mod waiting;

pub use config::Config;
pub use effect::{Batch, Effect, Outbox, Persistence};
pub use input::Input;
pub use message::PeerMessage;
pub use replica::{Counters, Replica};
pub use sizes::Sizes;
pub use store::{Store, StoreError};
