//! What a node keeps on disk, besides the log: rows in two databases, and a directory that knows whose it is.
//!
//! ```text
//! data_dir/
//!   lock        held while a process has the directory open
//!   node        who this disk is: node id, cluster, name, format; text, checksummed, written once
//!   damage      what was found damaged, what is being healed, and how often; text, checksummed
//!   floor       how many groups of rows were synced at least; text, checksummed, written about once a second
//!   journal/    rows that survive the loss of power before anything is said about them, until they are in their table
//!   synced/     the table of these rows
//!   derived/    rows that the log or a peer can give again
//!   raft/       the log (see `raft`)
//! ```
//!
//! Four things a database does not do for us are done here. **Group commit**: one thread gathers what is queued into one
//! group and one sync of a journal of our own (`synced`), in which a torn end is told from damage; the database gets these rows
//! later, many at once, each as it is by then (`unflushed`). **Damage**: each value bears a checksum
//! of its own over key and value, verified at each read (`row`), because a table's block checksum says nothing of a
//! value that was read wrong before it was written again. **Rollback**: each group bears a number, the table says up to which
//! it has all, and what ends below the floor is refused (`floor`) instead of serving a past that it has already left.
//! **Making**: a database does not sync the names of all
//! directories that it makes; so it is made beside its place, synced whole and renamed (`making`).
//!
//! What is damaged is healed by a new process, which puts another database in its place (`damage`, `heal`); tables are read
//! through again and again for that (`scrub`), and the list of tables is compared with its checksum (`manifest`).
//!
//! What this does not cover: a flip in the journal's very last group is taken for its torn end where the floor does not reach
//! it yet, for about a second; peers notice, because the node's own vector then stands below what they hold of it.

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
mod synced;
mod unflushed;

pub use committer::Committers;
pub use damage::{Damage, Part};
pub use directory::{DataDir, DataDirError};
pub use disk::DiskWatcher;
pub use rows::{Databases, Entries, OpenError, Rows};
