//! Bringing back what the region's disks lost and other regions kept.
//!
//! A record's index, stamp, salts and leaf all follow from its header and body, and a mirror has both. So what was lost
//! comes back as the very records that they were: the leader follows its own ledger at a mirror, checks that the records lead
//! from its own tree to a head that the region's key signed, and proposes each to be put back at its index. Who applies
//! them passes over one that is not next, so a proposal whose fate is unknown may be made again.
//!
//! An operator asks for it; until then the region takes no appends (`signing`). What only the log knew does not come back:
//! a repeat of an append with an idempotency key, made within ten minutes before the loss, is a second record.
//!
//! The registry (nodes that were retired, namespaces) comes back by itself, from what the region signed of it, and its
//! versions count on above those that were told: a log that began anew would number its changes and namespaces as before.

use bytes::Bytes;
use trine_crdt::{NodeId, Timestamp};
use trine_ledger::checkpoint::Checkpoint;
use trine_ledger::entry::{Command, Entry};
use trine_ledger::record::Record;
use trine_ledger::registry::Registry;
use trine_ledger::tree::Frontier;

use super::{OwnLedger, Withheld};
use crate::cluster::Cluster;
use crate::cluster::registry_bytes;
use crate::limits::{FOLLOW_WINDOW_BYTES, RECOVERY_STALLED_MS, REGISTRY_VERSION_MAX};
use crate::message::PeerMessage;
use crate::turn::Turn;

/// What is being brought back.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    wanted: bool,
    run: Option<Run>,
    /// How many sources were left.
    left: usize,
    /// How many records this incarnation applied that were put back.
    pub(super) restored: u64,
    /// The draft that takes the registry in, by its number among what waits.
    resuming: u64,
    /// This leader's registry is older than what the region signed.
    pub(super) registry_behind: bool,
}

/// One source, followed.
#[derive(Debug)]
struct Run {
    source: NodeId,
    /// The own tree, with all that was proposed.
    frontier: Frontier,
    progress_ns: u64,
}

impl OwnLedger {
    /// How far it has come.
    pub(crate) fn recovery_words(&self, cluster: &Cluster, theirs: u64) -> String {
        let here = self.size();
        let more = self.asked.holders.iter().any(|(node, held)| *held > here && cluster.linked(*node));
        let rest = if more {
            "the others are coming"
        } else {
            "no node that can be reached holds more; if nobody does, cluster.forks_released gives them up"
        };
        format!("{here} of {theirs} records are here, {rest}")
    }

    /// Follows a source while something is to be brought back.
    pub(crate) fn recovery_tick(&mut self, turn: &mut Turn<'_>, cluster: &Cluster) {
        let lost = matches!(self.withheld(cluster), Some(Withheld::Behind { leads: true, .. }));
        if !self.recovery.wanted || !lost {
            self.recovery.wanted &= cluster.serving() && self.withheld(cluster).is_some();
            self.stop_recovery(turn, cluster);
            return;
        }
        let now_ns = turn.now.monotonic_ns;
        if let Some(run) = &self.recovery.run {
            if now_ns.saturating_sub(run.progress_ns) < RECOVERY_STALLED_MS * 1_000_000 {
                return;
            }
            self.recovery.left += 1;
            self.stop_recovery(turn, cluster);
        }
        let here = self.size();
        let more = |(node, held): &(&NodeId, &u64)| **held > here && cluster.linked(**node);
        let sources: Vec<NodeId> = self.asked.holders.iter().filter(more).map(|(node, _)| *node).collect();
        if sources.is_empty() {
            return;
        }
        let source = sources[self.recovery.left % sources.len()];
        let frontier = self.state.frontier().clone();
        self.recovery.run = Some(Run { source, frontier, progress_ns: now_ns });
        let ledger = cluster.config().region.clone();
        turn.send(source, PeerMessage::Follow { ledger, from: here, window_bytes: FOLLOW_WINDOW_BYTES });
    }

    fn stop_recovery(&mut self, turn: &mut Turn<'_>, cluster: &Cluster) {
        if let Some(Run { source, .. }) = self.recovery.run.take() {
            let (ledger, from) = (cluster.config().region.clone(), self.size());
            turn.send(source, PeerMessage::Follow { ledger, from, window_bytes: 0 });
        }
    }

    /// A source frees its window for what was put back.
    pub(crate) fn restored(&mut self, turn: &mut Turn<'_>, cluster: &Cluster) {
        let from = self.size();
        if let Some(run) = &mut self.recovery.run {
            run.progress_ns = turn.now.monotonic_ns;
            turn.send(run.source, PeerMessage::Followed { ledger: cluster.config().region.clone(), from });
        }
    }

