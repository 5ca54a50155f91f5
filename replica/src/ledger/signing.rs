//! Whether what is held here of the own region's ledger is all that the region's key ever signed.
//!
//! A disk may go back in time: a restored image, a snapshot of a machine, an emptied directory. Its region then founds or
//! leads its log anew from an older state, and would give indexes that it signed before to other records. The region
//! itself cannot know; the others can, for they hold what it signed. So a node signs nothing, and a leader proposes no
//! record, before it has asked:
//!
//! ```text
//! asked    every other region, through one of its mirrors     goes on
//!          after a while: at least one node of one of them    goes on
//!          a node of its own region that has asked already    goes on, when that one's ledger ends within this one
//!          nobody could be asked                              waits, or goes on by an explicit setting
//! told     as many records as here, or fewer, of this tree    goes on
//!          more than here                                     proposes nothing until they are brought back (`recovery`)
//!          another tree                                       evidence (`forks`): proposes nothing until released
//! ```
//!
//! A cluster of one region has nobody to ask. Heads go on being told for as long as the node runs, so a leader that
//! is told of more than it has stops at any time. What is no record (registrations, removals) is proposed meanwhile: it
//! takes no index of a record, and what it changes in the registry is not signed before either.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use trine_crdt::{NodeId, RegionId};
use trine_ledger::entry::Command;
use trine_ledger::tree::Hash;

use super::{DraftCommand, OwnLedger};
use crate::cluster::Cluster;
use crate::limits::{ASK_HEADS_INTERVAL_MS, ASK_HEADS_PATIENCE_MS};
use crate::marks::{self, Mark};
use crate::message::PeerMessage;
use crate::mutants::{self, Mutant};
use crate::records::Records;
use crate::store::StoreError;
use crate::turn::Turn;

/// What is known of the own region's ledger elsewhere.
#[derive(Debug, Default)]
pub(super) struct Signing {
    /// Why this node may sign; none: it has yet to ask.
    basis: Option<Basis>,
    began_ns: Option<u64>,
    asked_ns: u64,
    /// The other regions that have answered, and whether a mirror of theirs has.
    answers: BTreeMap<RegionId, bool>,
    /// A node of the own region that has asked, and whose ledger ends within this one.
    attested: Option<NodeId>,
    /// How many records of the own region's ledger each peer says it holds.
    pub(super) holders: BTreeMap<NodeId, u64>,
    /// The largest size that the region's key signed, as far as is known here.
    signed: u64,
    /// A peer has proven that its head of the second size extends what is held here at the first.
    extended: Option<(u64, u64)>,
}

/// On what grounds a node signs what its region's ledger says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Basis {
    /// The cluster has no other region.
    Alone,
    /// These regions were asked.
    Regions(BTreeSet<RegionId>),
    /// A node of the own region had asked.
    Neighbour(NodeId),
    /// An operator released the region.
    Released,
    /// Nobody could be asked, and the settings say to go on.
    Unasked,
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alone => f.write_str("there is no other region to ask"),
            Self::Regions(regions) => {
                let names: Vec<&str> = regions.iter().map(RegionId::as_str).collect();
                write!(f, "{} hold no more of this region's ledger", names.join(" and "))
            }
            Self::Neighbour(node) => write!(f, "node {node} of this region has asked the other regions"),
            Self::Released => f.write_str("this region is released by cluster.forks_released"),
            Self::Unasked => f.write_str("no other region could be asked, and cluster.unasked is `go-on`"),
        }
    }
}

/// Why no record is proposed and nothing signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withheld {
    /// The others are being asked.
    Asking,
    /// Nobody answers.
    Unanswered,
    /// Others hold more.
    Behind {
        /// How many records the region's key signed, or others hold.
        theirs: u64,
        /// How many are here.
        here: u64,
        /// Whose ledger.
        region: RegionId,
        /// Whether this node leads: otherwise its leader may bring them.
        leads: bool,
    },
    /// The region's key signed two histories.
    Forked {
        /// Which region.
        region: RegionId,
    },
}

impl Withheld {
    /// The code of the problem that it is.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Behind { .. } => "records_missing",
            Self::Asking | Self::Unanswered | Self::Forked { .. } => "appends_withheld",
        }
    }
}

