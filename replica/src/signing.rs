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
use trine_crdt::marks::{self, Mark};
use trine_crdt::mutants::{self, Mutant};
use trine_crdt::{NodeId, RegionId, Timestamp};
use trine_gossip::entry::{Entry, Version};
use trine_ledger::entry::Command;
use trine_ledger::tree::Hash;

use crate::effect::Persistence::Derived;
use crate::ledger::DraftCommand;
use crate::limits::{ASK_HEADS_INTERVAL_MS, ASK_HEADS_PATIENCE_MS};
use crate::message::{HeadTold, PeerMessage};
use crate::metadata::head_key;
use crate::replica::Replica;
use crate::rows;
use crate::store::StoreError;
use crate::turn::Turn;

/// What is known of the own region's ledger elsewhere.
#[derive(Debug, Default)]
pub struct Signing {
    /// Why this node may sign; none: it has yet to ask.
    basis: Option<Basis>,
    began_ns: Option<u64>,
    asked_ns: u64,
    /// The other regions that have answered, and whether a mirror of theirs has.
    answers: BTreeMap<RegionId, bool>,
    /// A node of the own region that has asked, and whose ledger ends within this one.
    attested: Option<NodeId>,
    /// How many records of the own region's ledger each peer says it holds.
    pub(crate) holders: BTreeMap<NodeId, u64>,
    /// The largest size that the region's key signed, as far as is known here.
    pub(crate) signed: u64,
    /// A peer has proven that its head of the second size extends what is held here at the first.
    pub(crate) extended: Option<(u64, u64)>,
}

/// On what grounds a node signs what its region's ledger says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Basis {
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
        /// Whether this node leads: else its leader may bring them.
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

impl Replica {
    /// Why no record may be proposed here, and nothing be signed, now.
    #[must_use]
    pub fn withheld(&self) -> Option<Withheld> {
        let region = &self.config.region;
        if self.config.forks_released.contains(region) || mutants::is(Mutant::SignWithoutAsking) {
            return None;
        }
        if self.forks.evidence(region).is_some() {
            return Some(Withheld::Forked { region: region.clone() });
        }
        let (theirs, here, leads) = (self.held_elsewhere(), self.ledger.size(), self.leadership.serving);
        if theirs > here && (leads || self.signing.basis.is_none()) {
            return Some(Withheld::Behind { theirs, here, region: region.clone(), leads });
        }
        // Ids of namespaces are counted on from what is taken in: an instant.
        if leads && self.recovery.registry_behind {
            return Some(Withheld::Asking);
        }
        match (&self.signing.basis, self.signing.began_ns) {
            (Some(_), _) => None,
            (None, Some(began_ns))
                if self.signing.asked_ns - began_ns >= ASK_HEADS_PATIENCE_MS * 1_000_000
                    && self.signing.answers.is_empty() =>
            {
                Some(Withheld::Unanswered)
            }
            (None, _) => Some(Withheld::Asking),
        }
    }

    /// On what grounds this node signs, or why it does not, in words.
    pub(crate) fn signing_words(&self) -> String {
        match (self.withheld(), &self.signing.basis) {
            (Some(withheld), _) => withheld.to_string(),
            (None, Some(basis)) => basis.to_string(),
            (None, None) => Basis::Released.to_string(),
        }
    }

    /// How many records of the own region's ledger others are known to hold, or its key to have signed.
    pub(crate) fn held_elsewhere(&self) -> u64 {
        if self.signing.basis.is_some() {
            return self.signing.signed;
        }
        // What a node of the own region applied was committed, although perhaps not signed yet.
        let near =
            |(node, _): &(&NodeId, &u64)| self.peers.get(*node).is_some_and(|peer| peer.region == self.config.region);
        let applied = self.signing.holders.iter().filter(near).map(|(_, held)| *held).max();
        self.signing.signed.max(applied.unwrap_or(0))
    }

    /// Asks a peer that came up, while there is something to ask.
    pub(crate) fn ask_head(&self, turn: &mut Turn<'_>, node: NodeId) {
        if self.withheld().is_some() {
            turn.send(node, PeerMessage::HeadAsked);
        }
    }

    /// Asks, and judges what was answered.
    pub(crate) fn signing_tick(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        let now_ns = turn.now.monotonic_ns;
        let began_ns = *self.signing.began_ns.get_or_insert(now_ns);
        self.signing.asked_ns = self.signing.asked_ns.max(began_ns);
        if self.signing.basis.is_none() {
            self.signing.basis = self.basis(now_ns.saturating_sub(began_ns));
        }
        if self.withheld().is_some() && now_ns >= self.signing.asked_ns + ASK_HEADS_INTERVAL_MS * 1_000_000 {
            self.signing.asked_ns = now_ns;
            let peers: Vec<NodeId> = self.peers.keys().copied().collect();
            peers.into_iter().for_each(|node| turn.send(node, PeerMessage::HeadAsked));
            let here = self.ledger.size();
            let proven = self.signing.extended.is_some_and(|(from, to)| from == here && to >= self.signing.signed);
            let longer = self.signing.holders.iter().find(|(_, held)| **held > here).map(|(node, _)| *node);
            if let Some(node) = longer.filter(|_| !proven && self.leadership.serving) {
                let own = self.config.region.clone();
                self.ask_extension(turn, node, &own);
            }
        }
        self.sign_or_not(turn)
    }

