//! The daemon: one driver between a `Replica` and the world (libp2p, Raft, disk, HTTP, command line).

// Both panic when nobody listens: what is said goes through `say`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod say;

pub mod config;

pub mod descriptors;

pub mod store;

pub mod driver;

pub mod daemon;

pub mod up;

pub mod recover;

pub mod net;

pub mod cli;
