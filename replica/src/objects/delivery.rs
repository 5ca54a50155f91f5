//! How object deltas travel: pushed at once to where they belong, acknowledged when on disk.
//!
//! A node pushes its own writes to every other node of its region and, for each other region, to one node there
//! that placement picks for the partition. What came in from another region is pushed on to the node's own region.
//! Everything else is left to repair: a push may be lost at any point and nothing depends on it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use trine_crdt::{Delta, NodeId, PartitionId, RegionId, WriterId};
use trine_gossip::link::Range;
use trine_placement::rendezvous;

use super::Objects;
use super::delta_log::DeltaRow;
use super::partitions::{Partitions, latest_stamp};
use crate::cluster::Cluster;
use crate::config::Config;
use crate::input::BatchId;
use crate::marks::{self, Mark};
use crate::message::{Interval, PeerMessage};
use crate::mutants::{self, Mutant};
use crate::news::News;
use crate::store::StoreError;
use crate::turn::Turn;

/// Deltas on their way to the disk, to be pushed from there.
#[derive(Debug)]
pub(super) struct Fresh {
    batch: BatchId,
    partition: PartitionId,
    writer: WriterId,
    after: u64,
    upto: u64,
}

impl Objects {
    /// Deltas written in this turn are to be pushed once they are on disk.
    pub(super) fn push_later(
        &mut self,
        turn: &Turn<'_>,
        partition: &PartitionId,
        writer: WriterId,
        after: u64,
        upto: u64,
    ) {
        let batch = turn.upcoming_synced();
        self.fresh.push_back(Fresh { batch, partition: partition.clone(), writer, after, upto });
    }

    /// Marks what has reached the disk to be pushed: own writes to the region and one node of each other, those of
    /// other regions to the region only. Pushing no sooner loses no time, since nothing may leave before it is on
    /// disk, and all that one sync made durable leaves together.
    pub(crate) fn push_durable(&mut self, cluster: &Cluster, batch: BatchId) {
        let durable = self.fresh.iter().take_while(|fresh| fresh.batch <= batch).count();
        if durable == 0 {
            return;
        }
        let inside = cluster.region_peers();
        let durable: Vec<Fresh> = self.fresh.drain(..durable).collect();
        let mut outside: BTreeMap<RegionId, Vec<NodeId>> = BTreeMap::new();
        if durable.iter().any(|fresh| fresh.writer == cluster.config().writer) {
            for peer in cluster.peers().values().filter(|peer| peer.region != cluster.config().region) {
                outside.entry(peer.region.clone()).or_default().push(peer.node);
            }
        }
        for Fresh { partition, writer, after, upto, .. } in durable {
            if mutants::is(Mutant::NewsLeftToRepair) {
                continue;
            }
            let mut targets = inside.clone();
            if writer == cluster.config().writer {
                targets.extend(outside.values().filter_map(|there| rendezvous::entry_holder(&partition, there)));
            }
            self.mark(cluster, &targets, &partition, writer, after, upto);
        }
    }

    /// Marks deltas to be pushed to some nodes.
    pub(super) fn mark(
        &mut self,
        cluster: &Cluster,
        targets: &[NodeId],
        partition: &PartitionId,
        writer: WriterId,
        after: u64,
        upto: u64,
    ) {
        for node in targets {
            if cluster.linked(*node) {
                self.links.wake(*node).mark_dirty(partition.clone(), writer, after, upto);
            }
        }
    }

    /// Sends what the links' windows allow.
    pub(crate) fn push(&mut self, turn: &mut Turn<'_>, cluster: &Cluster) -> Result<(), StoreError> {
        for node in self.links.take_changed() {
            // What is sent or forgotten changes the window again, so that it is looked at once more at the next input.
            while let Some(next) = self.links.next(node) {
                let bytes_max = next.bytes_max.min(cluster.config().sizes.intervals_bytes);
                if !self.push_batch(turn, cluster, node, &next.ranges, bytes_max)? {
                    break;
                }
            }
            self.links.let_rest(node);
        }
        Ok(())
    }