    /// Takes a tail of the own ledger: verified whole or not at all, then proposed. `open` reads a checkpoint that the
    /// region's key signed.
    pub(crate) fn take_lost_tail(
        &mut self,
        turn: &mut Turn<'_>,
        cluster: &Cluster,
        from: NodeId,
        (first, records): (u64, &[Bytes]),
        open: impl FnOnce() -> Option<Checkpoint>,
    ) -> LostTail {
        let Some(run) = self.recovery.run.as_ref().filter(|run| run.source == from) else { return LostTail::Passed };
        if !cluster.serving() || first > run.frontier.size() {
            return LostTail::Passed;
        }
        let skip = usize::try_from(run.frontier.size() - first).unwrap_or(usize::MAX);
        let (mut frontier, mut commands, mut stamps) = (run.frontier.clone(), Vec::new(), Vec::new());
        for bytes in records.iter().skip(skip) {
            let verified = Record::from_bytes(bytes).ok().and_then(|record| Some((record.verify().ok()?, record)));
            let Some((header, record)) = verified else { return LostTail::Unproven };
            let Some(body) = record.body.clone().map(Box::new) else { return LostTail::Unproven };
            commands.push(Command::Restore { index: frontier.size(), header: record.header.clone(), body });
            stamps.push(header.stamp);
            frontier.push(record.leaf(), |_| {});
        }
        if commands.is_empty() {
            return LostTail::Passed;
        }
        let Some(told) = open() else { return LostTail::Unproven };
        if told.size != frontier.size() || told.root != frontier.root() {
            return LostTail::Contradicts;
        }
        let Ok(entry) = (Entry { commands }).to_bytes() else { return LostTail::Unproven };
        self.propose(turn, entry, stamps);
        if let Some(run) = &mut self.recovery.run {
            (run.frontier, run.progress_ns) = (frontier, turn.now.monotonic_ns);
        }
        LostTail::Passed
    }

    /// The source is left for another.
    pub(crate) fn leave_source(&mut self, turn: &mut Turn<'_>, cluster: &Cluster) {
        turn.counters.messages_refused += 1;
        self.recovery.left += 1;
        self.stop_recovery(turn, cluster);
    }

    /// A leader whose registry is older than what its region signed, of which this is the version and what it says without
    /// namespaces, takes that in: the command that does, unless it is asked for already. Namespaces are told apart from the
    /// rest, so that either may be heard of later.
    pub(crate) fn resume_registry(
        &mut self,
        cluster: &Cluster,
        known: Option<(u64, Option<Bytes>)>,
        waits: impl Fn(u64) -> bool,
    ) -> Option<Command> {
        let ours = self.registry_version();
        let known = known.filter(|(version, _)| *version <= REGISTRY_VERSION_MAX);
        let older = known.as_ref().is_some_and(|(version, said)| {
            let differs = || {
                let without = self.state.registry().without_namespaces();
                said.as_ref().is_none_or(|said| *said != registry_bytes(&without))
            };
            *version > ours || *version == ours && differs()
        });
        let told = cluster.told().get(&cluster.config().region);
        let unheard = told.and_then(|told| self.unheard_namespaces(told));
        self.recovery.registry_behind = cluster.serving() && (older || unheard.is_some());
        if !self.recovery.registry_behind || waits(self.recovery.resuming) {
            return None;
        }
        let version = known.map_or(0, |(version, _)| version).max(unheard.unwrap_or_default());
        Some(Command::Resume { stamp: Timestamp::ZERO, version, registry: Box::new(told?.clone()) })
    }

    /// The version above all that was told of namespaces of this region and is not applied here; none: nothing was.
    fn unheard_namespaces(&self, told: &Registry) -> Option<u64> {
        let own = &self.state.registry().namespaces;
        let unheard = told.namespaces.values().filter(|said| {
            let newer = own.get(&said.id).is_none_or(|known| said.altered > known.altered);
            said.id.region == *self.state.region() && said.latest() < REGISTRY_VERSION_MAX && newer
        });
        unheard.map(|said| said.latest().saturating_add(1)).max()
    }

    /// The registry is being taken in, by this number among what waits.
    pub(crate) fn resuming(&mut self, wait: u64) {
        self.recovery.resuming = wait;
    }

    /// An operator wants the lost records back.
    pub(crate) fn want_back(&mut self) {
        self.recovery.wanted = true;
    }

    /// How many records this incarnation applied that were put back.
    pub(crate) fn put_back(&self) -> u64 {
        self.recovery.restored
    }
}

/// What came of a tail of the own ledger.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LostTail {
    /// It was proposed, or is not wanted.
    Passed,
    /// It does not verify: its sender is to be left.
    Unproven,
    /// It does not lead to its checkpoint, although the region's key signed that: its sender is to prove it, and is left.
    Contradicts,
}
