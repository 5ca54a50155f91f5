//! What comes of metadata: heads are compared before they count, and what changed is told.

use std::collections::BTreeSet;

use bytes::Bytes;
use trine_crdt::NodeId;
use trine_gossip::repair::RepairMessage;
use trine_gossip::rumor;
use trine_ledger::segment::SegmentInfo;

use super::Organs;
use crate::cluster::head_key;
use crate::store::StoreError;
use crate::turn::Turn;

impl Organs {
    /// Tells the own head, compares with peers, tells rumors.
    pub(super) fn metadata_tick(&mut self, turn: &mut Turn<'_>) {
        if self.cluster.serving() && self.metadata.head_due(turn.now.monotonic_ns) {
            let news = self.metadata.publish_head(turn, &mut self.cluster, &mut self.ledger);
            self.tell(turn, news);
            self.tell_own_head(turn);
        }
        self.metadata.tick(turn, self.cluster.config().gossip);
    }

    /// A repair message of a peer.
    pub(super) fn metadata_message(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let Ok(message) = RepairMessage::from_bytes(bytes) else {
            turn.counters.messages_refused += 1;
            return Ok(());
        };
        if let RepairMessage::Entries(entries) = &message {
            let (mirrors, mut beside) = self.mirrors_and();
            mirrors.compare_heads(turn, &mut beside, entries)?;
        }
        let barred = self.barred_heads();
        let judged = (self.mirrors.notes(), &barred);
        let news = self.metadata.take(turn, &mut self.cluster, judged, from, message);
        self.tell(turn, news);
        Ok(())
    }

    /// A rumor, told by an admitted node.
    pub(super) fn rumor(&mut self, turn: &mut Turn<'_>, bytes: &[u8]) -> Result<(), StoreError> {
        let Ok(entries) = rumor::decode(bytes) else {
            turn.counters.messages_refused += 1;
            return Ok(());
        };
        let (mirrors, mut beside) = self.mirrors_and();
        mirrors.compare_heads(turn, &mut beside, &entries)?;
        let barred = self.barred_heads();
        let judged = (self.mirrors.notes(), &barred);
        let news = self.metadata.take_rumor(turn, &mut self.cluster, judged, entries);
        self.tell(turn, news);
        Ok(())
    }

    /// The keys of heads that are not taken in.
    fn barred_heads(&self) -> BTreeSet<Bytes> {
        if self.mirrors.no_forks() {
            return BTreeSet::new();
        }
        let regions = self.cluster.config().genesis.regions.iter().map(|region| &region.id);
        regions.filter(|region| self.mirrors.quarantined(&self.cluster, region)).map(head_key).collect()
    }

    /// The own region's registry, as its ledger has it now.
    pub(super) fn publish_registry(&mut self, turn: &mut Turn<'_>) {
        let news = self.metadata.publish_registry(turn, &mut self.cluster, &self.ledger);
        self.tell(turn, news);
    }

    /// The own region's ledger sealed a segment.
    pub(super) fn publish_segment(&mut self, turn: &mut Turn<'_>, segment: &SegmentInfo) {
        let signs = self.ledger.may_sign();
        let news = self.metadata.publish_segment(turn, &mut self.cluster, signs, segment);
        self.tell(turn, news);
    }
}
