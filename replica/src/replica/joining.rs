//! Catching up: what is held of ledgers, and reads that had better be served elsewhere.

use std::collections::BTreeMap;

use trine_crdt::{NodeId, PartitionId, RegionId};

use super::Organs;
use crate::answers::Served;
use crate::input::Peer;
use crate::joining::Followed;
use crate::marks::{self, Mark};
use crate::not_ready::NotReady;
use crate::stop::Stop;
use crate::turn::Turn;
use crate::waiting::Asked;

impl Organs {
    /// Asks, tells, and looks whether all is here.
    pub(super) fn joining_tick(&mut self, turn: &mut Turn<'_>) {
        let regions = self.cluster.config().genesis.regions.iter().map(|region| &region.id);
        let followed = |region: &RegionId| {
            let mirrored = self.cluster.mirrors_here() && !self.mirrors.quarantined(&self.cluster, region);
            Followed { held: self.held_records(region), comes: self.cluster.is_own(region) || mirrored }
        };
        let ledgers: BTreeMap<RegionId, Followed> = regions.map(|region| (region.clone(), followed(region))).collect();
        self.joining.tick(turn, &self.cluster, &self.objects, &ledgers);
    }

    /// A peer that is catching up asks what is held here.
    pub(super) fn serve_holdings(&self, turn: &mut Turn<'_>, to: NodeId, after: Option<PartitionId>) {
        let regions = self.cluster.config().genesis.regions.iter().map(|region| region.id.clone());
        let ledgers = regions.map(|region| (region.clone(), self.held_records(&region))).collect();
        self.joining.serve_holdings(turn, &self.objects, ledgers, (to, after));
    }

    /// A read while this node is catching up: a node that is not may have what it asks for. Who handed it on to this
    /// node is told to ask another. None: it can be served here.
    pub(super) fn pass_while_joining(&self, asked: &Asked) -> Result<Option<Served>, Stop> {
        let Some(how_far) = self.joining.waits() else { return Ok(None) };
        marks::reached(Mark::JoinReadPassed);
        if asked.hops > 0 {
            return Err(NotReady::CatchingUp(how_far).into());
        }
        let able = |peer: &&Peer| !self.joining.of(peer.node);
        let (near, far): (Vec<&Peer>, Vec<&Peer>) =
            self.cluster.peers().values().filter(able).partition(|peer| peer.region == self.cluster.config().region);
        let nodes: Vec<NodeId> = near.into_iter().chain(far).map(|peer| peer.node).collect();
        Ok(Some(self.hand_on_to_one_of(&nodes, asked)))
    }
}
