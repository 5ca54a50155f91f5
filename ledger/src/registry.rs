//! Who belongs to a region and what it has created, as its ledger alone decides.
//!
//! A node is its disk (`NodeId`). A name (from the certificate) has one disk at a time: when another registers under
//! it, because the old one was wiped or replaced, the old one is retired at once, so that the two never count as
//! two. A retired id never returns. A node that was *removed* also closes its name: a certificate that is still
//! valid does not let a removed machine back in with an empty disk. `Replace` opens the name again. Each change of
//! the roster is an epoch, numbered by its log index.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use trine_crdt::{NamespaceId, NodeId, RegionId, Timestamp, VersionRange, WriterId};

use crate::entry::NamespaceKind;
use crate::form::{FormError, Reader, bounded, put_count, put_short};
use crate::limits::{
    ADDRESS_BYTES_MAX, ADDRESSES_MAX, NAME_BYTES_MAX, NAMESPACES_MAX, RECOVERIES_MAX, RETIRED_NODES_MAX,
    ROSTER_NODES_MAX, SLOTS_MAX,
};
use crate::outcome::Refusal;
use crate::record::{put_namespace, read_namespace};

/// The form of a registry whose namespaces all are as they were created.
const VERSION: u8 = 1;
/// The form of one in which some were altered: behind each namespace stands what became of it.
const VERSION_ALTERED: u8 = 2;

/// What a node says of itself, as its leader wrote it down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecord {
    /// When.
    pub stamp: Timestamp,
    /// Its disk.
    pub node: NodeId,
    /// Its name, as its certificate says.
    pub name: String,
    /// Its libp2p peer id.
    pub peer: String,
    /// Its libp2p addresses.
    pub addresses: Vec<String>,
    /// Where its Raft connections arrive, `host:port`.
    pub raft: String,
    /// Where its HTTP API listens.
    pub http: Option<String>,
    /// Its incarnation.
    pub writer: WriterId,
    /// The format levels that it reads.
    pub levels: VersionRange,
}

/// A namespace that this region created, or the genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceRecord {
    /// Its id.
    pub id: NamespaceId,
    /// Its label.
    pub name: String,
    /// What it holds.
    pub kind: NamespaceKind,
    /// How many partitions (objects).
    pub slots: u32,
    /// When it was created; zero for those of the genesis.
    pub stamp: Timestamp,
    /// The log index of its last alteration, counted as ids are; none: it is as it was created.
    pub altered: Option<u64>,
    /// Whether it was deleted. It stays listed, so that its id is never given again and whoever missed the deletion learns of it.
    pub deleted: bool,
}

/// That a lost majority was written off: after it the region is what one disk held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The log index.
    pub index: u64,
    /// When.
    pub stamp: Timestamp,
    /// The id that the disk got.
    pub node: NodeId,
    /// The node whose disk it was.
    pub survivor: NodeId,
    /// How many records it held; others, if there were any, are gone.
    pub records: u64,
}

/// A region's roster and namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// The log index of the roster's last change.
    pub epoch: u64,
    /// The nodes, by id.
    pub roster: BTreeMap<NodeId, NodeRecord>,
    /// Nodes that never return.
    pub retired: BTreeSet<NodeId>,
    /// Names that nobody may register under until their node is replaced, and that node.
    pub closed_names: BTreeMap<String, NodeId>,
    /// The namespaces, those of the genesis included.
    pub namespaces: BTreeMap<NamespaceId, NamespaceRecord>,
    /// When lost majorities were written off, the oldest first.
    pub recoveries: Vec<Recovery>,
}

impl Default for Registry {
    fn default() -> Self {
        let genesis = |id: NamespaceId, name: &str, kind, slots| {
            let (name, stamp) = (name.to_owned(), Timestamp::ZERO);
            (id.clone(), NamespaceRecord { id, name, kind, slots, stamp, altered: None, deleted: false })
        };
        let namespaces = BTreeMap::from([
            genesis(NamespaceId::default_ledger(), "default", NamespaceKind::Ledger, 1),
            genesis(NamespaceId::default_objects(), "objects", NamespaceKind::Objects, 256),
        ]);
        let (roster, retired, closed_names) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { epoch: 0, roster, retired, closed_names, namespaces, recoveries: Vec::new() }
    }
}

