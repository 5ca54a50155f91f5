//! Repair of objects: compare vectors, send what is missing. This, not pushing, is what makes nodes equal.
//!
//! The problem. A push may be lost at any point: its link breaks, its receiver's disk is full, its sender stops. Nobody may wait
//! for it, and nobody keeps account of it. Yet all nodes must come to hold the same, at a cost that goes with what differs and
//! not with what is held.
//!
//! The idea. Two nodes compare before they send, in three steps, each of which only goes on where the last one found a
//! difference:
//!
//! ```text
//!   A                                       B
//!   │ a hash for each partition ──────────▶ │  equal: nothing more, and B is known to hold what A does
//!   │ ◀──────── vectors where they differ   │  who lacks what, writer by writer
//!   │ intervals through the window ───────▶ │  what B lacks
//!   │ ◀──────── vectors where B has more    │  and the other way round
//! ```
//!
//! A round is made when a link comes up, and afterwards with one peer of the region and one outside in turn. In a running
//! cluster vectors differ all the time, because deltas are under way; so a round acts only on what was missing in the
//! round before as well. Two things need no round: intervals that do not connect to what is held are asked for at once, but
//! not more often than every [`GAP_INTERVAL_NS`]; and who lacks more of a writer than the delta log keeps pulls the
//! partition whole, page by page, from one peer at a time.
//!
//! Vectors say one thing more. A peer that holds more of one of this node's own earlier incarnations than its disk does
//! proves that the disk went back in time; going on would give a dot twice.
//!
//! Source: anti-entropy by version vectors, A. Demers and others, "Epidemic algorithms for replicated database
//! maintenance", 1987; deltas in intervals, P. S. Almeida, A. Shoker, C. Baquero, "Delta state replicated data types", 2018.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use trine_crdt::{NodeId, Object, PartitionId, VersionVector, WriterId};
use trine_gossip::vectors;

use super::Objects;
use super::delivery::belongs;
use super::partitions::Partitions;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::effect::Persistence::Synced;
use crate::marks::{self, Mark};
use crate::message::PeerMessage;
use crate::mutants::{self, Mutant};
use crate::news::News;
use crate::rows;
use crate::sizes::Sizes;
use crate::store::StoreError;
use crate::turn::Turn;

/// When the next round is due, and with whom.
#[derive(Debug)]
pub(super) struct Rounds {
    interval_ns: u64,
    next_ns: u64,
    turn: usize,
    /// Per peer what it lacked when last compared, so that what is merely under way is not sent twice.
    lacked: BTreeMap<NodeId, BTreeMap<(PartitionId, WriterId), u64>>,
    /// Pulls of whole partitions under way.
    pulls: BTreeMap<PartitionId, Pull>,
    /// Per peer the partitions in which it sent what did not connect, and when it was last told what is held of them.
    gaps: BTreeMap<NodeId, (u64, BTreeSet<PartitionId>)>,
}

/// A pull of a whole partition.
#[derive(Debug)]
struct Pull {
    /// From whom.
    source: NodeId,
    /// When the last page came.
    since_ns: u64,
    /// The last key that came; pages at or below it came before.
    after: Bytes,
}

/// A peer whose intervals do not connect is told so at once, but not more often than this: while something in its way
/// cannot be taken in, each new write of it opens a gap again.
const GAP_INTERVAL_NS: u64 = 200_000_000;

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
            gaps: BTreeMap::new(),
        }
    }

    /// Gives up the pulls of which this is so. What came of them stays; another one begins at the first page.
    fn give_up_pulls(&mut self, so: impl Fn(&Pull) -> bool) {
        self.pulls.retain(|_, pull| {
            let over = so(pull);
            if over {
                marks::reached(Mark::PullAbandoned);
            }
            !over
        });
    }
}

impl Objects {
    /// Starts a round when one is due: with one peer of the region and one outside, in rotation.
    pub(crate) fn repair_tick(&mut self, turn: &mut Turn<'_>, cluster: &Cluster) {
        let now_ns = turn.now.monotonic_ns;
        for node in self.links.all_awake() {
            let link = self.links.wake(node);
            link.on_tick(now_ns);
            if link.take_repair() {
                self.rounds.lacked.remove(&node);
                self.send_hashes(turn, cluster, node);
            }
            self.links.let_rest(node);
        }
        let patience_ns = cluster.config().sizes.pull_timeout_ms * 1_000_000;
        self.rounds.give_up_pulls(|pull| now_ns >= pull.since_ns + patience_ns);
        let open = self.rounds.gaps.iter().filter(|(_, (_, partitions))| !partitions.is_empty());
        for node in open.map(|(node, _)| *node).collect::<Vec<_>>() {
            self.ask_for_gaps(turn, cluster, node, BTreeSet::new());
        }
        if now_ns < self.rounds.next_ns {
            return;
        }
        self.rounds.next_ns = now_ns + self.rounds.interval_ns;
        self.rounds.turn += 1;
        turn.counters.repair_rounds += 1;
        let (inside, outside): (Vec<_>, Vec<_>) =
            cluster.peers().values().partition(|p| p.region == cluster.config().region);
        let picks: Vec<NodeId> = [inside, outside]
            .iter()
            .filter_map(|side| side.get(self.rounds.turn % side.len().max(1)).map(|peer| peer.node))
            .collect();
        for node in picks {
            self.send_hashes(turn, cluster, node);
        }
    }

