//! Which node to speak to: the nearest that serves, and another when it fails.
//!
//! At first all seeds are tried at once and the one that answers first is the nearest. It names the others. When the
//! node fails it rests for a while, and the next is tried by rank: rested, of the wanted region, with the shorter
//! round trip, earlier known. Attempts start a little apart, so that a dead node costs a fraction of a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use libp2p::Multiaddr;
use trine_crdt::RegionId;

use crate::connection::Connection;
use crate::error::ClientError;
use crate::leader::Leader;
use crate::limits::{ATTEMPT_SPACING, NODE_REST, NODES_KNOWN_MAX};
use crate::network::Network;
use crate::transport::split_peer;

struct Known {
    address: Multiaddr,
    region: Option<RegionId>,
    round_trip: Option<Duration>,
    rest_until: Option<Instant>,
}

/// The nodes known and the connection in use.
pub(crate) struct Pool {
    prefer: Option<RegionId>,
    prefer_only: bool,
    pinned: bool,
    current: Mutex<Option<Arc<Connection>>>,
    nodes: Mutex<Vec<Known>>,
    pub leader: Leader,
    connecting: tokio::sync::Mutex<()>,
}

impl Pool {
    pub fn new(seeds: &[Multiaddr], prefer: Option<RegionId>, prefer_only: bool, pinned: bool) -> Self {
        let seeds = if pinned { seeds.get(..1).unwrap_or(seeds) } else { seeds };
        let known =
            |address: &Multiaddr| Known { address: address.clone(), region: None, round_trip: None, rest_until: None };
        Self {
            prefer,
            prefer_only,
            pinned,
            current: Mutex::default(),
            nodes: Mutex::new(seeds.iter().take(NODES_KNOWN_MAX).map(known).collect()),
            leader: Leader::default(),
            connecting: tokio::sync::Mutex::default(),
        }
    }

    /// The connection in use, if it stands.
    pub fn current(&self) -> Option<Arc<Connection>> {
        lock(&self.current).as_ref().filter(|connection| !connection.is_closed()).cloned()
    }

    /// A connection, of this region only if one is named.
    pub async fn connection(&self, network: &Network, only: Option<&RegionId>) -> Result<Arc<Connection>, ClientError> {
        let only = only.or(self.prefer.as_ref().filter(|_| self.prefer_only));
        let fits = |connection: &Arc<Connection>| only.is_none_or(|region| connection.endpoint.region == *region);
        if let Some(connection) = self.current().filter(fits) {
            return Ok(connection);
        }
        let _turn = self.connecting.lock().await;
        if let Some(connection) = self.current().filter(fits) {
            return Ok(connection);
        }
        let mut connection = self.race(network, only).await?;
        self.learn(&connection);
        if let Some(prefer) =
            self.prefer.as_ref().filter(|prefer| only.is_none() && **prefer != connection.endpoint.region)
            && self.serves(prefer)
            && let Ok(nearer) = self.race(network, Some(prefer)).await
        {
            connection = nearer;
            self.learn(&connection);
        }
        let connection = Arc::new(connection);
        *lock(&self.current) = Some(connection.clone());
        Ok(connection)
    }

    /// Whether another node of the same region than the one in use may lead it.
    pub fn has_neighbours(&self, connection: &Connection) -> bool {
        let (region, address) = (&connection.endpoint.region, &connection.endpoint.address);
        let other = |known: &Known| known.region.as_ref() == Some(region) && known.address.to_string() != *address;
        !self.pinned && lock(&self.nodes).iter().any(other)
    }

    /// Passes over a connection's node for a while, when it is still the one in use.
    pub fn leave(&self, connection: &Arc<Connection>) {
        self.leader.leave(connection);
        self.rest(&connection.endpoint.address);
        let mut current = lock(&self.current);
        if current.as_ref().is_some_and(|standing| Arc::ptr_eq(standing, connection)) {
            *current = None;
        }
    }

    /// Forgets the connection.
    pub fn close(&self) {
        *lock(&self.current) = None;
        self.leader.close();
    }

    async fn race(&self, network: &Network, only: Option<&RegionId>) -> Result<Connection, ClientError> {
        let (candidates, all_at_once) = self.candidates(only);
        let mut attempts: FuturesUnordered<_> = candidates
            .iter()
            .zip(0_u32..)
            .map(|(address, place)| async move {
                if !all_at_once {
                    tokio::time::sleep(ATTEMPT_SPACING * place).await;
                }
                (address, Connection::open(network, address).await)
            })
            .collect();
        let nobody =
            only.map_or_else(|| "no node is known".to_owned(), |region| format!("no node of {region} is known"));
        let mut last = ClientError::Unreachable { what: nobody };
        while let Some((address, outcome)) = attempts.next().await {
            match outcome {
                Ok(connection) if only.is_none_or(|region| connection.endpoint.region == *region) => {
                    return Ok(connection);
                }
                Ok(connection) => self.learn(&connection),
                Err(error) => {
                    self.rest(&address.to_string());
                    last = error;
                }
            }
        }
        Err(last)
    }

    /// The addresses to try, best first, and whether none has been tried before.
    fn candidates(&self, only: Option<&RegionId>) -> (Vec<Multiaddr>, bool) {
        let now = Instant::now();
        let nodes = lock(&self.nodes);
        let mut ranked: Vec<_> = nodes
            .iter()
            .filter(|known| only.is_none() || known.region.is_none() || known.region.as_ref() == only)
            .map(|known| {
                let resting = known.rest_until.is_some_and(|until| until > now);
                let elsewhere = self.prefer.is_some() && known.region != self.prefer;
                ((resting, elsewhere, known.round_trip.unwrap_or(Duration::MAX)), &known.address)
            })
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        let fresh = nodes.iter().all(|known| known.region.is_none() && known.rest_until.is_none());
        (ranked.into_iter().map(|(_, address)| address.clone()).collect(), fresh)
    }

    /// Takes in what a connection showed: its node's region and distance, and the other nodes.
    fn learn(&self, connection: &Connection) {
        if self.pinned {
            return;
        }
        let mut nodes = lock(&self.nodes);
        for known in nodes.iter_mut() {
            if known.address.to_string() == connection.endpoint.address {
                known.region = Some(connection.endpoint.region.clone());
                known.rest_until = None;
            }
            // What is near one node of a region is near the others.
            if known.region.as_ref() == Some(&connection.endpoint.region) {
                known.round_trip = Some(connection.round_trip);
            }
        }
        for (region, text) in &connection.others {
            let Ok(address) = text.parse::<Multiaddr>() else { continue };
            let same = |known: &Known| known.address == address || known.address == split_peer(&address).1;
            if let Some(known) = nodes.iter_mut().find(|known| same(known)) {
                known.region = Some(region.clone());
            } else if nodes.len() < NODES_KNOWN_MAX {
                let near = region == &connection.endpoint.region;
                let round_trip = near.then_some(connection.round_trip);
                nodes.push(Known { address, region: Some(region.clone()), round_trip, rest_until: None });
            }
        }
    }

    /// Whether a node of the region may be there and does not rest.
    fn serves(&self, region: &RegionId) -> bool {
        let now = Instant::now();
        lock(&self.nodes).iter().any(|known| {
            known.region.as_ref().is_none_or(|known| known == region)
                && known.rest_until.is_none_or(|until| until < now)
        })
    }

    fn rest(&self, address: &str) {
        let until = Instant::now() + NODE_REST;
        if let Some(known) = lock(&self.nodes).iter_mut().find(|known| known.address.to_string() == address) {
            known.rest_until = Some(until);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