impl Registry {
    /// The node of a name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&NodeRecord> {
        self.roster.values().find(|record| record.name == name)
    }

    /// Takes a node's registration in; says which node it displaced, and whether anything changed.
    pub(crate) fn register(&mut self, index: u64, record: &NodeRecord) -> Result<(bool, Option<NodeId>), Refusal> {
        if self.retired.contains(&record.node) {
            return Err(Refusal::NodeRetired { node: record.node });
        }
        if let Some(node) = self.closed_names.get(&record.name) {
            return Err(Refusal::NameClosed { node: *node });
        }
        if let Some(known) = self.roster.get(&record.node) {
            if known.name != record.name {
                return Err(Refusal::OtherName { name: known.name.clone() });
            }
            if known.same(record) {
                return Ok((false, None));
            }
        }
        let taken = |known: &NodeRecord| known.node != record.node && known.writer == record.writer;
        if self.roster.values().any(taken) {
            return Err(Refusal::WriterTaken);
        }
        let displaced = self.named(&record.name).map(|known| known.node).filter(|node| *node != record.node);
        match displaced {
            Some(node) => self.retire(node)?,
            None if !self.roster.contains_key(&record.node) && self.roster.len() >= ROSTER_NODES_MAX => {
                return Err(Refusal::Full);
            }
            None => {}
        }
        self.roster.insert(record.node, record.clone());
        self.epoch = index;
        Ok((true, displaced))
    }

    /// Takes a node off for good; its name stays closed, or is open again.
    pub(crate) fn remove(&mut self, index: u64, node: NodeId, close: bool) -> Result<(), Refusal> {
        if let Some(record) = self.roster.get(&node) {
            let name = record.name.clone();
            if close && self.closed_names.len() >= ROSTER_NODES_MAX {
                return Err(Refusal::Full);
            }
            self.retire(node)?;
            if close {
                self.closed_names.insert(name, node);
            }
        } else {
            let closed = self.closed_names.iter().find(|(_, closed)| **closed == node).map(|(name, _)| name.clone());
            match closed {
                Some(name) if !close => drop(self.closed_names.remove(&name)),
                _ => return Err(Refusal::UnknownNode { node }),
            }
        }
        self.epoch = index;
        Ok(())
    }

    /// Writes a lost majority off: nobody of before returns, and every name on the roster is free again.
    pub(crate) fn recover(&mut self, recovery: &Recovery) -> Result<(), Refusal> {
        let gone: BTreeSet<NodeId> = self.roster.keys().copied().chain([recovery.survivor]).collect();
        if gone.contains(&recovery.node) || self.retired.contains(&recovery.node) {
            return Err(Refusal::NodeRetired { node: recovery.node });
        }
        if self.retired.len() + gone.len() > RETIRED_NODES_MAX {
            return Err(Refusal::Full);
        }
        self.roster.clear();
        self.retired.extend(gone);
        if self.recoveries.len() >= RECOVERIES_MAX {
            self.recoveries.remove(0);
        }
        self.recoveries.push(recovery.clone());
        self.epoch = recovery.index;
        Ok(())
    }

    /// All but the namespaces.
    #[must_use]
    pub fn without_namespaces(&self) -> Self {
        Self { namespaces: BTreeMap::new(), ..self.clone() }
    }

    /// Takes in what this registry said before it went back. What was decided since stands: a name has one node.
    pub(crate) fn merge(&mut self, index: u64, told: &Self) -> Result<(), Refusal> {
        self.retired.extend(&told.retired);
        if self.recoveries.is_empty() {
            self.recoveries.clone_from(&told.recoveries);
        }
        for (id, namespace) in &told.namespaces {
            let known = self.namespaces.entry(id.clone()).or_insert_with(|| namespace.clone());
            if namespace.altered > known.altered {
                known.clone_from(namespace);
            }
        }
        for (node, record) in &told.roster {
            let named = self.named(&record.name).map(|known| known.node);
            if named.is_some_and(|named| named != *node) {
                self.retired.insert(*node);
            } else if !self.roster.contains_key(node) {
                self.roster.insert(*node, record.clone());
            }
        }
        let retired = &self.retired;
        self.roster.retain(|node, _| !retired.contains(node));
        for (name, node) in &told.closed_names {
            if self.named(name).is_none() {
                self.closed_names.entry(name.clone()).or_insert(*node);
            }
        }
        let full = self.roster.len() > ROSTER_NODES_MAX
            || self.retired.len() > RETIRED_NODES_MAX
            || self.closed_names.len() > ROSTER_NODES_MAX
            || self.namespaces.len() > NAMESPACES_MAX;
        self.epoch = index;
        if full { Err(Refusal::Full) } else { Ok(()) }
    }

    pub(crate) fn create(&mut self, namespace: NamespaceRecord) -> Result<(), Refusal> {
        self.name_free(&namespace.name, None)?;
        if self.namespaces.contains_key(&namespace.id) {
            return Err(Refusal::SecondNamespace);
        }
        if self.namespaces.len() >= NAMESPACES_MAX {
            return Err(Refusal::Full);
        }
        self.namespaces.insert(namespace.id.clone(), namespace);
        Ok(())
    }

    /// Gives a namespace of this region another name; says whether that is one, and how it is now.
    pub(crate) fn rename(
        &mut self,
        index: u64,
        id: &NamespaceId,
        name: &str,
    ) -> Result<(bool, NamespaceRecord), Refusal> {
        self.name_free(name, Some(id))?;
        let known = self.alterable(id)?;
        let changed = known.name != name;
        if changed {
            (known.name, known.altered) = (name.to_owned(), Some(index));
        }
        Ok((changed, known.clone()))
    }

    /// Hides a namespace of this region.
    pub(crate) fn delete(&mut self, index: u64, id: &NamespaceId) -> Result<(), Refusal> {
        let known = self.alterable(id)?;
        (known.deleted, known.altered) = (true, Some(index));
        Ok(())
    }

    fn alterable(&mut self, id: &NamespaceId) -> Result<&mut NamespaceRecord, Refusal> {
        match self.namespaces.get_mut(id) {
            Some(_) if id.region == RegionId::genesis() => Err(Refusal::GenesisNamespace { id: id.clone() }),
            Some(known) if !known.deleted => Ok(known),
            _ => Err(Refusal::UnknownNamespace { id: id.clone() }),
        }
    }

    /// Whether no namespace has the name, but for one that may have it already.
    fn name_free(&self, name: &str, but: Option<&NamespaceId>) -> Result<(), Refusal> {
        let has = |known: &&NamespaceRecord| known.name == name && !known.deleted && Some(&known.id) != but;
        match self.namespaces.values().find(has) {
            Some(known) => Err(Refusal::NamespaceExists { id: known.id.clone() }),
            None => Ok(()),
        }
    }

    /// About how many bytes it takes; never fewer than it does.
    pub(crate) fn bytes_max(&self) -> usize {
        let nodes = self.roster.values().map(NodeRecord::bytes_max).sum::<usize>();
        let names = self.closed_names.keys().map(|name| name.len() + 16).sum::<usize>();
        let namespaces = self.namespaces.values().map(|known| known.name.len() + 128).sum::<usize>();
        nodes + names + namespaces + 8 * self.retired.len() + 64
    }

    fn retire(&mut self, node: NodeId) -> Result<(), Refusal> {
        if self.retired.len() >= RETIRED_NODES_MAX {
            return Err(Refusal::Full);
        }
        self.roster.remove(&node);
        self.retired.insert(node);
        Ok(())
    }

    /// The registry's bytes.
    ///
    /// # Errors
    /// [`FormError`] when something is beyond its bound; what was applied never is.
    pub fn to_bytes(&self) -> Result<Bytes, FormError> {
        let altered = self.namespaces.values().any(|known| known.altered.is_some());
        let mut out = vec![if altered { VERSION_ALTERED } else { VERSION }];
        out.extend_from_slice(&self.epoch.to_be_bytes());
        put_count(&mut out, self.roster.len());
        self.roster.values().try_for_each(|record| record.write(&mut out))?;
        put_count(&mut out, self.retired.len());
        self.retired.iter().for_each(|node| out.extend_from_slice(&node.0.to_be_bytes()));
        put_count(&mut out, self.closed_names.len());
        for (name, node) in &self.closed_names {
            put_short(&mut out, name.as_bytes());
            out.extend_from_slice(&node.0.to_be_bytes());
        }
        put_count(&mut out, self.namespaces.len());
        for namespace in self.namespaces.values() {
            put_namespace(&mut out, &namespace.id);
            put_short(&mut out, namespace.name.as_bytes());
            out.push(namespace.kind.code());
            out.extend_from_slice(&namespace.slots.to_be_bytes());
            out.extend_from_slice(&namespace.stamp.to_bytes());
            if altered {
                out.push(namespace.fate());
                namespace.altered.iter().for_each(|index| out.extend_from_slice(&index.to_be_bytes()));
            }
        }
        put_count(&mut out, self.recoveries.len());
        for Recovery { index, stamp, node, survivor, records } in &self.recoveries {
            out.extend_from_slice(&stamp.to_bytes());
            [*index, node.0, survivor.0, *records].iter().for_each(|part| out.extend_from_slice(&part.to_be_bytes()));
        }
        Ok(out.into())
    }

    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`FormError`] for anything else.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, FormError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8("registry")?;
        if ![VERSION, VERSION_ALTERED].contains(&version) {
            return Err(FormError::Version { field: "registry", version });
        }
        let epoch = reader.u64("epoch")?;
        let mut roster = BTreeMap::new();
        for _ in 0..reader.count("roster", ROSTER_NODES_MAX)? {
            let record = NodeRecord::read(&mut reader)?;
            ascending("roster", &roster, &record.node)?;
            roster.insert(record.node, record);
        }
        let mut retired = BTreeSet::new();
        for _ in 0..reader.count("retired nodes", RETIRED_NODES_MAX)? {
            let node = NodeId(reader.u64("retired nodes")?);
            if retired.last().is_some_and(|last| *last >= node) {
                return Err(FormError::Malformed { field: "retired nodes" });
            }
            retired.insert(node);
        }
        let mut closed_names = BTreeMap::new();
        for _ in 0..reader.count("closed names", ROSTER_NODES_MAX)? {
            let name = reader.text("closed names", NAME_BYTES_MAX)?;
            ascending("closed names", &closed_names, &name)?;
            closed_names.insert(name, NodeId(reader.u64("closed names")?));
        }
        let mut namespaces = BTreeMap::new();
        for _ in 0..reader.count("namespaces", NAMESPACES_MAX)? {
            let id = read_namespace(&mut reader)?;
            ascending("namespaces", &namespaces, &id)?;
            let name = reader.text("namespaces", NAME_BYTES_MAX)?;
            let kind = NamespaceKind::read(&mut reader)?;
            let slots = reader.u32("namespaces")?;
            if !slots.is_power_of_two() || slots > SLOTS_MAX {
                return Err(FormError::Malformed { field: "namespaces" });
            }
            let stamp = Timestamp::from_bytes(&reader.array("namespaces")?);
            let (altered, deleted) = match version {
                VERSION_ALTERED => read_fate(&mut reader)?,
                _ => (None, false),
            };
            namespaces.insert(id.clone(), NamespaceRecord { id, name, kind, slots, stamp, altered, deleted });
        }
        if version == VERSION_ALTERED && namespaces.values().all(|known| known.altered.is_none()) {
            return Err(FormError::Malformed { field: "registry" });
        }
        let mut recoveries = Vec::new();
        for _ in 0..reader.count("recoveries", RECOVERIES_MAX)? {
            let stamp = Timestamp::from_bytes(&reader.array("recoveries")?);
            let index = reader.u64("recoveries")?;
            let (node, survivor) = (NodeId(reader.u64("recoveries")?), NodeId(reader.u64("recoveries")?));
            recoveries.push(Recovery { index, stamp, node, survivor, records: reader.u64("recoveries")? });
        }
        reader.end()?;
        Ok(Self { epoch, roster, retired, closed_names, namespaces, recoveries })
    }
}

