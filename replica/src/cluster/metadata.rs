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

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use trine_crdt::{NodeId, RegionId, Timestamp};
use trine_gossip::entry::{Entry, Version};
use trine_gossip::repair::{Proximity, Repair, RepairMessage};
use trine_gossip::rumor::{self, Rumors};
use trine_gossip::versioned::Versioned;
use trine_ledger::genesis::GenesisRegion;
use trine_ledger::registry::{NamespaceRecord, Registry};
use trine_ledger::segment::SegmentInfo;

use super::authored;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::effect::Effect;
use crate::effect::Persistence::Derived;
use crate::ledger::OwnLedger;
use crate::marks::{self, Mark};
use crate::message::PeerMessage;
use crate::mirrors::OpenedNotes;
use crate::mutants::{self, Mutant};
use crate::news::News;
use crate::rows;
use crate::store::{Store, StoreError};
use crate::turn::Turn;

/// How often a leader tells its ledger's head, in nanoseconds.
const HEAD_INTERVAL_NS: u64 = 1_000_000_000;

/// The metadata and how it spreads.
#[derive(Debug)]
pub(crate) struct Metadata {
    state: Versioned,
    repair: Repair,
    rumors: Rumors,
    signing: Option<SigningKey>,
    next_head_ns: u64,
}

/// The key of a region's registry.
fn registry_key(region: &RegionId) -> Bytes {
    format!("registry/{region}").into()
}

/// What the keys of heads begin with.
const HEAD_PREFIX: &[u8] = b"head/";
/// What the keys of sealed segments begin with.
const SEGMENT_PREFIX: &[u8] = b"segment/";

/// The key of a region's head.
pub(crate) fn head_key(region: &RegionId) -> Bytes {
    format!("head/{region}").into()
}

impl Metadata {
    /// Reads the entries from the store, and what they say of regions' registries.
    ///
    /// # Errors
    /// What the store says, and rows that cannot be read.
    pub(crate) fn open(config: &Config, store: &dyn Store) -> Result<(Self, BTreeMap<RegionId, Registry>), StoreError> {
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
        let metadata = Self {
            state,
            repair: Repair::new(config.node, repair),
            rumors: Rumors::new(rumors),
            signing: config.log_key.map(|seed| SigningKey::from_bytes(&seed)),
            next_head_ns: 0,
        };
        Ok((metadata, registries))
    }

    /// The heads that regions signed.
    pub(crate) fn heads(&self) -> Vec<(RegionId, Bytes)> {
        let read = |(key, value): (&Bytes, &trine_gossip::versioned::Value)| Some((head_of(key)?, value.bytes.clone()));
        self.state.range(HEAD_PREFIX).filter_map(read).collect()
    }

    /// The sealed segments, in order, as encoded.
    pub(crate) fn segments(&self) -> Vec<(RegionId, SegmentInfo)> {
        let read = |(key, value): (&Bytes, &trine_gossip::versioned::Value)| {
            let text = std::str::from_utf8(key.strip_prefix(b"segment/")?).ok()?;
            let (region, _) = text.split_once('/')?;
            Some((region.parse().ok()?, segment_from_bytes(&authored::said_in(&value.bytes)?)?))
        };
        self.state.range(SEGMENT_PREFIX).filter_map(read).collect()
    }
}

impl Metadata {
    /// A peer came up.
    pub(crate) fn peer_up(&mut self, turn: &mut Turn<'_>, node: NodeId, near: bool) {
        let proximity = if near { Proximity::Near } else { Proximity::Far };
        let send = self.repair.on_peer_up(turn.now.monotonic_ns, node, proximity, &self.state);
        send_all(turn, send);
    }

    /// A peer is gone.
    pub(crate) fn peer_down(&mut self, node: NodeId) {
        self.repair.on_peer_down(node);
    }

    /// Whether a leader is to tell its ledger's head now.
    pub(crate) fn head_due(&mut self, now_ns: u64) -> bool {
        let due = now_ns >= self.next_head_ns;
        if due {
            self.next_head_ns = now_ns + HEAD_INTERVAL_NS;
        }
        due
    }

