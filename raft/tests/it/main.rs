//! Integration tests of the agreement and its log, on real disks and sockets and on simulated ones.

mod raft_append;
mod raft_cut;
mod raft_group;
mod raft_log;
mod raft_log_crash;
#[path = "../../../journal/tests/it/forgetful.rs"]
mod raft_log_disk;
mod raft_log_script;
mod raft_processes;
mod raft_sim;