impl NodeRecord {
    /// Whether the two say the same, whenever they said it.
    fn same(&self, other: &Self) -> bool {
        *self == Self { stamp: self.stamp, ..other.clone() }
    }

    pub(crate) fn bytes_max(&self) -> usize {
        let addresses = self.addresses.iter().map(|address| address.len() + 2).sum::<usize>();
        let http = self.http.as_ref().map_or(0, String::len);
        self.name.len() + self.peer.len() + addresses + self.raft.len() + http + 128
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), FormError> {
        bounded("name", self.name.len(), NAME_BYTES_MAX)?;
        bounded("addresses", self.addresses.len(), ADDRESSES_MAX)?;
        let texts = [&self.peer, &self.raft].into_iter().chain(&self.addresses).chain(&self.http);
        texts.into_iter().try_for_each(|text| bounded("address", text.len(), ADDRESS_BYTES_MAX))?;
        out.extend_from_slice(&self.stamp.to_bytes());
        out.extend_from_slice(&self.node.0.to_be_bytes());
        put_short(out, self.name.as_bytes());
        put_short(out, self.peer.as_bytes());
        put_count(out, self.addresses.len());
        self.addresses.iter().for_each(|address| put_short(out, address.as_bytes()));
        put_short(out, self.raft.as_bytes());
        out.push(u8::from(self.http.is_some()));
        self.http.iter().for_each(|http| put_short(out, http.as_bytes()));
        out.extend_from_slice(&self.writer.0);
        out.extend_from_slice(&self.levels.lowest.to_be_bytes());
        out.extend_from_slice(&self.levels.highest.to_be_bytes());
        Ok(())
    }

