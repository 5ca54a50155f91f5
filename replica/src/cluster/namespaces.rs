//! Namespaces by label and by id.
//!
//! A region makes namespaces by itself, so regions that cannot hear each other may give one label away more than once. Each of
//! those namespaces has an id of its own, which never changes. A label that stands for several is refused with their ids, until
//! all but one are renamed or deleted.

use std::collections::BTreeMap;

use trine_crdt::{NamespaceId, RegionId};
use trine_ledger::entry::NamespaceKind as LedgerKind;
use trine_ledger::limits::SLOTS_MAX;
use trine_ledger::registry::NamespaceRecord;
use trine_protocol::request::NamespaceKind;
use trine_protocol::{Missing, RequestError};

use crate::cluster::Cluster;

impl Cluster {
    /// All namespaces known, of all regions, by id.
    pub(crate) fn namespaces(&self) -> BTreeMap<&NamespaceId, &NamespaceRecord> {
        self.records().filter(|known| !known.deleted).map(|known| (&known.id, known)).collect()
    }

    /// A namespace, by id, also when it is deleted: what it holds is replicated on.
    pub(crate) fn namespace_by_id(&self, id: &NamespaceId) -> Option<&NamespaceRecord> {
        let own = self.own.namespaces.get(id);
        own.or_else(|| self.told.values().find_map(|registry| registry.namespaces.get(id)))
    }

    /// Each namespace once. What metadata says of the own region's may be older than what its ledger says.
    fn records(&self) -> impl Iterator<Item = &NamespaceRecord> {
        let own = &self.own.namespaces;
        let told = self.told.iter().flat_map(|(region, registry)| {
            registry.namespaces.values().filter(move |known| known.id.region == *region)
        });
        own.values().chain(told.filter(|known| !own.contains_key(&known.id)))
    }

    /// The namespaces of a label, in the order of their ids.
    fn labelled(&self, label: &str) -> Vec<&NamespaceRecord> {
        let mut found: Vec<_> = self.records().filter(|known| known.name == label && !known.deleted).collect();
        found.sort_by_key(|known| &known.id);
        found
    }

    /// The namespace of a label or an id, of the right kind.
    pub(crate) fn namespace(&self, label: &str, kind: NamespaceKind) -> Result<&NamespaceRecord, RequestError> {
        let id: Option<NamespaceId> = label.parse().ok();
        let found = match id.and_then(|id| self.namespace_by_id(&id)) {
            Some(known) if known.deleted => return Err(deleted(label)),
            Some(known) => vec![known],
            None => self.labelled(label),
        };
        match &found[..] {
            [] => Err(not_found(label)),
            [one] if one.kind == ledger_kind(kind) => Ok(one),
            [one] => {
                let holds = if one.kind == LedgerKind::Ledger { "records" } else { "objects" };
                Err(RequestError::Invalid { what: format!("namespace {label} holds {holds}") })
            }
            several => Err(ambiguous(label, several)),
        }
    }

    /// Whether a namespace may have this name: no other one that is known here has it.
    pub(crate) fn name_free(&self, name: &str, but: Option<&NamespaceId>) -> Result<(), RequestError> {
        match self.labelled(name).into_iter().find(|known| Some(&known.id) != but) {
            Some(known) => Err(name_taken(&format!("named {name}"), &known.id)),
            None => Ok(()),
        }
    }

    /// Which namespace is to be altered; none where nothing of that label is known here, but may be at the leader.
    pub(crate) fn altered(&self, label: &str) -> Result<Option<NamespaceId>, RequestError> {
        let id = match label.parse::<NamespaceId>() {
            Ok(id) => id,
            Err(_) => match &self.labelled(label)[..] {
                [] => return Ok(None),
                [one] => one.id.clone(),
                several => return Err(ambiguous(label, several)),
            },
        };
        if id.region == RegionId::genesis() {
            let what = format!("namespace {label} is there from the start, and is neither renamed nor deleted");
            return Err(RequestError::Invalid { what });
        }
        match self.config.genesis.region(&id.region) {
            Some(_) => Ok(Some(id)),
            None => Err(not_found(label)),
        }
    }

    /// Which namespace of this region is to be altered, as its leader knows it.
    pub(crate) fn altered_here(&self, label: &str) -> Result<NamespaceId, RequestError> {
        let id = self.altered(label)?.ok_or_else(|| not_found(label))?;
        match self.own.namespaces.get(&id) {
            Some(known) if !known.deleted => Ok(id),
            Some(_) => Err(deleted(label)),
            None if id.region != self.config.region => Err(unreached(&id)),
            None => Err(not_found(label)),
        }
    }
}

/// A kind of namespace, as ledgers say it.
pub(crate) fn ledger_kind(kind: NamespaceKind) -> LedgerKind {
    match kind {
        NamespaceKind::Ledger => LedgerKind::Ledger,
        NamespaceKind::Objects => LedgerKind::Objects,
    }
}

/// What a namespace may be called.
pub(crate) fn check_name(name: &str) -> Result<(), RequestError> {
    let fits = (1..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte));
    if fits {
        return Ok(());
    }
    let what = format!("`{name}` is no namespace name: use 1 to 63 of a-z, 0-9, -, _ and .");
    Err(RequestError::Invalid { what })
}

/// How many partitions a namespace may have.
pub(crate) fn check_slots(slots: u32) -> Result<(), RequestError> {
    if slots.is_power_of_two() && slots <= SLOTS_MAX {
        return Ok(());
    }
    let what = format!("{slots} slots: use a power of two up to {SLOTS_MAX}");
    Err(RequestError::Invalid { what })
}

/// That there is such a namespace, as a name is taken, and the ways out.
pub(crate) fn name_taken(such: &str, by: &NamespaceId) -> RequestError {
    let way_out = if by.region == RegionId::genesis() {
        String::new()
    } else {
        format!(", or give that one another: `trine namespace rename {by} NAME`")
    };
    RequestError::Ambiguous { what: format!("a namespace {such} exists: {by}; take another name{way_out}") }
}

/// That a label stands for several namespaces, and both ways out: their ids, and another label for one of them.
fn ambiguous(label: &str, several: &[&NamespaceRecord]) -> RequestError {
    let ids: Vec<String> = several.iter().map(|known| known.id.to_string()).collect();
    let last = several.iter().rev().find(|known| known.id.region != RegionId::genesis());
    let rename = last.map_or_else(String::new, |last| {
        format!("; or give all but one another name: `trine namespace rename {} NAME`", last.id)
    });
    let what = format!("several namespaces are named {label}; use an id: {}{rename}", ids.join(", "));
    RequestError::Ambiguous { what }
}

fn not_found(label: &str) -> RequestError {
    Missing::namespace(label).into()
}

fn deleted(label: &str) -> RequestError {
    Missing::Namespace { namespace: label.to_owned(), deleted: true }.into()
}

/// That a namespace's region, which alone alters it, is not reached.
pub(crate) fn unreached(id: &NamespaceId) -> RequestError {
    unreached_there(&id.region, &format!("alters namespace {id}"))
}

/// That only another region can do it, and none of its nodes is reached.
pub(crate) fn unreached_there(region: &RegionId, does: &str) -> RequestError {
    let what = format!("{region} {does}, and this node reaches none of its nodes: ask one there");
    RequestError::Unavailable { what }
}
