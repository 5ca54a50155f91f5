//! The metadata that every node holds: registries of regions, heads of ledgers, the manifest.
//!
//! It is one map of versioned entries. Each key has one author: a region's ledger for its registry (versioned by log
//! index), the ledger again for its head and its sealed segments (versioned by size), so that every node of a region
//! writes the same bytes. Fresh entries are told by gossip; repair between peers is what makes nodes equal.
//!
//! ```text
//! registry/REGION            roster and retired nodes, as `trine_ledger` encodes a registry
//! namespaces/REGION/NUMBER   some of the namespaces that it created, as a registry of nothing else: an entry is
//!                            bounded, and all of a region's namespaces would not fit into one
//! head/REGION                the latest signed checkpoint
//! segment/REGION/NUMBER      one sealed segment
//! ```
//!
//! Every entry is signed by its region's log key (`authored`); a head is so by itself.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use trine_crdt::marks::{self, Mark};
use trine_crdt::mutants::{self, Mutant};
use trine_crdt::{NodeId, RegionId, Timestamp};
use trine_gossip::entry::{Entry, Version};
use trine_gossip::repair::{Proximity, Repair, RepairMessage};
use trine_gossip::rumor::{self, Rumors};
use trine_gossip::versioned::Versioned;
use trine_ledger::checkpoint::Checkpoint;
use trine_ledger::genesis::GenesisRegion;
use trine_ledger::registry::{NamespaceRecord, Registry};
use trine_ledger::segment::SegmentInfo;

use crate::authored;
use crate::config::Config;
use crate::effect::Effect;
use crate::effect::Persistence::Derived;
use crate::message::PeerMessage;
use crate::opened_notes::OpenedNotes;
use crate::replica::Replica;
use crate::rows;
use crate::store::{Store, StoreError};
use crate::turn::Turn;

/// How often a leader tells its ledger's head, in nanoseconds.
const HEAD_INTERVAL_NS: u64 = 1_000_000_000;

/// The metadata and how it spreads.
#[derive(Debug)]
pub struct Metadata {
    pub(crate) state: Versioned,
    repair: Repair,
    rumors: Rumors,
    /// The registries of all regions, decoded.
    pub(crate) registries: BTreeMap<RegionId, Registry>,
    signing: Option<SigningKey>,
    next_head_ns: u64,
}

/// The key of a region's registry.
pub(crate) fn registry_key(region: &RegionId) -> Bytes {
    format!("registry/{region}").into()
}

/// What the keys of heads begin with.
pub(crate) const HEAD_PREFIX: &[u8] = b"head/";
/// What the keys of sealed segments begin with.
const SEGMENT_PREFIX: &[u8] = b"segment/";

/// The key of a region's head.
pub(crate) fn head_key(region: &RegionId) -> Bytes {
    format!("head/{region}").into()
}

impl Metadata {
    /// Reads the entries from the store.
    ///
    /// # Errors
    /// What the store says, and rows that cannot be read.
    pub fn open(config: &Config, store: &dyn Store) -> Result<Self, StoreError> {
        let mut state = Versioned::default();
        let mut registries = BTreeMap::new();
        for (key, value) in store.scan(Derived, b"y", &rows::after_prefix(b"y"), usize::MAX, false)? {
            let damaged = || StoreError::Damaged(format!("metadata entry {key:?}"));
            let entry = Entry::from_bytes(&value).map_err(|_| damaged())?;
            if says_registry(&entry.key) {
                learn(&mut registries, &entry).ok_or_else(damaged)?;
            }
            state.restore(&entry).map_err(|_| damaged())?;
        }
        let repair = trine_gossip::repair::Config {
            payload_bytes_max: config.sizes.metadata_repair_bytes,
            answer_bytes_max: config.sizes.metadata_answer_bytes,
            ..trine_gossip::repair::Config::default()
        };
        let rumors = rumor::Config { payload_bytes_max: config.sizes.rumor_bytes, ..rumor::Config::default() };
        Ok(Self {
            state,
            repair: Repair::new(config.node, repair),
            rumors: Rumors::new(rumors),
            registries,
            signing: config.log_key.map(|seed| SigningKey::from_bytes(&seed)),
            next_head_ns: 0,
        })
    }

