//! Programs: load, faults, and the proof that nothing acknowledged was lost.
//!
//! Clients work with retries switched off and write down each call's beginning, end and outcome; a time-out is
//! "unknown", neither done nor not done. What must be there is judged on the disks of the stopped nodes.

pub mod agreement;
pub mod history;
pub mod load;
pub mod partition;
pub mod rounds;
pub mod verify;

pub use history::{Event, History, Outcome};
pub use load::Load;
