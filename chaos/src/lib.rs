//! Splits regions and checks what survives, in a deterministic world or on real processes.
//!
//! The `arena` is the real one: node processes in one network namespace a region, joined by a network of our own
//! whose delays, losses and cuts are ours to command. The `sim` is the other: the daemon's core in a world that a
//! seed decides, thousands of times.
//!
//! Both carry out the same `plan`: clients work as its `workload` says while its faults happen, their calls are
//! written down as a `history`, and when the world is calm again the same checkers (`check`) judge history and disks.

pub mod arena;
pub mod chance;
pub mod check;
pub mod derived;
pub mod history;
pub mod plan;
pub mod report;
pub mod sim;
pub mod units;
pub mod workload;
