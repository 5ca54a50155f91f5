//! The network between the regions: ours, in user space, because a kernel without netem is common.
//!
//! ```text
//!   namespace us-east-1-a          router thread             namespace eu-west-1-b
//!   node ─── routes ── TUN ══fd══▶ shape, cut, ══fd══▶ TUN ── routes ─── node
//!   10.77.1.1                      delay queue               10.77.2.2
//! ```
//!
//! Each node is in a network namespace of its own, and so are the clients of each region. Whatever is sent there leaves
//! through a TUN device whose other end this process holds. One thread reads the IP packets, asks the regions' [`link`] what
//! becomes of each (lost, doubled, late, too much for the bandwidth), keeps them in a [`queue`] until they are due, and
//! writes them into the receiver's TUN. A cut drops packets, also those under way, and tells nobody: what a cut cable does.
//!
//! What nodes of one region send each other passes the router, too, without delay: only so can a node be cut off from its
//! own region.
//!
//! Nothing needs to be cleaned up. A namespace lives while one of our file descriptors or a process in it does,
//! so that also a killed arena leaves nothing behind.

pub mod device;
pub mod limits;
pub mod link;
pub mod map;
pub mod privilege;
pub mod probe;
pub mod queue;
pub mod router;
pub mod rules;
pub mod space;

use std::net::Ipv4Addr;
use std::sync::Arc;

pub use link::Shape;
pub use map::{CLIENTS, Map, RegionPlan};
pub use router::Router;
pub use rules::{Cut, Direction, Rules};
pub use space::Space;

/// What the network is to be.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// The regions and how many addresses each needs.
    pub regions: Vec<RegionPlan>,
    /// The first two bytes of every address.
    pub prefix: [u8; 2],
    /// The largest packet, in bytes.
    pub mtu_bytes: u16,
    /// What chance starts from.
    pub seed: u64,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self { regions: Vec::new(), prefix: [10, 77], mtu_bytes: limits::MTU_BYTES_DEFAULT, seed: 1 }
    }
}

/// The running network.
#[derive(Debug)]
pub struct Network {
    map: Arc<Map>,
    spaces: Vec<Space>,
    router: Router,
}

impl Network {
    /// Makes the namespaces and devices and starts the router.
    ///
    /// # Errors
    /// When the kernel refuses one of them, with what it was.
    pub fn start(config: &NetworkConfig) -> anyhow::Result<Self> {
        let map = Arc::new(Map::new(config)?);
        let mut spaces = Vec::new();
        let mut devices = Vec::new();
        for port in map.ports() {
            let (space, device) = Space::create(&map, port, config.mtu_bytes)?;
            spaces.push(space);
            devices.push(device);
        }
        let router = Router::start(map.clone(), devices, config.mtu_bytes, config.seed)?;
        Ok(Self { map, spaces, router })
    }

    /// Who has which address.
    #[must_use]
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// The namespace of a node, of a region's clients (by the region's name), or of the clients from outside.
    #[must_use]
    pub fn space(&self, name: &str) -> Option<&Space> {
        self.map.port(name).and_then(|port| self.spaces.get(port))
    }

    /// The router: delays, losses, cuts, counts.
    #[must_use]
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// The address of a region's node, counted from 0.
    #[must_use]
    pub fn address(&self, region: &str, node: usize) -> Option<Ipv4Addr> {
        let site = self.map.site(region)?;
        self.map.sites().get(site)?.addresses.get(node).copied()
    }
}
