//! Links between nodes, and the door for clients, over libp2p.
//!
//! Every connection is admitted before it exists ([`trine_identity::admission`]): noise proves the key, a certificate of
//! the cluster's authority proves what its holder is. Behind that door there are three conversations, each on long-lived
//! streams:
//!
//! ```text
//!   /trine/link/1      node ⇄ node     one stream per pair: hello, then frames; heartbeats every 250 ms
//!   /trine/client/1    client → node   one stream per client: hello, then requests and answers, pipelined
//!   gossipsub          among nodes     small metadata, early and unreliable; truth is repair over links
//! ```
//!
//! One task owns the swarm and never waits for anything else ([`swarm`]). Each link and each client stream has tasks of
//! its own. What they receive goes to the driver through one bounded channel; a full channel stops them reading, so
//! that TCP holds the peer back. What the driver sends is queued per link, bounded in bytes; what does not fit is
//! dropped and counted, because the core repairs and must never wait.
//!
//! Two nodes that miss each other both dial, so two connections may arise; [`link`] says which one stays.

pub mod limits;

mod arrivals;
mod config;
mod event;
mod handle;

mod client;
mod dial;
pub mod frame;
mod gossip;
mod link;
mod nodes_only;
mod process;
mod queue;
mod room;
mod streams;
mod swarm;
mod table;

pub use config::{NetConfig, StartError, Told};
pub use event::{NetEvent, Room};
pub use handle::{Net, NetHandle};
pub use process::Process;
