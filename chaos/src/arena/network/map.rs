//! Who has which address: region `R` (from 1) is `10.77.R.0/24`, its nodes `.1` upwards, its clients `.250`; clients from
//! outside are `10.77.254.1`.
//!
//! A *site* is a region, or the clients from outside: what has a shape of its own to the others. A *port* is a namespace
//! with a device: one for each node, one for the clients of each region, and one for those from outside. Whatever goes
//! from one port to another passes the router, within a region too; so anything can be cut off from anything.

use std::net::Ipv4Addr;

use anyhow::{Context, ensure};

use super::NetworkConfig;
use super::limits::{CALLER_OCTET, CLIENTS_OCTET, MTU_BYTES_MIN, REGION_NODES_MAX, REGIONS_MAX};
use crate::plan::Topology;

/// The name of the outside clients' place in the network: the machine's own namespace.
pub const CLIENTS: &str = "_client";

/// One region as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionPlan {
    /// Its name.
    pub name: String,
    /// How many nodes need an address.
    pub nodes: usize,
}

/// A region, or the clients from outside.
#[derive(Debug, Clone)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// The nodes' addresses.
    pub addresses: Vec<Ipv4Addr>,
    /// Its first port: its nodes' come first, its clients' last.
    first: usize,
}

impl Site {
    /// Its ports.
    fn ports(&self) -> std::ops::RangeInclusive<usize> {
        self.first..=self.callers()
    }

    /// The port of the clients there.
    #[must_use]
    pub fn callers(&self) -> usize {
        self.first + self.addresses.len()
    }
}

/// A namespace with a device.
#[derive(Debug, Clone)]
pub struct Port {
    /// Its name: a node's, or for the clients of a region the region's.
    pub name: String,
    /// Its site.
    pub site: usize,
    /// Its address.
    pub address: Ipv4Addr,
}

/// All sites and ports; those of the clients from outside are the last.
#[derive(Debug)]
pub struct Map {
    sites: Vec<Site>,
    ports: Vec<Port>,
    by_octet: [Option<u8>; 256],
    prefix: [u8; 2],
}

impl Map {
    /// Gives out the addresses.
    ///
    /// # Errors
    /// When there are too many regions or nodes, or a name stands twice.
    pub fn new(config: &NetworkConfig) -> anyhow::Result<Self> {
        ensure!(config.mtu_bytes >= MTU_BYTES_MIN, "an MTU below {MTU_BYTES_MIN} bytes carries no IPv4");
        ensure!(config.regions.len() <= REGIONS_MAX, "at most {REGIONS_MAX} regions fit");
        let mut map = Self { sites: Vec::new(), ports: Vec::new(), by_octet: [None; 256], prefix: config.prefix };
        for (number, plan) in config.regions.iter().enumerate() {
            ensure!(plan.nodes <= REGION_NODES_MAX, "at most {REGION_NODES_MAX} nodes fit into a region");
            ensure!(map.site(&plan.name).is_none() && plan.name != CLIENTS, "region {} stands twice", plan.name);
            let octet = u8::try_from(number + 1).context("too many regions")?;
            let nodes = u8::try_from(plan.nodes).context("too many nodes")?;
            map.add(&plan.name, octet, nodes, CALLER_OCTET);
        }
        map.add(CLIENTS, CLIENTS_OCTET, 0, 1);
        Ok(map)
    }

    fn add(&mut self, name: &str, octet: u8, nodes: u8, caller: u8) {
        let [a, b] = self.prefix;
        let (site, first) = (self.sites.len(), self.ports.len());
        let address = |last| Ipv4Addr::new(a, b, octet, last);
        self.by_octet[usize::from(octet)] = u8::try_from(site).ok();
        for node in 1..=nodes {
            let name = Topology::node(name, usize::from(node) - 1);
            self.ports.push(Port { name, site, address: address(node) });
        }
        self.ports.push(Port { name: name.to_owned(), site, address: address(caller) });
        self.sites.push(Site { name: name.to_owned(), addresses: (1..=nodes).map(address).collect(), first });
    }

    /// All sites, in the order of their numbers.
    #[must_use]
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// All ports, in the order of their numbers.
    #[must_use]
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// The number of a site.
    #[must_use]
    pub fn site(&self, name: &str) -> Option<usize> {
        self.sites.iter().position(|site| site.name == name)
    }

