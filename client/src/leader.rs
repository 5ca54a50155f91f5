//! The region's leader, which decides appends: asked for, and spoken to directly.
//!
//! Any node takes an append, and one that does not lead hands it on; that costs two nodes' work instead of one's and
//! the way between them. So while appends go on, a client asks now and then who leads its region, and keeps a second
//! connection to it. Nothing depends on that: without it, or when it breaks, the nearest node serves as before.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use trine_protocol::reply::{NodeView, RaftRole};
use trine_protocol::request::Options;
use trine_protocol::{Reply, Request};

use crate::connection::Connection;
use crate::limits::{CONNECT_TIMEOUT, LEADER_INTERVAL};
use crate::network::Network;

/// Who leads, as far as it is known.
#[derive(Default)]
pub(crate) struct Leader {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    asked: Option<Instant>,
}

impl Leader {
    /// The leader of the region of the node in use, if there is a connection with it.
    pub fn of(&self, current: &Connection) -> Option<Arc<Connection>> {
        let state = self.lock();
        let leads = |connection: &&Arc<Connection>| {
            !connection.is_closed() && connection.endpoint.region == current.endpoint.region
        };
        state.connection.as_ref().filter(leads).cloned()
    }

    /// Whether it is time to ask who leads; who is told so asks.
    pub fn due(&self) -> bool {
        let mut state = self.lock();
        let due = state.asked.is_none_or(|asked| asked.elapsed() >= LEADER_INTERVAL);
        if due {
            state.asked = Some(Instant::now());
        }
        due
    }

    /// Gives a connection up; whether it was the leader's.
    pub fn leave(&self, connection: &Arc<Connection>) -> bool {
        let mut state = self.lock();
        let ours = state.connection.as_ref().is_some_and(|held| Arc::ptr_eq(held, connection));
        if ours {
            state.connection = None;
        }
        ours
    }

    /// Gives the connection up, whichever.
    pub fn close(&self) {
        self.lock().connection = None;
    }

    /// Asks the node in use who leads its region, and connects with that one.
    pub async fn find(&self, network: &Network, current: Arc<Connection>) {
        let find = async {
            let leader = leader(&current).await?;
            let held = self.of(&current).filter(|held| held.endpoint.node == leader.id);
            if held.is_some() {
                return held;
            }
            if leader.id == current.endpoint.node {
                return Some(current.clone());
            }
            let mut opened = None;
            for address in leader.addresses.iter().filter_map(|address| address.parse::<Multiaddr>().ok()) {
                opened = Connection::open(network, &address).await.ok();
                if opened.is_some() {
                    break;
                }
            }
            opened.filter(|opened| opened.endpoint.node == leader.id).map(Arc::new)
        };
        let found = tokio::time::timeout(2 * CONNECT_TIMEOUT, find).await.ok().flatten();
        self.lock().connection = found;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn leader(current: &Connection) -> Option<NodeView> {
    let options = Options { timeout: Some(Duration::from_secs(1)), ..Options::default() };
    let Reply::Nodes(nodes) = current.call(options, Request::NodeList).await.ok()?.reply else { return None };
    let here = |node: &NodeView| node.region == current.endpoint.region;
    nodes.into_iter().find(|node| here(node) && node.raft == RaftRole::Leader)
}