    pub(crate) fn read(reader: &mut Reader) -> Result<Self, FormError> {
        let stamp = Timestamp::from_bytes(&reader.array("stamp")?);
        let node = NodeId(reader.u64("node")?);
        let name = reader.text("name", NAME_BYTES_MAX)?;
        let peer = reader.text("peer", ADDRESS_BYTES_MAX)?;
        let count = reader.count("addresses", ADDRESSES_MAX)?;
        let addresses = (0..count).map(|_| reader.text("address", ADDRESS_BYTES_MAX)).collect::<Result<_, _>>()?;
        let raft = reader.text("raft address", ADDRESS_BYTES_MAX)?;
        let http = if reader.flag("http")? { Some(reader.text("http", ADDRESS_BYTES_MAX)?) } else { None };
        let writer = WriterId(reader.array("writer")?);
        let levels = VersionRange { lowest: reader.u16("levels")?, highest: reader.u16("levels")? };
        Ok(Self { stamp, node, name, peer, addresses, raft, http, writer, levels })
    }
}

impl NamespaceRecord {
    /// The id that a namespace gets when `region` creates it by the entry at `index`.
    #[must_use]
    pub fn id_of(region: &RegionId, index: u64) -> NamespaceId {
        NamespaceId { region: region.clone(), index }
    }

