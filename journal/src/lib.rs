//! Files that a crash leaves whole, or torn where nobody was told of it.
//!
//! A disk fails in few ways that a program may go on from: it is full, no descriptor is left ([`passing`]), or the power
//! went before a sync. Everything here is written so that these are told from damage. [`textfile`] are small files that
//! are replaced as a whole or not at all.

pub mod limits;
pub mod passing;
pub mod textfile;
