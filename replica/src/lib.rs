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
//!
//! A node alone, in memory:
//!
//! ```
//! # use std::collections::VecDeque;
//! # use trine_crdt::{NodeId, Now, RegionId, WriterId};
//! # use trine_ledger::genesis::{Genesis, GenesisRegion};
//! # use trine_protocol::request::{ObjectEdit, Options};
//! # use trine_protocol::{Edit, Request, Role};
//! # use trine_replica::input::{CommittedEntry, GroupId, Leadership, Payload};
//! # use trine_replica::{Config, Effect, Input, Outbox, Replica, store::Memory};
//! # let region: RegionId = "us-east-1".parse().unwrap();
//! # let of = GenesisRegion { id: region.clone(), log_key: [0; 32], nodes: Vec::new() };
//! # let genesis = Genesis { cluster: "0f".repeat(16), regions: vec![of] };
//! let (mut store, mut out, mut index, mut asked, mut answer) = (Memory::default(), Outbox::default(), 0, false, None);
//! let config = Config::new(genesis, NodeId(1), "us-east-1-a", region, WriterId([1; 16]));
//! let mut core = Replica::open(config, &store, &mut out)?;
//! let mut inputs = VecDeque::new();
//! let leadership = Leadership { leader: Some(NodeId(1)), term: 1, serving: true };
//! inputs.push_back(Input::Leadership { group: GroupId::Region, leadership });
//! let mut now = Now { wall_ns: 1_800_000_000_000_000_000, monotonic_ns: 1 };
//! while answer.is_none() {
//!     for effect in std::mem::take(&mut out.effects) {
//!         match effect {
//!             Effect::Persist(batch) => {
//!                 store.write(&batch);
//!                 inputs.push_back(Input::Persisted(batch.id));
//!             }
//!             Effect::Propose { entry, .. } => {
//!                 store.append(index, entry.clone());
//!                 let position = trine_ledger::LogPosition { term: 1, leader: NodeId(1), index };
//!                 let entries = vec![CommittedEntry { position, payload: Payload::Entry(entry) }];
//!                 inputs.push_back(Input::Committed { group: GroupId::Region, entries });
//!                 index += 1;
//!             }
//!             Effect::Reply { answer: told, .. } => answer = Some(told),
//!             _ => {}
//!         }
//!     }
//!     if inputs.is_empty() && core.ready().is_ok() && !std::mem::replace(&mut asked, true) {
//!         let (namespace, key) = ("objects".into(), "visits".into());
//!         let request = Request::ObjectEdit(ObjectEdit { namespace, key, edit: Edit::Increment(1) });
//!         inputs.push_back(Input::Request { id: 1, role: Role::Writer, options: Options::default(), request });
//!     }
//!     let input = inputs.pop_front().unwrap_or_else(|| {
//!         // Nothing else is to be done: time passes.
//!         now = Now { wall_ns: now.wall_ns + 100_000_000, monotonic_ns: now.monotonic_ns + 100_000_000 };
//!         Input::Tick
//!     });
//!     core.handle(now, &store, input, &mut out);
//! }
//! assert!(answer.is_some_and(|answer| answer.is_ok()));
//! # Ok::<(), trine_replica::StoreError>(())
//! ```

mod answers;
mod barriers;
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
pub mod marks;
pub mod message;
mod mirrors;
pub mod mutants;
mod news;
pub mod not_ready;
mod objects;
mod records;
mod replica;
pub mod rows;
pub mod sizes;
mod stop;
pub mod store;
mod turn;
mod waiting;

pub use config::Config;
pub use counters::Counters;
pub use effect::{Batch, Effect, Outbox, Persistence};
pub use input::Input;
pub use ledger::{Founds, Withheld};
pub use message::PeerMessage;
pub use not_ready::{NotReady, NotTaken};
pub use replica::Replica;
pub use sizes::Sizes;
pub use store::{Store, StoreError};
