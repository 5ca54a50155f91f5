//! Taking a tail in: verified whole before any of it counts.

use bytes::Bytes;
use trine_crdt::{NodeId, RegionId};
use trine_ledger::record::Record;

use super::{Beside, Mirrors};
use crate::effect::Persistence::Derived;
use crate::limits::{DISTRUST_REST_MS, DISTRUST_REST_MS_MAX};
use crate::marks::{self, Mark};
use crate::message::PeerMessage;
use crate::mutants::{self, Mutant};
use crate::news::News;
use crate::rows;
use crate::store::StoreError;
use crate::turn::Turn;

/// A gap makes a mirror ask again at once, but not more often than this: what came too soon for that is asked for later.
pub(super) const GAP_ASK_NS: u64 = 300_000_000;

impl Mirrors {
    /// Takes in a tail: verified whole or not at all.
    pub(crate) fn take_tail(
        &mut self,
        turn: &mut Turn<'_>,
        beside: &mut Beside<'_>,
        from: NodeId,
        ledger: &RegionId,
        (first, records, note): (u64, Vec<Bytes>, Bytes),
    ) -> Result<Option<News>, StoreError> {
        if self.quarantined(beside.cluster, ledger) {
            return Ok(None);
        }
        let Some(mirror) = self.mirrors.get(ledger) else { return Ok(None) };
        let size = mirror.frontier.size();
        let Some(end) = first.checked_add(records.len() as u64) else {
            turn.counters.messages_refused += 1;
            return Ok(None);
        };
        if end <= size {
            turn.send(from, PeerMessage::Followed { ledger: ledger.clone(), from: size });
            return Ok(None);
        }
        if first > size || !beside.cluster.has_room(turn) {
            marks::reached(Mark::TailGap);
            // A tail was lost, or is not wanted now: ask again from what is held.
            let gap = first > size;
            if turn.now.monotonic_ns.saturating_sub(mirror.asked_ns) >= GAP_ASK_NS {
                self.follow(turn, beside, ledger);
            } else if let Some(mirror) = self.mirrors.get_mut(ledger) {
                mirror.gap |= gap;
            }
            return Ok(None);
        }
        let skip = usize::try_from(size - first).unwrap_or(usize::MAX);
        let mut frontier = mirror.frontier.clone();
        let head = beside.cluster.head(ledger).cloned();
        // The root where the latest head known ends, once these leaves reach it.
        let mut root_at_head = None;
        let (mut nodes, mut taken) = (Vec::new(), Vec::new());
        for bytes in records.into_iter().skip(skip) {
            let verified = Record::from_bytes(&bytes).ok().and_then(|record| Some((record.verify().ok()?, record)));
            let Some((header, record)) = verified else { return self.distrust(turn, from, ledger) };
            let leaf = record.leaf();
            frontier.push(leaf, |node| nodes.push(node));
            taken.push((bytes, header, record, leaf));
            if head.as_ref().is_some_and(|(_, head)| head.size == frontier.size()) {
                root_at_head = Some(frontier.root());
            }
        }
        let genesis = beside.cluster.config().genesis.regions.iter().find(|region| region.id == *ledger);
        let region = genesis.expect("mirrors are made of the genesis's regions");
        let told = self.notes.open(&beside.cluster.config().genesis.cluster, region, &note);
        let Some(told) = told else { return self.distrust(turn, from, ledger) };
        let agrees = told.size == frontier.size() && told.root == frontier.root();
        if !agrees && !mutants::is(Mutant::MirrorTrusts) {
            // Either the source made the records up, or the region's key signed another history.
            if self.compare(turn, beside, ledger, &note, &told)? {
                self.ask_extension(turn, beside, from, ledger);
            }
            return self.distrust(turn, from, ledger);
        }
        if let (Some((known, head)), Some(root)) = (&head, root_at_head)
            && head.root != root
        {
            self.keep_evidence(turn, beside, ledger, known, &note);
            return Ok(None);
        }
        let latest = taken.iter().map(|(_, header, ..)| header.stamp).max().unwrap_or_default();
        let observed = mutants::is(Mutant::MirrorStill) || turn.take_stamp(from, &latest).is_ok();
        if !observed && !mutants::is(Mutant::MirrorAnyDrift) {
            turn.counters.stamps_held += 1;
            return Ok(None);
        }
        beside.records.grow(turn, ledger, size, &nodes);
        turn.counters.records_mirrored += taken.len() as u64;
        let begins = if mutants::is(Mutant::TailFromWrongIndex) { first } else { size };
        for (index, (bytes, header, record, leaf)) in (begins..).zip(taken) {
            turn.put(Derived, rows::mirrored(ledger, index), Some(bytes));
            if let Some(body) = &record.body {
                beside.records.index(turn, ledger, index, &header, &body.key, leaf);
            }
        }
        let state = (Bytes::from(frontier.to_bytes()), note.clone());
        turn.put(Derived, rows::mirror(ledger), Some(trine_crdt::codec::encode(&state).into()));
        turn.put(Derived, rows::note(ledger, frontier.size()), Some(note.clone()));
        let held = frontier.size();
        let mirror = self.mirrors.get_mut(ledger).expect("just seen");
        (mirror.frontier, mirror.note, mirror.progress_ns) = (frontier, Some(note), turn.now.monotonic_ns);
        mirror.distrusted = 0;
        turn.send(from, PeerMessage::Followed { ledger: ledger.clone(), from: held });
        Ok(Some(News::Grew { region: ledger.clone(), size: held }))
    }

    /// A source sent what does not verify: leave it for another.
    #[allow(clippy::unnecessary_wraps, reason = "ends its caller")]
    fn distrust(&mut self, turn: &mut Turn<'_>, from: NodeId, ledger: &RegionId) -> Result<Option<News>, StoreError> {
        turn.counters.messages_refused += 1;
        marks::reached(Mark::TailDistrusted);
        let mirror = self.mirrors.get_mut(ledger).expect("its caller has seen it");
        // Whoever was not asked cannot make this node leave who was.
        if mirror.source != Some(from) {
            return Ok(None);
        }
        mirror.left += 1;
        mirror.source = None;
        mirror.progress_ns = turn.now.monotonic_ns;
        // Where no source has what follows, asking on and on would bring no more than asking now and then.
        let rest_ms = DISTRUST_REST_MS.saturating_mul(1 << mirror.distrusted.min(16)).min(DISTRUST_REST_MS_MAX);
        mirror.distrusted += 1;
        mirror.rests_until_ns = turn.now.monotonic_ns + rest_ms * 1_000_000;
        Ok(None)
    }
}
