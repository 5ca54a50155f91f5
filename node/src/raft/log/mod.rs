//! The log on disk: append-only segment files that are never purged, because they *are* the region's ledger.
//!
//! [`writer`] is the only one that writes; [`shared`] is what it shares with readers; [`store`] is openraft's face.
//! Entries are readable the moment they are appended (from [`recent`]), are written in groups, and stay in memory
//! only as far as a bound allows; the rest is read from the files, where [`index`] says and [`read`] checks.

pub mod convert;
pub mod disk;
pub mod error;
pub mod index;
pub mod origin;
pub mod queue;
pub mod read;
pub mod reader;
pub mod recent;
pub mod recover;
pub mod shared;
pub mod state;
pub mod store;
pub mod writer;

pub use disk::{Disk, DiskFile, FileSystem};
pub use error::LogError;
pub use origin::Origin;
pub use reader::LogReader;
pub use store::LogStore;
