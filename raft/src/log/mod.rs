//! The log on disk: append-only segment files that are never purged, because they *are* the region's ledger.
//!
//! [`writer`] is the only one that writes; [`shared`] is what it shares with readers; [`store`] is openraft's face.
//! Entries are readable the moment they are appended (from [`recent`]), are written in groups, and stay in memory
//! only as far as a bound allows; the rest is read from the files. Those are [`trine_journal`]'s; what their frames mean
//! is said here.

pub mod convert;
pub mod job;
pub mod origin;
pub mod reader;
pub mod recent;
pub mod shared;
pub mod state;
pub mod store;
pub mod writer;

pub use origin::Origin;
pub use reader::LogReader;
pub use store::LogStore;
pub use trine_journal::LogError;
pub use trine_journal::disk::{Disk, DiskFile, FileSystem};