    fn push_batch(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &Cluster,
        node: NodeId,
        ranges: &[Range],
        bytes_max: usize,
    ) -> Result<bool, StoreError> {
        let (mut intervals, mut sent, mut bytes) = (Vec::new(), Vec::new(), 0);
        let (mut paged, mut spared) = (BTreeSet::new(), false);
        let (ranges_max, page) =
            (cluster.config().sizes.intervals_per_message, cluster.config().sizes.delta_rows_per_read);
        if ranges.len() > ranges_max {
            marks::reached(Mark::MessageFull);
        }
        for Range { partition, writer, after, upto } in ranges.iter().take(ranges_max) {
            if bytes >= bytes_max {
                marks::reached(Mark::MessageFull);
                break;
            }
            let row = (partition, *writer);
            // It may have come to it by another way meanwhile, and need not be kept any more.
            let after = (*after).max(self.held.holder(partition, *writer, node));
            if after >= *upto {
                self.links.wake(node).has(partition, *writer, after);
                spared = true;
                continue;
            }
            let left = bytes_max - bytes;
            let Some((deltas, begins, ends, size)) =
                self.held.read_interval(turn, row, (after, *upto), (left, page))?
            else {
                self.links.wake(node).forget(partition, *writer);
                if paged.insert(partition) {
                    self.serve_page(turn, cluster, node, partition, &Bytes::new(), None)?;
                }
                continue;
            };
            bytes += size;
            turn.counters.deltas_sent += deltas.len() as u64;
            let deltas = deltas.into_iter().map(|(key, delta)| (key, delta.to_bytes().into())).collect();
            let (partition, writer) = (partition.clone(), *writer);
            sent.push(Range { partition: partition.clone(), writer, after: begins, upto: ends });
            intervals.push(Interval { partition, writer, after: begins, upto: ends, deltas });
        }
        if intervals.is_empty() {
            return Ok(spared);
        }
        let link = self.links.wake(node);
        let batch = link.sent(turn.now.monotonic_ns, &sent, bytes);
        turn.send(node, PeerMessage::Intervals { batch, intervals });
        Ok(true)
    }

    /// Takes in one of the intervals that a peer sent, and notes what is to be said of it.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn take_interval(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &Cluster,
        from: NodeId,
        interval: Interval,
        receipt: &mut Receipt,
    ) -> Result<Option<News>, StoreError> {
        let outside = !cluster.near(from);
        let (partition, writer) = (interval.partition.clone(), interval.writer);
        let held = self.held.held(&partition, writer);
        match self.join(turn, cluster, from, interval, held)? {
            Taken::Held => {
                let upto = self.held.held(&partition, writer);
                if outside && upto > held {
                    self.push_later(turn, &partition, writer, held, upto);
                }
                if let Some(link) = self.links.awake(from) {
                    link.has(&partition, writer, upto);
                }
                receipt.upto.push((partition.clone(), writer, upto));
                Ok((upto > held).then_some(News::Held { partition, writer, upto }))
            }
            Taken::Gap => {
                receipt.gaps.insert(partition);
                Ok(None)
            }
            Taken::Refused => Ok(None),
        }
    }

    /// Says what is held of the intervals of a message, and asks for what lies before those that did not connect.
    pub(crate) fn acknowledge(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &Cluster,
        from: NodeId,
        batch: u64,
        Receipt { upto, gaps }: Receipt,
    ) {
        if mutants::is(Mutant::HaveUnsynced) {
            turn.depend_on_nothing();
        } else {
            // Even a duplicate is answered only when all that was taken in before is on disk.
            turn.depend_on_all();
        }
        turn.send(from, PeerMessage::Have { batch, upto });
        self.ask_for_gaps(turn, cluster, from, gaps);
    }

    /// Joins one interval, whole or not at all.
    fn join(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &Cluster,
        from: NodeId,
        interval: Interval,
        held: u64,
    ) -> Result<Taken, StoreError> {
        let Interval { partition, writer, after, upto, deltas } = interval;
        if upto <= held {
            turn.counters.deltas_duplicate += deltas.len() as u64;
            marks::reached(Mark::IntervalHeld);
            return Ok(Taken::Held);
        }
        let (Some(slots), false) = (cluster.slots_of(&partition), cluster.own_writers().contains(&writer)) else {
            turn.counters.deltas_dropped += deltas.len() as u64;
            if cluster.own_writers().contains(&writer) {
                marks::reached(Mark::IntervalOwn);
            }
            return Ok(Taken::Refused);
        };
        if after > held && !mutants::is(Mutant::AcceptGap) {
            turn.counters.deltas_dropped += deltas.len() as u64;
            marks::reached(Mark::GapRefused);
            return Ok(Taken::Gap);
        }
        let sensible = |decoded: &BTreeMap<Bytes, Delta>| fits(decoded, &partition, slots, (after, upto));
        let taken = |decoded: &BTreeMap<Bytes, Delta>| sensible(decoded) || mutants::is(Mutant::SenselessIntervals);
        let Some(decoded) = decode(&deltas).filter(taken) else {
            turn.counters.messages_refused += 1;
            return Ok(Taken::Refused);
        };
        if turn.take_stamp(from, &latest_stamp(decoded.values())).is_err() {
            turn.counters.stamps_held += 1;
            return Ok(Taken::Refused);
        }
        let mut changed = Vec::with_capacity(decoded.len());
        for (key, delta) in &decoded {
            let mut stored = Partitions::read(turn, &partition, key)?;
            let dropped = delta.stamp.time % 1000 == 0 && mutants::is(Mutant::DropDelta);
            if !dropped {
                stored.object.apply(writer, after, delta);
            }
            changed.push((key, stored.bytes, stored.object.to_bytes()));
        }
        for (key, before, bytes) in changed {
            self.held.write(turn, &partition, key, before.as_ref(), bytes.into());
        }
        turn.counters.deltas_received += decoded.len() as u64;
        self.held.keep(turn, &partition, writer, upto, &DeltaRow { after, deltas });
        self.held.advance(turn, &partition, writer, upto);
        Ok(Taken::Held)
    }

    /// A peer says what it has on disk.
    pub(crate) fn take_have(
        &mut self,
        cluster: &Cluster,
        from: NodeId,
        batch: u64,
        upto: Vec<(PartitionId, WriterId, u64)>,
    ) -> Vec<News> {
        if let Some(link) = self.links.awake(from) {
            link.acked(batch);
            for (partition, writer, seq) in &upto {
                link.has(partition, *writer, *seq);
            }
        }
        let mut news = Vec::new();
        for (partition, writer, upto) in upto {
            self.held.note_holder(&partition, writer, from, upto);
            if writer == cluster.config().writer {
                news.push(News::Copied { node: from, partition, upto });
            }
        }
        news
    }

    /// Drops delta rows that all these nodes have (none: it is not known who there is), and what is beyond the bound, some
    /// at each tick.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn trim_tick(
        &mut self,
        turn: &mut Turn<'_>,
        config: &Config,
        others: Option<&BTreeSet<NodeId>>,
    ) -> Result<(), StoreError> {
        if self.held.logs.is_empty() {
            return Ok(());
        }
        let dropped = self.held.trim_some(turn, others, (config.delta_rows_max, &config.sizes))?;
        turn.counters.delta_rows_trimmed += dropped as u64;
        Ok(())
    }
}

