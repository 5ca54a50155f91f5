//! The daemon: one driver between a `Replica` and the world (libp2p, Raft, disk, HTTP, command line).

pub mod config;

pub mod identity;

pub mod model;

pub mod store;

pub mod driver;

pub mod daemon;

pub mod up;

pub mod raft;

pub mod net;

pub mod http;

pub mod cli;

pub mod mutants;