impl std::error::Error for Withheld {}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asking => {
                f.write_str("appends wait: the other regions are being asked what they hold of this region's ledger")
            }
            Self::Unanswered => f.write_str(
                "appends wait: no other region can be asked what it holds of this region's ledger; \
                 with cluster.unasked = \"go-on\" the region goes on without",
            ),
            Self::Behind { theirs, here, leads: false, .. } => write!(
                f,
                "appends wait: others hold {theirs} records signed by this region's key, here are {here}; \
                 its leader has them, or does not take appends either"
            ),
            Self::Behind { theirs, here, region, leads: true } => write!(
                f,
                "appends are refused: others hold {theirs} records signed by this region's key, here are {here}; \
                 `trine region recover {region}` brings them back"
            ),
            Self::Forked { region } => write!(
                f,
                "appends are refused: the key of {region} signed two histories; `trine region list` shows both, \
                 and cluster.forks_released goes on with the one held here"
            ),
        }
    }
}

impl OwnLedger {
    /// Why no record may be proposed here, and nothing be signed, now.
    pub(crate) fn withheld(&self, cluster: &Cluster) -> Option<Withheld> {
        let region = &cluster.config().region;
        if cluster.config().forks_released.contains(region) || mutants::is(Mutant::SignWithoutAsking) {
            return None;
        }
        if self.forked {
            return Some(Withheld::Forked { region: region.clone() });
        }
        let (theirs, here, leads) = (self.held_elsewhere(cluster), self.size(), cluster.serving());
        if theirs > here && (leads || self.asked.basis.is_none()) {
            return Some(Withheld::Behind { theirs, here, region: region.clone(), leads });
        }
        // Ids of namespaces are counted on from what is taken in: an instant.
        if leads && self.recovery.registry_behind {
            return Some(Withheld::Asking);
        }
        match (&self.asked.basis, self.asked.began_ns) {
            (Some(_), _) => None,
            (None, Some(began_ns))
                if self.asked.asked_ns - began_ns >= ASK_HEADS_PATIENCE_MS * 1_000_000
                    && self.asked.answers.is_empty() =>
            {
                Some(Withheld::Unanswered)
            }
            (None, _) => Some(Withheld::Asking),
        }
    }

    /// On what grounds this node signs, or why it does not, in words.
    pub(crate) fn signing_words(&self, cluster: &Cluster) -> String {
        match (self.withheld(cluster), &self.asked.basis) {
            (Some(withheld), _) => withheld.to_string(),
            (None, Some(basis)) => basis.to_string(),
            (None, None) => Basis::Released.to_string(),
        }
    }

    /// How many records of the own region's ledger others are known to hold, or its key to have signed.
    pub(crate) fn held_elsewhere(&self, cluster: &Cluster) -> u64 {
        if self.asked.basis.is_some() {
            return self.asked.signed;
        }
        // What a node of the own region applied was committed, although perhaps not signed yet.
        let near = |(node, _): &(&NodeId, &u64)| cluster.near(**node);
        let applied = self.asked.holders.iter().filter(near).map(|(_, held)| *held).max();
        self.asked.signed.max(applied.unwrap_or(0))
    }

    /// Asks a peer that came up, while there is something to ask.
    pub(crate) fn ask_head(&self, turn: &mut Turn<'_>, cluster: &Cluster, node: NodeId) {
        if self.withheld(cluster).is_some() || self.holds_nothing() {
            turn.send(node, PeerMessage::HeadAsked);
        }
    }

    /// Asks, and judges what was answered. A peer that holds more, and is to prove that it extends what is held here.
    pub(crate) fn signing_tick(&mut self, turn: &mut Turn<'_>, cluster: &Cluster) -> Option<NodeId> {
        let now_ns = turn.now.monotonic_ns;
        let began_ns = *self.asked.began_ns.get_or_insert(now_ns);
        self.asked.asked_ns = self.asked.asked_ns.max(began_ns);
        if self.asked.basis.is_none() {
            self.asked.basis = self.basis(cluster, now_ns.saturating_sub(began_ns));
        }
        let asks = self.withheld(cluster).is_some() || self.holds_nothing();
        if !asks || now_ns < self.asked.asked_ns + ASK_HEADS_INTERVAL_MS * 1_000_000 {
            return None;
        }
        self.asked.asked_ns = now_ns;
        cluster.peers().keys().for_each(|node| turn.send(*node, PeerMessage::HeadAsked));
        self.withheld(cluster)?;
        let here = self.size();
        let proven = self.asked.extended.is_some_and(|(from, to)| from == here && to >= self.asked.signed);
        let longer = self.asked.holders.iter().find(|(_, held)| **held > here).map(|(node, _)| *node);
        longer.filter(|_| !proven && cluster.serving())
    }

