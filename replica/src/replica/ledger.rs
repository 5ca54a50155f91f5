//! The own region's ledger and whoever waits for it: queued, proposed, committed, answered.

use std::collections::BTreeSet;

use trine_crdt::{NamespaceId, Timestamp};
use trine_ledger::apply::Applied;
use trine_ledger::entry::Command;
use trine_protocol::reply::Recovered;
use trine_protocol::{Missing, Reply};

use super::Organs;
use super::namespaces::empty;
use crate::answers::{Served, plain, settled};
use crate::effect::Persistence::Derived;
use crate::input::{CommittedEntry, Payload, ProposeOutcome};
use crate::ledger::{Became, Draft, DraftCommand, Drafted, Entered, Withheld, makes_record};
use crate::mutants::{self, Mutant};
use crate::news::News;
use crate::not_ready::NotReady;
use crate::rows;
use crate::stop::Stop;
use crate::store::StoreError;
use crate::turn::Turn;
use crate::waiting::{Asked, Cause, Origin, Until};

impl Organs {
    /// Proposes what is queued, as far as proposals under way allow.
    pub(super) fn propose_queued(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        if !self.cluster.serving() || !turn.clock.believed() {
            return Ok(());
        }
        // A leader that may not propose records now keeps none in its queue.
        if self.ledger.withheld(&self.cluster).is_some() {
            self.release_queue_of(makes_record);
        }
        loop {
            let Self { ledger, cluster, records, waiting, objects, joining, .. } = self;
            let waits = |number| waiting.get(number).is_some();
            let empty = |turn: &mut Turn<'_>, namespace: &NamespaceId| empty(turn, objects, joining, namespace);
            let Some(drafted) = ledger.next_entry(turn, cluster, records, waits, empty)? else { return Ok(()) };
            let Drafted { entry, entered, refused } = drafted;
            for Entered { stamp, wait, with_proof, asked } in entered {
                self.waiting.change(wait, Cause::Commit { stamp, with_proof, asked });
            }
            for (wait, tried, error) in refused {
                if let Some(wait) = self.waiting.take(wait) {
                    self.answer(turn, wait.origin, settled(tried, Err(error)));
                }
            }
            if let Some((entry, stamps)) = entry {
                self.ledger.propose(turn, entry, stamps);
            }
        }
    }

    /// The driver says what became of a proposal.
    pub(super) fn proposed(&mut self, turn: &mut Turn<'_>, ticket: u64, outcome: ProposeOutcome) {
        let Some(stamps) = self.ledger.proposed(ticket, outcome) else { return };
        for stamp in stamps {
            if outcome == ProposeOutcome::Refused {
                self.cluster.removal_refused(&stamp);
            }
            // What may be in the log goes on waiting, unless its idempotency key makes a second try harmless.
            let surely_not = outcome == ProposeOutcome::Refused || mutants::is(Mutant::ProposeAgainAfterUnknown);
            self.waiting.not_committed(&stamp, surely_not, outcome == ProposeOutcome::Unknown);
        }
        self.reroute(turn);
    }

    /// Hands on what of the queue is such a command.
    pub(super) fn release_queue_of(&mut self, such: impl Fn(&DraftCommand) -> bool) {
        for draft in self.ledger.release(such) {
            self.waiting.released(draft.wait, draft.asked);
        }
    }

    /// The region's log committed entries.
    pub(super) fn committed(&mut self, turn: &mut Turn<'_>, entries: Vec<CommittedEntry>) -> Result<(), StoreError> {
        let mut voters_changed = false;
        for committed in entries {
            if let Payload::Membership { bytes, voters } = &committed.payload {
                turn.put(Derived, rows::MEMBERSHIP, Some(bytes.clone()));
                let row = self.cluster.set_voters(voters);
                turn.put(Derived, rows::VOTERS, Some(row));
                voters_changed = true;
            }
            for Became { stamp, applied } in self.ledger.apply(turn, &mut self.cluster, &mut self.records, committed)? {
                if let Applied::Sealed(segment) = &applied {
                    self.publish_segment(turn, segment);
                }
                if let Some(wait) = self.waiting.take_committed(&stamp) {
                    self.answer_applied(turn, wait, applied);
                }
            }
        }
        self.applied(turn, voters_changed);
        Ok(())
    }

    /// Ends a run of applied entries: tells whoever waits for it.
    fn applied(&mut self, turn: &mut Turn<'_>, voters_changed: bool) {
        if self.ledger.applied(turn) {
            self.publish_registry(turn);
            self.roster_changed(turn);
        } else if voters_changed {
            let own = BTreeSet::from([self.cluster.config().region.clone()]);
            self.rosters_changed(turn, &own);
        }
        self.ledger.restored(turn, &self.cluster);
        let (region, size) = (self.cluster.config().region.clone(), self.ledger.size());
        self.tell(turn, [News::Grew { region, size }]);
        self.wake_barriers(turn);
    }

    /// Proposes a seal when the open segment is large enough.
    pub(super) fn seal_tick(&mut self, turn: &Turn<'_>) {
        let waiting = &self.waiting;
        if self.ledger.seal_due(&self.cluster, |number| waiting.get(number).is_some()) {
            let wait = self.draft_own(turn, Command::Seal { stamp: Timestamp::ZERO });
            self.ledger.sealing(wait);
        }
    }

    /// Queues a command of this node's own; nobody waits for its answer. Returns its number among what waits.
    pub(super) fn draft_own(&mut self, turn: &Turn<'_>, command: Command) -> u64 {
        let deadline_ns = turn.now.monotonic_ns + 5_000_000_000;
        let wait = self.waiting.add(Origin::Own, deadline_ns, Cause::Queued { tried: false });
        let command = DraftCommand::Other(command);
        self.ledger.enqueue(Draft { wait, command, with_proof: false, asked: None });
        wait
    }

    /// An operator wants the lost records back; asked at the leader.
    pub(super) fn recover(
        &mut self,
        turn: &Turn<'_>,
        region: &trine_crdt::RegionId,
        asked: Box<Asked>,
    ) -> Result<Served, Stop> {
        if !self.cluster.is_own(region) {
            return Err(Missing::Ledger { region: region.clone() }.into());
        }
        Ok(match self.ledger.withheld(&self.cluster) {
            None => {
                let (size, restored) = (self.ledger.size(), self.ledger.put_back());
                Served::Now(plain(turn, Reply::Recovered(Recovered { size, restored })))
            }
            Some(Withheld::Behind { theirs, .. }) => {
                self.ledger.want_back();
                Served::Waits(Cause::Fresh { until: Until::Ledger(region.clone(), theirs), asked })
            }
            Some(Withheld::Asking) => Served::Waits(Cause::Route(asked)),
            Some(withheld) => return Err(NotReady::from(withheld).into()),
        })
    }
}
