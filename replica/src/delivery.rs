//! How object deltas travel: pushed at once to where they belong, acknowledged when on disk.
//!
//! A node pushes its own writes to every other node of its region and, for each other region, to one node there
//! that placement picks for the partition. What came in from another region is pushed on to the node's own region.
//! Everything else is left to repair: a push may be lost at any point and nothing depends on it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use trine_crdt::{Delta, NodeId, PartitionId, RegionId, WriterId};
use trine_gossip::link::{Link, Range};

use crate::input::Peer;
use crate::limits::{INTERVALS_BYTES_TARGET, INTERVALS_PER_MESSAGE_MAX};
use crate::message::{Interval, PeerMessage};
use crate::objects::{DeltaRow, Objects, latest_stamp, read_interval};
use crate::replica::Replica;
use crate::store::StoreError;
use crate::turn::Turn;

impl Replica {
    /// The nodes of this region that a partition's deltas go to.
    pub(crate) fn region_peers(&self) -> Vec<NodeId> {
        let own = |peer: &&Peer| peer.region == self.config.region;
        self.peers.values().filter(own).map(|peer| peer.node).collect()
    }

    /// The node of another region that takes a partition's deltas in, among those that can be reached.
    fn entry_node(&self, partition: &PartitionId, region: &RegionId) -> Option<NodeId> {
        let there: Vec<NodeId> =
            self.peers.values().filter(|peer| peer.region == *region).map(|peer| peer.node).collect();
        trine_placement::rendezvous::entry_holder(partition, &there)
    }

    /// A write of this node is to be pushed.
    pub(crate) fn push_own(&mut self, partition: &PartitionId, after: u64, upto: u64) {
        let mut targets = self.region_peers();
        let regions: BTreeSet<RegionId> = self
            .peers
            .values()
            .map(|peer| peer.region.clone())
            .filter(|region| *region != self.config.region)
            .collect();
        targets.extend(regions.iter().filter_map(|region| self.entry_node(partition, region)));
        let writer = self.config.writer;
        self.mark(&targets, partition, writer, after, upto);
    }

    /// Marks deltas to be pushed to some nodes.
    pub(crate) fn mark(
        &mut self,
        targets: &[NodeId],
        partition: &PartitionId,
        writer: WriterId,
        after: u64,
        upto: u64,
    ) {
        for node in targets {
            if let Some(link) = self.links.get_mut(node) {
                link.mark_dirty(partition.clone(), writer, after, upto);
            }
        }
    }

    /// Sends what the links' windows allow.
    pub(crate) fn push(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        let nodes: Vec<NodeId> = self.links.keys().copied().collect();
        for node in nodes {
            loop {
                let link = self.links.get(&node).expect("its key was just listed");
                let Some(next) = link.next() else { break };
                let bytes_max = next.bytes_max.min(INTERVALS_BYTES_TARGET);
                if !self.push_batch(turn, node, &next.ranges, bytes_max)? {
                    break;
                }
            }
        }
        Ok(())
    }

    fn push_batch(
        &mut self,
        turn: &mut Turn<'_>,
        node: NodeId,
        ranges: &[Range],
        bytes_max: usize,
    ) -> Result<bool, StoreError> {
        let (mut intervals, mut sent, mut bytes) = (Vec::new(), Vec::new(), 0);
        for Range { partition, writer, after, upto } in ranges.iter().take(INTERVALS_PER_MESSAGE_MAX) {
            if bytes >= bytes_max {
                break;
            }
            let row = (partition, *writer);
            let Some((deltas, begins, ends, size)) =
                read_interval(&mut self.buffer, turn, row, (*after, *upto), bytes_max - bytes)?
            else {
                self.links.get_mut(&node).expect("a link is pushed to").forget(partition, *writer);
                self.serve_page(turn, node, partition, &Bytes::new(), None)?;
                continue;
            };
            bytes += size;
            self.counters.deltas_sent += deltas.len() as u64;
            let deltas = deltas.into_iter().map(|(key, delta)| (key, delta.to_bytes().into())).collect();
            let (partition, writer) = (partition.clone(), *writer);
            sent.push(Range { partition: partition.clone(), writer, after: begins, upto: ends });
            intervals.push(Interval { partition, writer, after: begins, upto: ends, deltas });
        }
        if intervals.is_empty() {
            return Ok(false);
        }
        let link = self.links.get_mut(&node).expect("a link is pushed to");
        let batch = link.sent(turn.now.monotonic_ns, &sent, bytes);
        turn.send(node, PeerMessage::Intervals { batch, intervals });
        Ok(true)
    }