    /// What was answered suffices, or nobody need be asked.
    fn basis(&self, cluster: &Cluster, waited_ns: u64) -> Option<Basis> {
        let region = &cluster.config().region;
        if cluster.config().forks_released.contains(region) {
            return Some(Basis::Released);
        }
        if mutants::is(Mutant::SignWithoutAsking) {
            return Some(Basis::Unasked);
        }
        if self.forked || self.held_elsewhere(cluster) > self.size() {
            return None;
        }
        let mut others = cluster.config().genesis.regions.iter().filter(|other| other.id != *region).peekable();
        if others.peek().is_none() {
            return Some(Basis::Alone);
        }
        let answers = &self.asked.answers;
        let patient = waited_ns < ASK_HEADS_PATIENCE_MS * 1_000_000;
        if others.all(|other| answers.get(&other.id) == Some(&true)) || !patient && !answers.is_empty() {
            return Some(Basis::Regions(answers.keys().cloned().collect()));
        }
        if let Some(node) = self.asked.attested {
            marks::reached(Mark::HeadAttested);
            return Some(Basis::Neighbour(node));
        }
        (!patient && cluster.config().unasked_goes_on).then_some(Basis::Unasked)
    }

    /// From here on the ledger signs, or does not. Whether it begins to: what was not signed meanwhile is to be.
    pub(crate) fn begins_to_sign(&mut self, cluster: &Cluster) -> bool {
        let signs = self.asked.basis.is_some() && self.withheld(cluster).is_none();
        std::mem::replace(&mut self.signs, signs) != signs && signs
    }

    /// The region's key signed a head of this many records.
    pub(crate) fn set_signed(&mut self, size: u64) {
        self.asked.signed = size;
    }

    /// Whether the region's key signed more than is held here.
    pub(crate) fn behind_its_key(&self) -> bool {
        self.asked.signed > self.size()
    }

    /// The region's key signed two histories.
    pub(crate) fn fork_found(&mut self) {
        self.forked = true;
    }

    /// A peer has proven that its head of this size extends what is held here at another.
    pub(crate) fn extended(&mut self, from: u64, size: u64) {
        self.asked.extended = Some((from, size));
    }

    /// A peer is gone: what it held is known no more.
    pub(crate) fn peer_down(&mut self, node: NodeId) {
        self.asked.holders.remove(&node);
        self.forget_told(node);
    }

    /// A peer tells what it holds of this ledger. What is held here and what it tells, where they contradict each other.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) fn take_told(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &Cluster,
        records: &Records,
        from: NodeId,
        (size, root, mirrors, asked): (u64, Hash, bool, bool),
    ) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        let Some(peer) = cluster.peers().get(&from) else { return Ok(None) };
        self.asked.holders.insert(from, size);
        if !cluster.is_own(&peer.region) {
            *self.asked.answers.entry(peer.region.clone()).or_default() |= mirrors;
        } else if size <= self.size() {
            let here = if size == 0 { root } else { records.root_at(turn, &cluster.config().region, size)? };
            if here != root {
                return Ok(Some((self.statement(size, here), self.unsigned(size, root))));
            }
            if asked {
                self.asked.attested = Some(from);
            }
        }
        Ok(None)
    }
}

/// Whether a command makes a record, or seals some.
pub(crate) fn makes_record(command: &DraftCommand) -> bool {
    match command {
        DraftCommand::Append(_) | DraftCommand::Deletion { .. } => true,
        DraftCommand::Removal { .. } => false,
        DraftCommand::Other(command) => {
            matches!(command, Command::CreateNamespace { .. } | Command::RenameNamespace { .. } | Command::Seal { .. })
        }
    }
}
