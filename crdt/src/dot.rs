//! Dots and version vectors: who did what, and who has seen it.
//!
//! A dot names one write: the writer's incarnation and its sequence number, counted per writer and partition
//! from 1. A version vector names, per writer, the last dot of an unbroken prefix.

use crate::WriterId;

/// One write of one writer: `actor` is the writer, `counter` its sequence number in the partition, from 1.
pub type Dot = crdts::Dot<WriterId>;

/// Per writer the last sequence number of an unbroken prefix.
pub type VersionVector = crdts::VClock<WriterId>;