    /// Compares with peers, and tells rumors if these are told at all.
    pub(crate) fn tick(&mut self, turn: &mut Turn<'_>, gossip: bool) {
        let now_ns = turn.now.monotonic_ns;
        let send = self.repair.on_tick(now_ns, &self.state);
        send_all(turn, send);
        if gossip {
            while let Some(rumor) = self.rumors.next(now_ns) {
                turn.effects.push(Effect::Publish(rumor));
            }
        }
    }

    /// A repair message of a peer. No entry of a barred key is taken in.
    pub(crate) fn take(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &mut Cluster,
        (notes, barred): (&mut OpenedNotes, &BTreeSet<Bytes>),
        from: NodeId,
        message: RepairMessage,
    ) -> Vec<News> {
        let config = cluster.config();
        let outcome = self.repair.on_message(turn.now.monotonic_ns, from, message, &mut self.state, |entry| {
            !barred.contains(&entry.key) && admit(config, notes, entry)
        });
        turn.counters.messages_refused += outcome.turned_away.len() as u64;
        send_all(turn, outcome.send);
        self.changed(turn, cluster, outcome.applied.changed, false)
    }

    /// Entries that a rumor told. None of a barred key is taken in.
    pub(crate) fn take_rumor(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &mut Cluster,
        (notes, barred): (&mut OpenedNotes, &BTreeSet<Bytes>),
        entries: Vec<Entry>,
    ) -> Vec<News> {
        let (state, config) = (&self.state, cluster.config());
        let admitted =
            |entry: &Entry| state.is_news(entry) && !barred.contains(&entry.key) && admit(config, notes, entry);
        let entries: Vec<Entry> = entries.into_iter().filter(admitted).collect();
        let applied = self.state.apply(entries);
        self.changed(turn, cluster, applied.changed, false)
    }

    /// Tells a node that it was retired, by its region's registry, once that says so.
    pub(crate) fn tell_retired(&self, turn: &mut Turn<'_>, cluster: &Cluster, node: NodeId, region: &RegionId) {
        if cluster.told().get(region).is_none_or(|registry| !registry.retired.contains(&node)) {
            return;
        }
        marks::reached(Mark::RetiredTold);
        let key = registry_key(region);
        if let Some(value) = self.state.get(&key) {
            let entry = Entry { key, version: value.version, value: value.bytes.clone() };
            send_all(turn, vec![(node, RepairMessage::Entries(vec![entry]))]);
        }
    }

    /// The own region's registry, as its ledger has it now.
    pub(crate) fn publish_registry(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &mut Cluster,
        ledger: &OwnLedger,
    ) -> Vec<News> {
        let region = cluster.config().region.clone();
        let registry = cluster.own();
        let without = registry.without_namespaces();
        let nothing = Registry { namespaces: BTreeMap::new(), ..Registry::default() };
        // Created in the order of their ids and never removed, for deleted ones stay listed: what an entry holds only grows.
        let created: Vec<_> = registry.namespaces.iter().filter(|(id, _)| id.region == region).collect();
        let parts: Vec<(u64, Registry)> = created
            .chunks(cluster.config().sizes.namespaces_per_entry)
            .map(|part| {
                let namespaces = part.iter().map(|(id, known)| ((*id).clone(), (*known).clone())).collect();
                (version_of(part.iter().map(|(_, known)| *known)), Registry { namespaces, ..nothing.clone() })
            })
            .collect();
        let (epoch, signs) = (ledger.registry_version(), ledger.may_sign());
        let mut news =
            self.publish_signed(turn, cluster, signs, registry_key(&region), epoch, &registry_bytes(&without));
        for (number, (version, part)) in parts.into_iter().enumerate() {
            let key = format!("namespaces/{region}/{number:08}").into();
            news.extend(self.publish_signed(turn, cluster, signs, key, version, &registry_bytes(&part)));
        }
        news
    }

    /// The own region's ledger sealed a segment.
    pub(crate) fn publish_segment(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &mut Cluster,
        signs: bool,
        segment: &SegmentInfo,
    ) -> Vec<News> {
        let key = format!("segment/{}/{:016}", cluster.config().region, segment.number).into();
        self.publish_signed(turn, cluster, signs, key, 1, &segment_to_bytes(segment))
    }

