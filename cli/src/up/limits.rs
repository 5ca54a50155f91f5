//! Spans of a cluster's life on one machine.

use std::time::Duration;

/// A new cluster's regions, unless told otherwise.
pub const REGIONS_DEFAULT: u16 = 3;
/// Nodes in each of them.
pub const NODES_DEFAULT: u16 = 3;
/// Its first port.
pub const PORT_DEFAULT: u16 = 7420;
/// This many directories of clusters are remembered.
pub const CLUSTERS_REMEMBERED_MAX: usize = 16;
/// How often nodes that are not ready are asked.
pub const READY_INTERVAL: Duration = Duration::from_millis(100);
/// How long one answer may take.
pub const ASK_TIMEOUT: Duration = Duration::from_secs(1);
/// After so long it is said which nodes are not ready, and why.
pub const READY_SLOW: Duration = Duration::from_secs(20);
/// How long nodes may take to stop; then they are killed.
pub const NODES_STOP_MAX: Duration = Duration::from_secs(6);
/// The longest answer to `/readyz` that is read, in bytes.
pub const ANSWER_BYTES_MAX: u64 = 16 * 1024;
/// So much of the end of a log is shown when a node ends by itself, in lines.
pub const LOG_LINES_SHOWN: usize = 5;
