//! What can be found wrong before anything is made, bound or dialled: the first link of a node's start, and all that
//! `trine config validate` does. It reads files and writes none, so that a running node's own configuration passes.

use anyhow::anyhow;
use libp2p::Multiaddr;
use trine_client::transport;

use super::identity::Identity;
use super::telemetry;
use crate::config::{Config, check_addresses};
use crate::store::DataDir;

/// Refuses a configuration with which no node would start. Whether ports are free is another question: a running node's are not.
///
/// # Errors
/// What is wrong, worded for the operator.
pub fn check(config: &Config) -> anyhow::Result<()> {
    checked(config).map(|_| ())
}

/// As [`check`]; who the node is comes out of it.
pub(super) fn checked(config: &Config) -> anyhow::Result<Identity> {
    telemetry::filter(&config.log.filter)?;
    telemetry::check_file(&config.log)?;
    check_addresses(config)?;
    let identity = Identity::open(config)?;
    seeds(config, &identity)?;
    if let Some(https) = super::start::https(config, &identity) {
        https.check()?;
    }
    DataDir::check(&config.node.data_dir, &identity.genesis.cluster, &identity.name)?;
    Ok(identity)
}

/// The addresses to ask first: the configuration's, then the founders'.
pub(super) fn seeds(config: &Config, identity: &Identity) -> anyhow::Result<Vec<Multiaddr>> {
    let founders = identity.genesis.regions.iter().flat_map(|region| &region.nodes);
    let others = founders.filter(|node| node.peer != identity.peer).flat_map(|node| &node.addresses);
    let parse = |address: &String| transport::parse(address).map_err(|what| anyhow!("the seed {what}"));
    config.cluster.seeds.iter().chain(others).map(parse).collect()
}
