//! Splits regions and checks what survives, in a deterministic world or on real processes.
//!
//! The `arena` is the real one: node processes in one network namespace a region, joined by a network of our own
//! whose delays, losses and cuts are ours to command. The `sim` is the other: the daemon's core in a world that a
//! seed decides, thousands of times.

pub mod arena;
pub mod sim;
