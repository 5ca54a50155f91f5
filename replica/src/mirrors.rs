//! Mirrors: following other regions' ledgers, verified before they count, and feeding those that follow us.
//!
//! What is missing of a ledger is always a suffix, so following is a stream from an index on. In each region a few
//! nodes mirror all other ledgers; the first of them that is up follows across the ocean, the others follow it, so
//! that each byte crosses once. A tail ends where its signed checkpoint says; the follower pushes the leaves into its
//! own frontier and takes the records only when the root agrees. A source that stalls or lies is left for another.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use trine_crdt::marks::{self, Mark};
use trine_crdt::mutants::{self, Mutant};
use trine_crdt::{NodeId, RegionId};
use trine_ledger::record::Record;
use trine_ledger::tree::{Frontier, Hash};
use trine_placement::rendezvous;

use crate::config::Config;
use crate::effect::Persistence::Derived;
use crate::input::Peer;
use crate::limits::{DISTRUST_REST_MS, DISTRUST_REST_MS_MAX};
use crate::message::{HeadTold, PeerMessage};
use crate::replica::Organs;
use crate::sizes::Sizes;
use crate::store::{Store, StoreError};
use crate::turn::Turn;
use crate::{rows, tree};

/// While more is known to exist, without progress for so long, a mirror goes to another source.
const STALLED_NS: u64 = 2_000_000_000;
/// A source is asked again after so long at the latest, in case it never heard.
const ASK_AGAIN_NS: u64 = 5_000_000_000;
/// A gap makes a mirror ask again at once, but not more often than this.
const GAP_ASK_NS: u64 = 300_000_000;

/// The other regions' ledgers on this node, and who follows any ledger here.
#[derive(Debug, Default)]
pub struct Mirrors {
    mirrors: BTreeMap<RegionId, Mirror>,
    followers: BTreeMap<(NodeId, RegionId), Follower>,
    /// Peers or mirrors of this region came or went since sources were chosen.
    choices_changed: bool,
}

/// One other region's ledger, as far as it is held and verified.
#[derive(Debug, Default)]
struct Mirror {
    frontier: Frontier,
    note: Option<Bytes>,
    source: Option<NodeId>,
    progress_ns: u64,
    asked_ns: u64,
    /// How many sources were left because they stalled; says which is tried next.
    left: usize,
    /// How many tails in a row did not verify, and until when nobody is asked for that.
    distrusted: u32,
    rests_until_ns: u64,
}

/// A peer that follows a ledger here.
#[derive(Debug)]
struct Follower {
    next: u64,
    window_bytes: u64,
    /// What is under way: where each tail ends, and its bytes.
    under_way: VecDeque<(u64, u64)>,
}

impl Follower {
    fn in_flight(&self) -> u64 {
        self.under_way.iter().map(|(_, bytes)| bytes).sum()
    }
}

impl Mirrors {
    /// Reads the mirrors' states from the store.
    ///
    /// # Errors
    /// What the store says, and rows that cannot be read.
    pub fn open(config: &Config, store: &dyn Store) -> Result<Self, StoreError> {
        let mut mirrors = BTreeMap::new();
        for region in config.genesis.regions.iter().filter(|region| region.id != config.region) {
            let mut mirror = Mirror::default();
            if let Some(bytes) = store.get(Derived, &rows::mirror(&region.id))? {
                let damaged = || StoreError::Damaged(format!("the state of the mirror of {}", region.id));
                let (frontier, note): (Bytes, Bytes) = trine_crdt::codec::decode(&bytes).map_err(|_| damaged())?;
                mirror.frontier = Frontier::from_bytes(&frontier).map_err(|_| damaged())?;
                mirror.note = Some(note);
            }
            mirrors.insert(region.id.clone(), mirror);
        }
        Ok(Self { mirrors, followers: BTreeMap::new(), choices_changed: true })
    }

