//! The daemon: one driver between a `Replica` and the world (libp2p, Raft, disk, HTTP, command line).

pub mod config;

pub mod driver;

pub mod cli;
pub mod http;
pub mod identity;