    /// The latest head known of a region's ledger: its note and what it says.
    #[must_use]
    pub fn head(&self, region: &RegionId) -> Option<(Bytes, Checkpoint)> {
        let note = self.state.get(&head_key(region))?.bytes.clone();
        let checkpoint = Checkpoint::peek(&note).ok()?;
        Some((note, checkpoint))
    }

    /// The sealed segments, in order, as encoded.
    pub fn segments(&self) -> Vec<(RegionId, SegmentInfo)> {
        let read = |(key, value): (&Bytes, &trine_gossip::versioned::Value)| {
            let text = std::str::from_utf8(key.strip_prefix(b"segment/")?).ok()?;
            let (region, _) = text.split_once('/')?;
            Some((region.parse().ok()?, segment_from_bytes(&authored::said_in(&value.bytes)?)?))
        };
        self.state.range(SEGMENT_PREFIX).filter_map(read).collect()
    }
}

impl Replica {
    pub(crate) fn metadata_up(&mut self, turn: &mut Turn<'_>, node: NodeId, near: bool) {
        let proximity = if near { Proximity::Near } else { Proximity::Far };
        let send = self.metadata.repair.on_peer_up(turn.now.monotonic_ns, node, proximity, &self.metadata.state);
        send_all(turn, send);
    }

    pub(crate) fn metadata_down(&mut self, node: NodeId) {
        self.metadata.repair.on_peer_down(node);
    }

    pub(crate) fn metadata_tick(&mut self, turn: &mut Turn<'_>) {
        let now_ns = turn.now.monotonic_ns;
        if self.leadership.serving && now_ns >= self.metadata.next_head_ns {
            self.metadata.next_head_ns = now_ns + HEAD_INTERVAL_NS;
            self.publish_head(turn);
            self.tell_own_head(turn);
        }
        let send = self.metadata.repair.on_tick(now_ns, &self.metadata.state);
        send_all(turn, send);
        if self.config.gossip {
            while let Some(rumor) = self.metadata.rumors.next(now_ns) {
                turn.effects.push(Effect::Publish(rumor));
            }
        }
    }

    /// A repair message of a peer.
    pub(crate) fn metadata_message(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let Ok(message) = RepairMessage::from_bytes(bytes) else {
            self.counters.messages_refused += 1;
            return Ok(());
        };
        if let RepairMessage::Entries(entries) = &message {
            self.compare_heads(turn, entries)?;
        }
        let barred = self.barred_heads();
        let (config, notes) = (&self.config, &mut self.notes);
        let outcome =
            self.metadata.repair.on_message(turn.now.monotonic_ns, from, message, &mut self.metadata.state, |entry| {
                !barred.contains(&entry.key) && admit(config, notes, entry)
            });
        self.counters.messages_refused += outcome.turned_away.len() as u64;
        send_all(turn, outcome.send);
        self.metadata_changed(turn, outcome.applied.changed, false);
        Ok(())
    }

    /// The keys of heads that are not taken in.
    fn barred_heads(&self) -> BTreeSet<Bytes> {
        if self.forks.is_empty() {
            return BTreeSet::new();
        }
        let regions = self.config.genesis.regions.iter().map(|region| &region.id);
        regions.filter(|region| self.quarantined(region)).map(head_key).collect()
    }

    /// A rumor, told by an admitted node.
    pub(crate) fn rumor(&mut self, turn: &mut Turn<'_>, _from: NodeId, bytes: &[u8]) -> Result<(), StoreError> {
        let Ok(entries) = rumor::decode(bytes) else {
            self.counters.messages_refused += 1;
            return Ok(());
        };
        self.compare_heads(turn, &entries)?;
        let barred = self.barred_heads();
        let (state, notes) = (&self.metadata.state, &mut self.notes);
        let admitted =
            |entry: &Entry| state.is_news(entry) && !barred.contains(&entry.key) && admit(&self.config, notes, entry);
        let entries: Vec<Entry> = entries.into_iter().filter(admitted).collect();
        let applied = self.metadata.state.apply(entries);
        self.metadata_changed(turn, applied.changed, false);
        Ok(())
    }

    /// Tells a node that it was retired, by its region's registry, once that says so.
    pub(crate) fn tell_retired(&mut self, turn: &mut Turn<'_>, node: NodeId, region: &RegionId) {
        if self.metadata.registries.get(region).is_none_or(|registry| !registry.retired.contains(&node)) {
            return;
        }
        marks::reached(Mark::RetiredTold);
        let key = registry_key(region);
        if let Some(value) = self.metadata.state.get(&key) {
            let entry = Entry { key, version: value.version, value: value.bytes.clone() };
            send_all(turn, vec![(node, RepairMessage::Entries(vec![entry]))]);
        }
    }

