//! Repair of objects: compare vectors, send what is missing. This, not pushing, is what makes nodes equal.
//!
//! When a link comes up, and in rounds afterwards, a node tells a peer the hashes of its partitions' vectors. Where
//! they differ the peer answers with its vector, and each side marks what the other lacks to be pushed through the
//! link's window. In a running cluster vectors differ all the time because deltas are under way; so a round acts
//! only on what was missing in the round before as well.

use std::collections::BTreeMap;

use bytes::Bytes;
use trine_crdt::{NodeId, Object, PartitionId, VersionVector, WriterId};
use trine_gossip::link::Link;
use trine_gossip::vectors;

use crate::config::Config;
use crate::effect::Effect;
use crate::effect::Persistence::Synced;
use crate::limits::{PAGE_BYTES_TARGET, VECTORS_PER_MESSAGE_MAX};
use crate::message::PeerMessage;
use crate::objects::Objects;
use crate::replica::Replica;
use crate::rows;
use crate::store::StoreError;
use crate::turn::Turn;

/// When the next round is due, and with whom.
#[derive(Debug)]
pub struct Rounds {
    interval_ns: u64,
    next_ns: u64,
    turn: usize,
    /// Per peer what it lacked when last compared, so that what is merely under way is not sent twice.
    lacked: BTreeMap<NodeId, BTreeMap<(PartitionId, WriterId), u64>>,
    /// Pulls of whole partitions under way: from whom, and when the last page came.
    pulls: BTreeMap<PartitionId, (NodeId, u64)>,
}

/// How many gaps per peer are remembered between rounds.
const LACKED_MAX: usize = 16 * 1024;
/// A pull without a page for so long is begun again with another peer.
const PULL_TIMEOUT_NS: u64 = 5_000_000_000;

impl Rounds {
    /// No round has been made.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            interval_ns: config.repair_interval_ms.max(1) * 1_000_000,
            next_ns: 0,
            turn: 0,
            lacked: BTreeMap::new(),
            pulls: BTreeMap::new(),
        }
    }
}

impl Replica {
    /// Starts a round when one is due: with one peer of the region and one outside, in rotation.
    pub(crate) fn repair_tick(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        let now_ns = turn.now.monotonic_ns;
        let nodes: Vec<NodeId> = self.links.keys().copied().collect();
        for node in nodes {
            let link = self.links.get_mut(&node).expect("its key was just listed");
            link.on_tick(now_ns);
            if link.take_repair() {
                self.rounds.lacked.remove(&node);
                self.send_hashes(turn, node);
            }
        }
        self.rounds.pulls.retain(|_, (_, since_ns)| now_ns < *since_ns + PULL_TIMEOUT_NS);
        if now_ns < self.rounds.next_ns {
            return Ok(());
        }
        self.rounds.next_ns = now_ns + self.rounds.interval_ns;
        self.rounds.turn += 1;
        self.counters.repair_rounds += 1;
        let (inside, outside): (Vec<_>, Vec<_>) = self.peers.values().partition(|p| p.region == self.config.region);
        let picks: Vec<NodeId> = [inside, outside]
            .iter()
            .filter_map(|side| side.get(self.rounds.turn % side.len().max(1)).map(|peer| peer.node))
            .collect();
        for node in picks {
            self.send_hashes(turn, node);
        }
        Ok(())
    }

    /// Compares vectors with a peer that just came up.
    pub(crate) fn greet(&mut self, turn: &mut Turn<'_>, node: NodeId) {
        self.rounds.lacked.remove(&node);
        if self.links.get_mut(&node).is_some_and(Link::take_repair) {
            self.send_hashes(turn, node);
        }
    }

    fn send_hashes(&mut self, turn: &mut Turn<'_>, node: NodeId) {
        self.buffer.depend_on_all();
        let hashes: Vec<_> = self
            .objects
            .vectors()
            .map(|(partition, vector)| (partition.clone(), vectors::vector_hash(vector)))
            .collect();
        turn.send(node, PeerMessage::Vectors(hashes));
    }

    /// A peer told its hashes: answer with the vectors where ours differ.
    pub(crate) fn take_hashes(&mut self, turn: &mut Turn<'_>, from: NodeId, theirs: &[(PartitionId, u64)]) {
        let own: BTreeMap<PartitionId, u64> = self
            .objects
            .vectors()
            .map(|(partition, vector)| (partition.clone(), vectors::vector_hash(vector)))
            .collect();
        let known = |_: &trine_crdt::NamespaceId| true;
        let vectors: Vec<_> = vectors::differing(&own, theirs, known)
            .into_iter()
            .filter(|partition| self.admits(partition))
            .map(|partition| (partition.clone(), self.objects.vector(&partition)))
            .collect();
        if vectors.is_empty() {
            self.rounds.lacked.remove(&from);
            return;
        }
        self.buffer.depend_on_all();
        for chunk in vectors.chunks(VECTORS_PER_MESSAGE_MAX) {
            turn.send(from, PeerMessage::Vector { vectors: chunk.to_vec(), reply: true });
        }
    }

