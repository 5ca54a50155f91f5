//! Who has which address: region `R` (from 1) is `10.77.R.0/24`, its nodes `.1` upwards; clients are `10.77.254.1`.

use std::net::Ipv4Addr;

use anyhow::{Context, ensure};

use super::NetworkConfig;
use super::limits::{CALLER_OCTET, CLIENTS_OCTET, MTU_BYTES_MIN, REGION_NODES_MAX, REGIONS_MAX};

/// The name of the clients' place in the network: the machine's own namespace.
pub const CLIENTS: &str = "_client";

/// One region as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionPlan {
    /// Its name.
    pub name: String,
    /// How many nodes need an address.
    pub nodes: usize,
}

/// One place that the router serves: a region, or the clients.
#[derive(Debug, Clone)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// The third byte of its addresses.
    pub octet: u8,
    /// The address that what is not a node uses; never cut off by a node's address.
    pub caller: Ipv4Addr,
    /// The nodes' addresses.
    pub addresses: Vec<Ipv4Addr>,
}

/// All places; the clients' is the last.
#[derive(Debug)]
pub struct Map {
    sites: Vec<Site>,
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
        let [a, b] = config.prefix;
        let mut map = Self { sites: Vec::new(), by_octet: [None; 256], prefix: config.prefix };
        for (number, plan) in config.regions.iter().enumerate() {
            ensure!(plan.nodes <= REGION_NODES_MAX, "at most {REGION_NODES_MAX} nodes fit into a region");
            ensure!(map.site(&plan.name).is_none() && plan.name != CLIENTS, "region {} stands twice", plan.name);
            let octet = u8::try_from(number + 1).context("too many regions")?;
            let nodes = u8::try_from(plan.nodes).context("too many nodes")?;
            let addresses = (1..=nodes).map(|node| Ipv4Addr::new(a, b, octet, node)).collect();
            map.add(Site {
                name: plan.name.clone(),
                octet,
                caller: Ipv4Addr::new(a, b, octet, CALLER_OCTET),
                addresses,
            });
        }
        let caller = Ipv4Addr::new(a, b, CLIENTS_OCTET, 1);
        map.add(Site { name: CLIENTS.to_owned(), octet: CLIENTS_OCTET, caller, addresses: Vec::new() });
        Ok(map)
    }

    fn add(&mut self, site: Site) {
        self.by_octet[usize::from(site.octet)] = u8::try_from(self.sites.len()).ok();
        self.sites.push(site);
    }

    /// All places, in the order of their numbers.
    #[must_use]
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// The number of a place.
    #[must_use]
    pub fn site(&self, name: &str) -> Option<usize> {
        self.sites.iter().position(|site| site.name == name)
    }

    /// The number of a place, or which there are.
    ///
    /// # Errors
    /// When there is no such place.
    pub fn find(&self, name: &str) -> anyhow::Result<usize> {
        let names = || self.sites.iter().map(|site| site.name.as_str()).collect::<Vec<_>>().join(", ");
        self.site(name).with_context(|| format!("no region {name}; there are {}", names()))
    }

    /// The place that an address belongs to.
    #[must_use]
    pub fn of_address(&self, address: [u8; 4]) -> Option<usize> {
        if address[..2] != self.prefix {
            return None;
        }
        self.by_octet[usize::from(address[2])].map(usize::from)
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
    fn every_node_has_an_address_and_every_address_a_place() {
        let regions = ["us-east-1", "eu-west-1"].map(|name| RegionPlan { name: name.into(), nodes: 3 }).to_vec();
        let map = Map::new(&NetworkConfig { regions, ..NetworkConfig::default() }).expect("it fits");
        let europe = &map.sites()[map.site("eu-west-1").expect("a region")];
        assert_eq!(europe.addresses[2], Ipv4Addr::new(10, 77, 2, 3));
        assert_eq!(map.of_address([10, 77, 2, 3]), Some(1));
        assert_eq!(map.of_address([10, 77, 254, 1]), map.site(CLIENTS));
        assert_eq!(map.of_address([10, 77, 9, 1]), None);
        assert_eq!(map.of_address([192, 168, 2, 3]), None);
        assert!(map.find("mars").expect_err("there is none").to_string().contains("us-east-1, eu-west-1"));
    }
}
