//! Mirrors: following other regions' ledgers, verified before they count, and feeding those that follow us.
//!
//! What is missing of a ledger is always a suffix, so following is a stream from an index on. In each region a few
//! nodes mirror all other ledgers; the first of them that is up follows across the ocean, the others follow it, so
//! that each byte crosses once. A tail ends where its signed checkpoint says; the follower pushes the leaves into its
//! own frontier and takes the records only when the root agrees. A source that stalls or lies is left for another.

mod extension;
mod feed;
mod follow;
mod forks;
mod notes;
mod take;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use trine_crdt::{NodeId, RegionId};
use trine_ledger::checkpoint::Checkpoint;
use trine_ledger::genesis::GenesisRegion;
use trine_ledger::tree::{Frontier, Hash};

use self::forks::Forks;
pub(crate) use self::notes::OpenedNotes;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::effect::Persistence::Derived;
use crate::ledger::OwnLedger;
use crate::message::HeadTold;
use crate::records::Records;
use crate::rows;
use crate::store::{Store, StoreError};

/// The other regions' ledgers on this node, and who follows any ledger here.
#[derive(Debug)]
pub(crate) struct Mirrors {
    mirrors: BTreeMap<RegionId, Mirror>,
    followers: BTreeMap<(NodeId, RegionId), Follower>,
    forks: Forks,
    notes: OpenedNotes,
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
    /// A tail came that does not follow on what is held, and the source is to be asked again.
    gap: bool,
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
    pub(crate) fn open(config: &Config, store: &dyn Store) -> Result<Self, StoreError> {
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
        Ok(Self {
            mirrors,
            followers: BTreeMap::new(),
            forks: Forks::open(store)?,
            notes: OpenedNotes::new(config.sizes.opened_notes),
            choices_changed: true,
        })
    }

    /// Size and root of a mirror.
    pub(crate) fn head(&self, region: &RegionId) -> Option<(u64, Hash)> {
        self.mirrors.get(region).map(|mirror| (mirror.frontier.size(), mirror.frontier.root()))
    }

    /// Peers or mirrors of this region came or went.
    pub(crate) fn choices_changed(&mut self) {
        self.choices_changed = true;
    }

    /// The checkpoint that a mirror was last verified against.
    pub(crate) fn note(&self, region: &RegionId) -> Option<Bytes> {
        self.mirrors.get(region)?.note.clone()
    }

    /// How many records of another region's ledger are held here.
    pub(crate) fn size(&self, region: &RegionId) -> u64 {
        self.mirrors.get(region).map_or(0, |mirror| mirror.frontier.size())
    }

    /// How many records of any region's ledger are held here.
    fn held(&self, beside: &Beside<'_>, region: &RegionId) -> u64 {
        if beside.cluster.is_own(region) { beside.own.size() } else { self.size(region) }
    }

    /// What is held here of a ledger.
    pub(crate) fn told(&self, beside: &mut Beside<'_>, ledger: &RegionId) -> HeadTold {
        let own = beside.cluster.is_own(ledger);
        let head = if own { Some(beside.own.head()) } else { self.head(ledger) };
        let (size, root) = head.unwrap_or((0, trine_ledger::tree::empty_root()));
        let held = if own { beside.own.note() } else { self.note(ledger) };
        let known = beside.cluster.head(ledger).cloned();
        let note = match (held, known) {
            (Some(held), Some((known, head))) => Some(if head.size > size { known } else { held }),
            (held, known) => held.or(known.map(|(note, _)| note)),
        };
        HeadTold {
            ledger: ledger.clone(),
            note,
            size,
            root: Bytes::copy_from_slice(&root),
            mirrors: beside.cluster.mirrors_here(),
            asked: own && beside.own.may_sign(),
            joined: beside.cluster.joined_later(ledger),
        }
    }

    /// The signed checkpoints that were verified last.
    pub(crate) fn notes(&mut self) -> &mut OpenedNotes {
        &mut self.notes
    }

    /// Reads a checkpoint that this region of this cluster signed.
    pub(crate) fn open_note(&mut self, cluster: &Cluster, region: &GenesisRegion, note: &[u8]) -> Option<Checkpoint> {
        self.notes.open(&cluster.config().genesis.cluster, region, note)
    }

    /// A peer is gone: it follows nothing here, and is followed no more.
    pub(crate) fn peer_down(&mut self, node: NodeId) {
        self.choices_changed();
        self.followers.retain(|(follower, _), _| *follower != node);
        for mirror in self.mirrors.values_mut().filter(|mirror| mirror.source == Some(node)) {
            mirror.source = None;
        }
    }
}

/// What stands beside the mirrors, and what they read and keep up to date there.
pub(crate) struct Beside<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The own region's ledger.
    pub own: &'a mut OwnLedger,
    /// The records of all.
    pub records: &'a mut Records,
}