    /// Compares vectors with a peer that just came up.
    pub(crate) fn greet(&mut self, turn: &mut Turn<'_>, cluster: &Cluster, node: NodeId) {
        self.rounds.lacked.remove(&node);
        self.send_hashes(turn, cluster, node);
    }

    /// Tells a peer what is held in the partitions where its intervals did not connect.
    pub(super) fn ask_for_gaps(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &Cluster,
        from: NodeId,
        gaps: BTreeSet<PartitionId>,
    ) {
        if !cluster.linked(from) {
            self.rounds.gaps.remove(&from);
            return;
        }
        if gaps.is_empty() && !self.rounds.gaps.contains_key(&from) {
            return;
        }
        let now_ns = turn.now.monotonic_ns;
        let (told_ns, open) = self.rounds.gaps.entry(from).or_default();
        open.extend(gaps);
        if open.is_empty() || (*told_ns > 0 && now_ns < *told_ns + GAP_INTERVAL_NS) {
            return;
        }
        *told_ns = now_ns;
        let open: Vec<PartitionId> = std::mem::take(open).into_iter().collect();
        turn.depend_on_all();
        for chunk in open.chunks(cluster.config().sizes.vectors_per_message) {
            let vectors = chunk.iter().map(|partition| (partition.clone(), self.held.vector(partition))).collect();
            turn.send(from, PeerMessage::Vector { vectors, reply: false });
        }
    }

    /// A peer is gone: what was known of its gaps is known no more, and a pull goes on elsewhere.
    pub(super) fn forget_rounds(&mut self, node: NodeId) {
        self.rounds.lacked.remove(&node);
        self.rounds.gaps.remove(&node);
        self.rounds.give_up_pulls(|pull| pull.source == node);
    }

    /// Tells a peer the hashes of all partitions. The list of a namespace is whole within one message.
    fn send_hashes(&mut self, turn: &mut Turn<'_>, cluster: &Cluster, node: NodeId) {
        turn.depend_on_all();
        let mut hashes: Vec<(PartitionId, u64)> = Vec::new();
        for (partition, hash) in self.held.hashes() {
            let begins = hashes.last().is_some_and(|(last, _)| last.namespace != partition.namespace);
            if begins && hashes.len() >= cluster.config().sizes.hashes_per_message {
                turn.send(node, PeerMessage::Vectors(std::mem::take(&mut hashes)));
            }
            hashes.push((partition.clone(), *hash));
        }
        turn.send(node, PeerMessage::Vectors(hashes));
    }

    /// A peer told its hashes: where both are equal its disk has all that is held here.
    pub(crate) fn note_equal(&mut self, cluster: &Cluster, from: NodeId, theirs: &[(PartitionId, u64)]) -> Vec<News> {
        let own = self.held.hashes();
        let equal = theirs.iter().filter(|(partition, hash)| own.get(partition) == Some(hash));
        let equal: Vec<&PartitionId> = equal.map(|(partition, _)| partition).collect();
        let mut news = Vec::new();
        for partition in equal {
            for writer in self.held.logged(partition) {
                let held = self.held.held(partition, writer);
                self.held.note_holder(partition, writer, from, held);
                // From whomever it has it: it need not be sent to it any more.
                if let Some(link) = self.links.awake(from) {
                    link.has(partition, writer, held);
                }
            }
            let upto = self.held.held(partition, cluster.config().writer);
            if upto > 0 {
                news.push(News::Copied { node: from, partition: partition.clone(), upto });
            }
        }
        news
    }

