//! Integration tests of the daemon's parts, on real disks and real sockets.

mod config;
mod crowds;
mod damage;
mod data_dir;
mod driver;
mod net_admission;
mod net_client;
mod net_copies;
mod net_frames;
mod net_links;
mod net_proofs;
mod net_relay;
mod net_world;
mod store;
