//! What a node is told before it starts.
//!
//! Layers, each overriding those before it:
//!
//! ```text
//! defaults
//! SHARED/global.toml                      files that many nodes share (`--shared DIR`); what is not there is passed over
//! SHARED/REGION.toml
//! SHARED/REGION/ENVIRONMENT.toml          with `--environment`
//! FILE …                                  the node's own (`--config FILE`), in the order given
//! TRINE_SECTION__FIELD                    the environment
//! TRINE_US_EAST_1__SECTION__FIELD         the environment, for the node's own region
//! --set section.field=value               flags
//! ```
//!
//! A key that nobody knows is an error which names the nearest known one and the layer in which it stands, because a
//! setting that is silently ignored is worse than none. Sizes and durations bear units.

pub mod address;
pub mod chain;
pub mod check;
pub mod load;
mod nearest;
pub mod units;

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use trine_crdt::RegionId;

pub use address::AddressError;
pub use chain::Layers;
pub use check::{CheckError, check_addresses, check_free, check_ports, ports_in_use};
pub use load::{ConfigError, Loaded, Sourced, load_from};
pub use nearest::nearest;

/// One node's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who the node is.
    pub node: NodeSection,
    /// The cluster it belongs to.
    pub cluster: ClusterSection,
    /// Certificates and keys.
    pub tls: TlsSection,
    /// Where it listens.
    pub listen: ListenSection,
    /// The HTTP API.
    pub http: HttpSection,
    /// Where the others find it.
    pub advertise: AdvertiseSection,
    /// What it takes.
    pub limits: LimitsSection,
    /// How it keeps its rows.
    pub storage: StorageSection,
    /// What it says of itself.
    pub log: LogSection,
}

/// Who the node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSection {
    /// Its name, such as `us-east-1-a`, as in its certificate.
    pub name: String,
    /// Its region, as in its certificate.
    pub region: RegionId,
    /// Where it keeps its data.
    pub data_dir: PathBuf,
}

/// The cluster that the node belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterSection {
    /// The founding document, signed by the cluster's CA.
    pub genesis_file: PathBuf,
    /// Addresses of nodes to ask first, besides those of the genesis: `host:port`, or libp2p's, with or without peer ids.
    pub seeds: Vec<String>,
    /// Regions whose ledgers are followed on, although two checkpoints of theirs were found that cannot both be true:
    /// an operator has looked at the evidence.
    pub forks_released: Vec<RegionId>,
    /// What a node does that can ask no other region what it holds of this region's ledger.
    pub unasked: Unasked,
    /// Whether nodes on the same local network are found by multicast DNS.
    pub mdns: bool,
    /// Whether rumors travel by gossipsub. Without it everything still arrives, only later.
    pub gossip: bool,
}

/// What a node does that can ask no other region what it holds of this region's ledger, before it signs anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unasked {
    /// Appends wait until one can be asked: no index is ever signed twice.
    Wait,
    /// It goes on: should its disks have gone back in time, the region may sign a second history.
    GoOn,
}

/// Certificates and keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    /// The cluster's CA certificate, PEM.
    pub ca_file: PathBuf,
    /// The node's certificate, PEM.
    pub certificate_file: PathBuf,
    /// The node's Ed25519 key, PEM; also its libp2p key. Secret.
    pub key_file: PathBuf,
    /// The key that signs the region's checkpoints. Secret.
    pub log_key_file: PathBuf,
}

/// Where the node listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenSection {
    /// The HTTP API; beyond loopback it demands client certificates.
    #[serde(deserialize_with = "address::listen")]
    pub http: SocketAddr,
    /// Clients and the other nodes, over libp2p.
    #[serde(deserialize_with = "address::listen")]
    pub libp2p: SocketAddr,
    /// The region's Raft group, over mutual TLS.
    #[serde(deserialize_with = "address::listen")]
    pub raft: SocketAddr,
}

/// The HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSection {
    /// Names under which it may be asked, besides its addresses, `localhost` and the node's own name.
    pub hosts: Vec<String>,
    /// What HTTPS shows: a certificate and those that lead from it to an authority, PEM. Read anew when it changes.
    pub certificate_file: PathBuf,
    /// The key of that certificate, PEM. Secret.
    pub key_file: PathBuf,
}

/// Where the others find the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdvertiseSection {
    /// The HTTP API, `host:port`; empty: as it listens.
    pub http: String,
    /// Libp2p addresses, or `host:port`; empty: as it listens.
    pub libp2p: Vec<String>,
    /// Raft, `host:port`; empty: as it listens.
    pub raft: String,
}

/// What the node takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsSection {
    /// The largest value, in bytes.
    #[serde(with = "units::bytes")]
    pub value_max: u64,
    /// Below so much free disk, in bytes, writes are refused.
    #[serde(with = "units::bytes")]
    pub disk_reserve: u64,
}

/// How the node keeps its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageSection {
    /// Blocks of rows kept in memory, in bytes, for both databases together.
    #[serde(with = "units::bytes")]
    pub cache: u64,
    /// Rows that a database collects in memory before it writes a table, in bytes.
    #[serde(with = "units::bytes")]
    pub memtable: u64,
    /// How often rows that can be rebuilt are flushed.
    #[serde(with = "units::duration")]
    pub derived_flush: Duration,
    /// How many rows of deltas are kept per partition and writer; a node that lacks more is sent whole objects.
    pub delta_rows: NonZeroU64,
    /// A segment of the ledger is sealed when its records have this many bytes.
    #[serde(serialize_with = "units::bytes::serialize", deserialize_with = "units::bytes::deserialize_some")]
    pub segment: u64,
}

/// What the node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSection {
    /// `text` or `json`.
    pub format: LogFormat,
    /// What is said, such as `info` or `warn,trine_node=debug`.
    pub filter: String,
    /// The file that it is said in; empty: standard error.
    pub file: PathBuf,
    /// A file of this size, in bytes, is set aside and a new one begun.
    #[serde(serialize_with = "units::bytes::serialize", deserialize_with = "units::bytes::deserialize_some")]
    pub file_bytes: u64,
    /// So is a file of this age; 0: of any age.
    #[serde(with = "units::duration")]
    pub file_age: Duration,
    /// How many files set aside are kept, the newest ones.
    pub files_kept: u16,
}

/// The shape of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// The address of the HTTP API as others know it.
    #[must_use]
    pub fn http_advertised(&self) -> String {
        if self.advertise.http.is_empty() { self.listen.http.to_string() } else { self.advertise.http.clone() }
    }

    /// The address of Raft as others know it, `host:port`.
    #[must_use]
    pub fn raft_advertised(&self) -> String {
        if self.advertise.raft.is_empty() { self.listen.raft.to_string() } else { self.advertise.raft.clone() }
    }

    /// The libp2p addresses as others know them, without the peer id.
    #[must_use]
    pub fn libp2p_advertised(&self) -> Vec<String> {
        if self.advertise.libp2p.is_empty() {
            vec![multiaddr(self.listen.libp2p)]
        } else {
            self.advertise.libp2p.iter().map(|text| address::told(text)).collect()
        }
    }
}

/// A socket address as libp2p writes it.
#[must_use]
pub fn multiaddr(address: SocketAddr) -> String {
    let family = if address.is_ipv4() { "ip4" } else { "ip6" };
    format!("/{family}/{}/tcp/{}", address.ip(), address.port())
}