    /// Takes in intervals from a peer and says what is held then.
    pub(crate) fn take_intervals(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        batch: u64,
        intervals: Vec<Interval>,
    ) -> Result<(), StoreError> {
        if !self.writable {
            return Ok(());
        }
        let outside = self.peers.get(&from).is_some_and(|peer| peer.region != self.config.region);
        let (mut upto, mut gaps) = (Vec::new(), BTreeSet::new());
        for interval in intervals {
            let (partition, writer) = (interval.partition.clone(), interval.writer);
            let held = self.objects.held(&partition, writer);
            if self.take_interval(turn, interval, held)? {
                let now = self.objects.held(&partition, writer);
                if outside && now > held {
                    let targets = self.region_peers();
                    self.mark(&targets, &partition, writer, held, now);
                }
                if let Some(link) = self.links.get_mut(&from) {
                    link.has(&partition, writer, now);
                }
                upto.push((partition, writer, now));
            } else {
                gaps.insert(partition);
            }
        }
        // Even a duplicate is answered only when all that was taken in before is on disk.
        self.buffer.depend_on_all();
        turn.send(from, PeerMessage::Have { batch, upto });
        let vectors: Vec<_> = gaps.into_iter().map(|p| (p.clone(), self.objects.vector(&p))).collect();
        if !vectors.is_empty() {
            turn.send(from, PeerMessage::Vector { vectors, reply: false });
        }
        self.wake_fresh(turn);
        Ok(())
    }

    /// Joins one interval. False when it does not connect, or must wait.
    fn take_interval(&mut self, turn: &mut Turn<'_>, interval: Interval, held: u64) -> Result<bool, StoreError> {
        let Interval { partition, writer, after, upto, deltas } = interval;
        if upto <= held {
            self.counters.deltas_duplicate += deltas.len() as u64;
            return Ok(true);
        }
        if after > held || !self.admits(&partition) || self.own_writers.contains(&writer) {
            self.counters.deltas_dropped += deltas.len() as u64;
            return Ok(false);
        }
        let Some(decoded) = decode(&deltas) else {
            self.counters.messages_refused += 1;
            return Ok(false);
        };
        let drift_ns = self.config.clock_drift_ms_max.saturating_mul(1_000_000);
        if self.clock.observe(turn.now.wall_ns, &latest_stamp(decoded.values()), drift_ns).is_err() {
            self.counters.stamps_held += 1;
            return Ok(false);
        }
        let mut changed = Vec::with_capacity(decoded.len());
        for (key, delta) in &decoded {
            let mut stored = Objects::read(&mut self.buffer, turn, &partition, key)?;
            stored.object.apply(writer, after, delta);
            changed.push((key, stored.bytes, stored.object.to_bytes()));
        }
        for (key, before, bytes) in changed {
            self.objects.write(&mut self.buffer, &partition, key, before.as_ref(), bytes.into());
        }
        self.counters.deltas_received += decoded.len() as u64;
        self.objects.keep(&mut self.buffer, &partition, writer, upto, &DeltaRow { after, deltas });
        self.objects.advance(&mut self.buffer, &partition, writer, upto);
        Ok(true)
    }

    /// A peer says what it has on disk.
    pub(crate) fn take_have(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        batch: u64,
        upto: &[(PartitionId, WriterId, u64)],
    ) {
        if let Some(link) = self.links.get_mut(&from) {
            link.acked(batch);
            for (partition, writer, seq) in upto {
                link.has(partition, *writer, *seq);
            }
        }
        if self.peers.get(&from).is_none_or(|peer| peer.region != self.config.region) {
            return;
        }
        let needed = self.majority_others();
        for (partition, writer, seq) in upto {
            if *writer == self.config.writer {
                for wait in self.waiting.have(partition, *seq, from, needed) {
                    self.answer_majority(turn, wait);
                }
            }
        }
    }

    /// How many other nodes make a majority of the region together with this one.
    pub(crate) fn majority_others(&self) -> usize {
        self.ledger.roster().count() / 2
    }

    /// Makes a link for a peer that came up; its first act is to compare vectors.
    pub(crate) fn open_link(&mut self, node: NodeId) {
        let link = self.links.entry(node).or_insert_with(|| Link::new(trine_gossip::link::Config::default()));
        link.reset();
    }

    /// Drops delta rows that are beyond the bound, a few at each tick.
    pub(crate) fn trim_tick(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        let over: Vec<(PartitionId, WriterId)> = self
            .objects
            .logs()
            .filter(|(_, _, log)| log.rows > crate::limits::DELTA_ROWS_MAX)
            .map(|(partition, writer, _)| (partition.clone(), writer))
            .take(16)
            .collect();
        for (partition, writer) in over {
            let excess = self.objects.log(&partition, writer).rows - crate::limits::DELTA_ROWS_MAX / 2;
            let count = usize::try_from(excess).unwrap_or(usize::MAX).min(1024);
            self.objects.trim(&mut self.buffer, turn, (&partition, writer), count)?;
        }
        Ok(())
    }
}

fn decode(deltas: &[(Bytes, Bytes)]) -> Option<BTreeMap<Bytes, Delta>> {
    deltas.iter().map(|(key, bytes)| Some((key.clone(), Delta::from_bytes(bytes).ok()?))).collect()
}
