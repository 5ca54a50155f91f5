//! Namespaces by label and by id, and how one is renamed or deleted.
//!
//! A region makes namespaces by itself, so regions that cannot hear each other may give one label away more than once. Each of
//! those namespaces has an id of its own, which never changes. A label that stands for several is refused with their ids, until
//! all but one are renamed or deleted.
//!
//! Only the ledger of the region that made a namespace alters it: so its alterations have one order, and all nodes come to
//! the same. A request is handed on to that region from wherever it was asked.
//!
//! ```text
//! asked ──► its region ──► a mirror there: no ledger holds ──► the leader: nothing is held here, ──► the log
//!             │            a record of it?                     nor under way in the log?
//!             │                 └──────────── something is: refused, unless forced ──┘
//!             └── not reached: refused
//! ```
//!
//! A deletion hides. Records stay in their ledgers, where they can be read and proved by their places, and objects go on being
//! replicated, so that nodes which hear of it at different times still come to hold the same; but nothing finds either under
//! the namespace any more. What is written elsewhere before the word is there is hidden with the rest. A deleted
//! namespace stays in the registry, so that its id means nothing else, ever.

use std::collections::BTreeMap;

use trine_crdt::{NamespaceId, NodeId, RegionId};
use trine_ledger::entry::NamespaceKind as LedgerKind;
use trine_ledger::registry::NamespaceRecord;
use trine_protocol::reply::NamespaceView;
use trine_protocol::request::NamespaceKind;
use trine_protocol::{Request, RequestError};

use crate::effect::Persistence::Derived;
use crate::limits::SLOTS_MAX;
use crate::replica::Replica;
use crate::requests::Served;
use crate::rows;
use crate::store::StoreError;
use crate::turn::Turn;
use crate::waiting::Asked;

impl Replica {
    /// All namespaces known, of all regions, by id.
    pub(crate) fn namespaces(&self) -> BTreeMap<&NamespaceId, &NamespaceRecord> {
        self.records().filter(|known| !known.deleted).map(|known| (&known.id, known)).collect()
    }

    /// A namespace, by id, also when it is deleted: what it holds is replicated on.
    pub(crate) fn namespace_by_id(&self, id: &NamespaceId) -> Option<&NamespaceRecord> {
        let own = self.ledger.state.registry().namespaces.get(id);
        own.or_else(|| self.metadata.registries.values().find_map(|registry| registry.namespaces.get(id)))
    }

    /// Each namespace once. What metadata says of the own region's may be older than what its ledger says.
    fn records(&self) -> impl Iterator<Item = &NamespaceRecord> {
        let own = &self.ledger.state.registry().namespaces;
        let told = self.metadata.registries.iter().flat_map(|(region, registry)| {
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
            Some(known) if known.deleted => return Err(not_found(&format!("{label} (it was deleted)"))),
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
    fn altered(&self, label: &str) -> Result<Option<NamespaceId>, RequestError> {
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
        match self.ledger.state.registry().namespaces.get(&id) {
            Some(known) if !known.deleted => Ok(id),
            Some(_) => Err(not_found(&format!("{label} (it was deleted)"))),
            None if id.region != self.config.region => Err(unreached(&id)),
            None => Err(not_found(label)),
        }
    }

    /// Where a request goes that alters a namespace, before its region's leader takes it. None: there.
    pub(crate) fn before_the_leader(
        &mut self,
        turn: &Turn<'_>,
        asked: &mut Asked,
    ) -> Result<Option<Served>, StoreError> {
        let (Request::NamespaceRename { namespace, .. } | Request::NamespaceDelete { namespace, .. }) = &asked.request
        else {
            return Ok(None);
        };
        let id = match self.altered(namespace) {
            Ok(Some(id)) => id,
            Ok(None) => return Ok(None),
            Err(error) => return Ok(Some(error.into())),
        };
        if id.region != self.config.region {
            let there = self.peers.values().filter(|peer| peer.region == id.region);
            let there: Vec<NodeId> = there.map(|peer| peer.node).collect();
            let served = if there.is_empty() { unreached(&id).into() } else { self.hand_on_to_one_of(&there, asked) };
            return Ok(Some(served));
        }
        // Who follows no other region's ledger knows of no record there.
        if !matches!(asked.request, Request::NamespaceDelete { force: false, vetted: false, .. }) {
            return Ok(None);
        }
        let mirrors = self.mirror_nodes();
        if !self.mirrors_here() && !mirrors.is_empty() {
            let reached = mirrors.iter().any(|mirror| self.peers.contains_key(mirror));
            return Ok(Some(if reached { self.hand_on_to_one_of(mirrors, asked) } else { self.unseen(&id) }));
        }
        if let Err(error) = self.empty(turn, &id)? {
            return Ok(Some(error.into()));
        }
        if let Request::NamespaceDelete { vetted, .. } = &mut asked.request {
            *vetted = true;
        }
        Ok(None)
    }

    /// Nobody who is reached knows whether other regions have written records into a namespace.
    fn unseen(&self, id: &NamespaceId) -> Served {
        let what = format!(
            "no node of {} that mirrors the other regions' ledgers is reached, so nobody can tell whether namespace {id} holds \
             records there; with --force (over HTTP ?force=true) it is deleted all the same",
            self.config.region
        );
        RequestError::Unavailable { what }.into()
    }

    /// Whether nothing of a namespace is held here. An object in which nothing is left is nothing.
    pub(crate) fn empty(&mut self, turn: &Turn<'_>, id: &NamespaceId) -> Result<Result<(), RequestError>, StoreError> {
        let from = rows::versions_from(id, b"");
        let records = self.buffer.scan(turn.store, Derived, (&from, &rows::after_prefix(&from)), 1, false)?;
        let (objects, _) = self.objects.digest(id);
        let (holds, then) = match (objects, records.is_empty()) {
            (0, true) => {
                return Ok(match self.joining.waits() {
                    Some(what) => Err(RequestError::Unavailable { what }),
                    None => Ok(()),
                });
            }
            (0, false) => (
                "records, which nobody can alter".to_owned(),
                "they stay in their ledgers and are found there by their places alone",
            ),
            (1, _) => ("1 object".to_owned(), "nobody can read it any more"),
            (count, _) => (format!("{count} objects"), "nobody can read them any more"),
        };
        let what = format!(
            "namespace {id} holds {holds}; with --force (over HTTP ?force=true) it is deleted all the same, and {then}"
        );
        Ok(Err(RequestError::NotEmpty { what }))
    }
}

/// A namespace as clients see it.
pub(crate) fn namespace_view(record: &NamespaceRecord) -> NamespaceView {
    let kind = if record.kind == LedgerKind::Ledger { NamespaceKind::Ledger } else { NamespaceKind::Objects };
    NamespaceView { id: record.id.clone(), name: record.name.clone(), kind, slots: record.slots }
}

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
    RequestError::NotFound { what: format!("namespace {label}") }
}

fn unreached(id: &NamespaceId) -> RequestError {
    let what = format!("{} alters namespace {id}, and this node reaches none of its nodes: ask one there", id.region);
    RequestError::Unavailable { what }
}