    /// A peer told vectors: mark what it lacks, and tell ours when asked.
    pub(crate) fn take_vectors(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        theirs: &[(PartitionId, VersionVector)],
        reply: bool,
    ) {
        let mut behind = Vec::new();
        for (partition, vector) in theirs {
            if self.rolled_back(turn, partition, vector) {
                return;
            }
            let missing = vectors::missing(&self.objects.vector(partition), vector);
            for gap in missing.there {
                self.mark_lacking(from, partition, gap.writer, (gap.after, gap.upto), reply);
            }
            if !missing.here.is_empty() {
                behind.push((partition.clone(), self.objects.vector(partition)));
            }
        }
        if reply && !behind.is_empty() {
            self.buffer.depend_on_all();
            turn.send(from, PeerMessage::Vector { vectors: behind, reply: false });
        }
    }

    /// Marks what a peer lacks: at once when it asks (or when nothing is known of it), else only when it lacked the
    /// same in the last round.
    fn mark_lacking(
        &mut self,
        from: NodeId,
        partition: &PartitionId,
        writer: WriterId,
        (after, upto): (u64, u64),
        round: bool,
    ) {
        let first = !self.rounds.lacked.contains_key(&from);
        let lacked = self.rounds.lacked.entry(from).or_default();
        if lacked.len() >= LACKED_MAX {
            lacked.clear();
        }
        let before = lacked.insert((partition.clone(), writer), after);
        if !round || first || before == Some(after) {
            self.mark(&[from], partition, writer, after, upto);
        }
    }

    /// A peer holds more of one of our own earlier incarnations than our disk does: the disk was rolled back. Going
    /// on would reuse or lose dots, so the node stops.
    fn rolled_back(&self, turn: &mut Turn<'_>, partition: &PartitionId, vector: &VersionVector) -> bool {
        let lost = vector
            .dots
            .iter()
            .find(|(writer, seq)| self.own_writers.contains(*writer) && self.objects.held(partition, **writer) < **seq);
        let Some((writer, seq)) = lost else { return false };
        turn.effects.push(Effect::Halt {
            reason: format!(
                "this disk is older than what it acknowledged: of writer {writer} in {partition} a peer holds {seq}, \
                 this disk {}; start again with an empty data directory",
                self.objects.held(partition, *writer)
            ),
        });
        true
    }

    /// Sends one page of a partition as whole objects.
    pub(crate) fn serve_page(
        &mut self,
        turn: &mut Turn<'_>,
        to: NodeId,
        partition: &PartitionId,
        after: &Bytes,
        vector: Option<VersionVector>,
    ) -> Result<(), StoreError> {
        let vector = vector.unwrap_or_else(|| self.objects.vector(partition));
        let prefix = rows::object(partition, &[]);
        let from = if after.is_empty() {
            prefix.clone()
        } else {
            Bytes::from([rows::object(partition, after).as_ref(), &[0]].concat())
        };
        let end = rows::after_prefix(&prefix);
        let (mut objects, mut bytes, mut next) = (Vec::new(), 0, None);
        let page = self.buffer.scan(turn.store, Synced, (&from, &end), 256, false)?;
        let full = page.len() == 256;
        for (row, value) in page {
            let key = row.slice(prefix.len()..);
            bytes += key.len() + value.len();
            objects.push((key, value));
            if bytes >= PAGE_BYTES_TARGET {
                break;
            }
        }
        if full || bytes >= PAGE_BYTES_TARGET {
            next = objects.last().map(|(key, _)| key.clone());
        }
        self.buffer.depend_on_all();
        turn.send(to, PeerMessage::PartitionPage { partition: partition.clone(), objects, vector, next });
        Ok(())
    }

    /// Joins a page of whole objects; after the last one the sender's vector counts.
    pub(crate) fn take_page(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        partition: &PartitionId,
        objects: &[(Bytes, Bytes)],
        vector: &VersionVector,
        next: Option<Bytes>,
    ) -> Result<(), StoreError> {
        if !self.writable || !self.admits(partition) || self.rolled_back(turn, partition, vector) {
            return Ok(());
        }
        if self.rounds.pulls.get(partition).is_some_and(|(source, _)| *source != from) {
            return Ok(());
        }
        let decoded: Option<Vec<_>> =
            objects.iter().map(|(key, bytes)| Object::from_bytes(bytes).ok().map(|object| (key, object))).collect();
        let Some(decoded) = decoded else {
            self.counters.messages_refused += 1;
            return Ok(());
        };
        let drift_ns = self.config.clock_drift_ms_max.saturating_mul(1_000_000);
        for (_, object) in &decoded {
            if self.clock.observe(turn.now.wall_ns, &object.latest_stamp(), drift_ns).is_err() {
                self.counters.stamps_held += 1;
                return Ok(());
            }
        }
        for (key, object) in decoded {
            let mut stored = Objects::read(&mut self.buffer, turn, partition, key)?;
            stored.object.join(&object);
            let bytes = stored.object.to_bytes();
            self.objects.write(&mut self.buffer, partition, key, stored.bytes.as_ref(), bytes.into());
        }
        if let Some(after) = next {
            self.rounds.pulls.insert(partition.clone(), (from, turn.now.monotonic_ns));
            let vector = Some(vector.clone());
            turn.send(from, PeerMessage::PullPartition { partition: partition.clone(), after, vector });
            return Ok(());
        }
        self.rounds.pulls.remove(partition);
        for (writer, seq) in &vector.dots {
            if *seq > self.objects.held(partition, *writer) {
                self.objects.skip(partition, *writer, *seq);
                self.objects.advance(&mut self.buffer, partition, *writer, *seq);
            }
        }
        self.wake_fresh(turn);
        Ok(())
    }
}
