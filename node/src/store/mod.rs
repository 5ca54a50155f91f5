//! What a node keeps on disk, besides the log: rows in two databases, and a directory that knows whose it is.
//!
//! ```text
//! data_dir/
//!   lock        held while a process has the directory open
//!   node        who this disk is: node id, cluster, name, format; text, checksummed, written once
//!   damage      what was found damaged, what is being healed, and how often; text, checksummed
//!   floor       how many groups of rows were synced at least; text, checksummed, written about once a second
//!   synced/     rows that survive the loss of power before anything is said about them
//!   derived/    rows that the log or a peer can give again
//!   raft/       the log (see `raft`)
//! ```
//!
//! Four things a database does not do for us are done here. **Group commit**: its journal syncs under a lock, so one thread
//! per database gathers what is queued into one batch and one sync (`committer`). **Damage**: each value bears a checksum
//! of its own over key and value, verified at each read (`row`), because a table's block checksum says nothing of a
//! value that was read wrong before it was written again. **Rollback**: a journal is cut at its first bad record when it is
//! recovered, also in the middle; so each group bears a number, and a database that opens below the floor is refused
//! (`floor`) instead of serving a past that it has already left. **Making**: a database does not sync the names of all
//! directories that it makes; so it is made beside its place, synced whole and renamed (`making`).
//!
//! What is damaged is healed by a new process, which puts another database in its place (`damage`, `heal`); tables are read
//! through again and again for that (`scrub`), and the list of tables is compared with its checksum (`manifest`).
//!
//! What this does not cover: rows acknowledged within the last second before a mid-journal flip can be cut unnoticed here;
//! peers notice, because the node's own vector then stands below what they hold of it.

pub mod committer;
pub mod damage;
pub mod directory;
pub mod disk;
mod floor;
mod heal;
pub mod limits;
mod making;
mod manifest;
pub mod row;
pub mod rows;
pub mod scrub;

pub use committer::{Committer, Committers};
pub use damage::{Damage, Part};
pub use directory::{DataDir, DataDirError};
pub use disk::DiskWatcher;
pub use rows::{Databases, Entries, OpenError, Rows};
