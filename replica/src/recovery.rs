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
use trine_crdt::{NodeId, RegionId, Timestamp};
use trine_ledger::entry::{Command, Entry};
use trine_ledger::record::Record;
use trine_ledger::tree::Frontier;
use trine_protocol::{Reply, RequestError};

use crate::authored;
use crate::effect::Effect;
use crate::limits::{FOLLOW_WINDOW_BYTES, RECOVERY_STALLED_MS, REGISTRY_VERSION_MAX};
use crate::message::PeerMessage;
use crate::metadata::{registry_bytes, registry_key};
use crate::replica::Organs;
use crate::requests::{Served, plain};
use crate::signing::Withheld;
use crate::store::StoreError;
use crate::turn::Turn;
use crate::waiting::{Asked, Cause, Until};

/// What is being brought back.
#[derive(Debug, Default)]
pub struct Recovery {
    wanted: bool,
    run: Option<Run>,
    /// How many sources were left.
    left: usize,
    /// How many records this incarnation applied that were put back.
    pub(crate) restored: u64,
    /// The draft that takes the registry in, by its number among what waits.
    resuming: u64,
    /// This leader's registry is older than what the region signed.
    pub(crate) registry_behind: bool,
}

/// One source, followed.
#[derive(Debug)]
struct Run {
    source: NodeId,
    /// The own tree, with all that was proposed.
    frontier: Frontier,
    progress_ns: u64,
}

impl Organs {
    /// An operator wants the lost records back; asked at the leader.
    pub(crate) fn recover(&mut self, turn: &Turn<'_>, region: &RegionId, asked: Box<Asked>) -> Served {
        if *region != self.cluster.config().region {
            let what = format!("the ledger of {region} here: ask a node of {region}");
            return RequestError::NotFound { what }.into();
        }
        match self.withheld() {
            None => {
                let (size, restored) = (self.ledger.size(), self.recovery.restored);
                Served::Now(Ok(plain(turn, Reply::Recovered { size, restored })))
            }
            Some(Withheld::Behind { theirs, .. }) => {
                self.recovery.wanted = true;
                Served::Waits(Cause::Fresh { until: Until::Ledger(region.clone(), theirs), asked })
            }
            Some(Withheld::Asking) => Served::Waits(Cause::Route(asked)),
            Some(withheld) => RequestError::Unavailable { what: withheld.to_string() }.into(),
        }
    }

    /// How far it has come.
    pub(crate) fn recovery_words(&self, theirs: u64) -> String {
        let here = self.ledger.size();
        let more = self.signing.holders.iter().any(|(node, held)| *held > here && self.cluster.linked(*node));
        let rest = if more {
            "the others are coming"
        } else {
            "no node that can be reached holds more; if nobody does, cluster.forks_released gives them up"
        };
        format!("{here} of {theirs} records are here, {rest}")
    }

    /// Follows a source while something is to be brought back.
    pub(crate) fn recovery_tick(&mut self, turn: &mut Turn<'_>) {
        self.resume_registry(turn);
        let lost = matches!(self.withheld(), Some(Withheld::Behind { leads: true, .. }));
        if !self.recovery.wanted || !lost {
            self.recovery.wanted &= self.cluster.serving() && self.withheld().is_some();
            self.stop_recovery(turn);
            return;
        }
        let now_ns = turn.now.monotonic_ns;
        if let Some(run) = &self.recovery.run {
            if now_ns.saturating_sub(run.progress_ns) < RECOVERY_STALLED_MS * 1_000_000 {
                return;
            }
            self.recovery.left += 1;
            self.stop_recovery(turn);
        }
        let here = self.ledger.size();
        let more = |(node, held): &(&NodeId, &u64)| **held > here && self.cluster.linked(**node);
        let sources: Vec<NodeId> = self.signing.holders.iter().filter(more).map(|(node, _)| *node).collect();
        if sources.is_empty() {
            return;
        }
        let source = sources[self.recovery.left % sources.len()];
        let frontier = self.ledger.state.frontier().clone();
        self.recovery.run = Some(Run { source, frontier, progress_ns: now_ns });
        let ledger = self.cluster.config().region.clone();
        turn.send(source, PeerMessage::Follow { ledger, from: here, window_bytes: FOLLOW_WINDOW_BYTES });
    }

