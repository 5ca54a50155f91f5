//! The daemon: one driver between a `Replica` and the world (libp2p, Raft, disk, HTTP).

// Both panic when nobody listens: what is said goes through the log, or is left to the command line.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod config;

pub mod descriptors;

pub mod store;

pub mod driver;

pub mod daemon;

pub mod recover;

pub mod mutants;
pub mod net;
