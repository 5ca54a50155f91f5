//! The daemon: one driver between a `Replica` and the world (libp2p, Raft, disk, HTTP, command line).

pub mod identity;
pub mod raft;
pub mod net;
