//! Whether a longer head extends what is held: asked for, proven, and kept as evidence where it does not.
//!
//! A tail that does not lead to its signed checkpoint may be its sender's invention, or the region's key signed another
//! history. Which of the two, a consistency proof tells: with it the sender states its root at the size that is held here.
//! If that leads to the signed head and is another than the root held here, the head contradicts what is held; nobody
//! but the region could have made it so.

use bytes::Bytes;
use trine_crdt::{NodeId, RegionId};
use trine_ledger::limits::PROOF_HASHES_MAX;
use trine_ledger::tree::{Hash, consistency_proof, verify_consistency};

use super::{Beside, Mirrors};
use crate::limits::ASK_EXTENSION_INTERVAL_MS;
use crate::message::PeerMessage;
use crate::mutants::{self, Mutant};
use crate::news::News;
use crate::store::StoreError;
use crate::turn::Turn;

impl Mirrors {
    /// Asks a peer for proof that its head of a ledger extends what is held here; not often.
    pub(crate) fn ask_extension(&mut self, turn: &mut Turn<'_>, beside: &Beside<'_>, node: NodeId, ledger: &RegionId) {
        let (now_ns, from) = (turn.now.monotonic_ns, self.held(beside, ledger));
        let asked_ns = self.forks.asked_ns.get(ledger).copied();
        let lately = asked_ns.is_some_and(|at| now_ns.saturating_sub(at) < ASK_EXTENSION_INTERVAL_MS * 1_000_000);
        if from > 0 && !lately {
            self.forks.asked_ns.insert(ledger.clone(), now_ns);
            turn.send(node, PeerMessage::ExtensionAsked { ledger: ledger.clone(), from });
        }
    }

    /// A peer asks for proof that what is held here extends what it holds.
    pub(crate) fn tell_extension(
        &mut self,
        turn: &mut Turn<'_>,
        beside: &mut Beside<'_>,
        to: NodeId,
        ledger: RegionId,
        from: u64,
    ) -> Result<(), StoreError> {
        let known = beside.cluster.config().genesis.regions.iter().any(|region| region.id == ledger);
        let size = if known { self.held(beside, &ledger) } else { 0 };
        let note = if beside.cluster.is_own(&ledger) { beside.own.note() } else { self.note(&ledger) };
        let Some(note) = note.filter(|_| (1..=size).contains(&from)) else { return Ok(()) };
        let root = beside.records.root_at(turn, &ledger, from)?;
        let Ok(path) = beside.records.with_tree(turn, &ledger, |read| consistency_proof(from, size, read))? else {
            return Ok(());
        };
        let path = path.iter().map(|hash| Bytes::copy_from_slice(hash)).collect();
        let root = Bytes::copy_from_slice(&root);
        turn.send(to, PeerMessage::ExtensionTold { ledger, from, root, note, path });
        Ok(())
    }

    /// A peer proves which root its head has at a size that is held here.
    pub(crate) fn take_extension(
        &mut self,
        turn: &mut Turn<'_>,
        beside: &mut Beside<'_>,
        ledger: &RegionId,
        from: u64,
        (root, path): (&Bytes, &[Bytes]),
        note: &Bytes,
    ) -> Result<Option<News>, StoreError> {
        let genesis = std::sync::Arc::clone(&beside.cluster.config().genesis);
        let region = genesis.regions.iter().find(|region| region.id == *ledger);
        let told = region.and_then(|region| self.notes.open(&genesis.cluster, region, note));
        let hash = |bytes: &Bytes| Hash::try_from(bytes.as_ref()).ok();
        let path: Option<Vec<Hash>> =
            if path.len() <= PROOF_HASHES_MAX { path.iter().map(hash).collect() } else { None };
        let held = (1..=self.held(beside, ledger)).contains(&from);
        let (Some(told), Some(root), Some(path), true) = (told, hash(root), path, held) else {
            turn.counters.messages_refused += 1;
            return Ok(None);
        };
        if verify_consistency(from, told.size, &root, &told.root, &path).is_err() {
            turn.counters.messages_refused += 1;
            return Ok(None);
        }
        let own = beside.cluster.is_own(ledger);
        let here = beside.records.root_at(turn, ledger, from)?;
        if here == root {
            return Ok(own.then_some(News::Extended { from, size: told.size }));
        }
        let held = if own { Some(beside.own.statement(from, here)) } else { self.note_from(turn, ledger, from)? };
        if let Some(held) = held.filter(|_| !mutants::is(Mutant::ForkIgnored)) {
            self.keep_evidence(turn, beside, ledger, &held, note);
        }
        Ok(None)
    }
}