    /// Size and root of a mirror.
    #[must_use]
    pub fn head(&self, region: &RegionId) -> Option<(u64, Hash)> {
        self.mirrors.get(region).map(|mirror| (mirror.frontier.size(), mirror.frontier.root()))
    }

    /// Peers or mirrors of this region came or went.
    pub(crate) fn choices_changed(&mut self) {
        self.choices_changed = true;
    }

    /// The checkpoint that a mirror was last verified against.
    #[must_use]
    pub fn note(&self, region: &RegionId) -> Option<Bytes> {
        self.mirrors.get(region)?.note.clone()
    }
}

impl Organs {
    /// How many records of a region's ledger are held here.
    #[must_use]
    pub(crate) fn held_records(&self, region: &RegionId) -> u64 {
        if self.cluster.is_own(region) {
            return self.ledger.size();
        }
        self.mirrors.mirrors.get(region).map_or(0, |mirror| mirror.frontier.size())
    }

    /// Follows what is to be followed, and leaves a source that stalls.
    pub(crate) fn mirrors_tick(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        if !self.cluster.mirrors_here() {
            return Ok(());
        }
        let holders = self.cluster.mirror_nodes().to_vec();
        let anew = std::mem::take(&mut self.mirrors.choices_changed);
        let now_ns = turn.now.monotonic_ns;
        let regions: Vec<RegionId> = self.mirrors.mirrors.keys().cloned().collect();
        for region in regions {
            if self.quarantined(&region) {
                self.show_evidence(turn, &region);
                continue;
            }
            let known = self.metadata.head(&region).map_or(0, |(_, head)| head.size);
            let mirror = &self.mirrors.mirrors[&region];
            if now_ns < mirror.rests_until_ns {
                continue;
            }
            let behind = known > mirror.frontier.size();
            let heard_ns = mirror.progress_ns.max(mirror.asked_ns);
            let stalled = behind && now_ns.saturating_sub(heard_ns) >= STALLED_NS;
            let asked_lately = now_ns.saturating_sub(heard_ns) < ASK_AGAIN_NS;
            // Nobody came or went: the source is the one that would be chosen.
            if !anew && !stalled && mirror.source.is_some() && asked_lately {
                continue;
            }
            let choices = self.sources(&region, &holders);
            let mirror = self.mirrors.mirrors.get_mut(&region).expect("its key was just listed");
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
            self.follow(turn, &region);
        }
        Ok(())
    }

    /// Shows a region's nodes what its key signed, now and then: they may not know that there is another history.
    fn show_evidence(&mut self, turn: &mut Turn<'_>, region: &RegionId) {
        let now_ns = turn.now.monotonic_ns;
        let Some(mirror) = self.mirrors.mirrors.get_mut(region) else { return };
        if now_ns.saturating_sub(mirror.asked_ns) < ASK_AGAIN_NS {
            return;
        }
        mirror.asked_ns = now_ns;
        let Some(evidence) = self.forks.evidence(region).cloned() else { return };
        let there: Vec<NodeId> =
            self.cluster.peers().values().filter(|peer| peer.region == *region).map(|peer| peer.node).collect();
        for note in [evidence.first, evidence.second] {
            let told = self.head_told(region);
            for node in &there {
                turn.send(*node, PeerMessage::HeadTold(HeadTold { note: Some(note.clone()), ..told.clone() }));
            }
        }
    }

    /// Where a ledger can be followed: the region's first mirror when that is another node, else its own region.
    fn sources(&self, region: &RegionId, holders: &[NodeId]) -> Vec<NodeId> {
        let first = holders.iter().find(|node| **node == self.cluster.config().node || self.cluster.linked(**node));
        let mut choices: Vec<NodeId> =
            first.into_iter().copied().filter(|node| *node != self.cluster.config().node).collect();
        let of = |region: &RegionId| -> Vec<NodeId> {
            let there = |peer: &&Peer| peer.region == *region;
            self.cluster.peers().values().filter(there).map(|peer| peer.node).collect()
        };
        let mut there = of(region);
        let best = rendezvous::mirror_source(region, self.cluster.config().node, &there);
        there.sort_by_key(|node| Some(*node) != best);
        choices.extend(there);
        choices
    }

