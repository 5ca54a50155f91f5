//! Files that a crash leaves whole, or torn where nobody was told of it.
//!
//! A disk fails in few ways that a program may go on from: it is full, no descriptor is left ([`passing`]), or the power
//! went before a sync. Everything here is written so that these are told from damage.
//!
//! [`textfile`] are small files that are replaced as a whole or not at all. A *log* is a directory of append-only segment
//! files, whose bytes `trine_ledger::frame` draws: one thread takes what has queued up ([`queue`]) and puts it behind the
//! last frame ([`appender`]); [`index`] says where each frame stands, [`read`] checks it; [`recover`] judges at a start
//! what the last crash left. What a frame means is the business of whoever writes it: the Raft log, and [`groups`] of bytes that are
//! durable there until they stand elsewhere.

pub mod disk;
pub mod error;
pub mod passing;

pub mod textfile;

pub mod appender;
pub mod index;
pub mod queue;
pub mod read;
pub mod recover;

pub mod groups;
pub mod rows;

pub mod limits;
pub mod mutants;

pub use error::LogError;
