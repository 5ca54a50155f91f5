//! Programs that a newcomer runs in five minutes.
//!
//! Each is what somebody would really build on Trine, on real input; see [`registry`].

pub mod registry;