    fn follow(&mut self, turn: &mut Turn<'_>, region: &RegionId) {
        let Some(mirror) = self.mirrors.mirrors.get_mut(region) else { return };
        mirror.asked_ns = turn.now.monotonic_ns;
        if let Some(source) = mirror.source {
            let (ledger, from) = (region.clone(), mirror.frontier.size());
            turn.send(
                source,
                PeerMessage::Follow { ledger, from, window_bytes: self.cluster.config().sizes.follow_window_bytes },
            );
        }
    }

    /// A peer wants to follow a ledger from here.
    pub(crate) fn take_follow(&mut self, from: NodeId, ledger: RegionId, next: u64, window_bytes: u64) {
        let window_bytes = window_bytes.min(self.cluster.config().sizes.follow_window_bytes);
        if window_bytes == 0 {
            self.mirrors.followers.remove(&(from, ledger));
            return;
        }
        let known = self.cluster.is_own(&ledger) || self.mirrors.mirrors.contains_key(&ledger);
        let known = known && !self.quarantined(&ledger);
        if known && self.cluster.linked(from) {
            self.mirrors.followers.insert((from, ledger), Follower { next, window_bytes, under_way: VecDeque::new() });
        }
    }

    /// A follower has verified everything below `from`.
    pub(crate) fn take_followed(&mut self, node: NodeId, ledger: RegionId, from: u64) {
        if let Some(follower) = self.mirrors.followers.get_mut(&(node, ledger)) {
            while follower.under_way.front().is_some_and(|(end, _)| *end <= from) {
                follower.under_way.pop_front();
            }
        }
    }

    pub(crate) fn forget_follower(&mut self, node: NodeId) {
        self.mirrors.followers.retain(|(follower, _), _| *follower != node);
        for mirror in self.mirrors.mirrors.values_mut().filter(|mirror| mirror.source == Some(node)) {
            mirror.source = None;
        }
    }

    /// Sends followers what their windows allow.
    pub(crate) fn feed_followers(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        let hungry = |(_, ledger): &(NodeId, RegionId), follower: &Follower| {
            follower.next < self.held_records(ledger) && follower.in_flight() < follower.window_bytes
        };
        let due: Vec<(NodeId, RegionId)> = self
            .mirrors
            .followers
            .iter()
            .filter(|(key, follower)| hungry(key, follower))
            .map(|(key, _)| key.clone())
            .collect();
        for key in due {
            while let Some(follower) = self.mirrors.followers.get(&key) {
                if follower.next >= self.held_records(&key.1) {
                    break;
                }
                if follower.in_flight() >= follower.window_bytes {
                    marks::reached(Mark::FollowerWaits);
                    break;
                }
                let next = follower.next;
                let Some((records, bytes, checkpoint)) = self.read_tail(turn, &key.1, next)? else { break };
                let end = next + records.len() as u64;
                let follower = self.mirrors.followers.get_mut(&key).expect("just seen");
                follower.next = end;
                follower.under_way.push_back((end, bytes));
                turn.send(key.0, PeerMessage::Tail { ledger: key.1.clone(), from: next, records, checkpoint });
            }
        }
        Ok(())
    }

