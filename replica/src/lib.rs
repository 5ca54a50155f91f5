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
mod cluster;
pub mod config;
mod counters;
pub mod effect;
#[cfg(test)]
mod fixture;
pub mod input;
mod joining;
mod ledger;
pub mod limits;
pub mod message;
mod metadata;
mod mirrors;
mod news;
mod objects;
mod problems;
mod reads;
mod records;
mod replica;
mod requests;
pub mod rows;
pub mod sizes;
pub mod store;
mod turn;
mod views;
mod waiting;

pub use config::Config;
pub use counters::Counters;
pub use effect::{Batch, Effect, Outbox, Persistence};
pub use input::Input;
pub use ledger::Withheld;
pub use message::PeerMessage;
pub use replica::Replica;
pub use sizes::Sizes;
pub use store::{Store, StoreError};