    /// The own region's registry, as its ledger has it now.
    pub(crate) fn publish_registry(&mut self, turn: &mut Turn<'_>) {
        let region = self.config.region.clone();
        let registry = self.ledger.state.registry();
        let without = registry.without_namespaces();
        let nothing = Registry { namespaces: BTreeMap::new(), ..Registry::default() };
        // Created in the order of their ids and never removed, for deleted ones stay listed: what an entry holds only grows.
        let created: Vec<_> = registry.namespaces.iter().filter(|(id, _)| id.region == region).collect();
        let parts: Vec<(u64, Registry)> = created
            .chunks(self.config.sizes.namespaces_per_entry)
            .map(|part| {
                let namespaces = part.iter().map(|(id, known)| ((*id).clone(), (*known).clone())).collect();
                (version_of(part.iter().map(|(_, known)| *known)), Registry { namespaces, ..nothing.clone() })
            })
            .collect();
        // The epoch counts from 1, so that even the first log entry's registry is above nothing at all.
        let epoch = self.ledger.registry_epoch.saturating_add(1);
        self.publish_signed(turn, registry_key(&region), epoch, &registry_bytes(&without));
        for (number, (version, part)) in parts.into_iter().enumerate() {
            let key = format!("namespaces/{region}/{number:08}").into();
            self.publish_signed(turn, key, version, &registry_bytes(&part));
        }
    }

    pub(crate) fn publish_segment(&mut self, turn: &mut Turn<'_>, region: &RegionId, segment: &SegmentInfo) {
        let key = format!("segment/{region}/{:016}", segment.number).into();
        self.publish_signed(turn, key, 1, &segment_to_bytes(segment));
    }

    fn publish_head(&mut self, turn: &mut Turn<'_>) {
        let (region, size) = (self.config.region.clone(), self.ledger.size());
        if size > 0
            && let Some(note) = self.ledger.note()
        {
            self.publish(turn, head_key(&region), size, note);
        }
    }

    /// Publishes what the own region's ledger says. Whoever lacks the log key hears it from the others.
    pub(crate) fn publish_signed(&mut self, turn: &mut Turn<'_>, key: Bytes, epoch: u64, said: &[u8]) {
        let known = self.metadata.state.get(&key).is_some_and(|held| held.version.epoch >= epoch);
        if known {
            return;
        }
        if !self.ledger.signs {
            // The registry is told when it may be; a segment is sealed once.
            if key.starts_with(SEGMENT_PREFIX) {
                self.buffer.put(Derived, rows::unsaid(&key), Some(Bytes::copy_from_slice(said)));
            }
            return;
        }
        if let Some(signing) = &self.metadata.signing {
            let value = authored::sign(signing, &self.config.genesis.cluster, &key, epoch, said);
            self.publish(turn, key, epoch, value);
        }
    }

    fn publish(&mut self, turn: &mut Turn<'_>, key: Bytes, epoch: u64, value: Bytes) {
        let version = Version { epoch, stamp: Timestamp::ZERO };
        if let Ok(Some(entry)) = self.metadata.state.put(key, version, value) {
            self.metadata_changed(turn, vec![entry], true);
        }
    }

    pub(crate) fn metadata_changed(&mut self, turn: &mut Turn<'_>, changed: Vec<Entry>, own: bool) {
        let mut rosters = BTreeSet::new();
        for entry in changed {
            self.buffer.put(Derived, rows::metadata(&entry.key), Some(entry.to_bytes().into()));
            if entry.key.starts_with(HEAD_PREFIX) && entry.key == head_key(&self.config.region) {
                self.signing.signed = entry.version.epoch;
            }
            if says_registry(&entry.key) {
                rosters.extend(learn(&mut self.metadata.registries, &entry));
            }
            // All nodes of a region come to say the same, of whom one tells it: each rumor goes to the whole cluster.
            if own && self.leadership.serving {
                self.metadata.rumors.push(entry);
            }
        }
        if !rosters.is_empty() {
            self.rosters_changed(turn, &rosters);
        }
    }
}