    fn stop_recovery(&mut self, turn: &mut Turn<'_>) {
        if let Some(Run { source, .. }) = self.recovery.run.take() {
            let (ledger, from) = (self.cluster.config().region.clone(), self.ledger.size());
            turn.send(source, PeerMessage::Follow { ledger, from, window_bytes: 0 });
        }
    }

    /// A source frees its window for what was put back.
    pub(crate) fn restored(&mut self, turn: &mut Turn<'_>) {
        let from = self.ledger.size();
        if let Some(run) = &mut self.recovery.run {
            run.progress_ns = turn.now.monotonic_ns;
            turn.send(run.source, PeerMessage::Followed { ledger: self.cluster.config().region.clone(), from });
        }
    }

    /// Takes a tail of the own ledger: verified whole or not at all, then proposed.
    pub(crate) fn take_lost_tail(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        first: u64,
        records: &[Bytes],
        note: &Bytes,
    ) -> Result<(), StoreError> {
        let Some(run) = self.recovery.run.as_ref().filter(|run| run.source == from) else { return Ok(()) };
        if !self.cluster.serving() || first > run.frontier.size() {
            return Ok(());
        }
        let skip = usize::try_from(run.frontier.size() - first).unwrap_or(usize::MAX);
        let (mut frontier, mut commands, mut stamps) = (run.frontier.clone(), Vec::new(), Vec::new());
        for bytes in records.iter().skip(skip) {
            let verified = Record::from_bytes(bytes).ok().and_then(|record| Some((record.verify().ok()?, record)));
            let Some((header, record)) = verified else { return self.leave_source(turn) };
            let Some(body) = record.body.clone().map(Box::new) else { return self.leave_source(turn) };
            commands.push(Command::Restore { index: frontier.size(), header: record.header.clone(), body });
            stamps.push(header.stamp);
            frontier.push(record.leaf(), |_| {});
        }
        if commands.is_empty() {
            return Ok(());
        }
        let genesis = std::sync::Arc::clone(&self.cluster.config().genesis);
        let region = genesis.regions.iter().find(|region| self.cluster.is_own(&region.id));
        let told = region.and_then(|region| self.mirrors.open_note(&self.cluster, region, note));
        let Some(told) = told else { return self.leave_source(turn) };
        if told.size != frontier.size() || told.root != frontier.root() {
            let own = self.cluster.config().region.clone();
            let (mirrors, beside) = self.mirrors_and();
            mirrors.ask_extension(turn, &beside, from, &own);
            return self.leave_source(turn);
        }
        let Ok(entry) = (Entry { commands }).to_bytes() else { return self.leave_source(turn) };
        let ticket = self.ledger.ticket(stamps);
        turn.effects.push(Effect::Propose { ticket, entry });
        if let Some(run) = &mut self.recovery.run {
            (run.frontier, run.progress_ns) = (frontier, turn.now.monotonic_ns);
        }
        Ok(())
    }

    #[allow(clippy::unnecessary_wraps, reason = "ends its caller")]
    fn leave_source(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        turn.counters.messages_refused += 1;
        self.recovery.left += 1;
        self.stop_recovery(turn);
        Ok(())
    }

    /// A leader whose registry is older than what its region signed takes that in.
    fn resume_registry(&mut self, turn: &mut Turn<'_>) {
        let known = self.metadata.state.get(&registry_key(&self.cluster.config().region)).cloned();
        let ours = self.ledger.registry_epoch.saturating_add(1);
        let older = known.as_ref().filter(|known| known.version.epoch <= REGISTRY_VERSION_MAX).is_some_and(|known| {
            let differs = || {
                let without = self.cluster.own().without_namespaces();
                authored::said_in(&known.bytes).is_none_or(|said| said != registry_bytes(&without))
            };
            known.version.epoch > ours || known.version.epoch == ours && differs()
        });
        self.recovery.registry_behind = self.cluster.serving() && older;
        if !self.recovery.registry_behind || self.waiting.get(self.recovery.resuming).is_some() {
            return;
        }
        let (Some(known), Some(told)) = (known, self.cluster.told().get(&self.cluster.config().region)) else { return };
        let (version, registry) = (known.version.epoch, Box::new(told.clone()));
        self.recovery.resuming = self.draft_own(turn, Command::Resume { stamp: Timestamp::ZERO, version, registry });
    }
}
