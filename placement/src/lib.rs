//! Who should hold what and who takes over: pure functions of topology, health and policy.
//!
//! Every node computes the same answer from the same view, so nothing has to be agreed upon, and a view that differs
//! for a moment costs a detour and never data: repair does not care who was chosen.

pub mod limits;
pub mod mutants;
pub mod rendezvous;
pub mod voters;

pub use rendezvous::Candidate;
pub use voters::{Health, Membership, MembershipStep};