    /// A peer told its hashes: answer with the vectors where ours differ.
    pub(crate) fn answer_hashes(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &Cluster,
        from: NodeId,
        theirs: &[(PartitionId, u64)],
    ) {
        let own = self.held.hashes();
        let alike = theirs.iter().map(|(partition, hash)| (partition, hash)).eq(own);
        let differing = if alike { Vec::new() } else { vectors::differing(own, theirs) };
        let vectors: Vec<_> = differing
            .into_iter()
            .filter(|partition| cluster.admits(partition))
            .map(|partition| (partition.clone(), self.held.vector(&partition)))
            .collect();
        if vectors.is_empty() {
            self.rounds.lacked.remove(&from);
            return;
        }
        turn.depend_on_all();
        if vectors.len() > cluster.config().sizes.vectors_per_message {
            marks::reached(Mark::VectorsChunked);
        }
        for chunk in vectors.chunks(cluster.config().sizes.vectors_per_message) {
            turn.send(from, PeerMessage::Vector { vectors: chunk.to_vec(), reply: true });
        }
    }

    /// A peer told vectors: mark what it lacks. The news of it, and the partitions in which more is held there than here.
    pub(crate) fn take_vectors(
        &mut self,
        cluster: &Cluster,
        from: NodeId,
        theirs: &[(PartitionId, VersionVector)],
        reply: bool,
    ) -> (Vec<News>, Vec<PartitionId>) {
        let (mut news, mut behind) = (Vec::new(), Vec::new());
        let first = !self.rounds.lacked.contains_key(&from);
        for (partition, vector) in theirs {
            if let Some(old) = self.rolled_back(cluster, partition, vector) {
                news.push(old);
                return (news, Vec::new());
            }
            for writer in self.held.logged(partition) {
                self.held.set_holder(partition, writer, from, vector.get(&writer));
            }
            let upto = vector.get(&cluster.config().writer);
            news.push(News::Copied { node: from, partition: partition.clone(), upto });
            let missing = vectors::missing(&self.held.vector(partition), vector);
            for gap in missing.there {
                self.mark_lacking(cluster, (from, partition, gap.writer), (gap.after, gap.upto), reply && !first);
            }
            if !missing.here.is_empty() {
                behind.push(partition.clone());
            }
        }
        (news, behind)
    }

    /// Tells a peer what is held in some partitions.
    pub(crate) fn tell_vectors(&self, turn: &mut Turn<'_>, to: NodeId, partitions: Vec<PartitionId>) {
        if partitions.is_empty() {
            return;
        }
        turn.depend_on_all();
        let vectors = partitions.into_iter().map(|partition| {
            let vector = self.held.vector(&partition);
            (partition, vector)
        });
        turn.send(to, PeerMessage::Vector { vectors: vectors.collect(), reply: false });
    }

    /// Marks what a peer lacks: at once when it asks or when nothing is known of it; in a round only when it lacked the same
    /// in the last one.
    fn mark_lacking(
        &mut self,
        cluster: &Cluster,
        (from, partition, writer): (NodeId, &PartitionId, WriterId),
        (after, upto): (u64, u64),
        round: bool,
    ) {
        let lacked = self.rounds.lacked.entry(from).or_default();
        if lacked.len() >= cluster.config().sizes.lacked {
            marks::reached(Mark::LackedForgotten);
            lacked.clear();
        }
        let before = lacked.insert((partition.clone(), writer), after);
        if (!round || before == Some(after)) && !mutants::is(Mutant::NeverRepair) {
            self.mark(cluster, &[from], partition, writer, after, upto);
        }
    }

    /// A peer holds more of one of our own earlier incarnations than our disk does: the disk was rolled back. Going
    /// on would reuse or lose dots, so the node stops.
    fn rolled_back(&self, cluster: &Cluster, partition: &PartitionId, vector: &VersionVector) -> Option<News> {
        let held = |writer: &WriterId| self.held.held(partition, *writer);
        let mut dots = vector.dots.iter();
        let (writer, seq) =
            dots.find(|(writer, seq)| cluster.own_writers().contains(*writer) && held(writer) < **seq)?;
        if mutants::is(Mutant::RollbackUnnoticed) || mutants::is(Mutant::ReuseWriter) {
            return None;
        }
        marks::reached(Mark::RollbackNoticed);
        Some(News::DiskIsOld { partition: partition.clone(), writer: *writer, theirs: *seq, here: held(writer) })
    }