pub(crate) fn registry_bytes(registry: &Registry) -> Bytes {
    registry.to_bytes().expect("what was applied is within its bounds")
}

/// The version of some namespaces: how many they are while all are as they were created, and then the log index of the latest
/// change, plus one. That is above any number of them, since each has a log index of its own.
fn version_of<'a>(namespaces: impl Iterator<Item = &'a NamespaceRecord> + Clone) -> u64 {
    if namespaces.clone().all(|known| known.altered.is_none()) {
        return namespaces.count() as u64;
    }
    namespaces.map(NamespaceRecord::latest).max().unwrap_or_default().saturating_add(1)
}

/// Whether an entry is of a region's registry, or a part of it.
fn says_registry(key: &[u8]) -> bool {
    key.starts_with(b"registry/") || key.starts_with(b"namespaces/")
}

/// Puts an entry into the registry that it is of, and says which; none when it makes no sense.
fn learn(registries: &mut BTreeMap<RegionId, Registry>, entry: &Entry) -> Option<RegionId> {
    let mut key = std::str::from_utf8(&entry.key).ok()?.split('/');
    let whole = key.next()? == "registry";
    let region: RegionId = key.next()?.parse().ok()?;
    let told = Registry::from_bytes(&authored::said_in(&entry.value)?).ok()?;
    let known = registries.entry(region.clone()).or_default();
    if whole {
        *known = Registry { namespaces: std::mem::take(&mut known.namespaces), ..told };
    } else {
        known.namespaces.extend(told.namespaces);
    }
    Some(region)
}

/// Whether an entry may stand: its key is one of ours, its value is what the key says, and its region said so.
fn admit(config: &Config, notes: &mut OpenedNotes, entry: &Entry) -> bool {
    let known = |name: &str| config.genesis.regions.iter().find(|region| region.id.as_str() == name);
    let Ok(key) = std::str::from_utf8(&entry.key) else { return false };
    // What authors say is ordered by their logs; a stamp would let anybody put a copy above its original.
    if entry.version.stamp != Timestamp::ZERO {
        return false;
    }
    let said = |region: &GenesisRegion| authored::verify(&region.log_key, &config.genesis.cluster, entry);
    match key.split('/').collect::<Vec<_>>()[..] {
        ["registry", region] => known(region).and_then(said).is_some_and(|said| Registry::from_bytes(&said).is_ok()),
        ["head", region] => known(region).is_some_and(|region| {
            let opened = notes.open(&config.genesis.cluster, region, &entry.value);
            let told = |size| size == entry.version.epoch || mutants::is(Mutant::HeadEpochBelieved);
            opened.is_some_and(|checkpoint| told(checkpoint.size))
        }),
        ["namespaces", region, number] => known(region).is_some_and(|region| {
            let told = said(region).and_then(|said| Registry::from_bytes(&said).ok());
            let created = told
                .is_some_and(|told| told.roster.is_empty() && told.namespaces.keys().all(|id| id.region == region.id));
            created && is_number(number, 8)
        }),
        ["segment", region, number] => {
            let told = known(region).and_then(said).and_then(|said| segment_from_bytes(&said));
            told.is_some_and(|told| is_number(number, 16) && number.parse() == Ok(told.number))
        }
        _ => false,
    }
}

fn is_number(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Four numbers, big-endian, then identity and root.
fn segment_to_bytes(segment: &SegmentInfo) -> Bytes {
    let SegmentInfo { number, first, count, bytes, identity, root } = segment;
    let numbers = [number, first, count, bytes].map(|number| number.to_be_bytes()).concat();
    [numbers.as_slice(), identity, root].concat().into()
}

fn segment_from_bytes(bytes: &[u8]) -> Option<SegmentInfo> {
    let bytes: &[u8; 96] = bytes.try_into().ok()?;
    let number = |at: usize| u64::from_be_bytes(bytes[at * 8..][..8].try_into().expect("eight bytes"));
    let hash = |at: usize| bytes[at..][..32].try_into().expect("32 bytes");
    let (identity, root) = (hash(32), hash(64));
    Some(SegmentInfo { number: number(0), first: number(1), count: number(2), bytes: number(3), identity, root })
}

fn send_all(turn: &mut Turn<'_>, messages: Vec<(NodeId, RepairMessage)>) {
    for (to, message) in messages {
        turn.send(to, PeerMessage::Metadata(message.to_bytes()));
    }
}
