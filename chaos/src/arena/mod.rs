//! The real arena: a cluster of processes on this machine, with an ocean between its regions.

pub mod network;
