//! The driver's world: committers, links and the region's Raft group.

use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;
use trine_crdt::NodeId;
use trine_raft::Group;
use trine_replica::effect::{PeerAddress, Roster};
use trine_replica::input::GroupId;
use trine_replica::{Batch, Input, PeerMessage};

use super::signals::End;
use crate::driver::{DriverHandle, World};
use crate::net::NetHandle;
use crate::store::Committers;

/// Where this node's effects go.
pub(super) struct NodeWorld {
    pub(super) committers: Committers,
    pub(super) net: NetHandle,
    pub(super) group: Group,
    pub(super) driver: DriverHandle,
    pub(super) runtime: Handle,
    pub(super) end: Arc<End>,
}

impl NodeWorld {
    fn group(&self, id: GroupId) -> &Group {
        match id {
            GroupId::Region => &self.group,
        }
    }
}

impl World for NodeWorld {
    fn persist(&mut self, batch: Batch) {
        self.committers.write(batch);
    }

    fn send(&mut self, to: NodeId, message: PeerMessage) {
        self.net.send(to, &message);
    }

    fn publish(&mut self, rumor: Bytes) {
        self.net.publish(rumor);
    }

    fn peers(&mut self, peers: Vec<PeerAddress>) {
        self.net.set_peers(peers);
    }

    fn propose(&mut self, group: GroupId, term: u64, ticket: u64, entry: Bytes) {
        // Called here, polled there: entries enter the log in the order of the calls. The core bounds how many are
        // under way.
        let outcome = self.group(group).propose(term, entry);
        let driver = self.driver.clone();
        self.runtime.spawn(async move {
            let outcome = outcome.await;
            let _ = driver.deliver(Input::Proposed { group, ticket, outcome }, 0).await;
        });
    }

    fn read_index(&mut self, group: GroupId, ticket: u64) {
        let (asked, driver) = (self.group(group).clone(), self.driver.clone());
        self.runtime.spawn(async move {
            let index = asked.read_index().await;
            let _ = driver.deliver(Input::ReadIndex { group, ticket, index }, 0).await;
        });
    }

    fn roster(&mut self, group: GroupId, roster: Roster) {
        self.group(group).reconcile(roster);
    }

    fn leave(&mut self, reason: String) {
        self.end.leave(reason);
    }

    fn step_down(&mut self) {
        let group = self.group.clone();
        self.runtime.spawn(async move { group.step_down().await });
    }

    fn halt(&mut self, reason: String) {
        self.end.fail(reason);
    }
}
