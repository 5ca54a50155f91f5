//! The law that everything here rests on.
//!
//! A value that spreads by gossip is joined with what arrives, in any order, any number of times. For that to end
//! in the same state everywhere, `join` must be associative, commutative and idempotent, and it only ever climbs.

/// A value that merges.
pub trait Lattice {
    /// Takes the other value in: the least value at or above both. True when this one changed.
    fn join(&mut self, other: &Self) -> bool;
}