    /// The log index of what this says of it last, counted as ids are: its creation, or its alteration.
    #[must_use]
    pub fn latest(&self) -> u64 {
        self.altered.map_or(self.id.index, |altered| altered.max(self.id.index))
    }

    /// What became of it, as a byte; behind all but the first stands the index.
    fn fate(&self) -> u8 {
        match (self.altered, self.deleted) {
            (None, _) => CREATED,
            (Some(_), false) => RENAMED,
            (Some(_), true) => DELETED,
        }
    }
}

const CREATED: u8 = 0;
const RENAMED: u8 = 1;
const DELETED: u8 = 2;

fn read_fate(reader: &mut Reader) -> Result<(Option<u64>, bool), FormError> {
    match reader.u8("namespaces")? {
        CREATED => Ok((None, false)),
        fate @ (RENAMED | DELETED) => Ok((Some(reader.u64("namespaces")?), fate == DELETED)),
        _ => Err(FormError::Malformed { field: "namespaces" }),
    }
}

fn ascending<K: Ord, V>(field: &'static str, map: &BTreeMap<K, V>, key: &K) -> Result<(), FormError> {
    let follows = map.last_key_value().is_none_or(|(last, _)| last < key);
    if follows { Ok(()) } else { Err(FormError::Malformed { field }) }
}
