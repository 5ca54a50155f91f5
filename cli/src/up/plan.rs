//! Which nodes a cluster has, and where each listens.
//!
//! Nodes are numbered through all regions, on each machine by themselves: the `k`th there takes three ports from `first + 3 k` on,
//! HTTP, libp2p, Raft. So a node that has a machine to itself has the first three, which are the defaults.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use trine_crdt::RegionId;
use trine_node::config::{CheckError, check_free};

/// The first regions' names; the others are `region-4` and so on.
const REGION_NAMES: [&str; 3] = ["us-east-1", "eu-west-1", "ap-southeast-1"];
/// Ports of a node.
const PORTS_PER_NODE: u16 = 3;

/// What is wrong with the request for a cluster.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The ports end at 65535.
    #[error("{nodes} nodes need {ports} ports from {first} on, and there are none above 65535: choose a lower --port")]
    Ports {
        /// How many nodes.
        nodes: usize,
        /// How many ports.
        ports: usize,
        /// The first.
        first: u16,
    },
    /// A host is not `NAME=IP`.
    #[error("`{0}` is no host: use --host us-east-1=10.0.0.1, with a region's or a node's name")]
    Host(String),
    /// A host of nobody.
    #[error("--host {0}: there is no such region or node")]
    HostOfNobody(String),
}

/// One node to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedNode {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: RegionId,
    /// The HTTP API; loopback.
    pub http: SocketAddr,
    /// Libp2p.
    pub libp2p: SocketAddr,
    /// Raft.
    pub raft: SocketAddr,
}

/// Names and addresses of a cluster with these numbers of regions and nodes, region by region. `hosts` are `NAME=IP`.
///
/// # Errors
/// [`PlanError`].
pub fn plan(regions: u16, nodes: u16, first_port: u16, hosts: &[String]) -> Result<Vec<PlannedNode>, PlanError> {
    let count = usize::from(regions) * usize::from(nodes);
    let ports = count * usize::from(PORTS_PER_NODE);
    if usize::from(first_port) + ports > usize::from(u16::MAX) + 1 {
        return Err(PlanError::Ports { nodes: count, ports, first: first_port });
    }
    let mut hosts = parse_hosts(hosts)?;
    let mut used = Vec::new();
    let mut planned = Vec::with_capacity(count);
    let mut there: BTreeMap<IpAddr, u16> = BTreeMap::new();
    for region in 0..regions {
        let region = region_name(region);
        for node in 0..nodes {
            let name = format!("{region}-{}", letter(node));
            let host = [name.as_str(), region.as_str()].into_iter().find_map(|key| {
                let host = hosts.get(key).copied()?;
                used.push(key.to_owned());
                Some(host)
            });
            let host = host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
            // All of loopback is one machine.
            let machine = if host.is_loopback() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { host };
            let before: &mut u16 = there.entry(machine).or_default();
            let port = first_port + PORTS_PER_NODE * *before;
            *before += 1;
            planned.push(PlannedNode {
                name,
                region: region.clone(),
                http: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
                libp2p: SocketAddr::from((host, port + 1)),
                raft: SocketAddr::from((host, port + 2)),
            });
        }
    }
    hosts.retain(|key, _| !used.contains(key));
    match hosts.into_keys().next() {
        Some(nobody) => Err(PlanError::HostOfNobody(nobody)),
        None => Ok(planned),
    }
}

/// Refuses addresses that are taken, before anything starts.
///
/// # Errors
/// [`CheckError`], which names node, purpose and address.
pub fn check_addresses<'a>(nodes: impl IntoIterator<Item = (&'a str, [SocketAddr; 3])>) -> Result<(), CheckError> {
    for (name, addresses) in nodes {
        for (purpose, address) in ["HTTP", "libp2p", "Raft"].into_iter().zip(addresses) {
            check_free(&format!("{name} {purpose}"), address)?;
        }
    }
    Ok(())
}

fn parse_hosts(hosts: &[String]) -> Result<BTreeMap<String, IpAddr>, PlanError> {
    let parse = |host: &String| {
        let (name, ip) = host.split_once('=').ok_or_else(|| PlanError::Host(host.clone()))?;
        Ok((name.to_owned(), ip.parse().map_err(|_| PlanError::Host(host.clone()))?))
    };
    hosts.iter().map(parse).collect()
}

fn region_name(number: u16) -> RegionId {
    let name = REGION_NAMES
        .get(usize::from(number))
        .map_or_else(|| format!("region-{}", number + 1), |name| (*name).to_owned());
    name.parse().expect("these are region names")
}

/// `a` to `z`; the command line allows no more nodes than letters.
fn letter(number: u16) -> char {
    char::from(b'a' + u8::try_from(number).unwrap_or(u8::MAX).min(25))
}
