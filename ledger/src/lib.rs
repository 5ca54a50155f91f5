//! The immutable log as a value: records, hash tree, signed checkpoints, proofs, segments, and who may sign.

pub mod genesis;
pub mod position;

pub use genesis::{Genesis, GenesisNode, GenesisRegion};
pub use position::LogPosition;