    /// What the own region's ledger said while nothing could be signed.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn publish_unsaid(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &mut Cluster,
        signs: bool,
    ) -> Result<Vec<News>, StoreError> {
        let unsaid = turn.scan(Derived, (b"s", &rows::after_prefix(b"s")), usize::MAX, false)?;
        let mut news = Vec::new();
        for (row, said) in unsaid {
            news.extend(self.publish_signed(turn, cluster, signs, row.slice(1..), 1, &said));
            turn.put(Derived, row, None);
        }
        Ok(news)
    }

    /// The own region's head, when it is to be told again.
    pub(crate) fn publish_head(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &mut Cluster,
        ledger: &mut OwnLedger,
    ) -> Vec<News> {
        let size = ledger.size();
        match ledger.note().filter(|_| size > 0) {
            Some(note) => self.publish(turn, cluster, head_key(&cluster.config().region), size, note),
            None => Vec::new(),
        }
    }

    /// A region's head that a peer told, verified and compared with what is held.
    pub(crate) fn put_head(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &mut Cluster,
        (ledger, size): (&RegionId, u64),
        note: Bytes,
    ) -> Vec<News> {
        let version = Version { epoch: size, stamp: Timestamp::ZERO };
        let applied = self.state.apply([Entry { key: head_key(ledger), version, value: note }]);
        self.changed(turn, cluster, applied.changed, false)
    }

    /// What a region said of its registry: the version, and what it says.
    pub(crate) fn registry(&self, region: &RegionId) -> Option<(u64, Option<Bytes>)> {
        let known = self.state.get(&registry_key(region))?;
        Some((known.version.epoch, authored::said_in(&known.bytes)))
    }

    /// Publishes what the own region's ledger says. Whoever lacks the log key hears it from the others.
    fn publish_signed(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &mut Cluster,
        signs: bool,
        key: Bytes,
        epoch: u64,
        said: &[u8],
    ) -> Vec<News> {
        let known = self.state.get(&key).is_some_and(|held| held.version.epoch >= epoch);
        if known {
            return Vec::new();
        }
        if !signs {
            // The registry is told when it may be; a segment is sealed once.
            if key.starts_with(SEGMENT_PREFIX) {
                turn.put(Derived, rows::unsaid(&key), Some(Bytes::copy_from_slice(said)));
            }
            return Vec::new();
        }
        let Some(signing) = &self.signing else { return Vec::new() };
        let value = authored::sign(signing, &cluster.config().genesis.cluster, &key, epoch, said);
        self.publish(turn, cluster, key, epoch, value)
    }

    fn publish(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &mut Cluster,
        key: Bytes,
        epoch: u64,
        value: Bytes,
    ) -> Vec<News> {
        let version = Version { epoch, stamp: Timestamp::ZERO };
        match self.state.put(key, version, value) {
            Ok(Some(entry)) => self.changed(turn, cluster, vec![entry], true),
            _ => Vec::new(),
        }
    }

    fn changed(&mut self, turn: &mut Turn<'_>, cluster: &mut Cluster, changed: Vec<Entry>, own: bool) -> Vec<News> {
        let (mut news, mut regions) = (Vec::new(), BTreeSet::new());
        for entry in changed {
            turn.put(Derived, rows::metadata(&entry.key), Some(entry.to_bytes().into()));
            if let Some(region) = head_of(&entry.key) {
                if cluster.is_own(&region) {
                    news.push(News::Signed { size: entry.version.epoch });
                }
                cluster.set_head(region, entry.value.clone());
            }
            if says_registry(&entry.key) {
                regions.extend(learn(cluster.told_mut(), &entry));
            }
            // All nodes of a region come to say the same, of whom one tells it: each rumor goes to the whole cluster.
            if own && cluster.serving() {
                self.rumors.push(entry);
            }
        }
        if !regions.is_empty() {
            news.push(News::RostersChanged { regions });
        }
        news
    }
}

pub(crate) fn registry_bytes(registry: &Registry) -> Bytes {
    registry.to_bytes().expect("what was applied is within its bounds")
}

/// The region whose head an entry of this key is.
pub(crate) fn head_of(key: &[u8]) -> Option<RegionId> {
    std::str::from_utf8(key.strip_prefix(HEAD_PREFIX)?).ok()?.parse().ok()
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