    /// What was answered suffices, or nobody need be asked.
    fn basis(&self, waited_ns: u64) -> Option<Basis> {
        let region = &self.config.region;
        if self.config.forks_released.contains(region) {
            return Some(Basis::Released);
        }
        if mutants::is(Mutant::SignWithoutAsking) {
            return Some(Basis::Unasked);
        }
        if self.forks.evidence(region).is_some() || self.held_elsewhere() > self.ledger.size() {
            return None;
        }
        let mut others = self.config.genesis.regions.iter().filter(|other| other.id != *region).peekable();
        if others.peek().is_none() {
            return Some(Basis::Alone);
        }
        let answers = &self.signing.answers;
        let patient = waited_ns < ASK_HEADS_PATIENCE_MS * 1_000_000;
        if others.all(|other| answers.get(&other.id) == Some(&true)) || !patient && !answers.is_empty() {
            return Some(Basis::Regions(answers.keys().cloned().collect()));
        }
        if let Some(node) = self.signing.attested {
            marks::reached(Mark::HeadAttested);
            return Some(Basis::Neighbour(node));
        }
        (!patient && self.config.unasked_goes_on).then_some(Basis::Unasked)
    }

    /// From here on the ledger signs, or does not; what was not signed meanwhile is.
    pub(crate) fn sign_or_not(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        let signs = self.signing.basis.is_some() && self.withheld().is_none();
        if std::mem::replace(&mut self.ledger.signs, signs) == signs || !signs {
            return Ok(());
        }
        self.publish_registry(turn);
        let unsaid = self.buffer.scan(turn.store, Derived, (b"s", &rows::after_prefix(b"s")), usize::MAX, false)?;
        for (row, said) in unsaid {
            self.publish_signed(turn, row.slice(1..), 1, &said);
            self.buffer.put(Derived, row, None);
        }
        Ok(())
    }

    /// A peer asks what is held here of its region's ledger.
    pub(crate) fn tell_head(&mut self, turn: &mut Turn<'_>, from: NodeId) {
        let Some(peer) = self.peers.get(&from) else { return };
        let ledger = peer.region.clone();
        let told = self.head_told(&ledger);
        turn.send(from, PeerMessage::HeadTold(told));
    }

    /// What is held here of a ledger.
    pub(crate) fn head_told(&mut self, ledger: &RegionId) -> HeadTold {
        let own = *ledger == self.config.region;
        let (size, root) = self.head(ledger).unwrap_or((0, trine_ledger::tree::empty_root()));
        let held = if own { self.ledger.note() } else { self.mirrors.note(ledger) };
        let known = self.metadata.head(ledger);
        let note = match (held, known) {
            (Some(held), Some((known, head))) => Some(if head.size > size { known } else { held }),
            (held, known) => held.or(known.map(|(note, _)| note)),
        };
        HeadTold {
            ledger: ledger.clone(),
            note,
            size,
            root: Bytes::copy_from_slice(&root),
            mirrors: self.mirrors_here(),
            asked: own && self.ledger.signs,
        }
    }

    /// The own head, told to all peers of its own accord because the metadata holds a larger one and passes it over.
    pub(crate) fn tell_own_head(&mut self, turn: &mut Turn<'_>) {
        if self.signing.signed <= self.ledger.size() || mutants::is(Mutant::OwnHeadSuppressed) {
            return;
        }
        // What it signed last, should it have gone on unasked and have stopped since.
        let Some(note) = self.ledger.last_signed() else { return };
        let told = HeadTold { note: Some(note), ..self.head_told(&self.config.region.clone()) };
        let peers: Vec<NodeId> = self.peers.keys().copied().collect();
        peers.into_iter().for_each(|node| turn.send(node, PeerMessage::HeadTold(told.clone())));
    }

    /// A peer tells what it holds of a ledger.
    pub(crate) fn take_head_told(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        told: HeadTold,
    ) -> Result<(), StoreError> {
        let own = told.ledger == self.config.region;
        let HeadTold { ledger, note, size, root, mirrors, asked } = told;
        let genesis = std::sync::Arc::clone(&self.config.genesis);
        let known = genesis.regions.iter().find(|region| region.id == ledger);
        let (Some(region), Ok(root)) = (known, Hash::try_from(root.as_ref())) else {
            self.counters.messages_refused += 1;
            return Ok(());
        };
        if let Some(note) = note {
            let Some(head) = self.notes.open(&genesis.cluster, region, &note) else {
                self.counters.messages_refused += 1;
                return Ok(());
            };
            let agrees = self.compare(turn, &ledger, &note, &head)?;
            if agrees && head.size > 0 && !self.quarantined(&ledger) {
                let version = Version { epoch: head.size, stamp: Timestamp::ZERO };
                let applied = self.metadata.state.apply([Entry { key: head_key(&ledger), version, value: note }]);
                self.metadata_changed(turn, applied.changed, false);
            }
        }
        let Some(peer) = self.peers.get(&from).filter(|_| own) else { return Ok(()) };
        let region = peer.region.clone();
        self.signing.holders.insert(from, size);
        if region != self.config.region {
            *self.signing.answers.entry(region).or_default() |= mirrors;
        } else if size <= self.ledger.size() {
            let here = if size == 0 { root } else { self.root_at(turn, &ledger, size)? };
            if here != root {
                let (held, theirs) = (self.own_statement(size, here), self.ledger.unsigned(size, root));
                self.keep_evidence(&ledger, &held, &theirs);
            } else if asked {
                self.signing.attested = Some(from);
            }
        }
        Ok(())
    }

    /// A leader that may not propose records now keeps none in its queue.
    pub(crate) fn release_records(&mut self) {
        let record = |command: &DraftCommand| match command {
            DraftCommand::Append(_) | DraftCommand::Deletion { .. } => true,
            DraftCommand::Removal { .. } => false,
            DraftCommand::Other(command) => {
                matches!(
                    command,
                    Command::CreateNamespace { .. } | Command::RenameNamespace { .. } | Command::Seal { .. }
                )
            }
        };
        self.release_queue_of(record);
    }
}
