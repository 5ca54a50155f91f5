//! What is said between nodes of ledgers' heads: asked, told, compared, and what follows for the own region's ledger.

use bytes::Bytes;
use trine_crdt::{NodeId, RegionId};
use trine_ledger::tree::Hash;

use super::Organs;
use crate::ledger::LostTail;
use crate::message::{HeadTold, PeerMessage};
use crate::mutants::{self, Mutant};
use crate::store::StoreError;
use crate::turn::Turn;

impl Organs {
    /// Asks what others hold of the own region's ledger, and signs or does not.
    pub(super) fn signing_tick(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        self.ledger.founding_tick(turn, &self.cluster);
        if let Some(longer) = self.ledger.signing_tick(turn, &self.cluster) {
            let own = self.cluster.config().region.clone();
            let (mirrors, beside) = self.mirrors_and();
            mirrors.ask_extension(turn, &beside, longer, &own);
        }
        self.sign_or_not(turn)
    }

    /// From here on the ledger signs, or does not; what was not signed meanwhile is.
    pub(super) fn sign_or_not(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        if self.ledger.begins_to_sign(&self.cluster) {
            self.publish_registry(turn);
            let signs = self.ledger.may_sign();
            let news = self.metadata.publish_unsaid(turn, &mut self.cluster, signs)?;
            self.tell(turn, news);
        }
        Ok(())
    }

    /// A peer asks what is held here of its region's ledger.
    pub(super) fn tell_head(&mut self, turn: &mut Turn<'_>, from: NodeId) {
        let Some(peer) = self.cluster.peers().get(&from) else { return };
        let ledger = peer.region.clone();
        let (mirrors, mut beside) = self.mirrors_and();
        let told = mirrors.told(&mut beside, &ledger);
        turn.send(from, PeerMessage::HeadTold(told));
    }

    /// The own head, told to all peers of its own accord because the metadata holds a larger one and passes it over.
    pub(super) fn tell_own_head(&mut self, turn: &mut Turn<'_>) {
        if !self.ledger.behind_its_key() || mutants::is(Mutant::OwnHeadSuppressed) {
            return;
        }
        // What it signed last, should it have gone on unasked and have stopped since.
        let Some(note) = self.ledger.last_signed() else { return };
        let own = self.cluster.config().region.clone();
        let (mirrors, mut beside) = self.mirrors_and();
        let told = HeadTold { note: Some(note), ..mirrors.told(&mut beside, &own) };
        let peers: Vec<NodeId> = self.cluster.peers().keys().copied().collect();
        peers.into_iter().for_each(|node| turn.send(node, PeerMessage::HeadTold(told.clone())));
    }

    /// A peer tells what it holds of a ledger.
    pub(super) fn take_head_told(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        told: HeadTold,
    ) -> Result<(), StoreError> {
        let HeadTold { ledger, note, size, root, mirrors: mirrored, asked, joined } = told;
        let genesis = std::sync::Arc::clone(&self.cluster.config().genesis);
        let known = genesis.regions.iter().find(|region| region.id == ledger);
        let (Some(region), Ok(root)) = (known, Hash::try_from(root.as_ref())) else {
            turn.counters.messages_refused += 1;
            return Ok(());
        };
        if let Some(note) = note {
            let Some(head) = self.mirrors.open_note(&self.cluster, region, &note) else {
                turn.counters.messages_refused += 1;
                return Ok(());
            };
            let (mirrors, mut beside) = self.mirrors_and();
            let agrees = mirrors.compare(turn, &mut beside, &ledger, &note, &head)?;
            if agrees && head.size > 0 && !self.mirrors.quarantined(&self.cluster, &ledger) {
                let news = self.metadata.put_head(turn, &mut self.cluster, (&ledger, head.size), note);
                self.tell(turn, news);
            }
        }
        if self.cluster.is_own(&ledger) {
            if self.ledger.holds_nothing() && self.cluster.linked(from) {
                let named = joined.filter(|name| name.len() <= trine_ledger::limits::NAME_BYTES_MAX);
                self.ledger.take_joined(&self.cluster, from, named);
            }
            let told = (size, root, mirrored, asked);
            let told = self.ledger.take_told(turn, &self.cluster, &self.records, from, told)?;
            if let Some((held, theirs)) = told {
                let (mirrors, mut beside) = self.mirrors_and();
                mirrors.keep_evidence(turn, &mut beside, &ledger, &held, &theirs);
            }
        }
        Ok(())
    }

    /// A mirror sends what the own region lost.
    pub(super) fn take_lost_tail(&mut self, turn: &mut Turn<'_>, from: NodeId, records: (u64, &[Bytes]), note: &Bytes) {
        let Self { ledger, cluster, mirrors, .. } = self;
        let own = cluster.config().genesis.regions.iter().find(|region| cluster.is_own(&region.id));
        let open = || own.and_then(|region| mirrors.open_note(cluster, region, note));
        let came = ledger.take_lost_tail(turn, cluster, from, records, open);
        if came == LostTail::Contradicts {
            let own: RegionId = self.cluster.config().region.clone();
            let (mirrors, beside) = self.mirrors_and();
            mirrors.ask_extension(turn, &beside, from, &own);
        }
        if came != LostTail::Passed {
            self.ledger.leave_source(turn, &self.cluster);
        }
    }

    /// Brings back what the own region lost, its registry first.
    pub(super) fn recovery_tick(&mut self, turn: &mut Turn<'_>) {
        let known = self.metadata.registry(&self.cluster.config().region);
        let waiting = &self.waiting;
        let waits = |number| waiting.get(number).is_some();
        if let Some(command) = self.ledger.resume_registry(&self.cluster, known, waits) {
            let wait = self.draft_own(turn, command);
            self.ledger.resuming(wait);
        }
        self.ledger.recovery_tick(turn, &self.cluster);
    }
}