    /// Sends one page of a partition as whole objects.
    pub(crate) fn serve_page(
        &self,
        turn: &mut Turn<'_>,
        cluster: &Cluster,
        to: NodeId,
        partition: &PartitionId,
        after: &Bytes,
        vector: Option<VersionVector>,
    ) -> Result<(), StoreError> {
        let vector = vector.filter(|_| !mutants::is(Mutant::PageVectorOfNow));
        let vector = vector.unwrap_or_else(|| self.held.vector(partition));
        let prefix = rows::object(partition, &[]);
        let from = if after.is_empty() {
            prefix.clone()
        } else if mutants::is(Mutant::PageSkips) {
            rows::after_prefix(&rows::object(partition, after))
        } else {
            Bytes::from([rows::object(partition, after).as_ref(), &[0]].concat())
        };
        let end = rows::after_prefix(&prefix);
        if !after.is_empty() {
            marks::reached(Mark::PageContinued);
        }
        let (mut objects, mut bytes, mut next) = (Vec::new(), 0, None);
        let Sizes { page_objects, page_bytes, .. } = cluster.config().sizes;
        let page = turn.scan(Synced, (&from, &end), page_objects, false)?;
        let full = page.len() == page_objects;
        for (row, value) in page {
            let key = row.slice(prefix.len()..);
            bytes += key.len() + value.len();
            objects.push((key, value));
            if bytes >= page_bytes {
                break;
            }
        }
        if full || bytes >= page_bytes {
            next = objects.last().map(|(key, _)| key.clone());
        }
        turn.depend_on_all();
        marks::reached(Mark::PartitionServed);
        turn.send(to, PeerMessage::PartitionPage { partition: partition.clone(), objects, vector, next });
        Ok(())
    }

    /// Joins a page of whole objects; after the last one the sender's vector counts.
    pub(crate) fn take_page(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &Cluster,
        from: NodeId,
        (partition, objects): (&PartitionId, &[(Bytes, Bytes)]),
        vector: &VersionVector,
        next: Option<&Bytes>,
    ) -> Result<Vec<News>, StoreError> {
        let Some(slots) = cluster.slots_of(partition) else { return Ok(Vec::new()) };
        if !cluster.has_room(turn) {
            return Ok(Vec::new());
        }
        if let Some(old) = self.rolled_back(cluster, partition, vector) {
            return Ok(vec![old]);
        }
        // One pull of a partition at a time, each page once: a repeated page would call for all that follow again.
        if let Some(pull) = self.rounds.pulls.get(partition)
            && (pull.source != from || objects.first().is_some_and(|(key, _)| *key <= pull.after))
        {
            if pull.source != from {
                marks::reached(Mark::PullElsewhere);
            }
            return Ok(Vec::new());
        }
        if self.rounds.pulls.contains_key(partition) {
            marks::reached(Mark::PullContinued);
        }
        let in_place = objects.windows(2).all(|pair| pair[0].0 < pair[1].0)
            && objects.iter().all(|(key, _)| belongs(key, partition, slots))
            && next.is_none_or(|next| objects.last().is_some_and(|(last, _)| *last == *next));
        if !in_place {
            turn.counters.messages_refused += 1;
            return Ok(Vec::new());
        }
        let decoded: Option<Vec<_>> =
            objects.iter().map(|(key, bytes)| Object::from_bytes(bytes).ok().map(|object| (key, object))).collect();
        let Some(decoded) = decoded else {
            turn.counters.messages_refused += 1;
            return Ok(Vec::new());
        };
        for (_, object) in &decoded {
            if turn.take_stamp(from, &object.latest_stamp()).is_err() {
                turn.counters.stamps_held += 1;
                return Ok(Vec::new());
            }
        }
        for (key, object) in decoded {
            let mut stored = Partitions::read(turn, partition, key)?;
            stored.object.join(&object);
            let bytes = stored.object.to_bytes();
            self.held.write(turn, partition, key, stored.bytes.as_ref(), bytes.into());
        }
        if mutants::is(Mutant::PageCountsEarly) {
            self.count_page(turn, partition, vector)?;
        }
        if let Some(after) = next {
            let pull = Pull { source: from, since_ns: turn.now.monotonic_ns, after: after.clone() };
            self.rounds.pulls.insert(partition.clone(), pull);
            let (vector, after) = (Some(vector.clone()), after.clone());
            turn.send(from, PeerMessage::PullPartition { partition: partition.clone(), after, vector });
            return Ok(Vec::new());
        }
        self.rounds.pulls.remove(partition);
        marks::reached(Mark::PartitionPulled);
        self.count_page(turn, partition, vector)
    }

    /// All that a page's sender held when its first page left is held here, too.
    fn count_page(
        &mut self,
        turn: &mut Turn<'_>,
        partition: &PartitionId,
        vector: &VersionVector,
    ) -> Result<Vec<News>, StoreError> {
        let mut news = Vec::new();
        for (writer, upto) in &vector.dots {
            if *upto > self.held.held(partition, *writer) {
                self.held.skip(turn, partition, *writer, *upto)?;
                news.push(News::Held { partition: partition.clone(), writer: *writer, upto: *upto });
            }
        }
        Ok(news)
    }
}