/// What is to be said of the intervals of one message.
#[derive(Debug, Default)]
pub(crate) struct Receipt {
    /// Partition, writer, and up to where it is held.
    upto: Vec<(PartitionId, WriterId, u64)>,
    /// Where something before an interval is missing.
    gaps: BTreeSet<PartitionId>,
}

/// What became of an interval.
enum Taken {
    /// All of it is held now, or was.
    Held,
    /// Something before it is missing.
    Gap,
    /// It cannot be taken in, or not yet: its stamps lie in the far future, its namespace is not known, it makes no
    /// sense. A round of repair will bring it again; asking at once would bring the same again.
    Refused,
}

fn decode(deltas: &[(Bytes, Bytes)]) -> Option<BTreeMap<Bytes, Delta>> {
    let ascending = deltas.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let decode = |(key, bytes): &(Bytes, Bytes)| Some((key.clone(), Delta::from_bytes(bytes).ok()?));
    if ascending { deltas.iter().map(decode).collect() } else { None }
}

/// Whether deltas are those of an interval: each ends within it, one of them at its end (for each number is one edit of
/// one object), and the keys belong into the partition.
fn fits(deltas: &BTreeMap<Bytes, Delta>, partition: &PartitionId, slots: u32, (after, upto): (u64, u64)) -> bool {
    deltas.values().map(|delta| delta.last).max() == Some(upto)
        && deltas.iter().all(|(key, delta)| delta.last > after && belongs(key, partition, slots))
}

/// Whether a key belongs into a partition.
pub(super) fn belongs(key: &[u8], partition: &PartitionId, slots: u32) -> bool {
    let fits = (1..=trine_protocol::limits::KEY_BYTES_MAX).contains(&key.len());
    fits && PartitionId::of_key(partition.namespace.clone(), key, slots).slot == partition.slot
}
