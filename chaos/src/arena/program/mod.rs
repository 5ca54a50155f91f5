//! Programs: load, faults, and the proof that nothing acknowledged was lost.
//!
//! Clients work with retries switched off and write down each call's beginning, end and outcome; a time-out is
//! "unknown", neither done nor not done. The checkers judge the calls and the disks of the stopped nodes.

pub mod agreement;
pub mod evidence;
pub mod failover;
pub mod load;
pub mod partition;
pub mod places;
pub mod rounds;

pub use load::Load;
pub use places::Places;
