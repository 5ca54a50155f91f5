//! The agreement of a region's nodes: openraft over our own segment log and our own mTLS connections.
//!
//! What the log *means* is the ledger's business; this crate makes its entries durable, equal on every node and
//! handed over in order. Three parts that know little of each other: [`log`] keeps entries on disk, [`net`] carries
//! Raft's calls between the nodes of one region, [`machine`] hands what is committed to the core. [`group`] starts
//! them, and is all that the driver uses.

pub mod barrier;
pub mod config;
pub mod ending;
pub mod follow;
pub mod foreign;
pub mod found;
pub mod group;
pub mod heard;
pub mod hold;
pub mod leadership;
pub mod limits;
pub mod log;
pub mod machine;
pub mod membership;
pub mod mutants;
pub mod net;
pub mod prefix;
pub mod propose;
pub mod types;

pub use config::{Founder, GroupConfig, LogConfig, Timing};
pub use group::{Group, GroupMetrics, StartError};
pub use log::LogReader;
pub use machine::Applied;
