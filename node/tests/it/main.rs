//! Integration tests of the daemon's parts, on real disks and real sockets.

mod raft_cut;
mod raft_group;
mod raft_log;