    /// Records from `from` on and a checkpoint of their end.
    #[allow(clippy::type_complexity, reason = "one caller unpacks it at once")]
    fn read_tail(
        &mut self,
        turn: &mut Turn<'_>,
        ledger: &RegionId,
        from: u64,
    ) -> Result<Option<(Vec<Bytes>, u64, Bytes)>, StoreError> {
        let own = self.cluster.is_own(ledger);
        // Where a tail may end: the own region's anywhere, a mirror's where a checkpoint was kept.
        let ends = if own {
            (from + 1..=self.ledger.size()).take(self.cluster.config().sizes.tail_records).collect()
        } else {
            self.kept_notes(turn, ledger, from)?
        };
        let Sizes { tail_bytes, tail_records, .. } = self.cluster.config().sizes;
        let (mut records, mut bytes) = (Vec::new(), 0);
        'ends: for end in ends {
            let fits = bytes < tail_bytes as u64 && end - from <= tail_records as u64;
            if !records.is_empty() && !fits {
                break;
            }
            let whole = records.len();
            for index in from + whole as u64..end {
                let Some(record) = self.read_record_bytes(turn, ledger, index)? else {
                    records.truncate(whole);
                    break 'ends;
                };
                bytes += record.len() as u64;
                records.push(record);
            }
        }
        if records.is_empty() {
            return Ok(None);
        }
        let end = from + records.len() as u64;
        if end < self.held_records(ledger) {
            marks::reached(Mark::TailCut);
        }
        let note = if own && end == self.ledger.size() {
            self.ledger.note()
        } else if own {
            let root = tree::root_of(turn, self.cluster.config().sizes.tree_levels, ledger, end)?;
            self.ledger.sign(end, root)
        } else {
            turn.get(Derived, &rows::note(ledger, end))?
        };
        Ok(note.map(|note| (records, bytes, note)))
    }

    /// The sizes above `from` of the first checkpoints kept with a mirror.
    fn kept_notes(&mut self, turn: &mut Turn<'_>, ledger: &RegionId, from: u64) -> Result<Vec<u64>, StoreError> {
        let first = rows::note(ledger, from + 1);
        let last = rows::note(ledger, u64::MAX);
        let notes = turn.scan(Derived, (&first, &last), self.cluster.config().sizes.tail_notes, false)?;
        Ok(notes.iter().filter_map(|(key, _)| key.last_chunk::<8>()).map(|size| u64::from_be_bytes(*size)).collect())
    }

    /// Takes in a tail: verified whole or not at all.
    pub(crate) fn take_tail(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        ledger: &RegionId,
        first: u64,
        records: Vec<Bytes>,
        note: Bytes,
    ) -> Result<(), StoreError> {
        if self.quarantined(ledger) {
            return Ok(());
        }
        if self.cluster.is_own(ledger) {
            return self.take_lost_tail(turn, from, first, &records, &note);
        }
        let Some(mirror) = self.mirrors.mirrors.get(ledger) else { return Ok(()) };
        let size = mirror.frontier.size();
        let Some(end) = first.checked_add(records.len() as u64) else {
            turn.counters.messages_refused += 1;
            return Ok(());
        };
        if end <= size {
            turn.send(from, PeerMessage::Followed { ledger: ledger.clone(), from: size });
            return Ok(());
        }
        if first > size || !self.cluster.has_room(turn) {
            marks::reached(Mark::TailGap);
            // A tail was lost, or is not wanted now: ask again from what is held.
            if turn.now.monotonic_ns.saturating_sub(mirror.asked_ns) >= GAP_ASK_NS {
                self.follow(turn, ledger);
            }
            return Ok(());
        }
        let skip = usize::try_from(size - first).unwrap_or(usize::MAX);
        let mut frontier = mirror.frontier.clone();
        let head = self.metadata.head(ledger);
        // The root where the latest head known ends, once these leaves reach it.
        let mut root_at_head = None;
        let (mut nodes, mut taken) = (Vec::new(), Vec::new());
        for bytes in records.into_iter().skip(skip) {
            let verified = Record::from_bytes(&bytes).ok().and_then(|record| Some((record.verify().ok()?, record)));
            let Some((header, record)) = verified else { return self.distrust(turn, from, ledger) };
            let leaf = record.leaf();
            frontier.push(leaf, |node| nodes.push(node));
            taken.push((bytes, header, record, leaf));
            if head.as_ref().is_some_and(|(_, head)| head.size == frontier.size()) {
                root_at_head = Some(frontier.root());
            }
        }
        let genesis = self.cluster.config().genesis.regions.iter().find(|region| region.id == *ledger);
        let region = genesis.expect("mirrors are made of the genesis's regions");
        let told = self.notes.open(&self.cluster.config().genesis.cluster, region, &note);
        let Some(told) = told else { return self.distrust(turn, from, ledger) };
        let agrees = told.size == frontier.size() && told.root == frontier.root();
        if !agrees && !mutants::is(Mutant::MirrorTrusts) {
            // Either the source made the records up, or the region's key signed another history.
            if self.compare(turn, ledger, &note, &told)? {
                self.ask_extension(turn, from, ledger);
            }
            return self.distrust(turn, from, ledger);
        }
        if let (Some((known, head)), Some(root)) = (&head, root_at_head)
            && head.root != root
        {
            self.keep_evidence(turn, ledger, known, &note);
            return Ok(());
        }
        let latest = taken.iter().map(|(_, header, ..)| header.stamp).max().unwrap_or_default();
        let observed = mutants::is(Mutant::MirrorStill) || turn.take_stamp(from, &latest).is_ok();
        if !observed && !mutants::is(Mutant::MirrorAnyDrift) {
            turn.counters.stamps_held += 1;
            return Ok(());
        }
        tree::store(turn, ledger, size, &nodes, self.cluster.config().sizes.tree_levels);
        turn.counters.records_mirrored += taken.len() as u64;
        let begins = if mutants::is(Mutant::TailFromWrongIndex) { first } else { size };
        for (index, (bytes, header, record, leaf)) in (begins..).zip(taken) {
            turn.put(Derived, rows::mirrored(ledger, index), Some(bytes));
            if let Some(body) = &record.body {
                self.index_version(turn, ledger, index, &header, &body.key, leaf);
            }
        }
        let state = (Bytes::from(frontier.to_bytes()), note.clone());
        turn.put(Derived, rows::mirror(ledger), Some(trine_crdt::codec::encode(&state).into()));
        turn.put(Derived, rows::note(ledger, frontier.size()), Some(note.clone()));
        let held = frontier.size();
        let mirror = self.mirrors.mirrors.get_mut(ledger).expect("just seen");
        (mirror.frontier, mirror.note, mirror.progress_ns) = (frontier, Some(note), turn.now.monotonic_ns);
        mirror.distrusted = 0;
        turn.send(from, PeerMessage::Followed { ledger: ledger.clone(), from: held });
        self.wake_ledger(turn, ledger);
        Ok(())
    }

    /// A source sent what does not verify: leave it for another.
    #[allow(clippy::unnecessary_wraps, reason = "ends its caller")]
    fn distrust(&mut self, turn: &mut Turn<'_>, from: NodeId, ledger: &RegionId) -> Result<(), StoreError> {
        turn.counters.messages_refused += 1;
        marks::reached(Mark::TailDistrusted);
        let mirror = self.mirrors.mirrors.get_mut(ledger).expect("its caller has seen it");
        // Whoever was not asked cannot make this node leave who was.
        if mirror.source != Some(from) {
            return Ok(());
        }
        mirror.left += 1;
        mirror.source = None;
        mirror.progress_ns = turn.now.monotonic_ns;
        // Where no source has what follows, asking on and on would bring no more than asking now and then.
        let rest_ms = DISTRUST_REST_MS.saturating_mul(1 << mirror.distrusted.min(16)).min(DISTRUST_REST_MS_MAX);
        mirror.distrusted += 1;
        mirror.rests_until_ns = turn.now.monotonic_ns + rest_ms * 1_000_000;
        Ok(())
    }
}
