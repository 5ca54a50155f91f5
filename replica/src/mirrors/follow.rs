//! Whom a mirror follows: the region's first mirror, or the ledger's own region.

use trine_crdt::{NodeId, RegionId};
use trine_placement::rendezvous;

use super::take::GAP_ASK_NS;
use super::{Beside, Mirrors};
use crate::cluster::Cluster;
use crate::input::Peer;
use crate::marks::{self, Mark};
use crate::message::{HeadTold, PeerMessage};
use crate::turn::Turn;

/// While more is known to exist, without progress for so long, a mirror goes to another source.
const STALLED_NS: u64 = 2_000_000_000;
/// A source is asked again after so long at the latest, in case it never heard.
const ASK_AGAIN_NS: u64 = 5_000_000_000;

impl Mirrors {
    /// Follows what is to be followed, and leaves a source that stalls.
    pub(crate) fn tick(&mut self, turn: &mut Turn<'_>, beside: &mut Beside<'_>) {
        if !beside.cluster.mirrors_here() {
            return;
        }
        let holders = beside.cluster.mirror_nodes().to_vec();
        let anew = std::mem::take(&mut self.choices_changed);
        let now_ns = turn.now.monotonic_ns;
        let regions: Vec<RegionId> = self.mirrors.keys().cloned().collect();
        for region in regions {
            if self.quarantined(beside.cluster, &region) {
                self.show_evidence(turn, beside, &region);
                continue;
            }
            let known = beside.cluster.head(&region).map_or(0, |(_, head)| head.size);
            let mirror = &self.mirrors[&region];
            if now_ns < mirror.rests_until_ns {
                continue;
            }
            let behind = known > mirror.frontier.size();
            let heard_ns = mirror.progress_ns.max(mirror.asked_ns);
            let stalled = behind && now_ns.saturating_sub(heard_ns) >= STALLED_NS;
            let gap = mirror.gap && now_ns.saturating_sub(mirror.asked_ns) >= GAP_ASK_NS;
            let asked_lately = now_ns.saturating_sub(heard_ns) < ASK_AGAIN_NS && !gap;
            // Nobody came or went: the source is the one that would be chosen.
            if !anew && !stalled && mirror.source.is_some() && asked_lately {
                continue;
            }
            let choices = self.sources(beside.cluster, &region, &holders);
            let mirror = self.mirrors.get_mut(&region).expect("its key was just listed");
            if stalled && mirror.source.is_some() {
                marks::reached(Mark::SourceStalled);
                mirror.left += 1;
            }
            let best = (!choices.is_empty()).then(|| choices[mirror.left % choices.len()]);
            let before = mirror.source;
            if before == best && asked_lately {
                continue;
            }
            mirror.source = best;
            if let Some(before) = before.filter(|before| Some(*before) != best) {
                let from = mirror.frontier.size();
                turn.send(before, PeerMessage::Follow { ledger: region.clone(), from, window_bytes: 0 });
            }
            self.follow(turn, beside, &region);
        }
    }

    /// Shows a region's nodes what its key signed, now and then: they may not know that there is another history.
    fn show_evidence(&mut self, turn: &mut Turn<'_>, beside: &mut Beside<'_>, region: &RegionId) {
        let now_ns = turn.now.monotonic_ns;
        let Some(mirror) = self.mirrors.get_mut(region) else { return };
        if now_ns.saturating_sub(mirror.asked_ns) < ASK_AGAIN_NS {
            return;
        }
        mirror.asked_ns = now_ns;
        let Some(evidence) = self.evidence(region).cloned() else { return };
        let there: Vec<NodeId> =
            beside.cluster.peers().values().filter(|peer| peer.region == *region).map(|peer| peer.node).collect();
        for note in [evidence.first, evidence.second] {
            let told = self.told(beside, region);
            for node in &there {
                turn.send(*node, PeerMessage::HeadTold(HeadTold { note: Some(note.clone()), ..told.clone() }));
            }
        }
    }

    /// Where a ledger can be followed: the region's first mirror when that is another node, otherwise its own region.
    fn sources(&self, cluster: &Cluster, region: &RegionId, holders: &[NodeId]) -> Vec<NodeId> {
        let first = holders.iter().find(|node| **node == cluster.config().node || cluster.linked(**node));
        let mut choices: Vec<NodeId> =
            first.into_iter().copied().filter(|node| *node != cluster.config().node).collect();
        let of = |region: &RegionId| -> Vec<NodeId> {
            let there = |peer: &&Peer| peer.region == *region;
            cluster.peers().values().filter(there).map(|peer| peer.node).collect()
        };
        let mut there = of(region);
        let best = rendezvous::mirror_source(region, cluster.config().node, &there);
        there.sort_by_key(|node| Some(*node) != best);
        choices.extend(there);
        choices
    }

    pub(super) fn follow(&mut self, turn: &mut Turn<'_>, beside: &Beside<'_>, region: &RegionId) {
        let Some(mirror) = self.mirrors.get_mut(region) else { return };
        mirror.asked_ns = turn.now.monotonic_ns;
        mirror.gap = false;
        if let Some(source) = mirror.source {
            let (ledger, from) = (region.clone(), mirror.frontier.size());
            turn.send(
                source,
                PeerMessage::Follow { ledger, from, window_bytes: beside.cluster.config().sizes.follow_window_bytes },
            );
        }
    }
}
