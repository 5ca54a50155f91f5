//! The targets, in the order of the crates that they torment.

mod delta;
mod names;
mod object;

mod certificate;
mod checkpoint;
mod consistency;
mod entry;
mod genesis;
mod inclusion;
mod log_file;
mod record;
mod state;

mod repair;
mod rumor;

mod admission;
mod client_frames;
mod record_view;

mod metadata;
mod peer_message;
mod rows;

mod config;
mod http;
mod http_requests;
mod link_frames;
mod local_files;
mod node_files;
mod pem;
mod raft_frames;
mod raft_log;
mod stream_frames;

mod packages;

use crate::target::Target;

/// All targets.
pub const TARGETS: &[Target] = &[
    object::TARGET,
    delta::TARGET,
    names::TARGET,
    entry::TARGET,
    record::TARGET,
    state::TARGET,
    checkpoint::TARGET,
    inclusion::TARGET,
    consistency::TARGET,
    certificate::TARGET,
    genesis::TARGET,
    log_file::TARGET,
    rumor::TARGET,
    repair::TARGET,
    client_frames::TARGET,
    admission::TARGET,
    record_view::TARGET,
    metadata::TARGET,
    peer_message::TARGET,
    rows::TARGET,
    stream_frames::TARGET,
    link_frames::TARGET,
    raft_frames::TARGET,
    raft_log::TARGET,
    node_files::TARGET,
    config::TARGET,
    pem::TARGET,
    http::TARGET,
    http_requests::TARGET,
    local_files::TARGET,
    packages::TARGET,
];
