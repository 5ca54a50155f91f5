//! Integration tests of the daemon's parts, on real disks and real sockets.

mod cli_output;
mod cli_tls;
mod cluster;
mod config;
mod coverage;
mod data_dir;
mod driver;
mod fake_node;
mod http_client;
mod http_doors;
mod http_ledger;
mod http_objects;
mod identity;
mod net_admission;
mod net_client;
mod net_frames;
mod net_links;
mod net_relay;
mod net_world;
mod raft_cut;
mod raft_group;
mod raft_log;
mod store;
mod up;
