//! What is known of a cluster that runs here: `cluster.json` in its directory.
//!
//! Paths in the file are relative to its directory, so that the directory can be moved. Which directory it is, when nobody
//! says so, [`super::choice`] decides.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use trine_crdt::RegionId;

/// The file's name in the cluster's directory.
pub const CLUSTER_FILE: &str = "cluster.json";

/// Why a cluster's file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ClusterFileError {
    /// There is none, or it cannot be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It holds something else.
    #[error("{} is not what `trine up` writes: {error}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        error: serde_json::Error,
    },
}

/// A cluster as `trine up` made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// The cluster's id.
    pub cluster: String,
    /// The directory of an administrator's identity (`ca.crt`, `tls.crt`, `tls.key`, `genesis.json`).
    pub client: PathBuf,
    /// The nodes, region by region.
    pub nodes: Vec<ClusterNode>,
}

/// One node of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterNode {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: RegionId,
    /// Its directory: configuration, keys, log and data.
    pub directory: PathBuf,
    /// Its configuration file.
    pub config: PathBuf,
    /// Its HTTP API, `host:port`; on its own machine only.
    pub http: String,
    /// Its libp2p address, with the peer id.
    pub libp2p: String,
    /// Where its Raft connections arrive, `host:port`.
    pub raft: String,
}

impl Cluster {
    /// Reads the file of a cluster's directory; paths come out joined with it.
    ///
    /// # Errors
    /// [`ClusterFileError`].
    pub fn read(directory: &Path) -> Result<Self, ClusterFileError> {
        let path = directory.join(CLUSTER_FILE);
        let text = std::fs::read(&path).map_err(|error| ClusterFileError::Io { path: path.clone(), error })?;
        let mut cluster: Self =
            serde_json::from_slice(&text).map_err(|error| ClusterFileError::Malformed { path, error })?;
        cluster.client = directory.join(&cluster.client);
        for node in &mut cluster.nodes {
            node.directory = directory.join(&node.directory);
            node.config = directory.join(&node.config);
        }
        Ok(cluster)
    }

    /// Writes the file into a cluster's directory.
    ///
    /// # Errors
    /// [`ClusterFileError`].
    pub fn write(&self, directory: &Path) -> Result<(), ClusterFileError> {
        let path = directory.join(CLUSTER_FILE);
        let text = serde_json::to_vec_pretty(self).expect("names and numbers are JSON");
        std::fs::write(&path, text).map_err(|error| ClusterFileError::Io { path, error })
    }
}