    /// The number of a site, or which there are.
    ///
    /// # Errors
    /// When there is no such site.
    pub fn find(&self, name: &str) -> anyhow::Result<usize> {
        let names = || self.sites.iter().map(|site| site.name.as_str()).collect::<Vec<_>>().join(", ");
        self.site(name).with_context(|| format!("no region {name}; there are {}", names()))
    }

    /// The number of a port.
    #[must_use]
    pub fn port(&self, name: &str) -> Option<usize> {
        self.ports.iter().position(|port| port.name == name)
    }

    /// The ports that a name stands for: a region's nodes and clients, one node, `clients of REGION`, `clients` (of all
    /// regions), or the clients from outside.
    ///
    /// # Errors
    /// When it stands for nothing.
    pub fn named(&self, name: &str) -> anyhow::Result<Vec<usize>> {
        if name == "clients" {
            return Ok(self.sites.iter().map(Site::callers).collect());
        }
        if let Some(region) = name.strip_prefix("clients of ") {
            return Ok(vec![self.sites[self.find(region)?].callers()]);
        }
        if let Some(site) = self.site(name) {
            return Ok(self.sites[site].ports().collect());
        }
        let names = || self.ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", ");
        let port = self.port(name).with_context(|| format!("no region or node {name}; there are {}", names()))?;
        Ok(vec![port])
    }

    /// Whether clients are at a port.
    #[must_use]
    pub fn is_callers(&self, port: usize) -> bool {
        self.ports.get(port).and_then(|port| self.sites.get(port.site)).is_some_and(|site| site.callers() == port)
    }

    /// The port that an address belongs to.
    #[must_use]
    pub fn of_address(&self, address: [u8; 4]) -> Option<usize> {
        let [a, b, octet, last] = address;
        if [a, b] != self.prefix {
            return None;
        }
        let site = &self.sites[usize::from(self.by_octet[usize::from(octet)]?)];
        let port = match usize::from(last).checked_sub(1) {
            Some(node) if node < site.addresses.len() => site.first + node,
            _ => site.callers(),
        };
        (self.ports[port].address.octets() == address).then_some(port)
    }

    /// The network's first two bytes.
    #[must_use]
    pub fn prefix(&self) -> [u8; 2] {
        self.prefix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_has_an_address_and_every_address_a_port() {
        let regions = ["us-east-1", "eu-west-1"].map(|name| RegionPlan { name: name.into(), nodes: 3 }).to_vec();
        let map = Map::new(&NetworkConfig { regions, ..NetworkConfig::default() }).expect("it fits");
        let europe = &map.sites()[map.site("eu-west-1").expect("a region")];
        assert_eq!(europe.addresses[2], Ipv4Addr::new(10, 77, 2, 3));
        assert_eq!(map.of_address([10, 77, 2, 3]), map.port("eu-west-1-c"));
        assert_eq!(map.of_address([10, 77, 2, 250]), Some(europe.callers()));
        assert_eq!(map.of_address([10, 77, 254, 1]), map.port(CLIENTS));
        for nobody in [[10, 77, 9, 1], [10, 77, 2, 4], [10, 77, 2, 0], [10, 77, 254, 2], [192, 168, 2, 3]] {
            assert_eq!(map.of_address(nobody), None, "{nobody:?}");
        }
        for (number, port) in map.ports().iter().enumerate() {
            assert_eq!(map.of_address(port.address.octets()), Some(number), "{}", port.name);
        }
        assert!(map.find("mars").expect_err("there is none").to_string().contains("us-east-1, eu-west-1"));
    }

    #[test]
    fn names_stand_for_ports() {
        let regions = ["us-east-1", "eu-west-1"].map(|name| RegionPlan { name: name.into(), nodes: 2 }).to_vec();
        let map = Map::new(&NetworkConfig { regions, ..NetworkConfig::default() }).expect("it fits");
        let named = |name: &str| map.named(name).expect("it stands for something");
        assert_eq!(named("us-east-1"), [0, 1, 2]);
        assert_eq!(named("eu-west-1-b"), [4]);
        assert_eq!(named("clients of eu-west-1"), [5]);
        assert_eq!(named("clients"), [2, 5, 6]);
        assert_eq!(named(CLIENTS), [6]);
        assert!(map.named("mars").is_err() && map.named("clients of mars").is_err());
        assert!(map.is_callers(2) && map.is_callers(6) && !map.is_callers(0));
    }
}
