//! Feeding those that follow a ledger here, as far as their windows allow.

use std::collections::VecDeque;

use bytes::Bytes;
use trine_crdt::{NodeId, RegionId};

use super::{Beside, Follower, Mirrors};
use crate::cluster::Cluster;
use crate::effect::Persistence::Derived;
use crate::marks::{self, Mark};
use crate::message::PeerMessage;
use crate::rows;
use crate::sizes::Sizes;
use crate::store::StoreError;
use crate::turn::Turn;

impl Mirrors {
    /// A peer wants to follow a ledger from here.
    pub(crate) fn take_follow(
        &mut self,
        cluster: &Cluster,
        from: NodeId,
        ledger: RegionId,
        next: u64,
        window_bytes: u64,
    ) {
        let window_bytes = window_bytes.min(cluster.config().sizes.follow_window_bytes);
        if window_bytes == 0 {
            self.followers.remove(&(from, ledger));
            return;
        }
        let known = cluster.is_own(&ledger) || self.mirrors.contains_key(&ledger);
        let known = known && !self.quarantined(cluster, &ledger);
        if known && cluster.linked(from) {
            self.followers.insert((from, ledger), Follower { next, window_bytes, under_way: VecDeque::new() });
        }
    }

    /// A follower has verified everything below `from`.
    pub(crate) fn take_followed(&mut self, node: NodeId, ledger: RegionId, from: u64) {
        if let Some(follower) = self.followers.get_mut(&(node, ledger)) {
            while follower.under_way.front().is_some_and(|(end, _)| *end <= from) {
                follower.under_way.pop_front();
            }
        }
    }

    /// Sends followers what their windows allow.
    pub(crate) fn feed(&mut self, turn: &mut Turn<'_>, beside: &mut Beside<'_>) -> Result<(), StoreError> {
        let hungry = |(_, ledger): &(NodeId, RegionId), follower: &Follower| {
            follower.next < self.held(beside, ledger) && follower.in_flight() < follower.window_bytes
        };
        let due: Vec<(NodeId, RegionId)> =
            self.followers.iter().filter(|(key, follower)| hungry(key, follower)).map(|(key, _)| key.clone()).collect();
        for key in due {
            while let Some(follower) = self.followers.get(&key) {
                if follower.next >= self.held(beside, &key.1) {
                    break;
                }
                if follower.in_flight() >= follower.window_bytes {
                    marks::reached(Mark::FollowerWaits);
                    break;
                }
                let next = follower.next;
                let Some((records, bytes, checkpoint)) = self.read_tail(turn, beside, &key.1, next)? else { break };
                let end = next + records.len() as u64;
                let follower = self.followers.get_mut(&key).expect("just seen");
                follower.next = end;
                follower.under_way.push_back((end, bytes));
                turn.send(key.0, PeerMessage::Tail { ledger: key.1.clone(), from: next, records, checkpoint });
            }
        }
        Ok(())
    }

    /// Records from `from` on and a checkpoint of their end.
    #[allow(clippy::type_complexity, reason = "one caller unpacks it at once")]
    fn read_tail(
        &self,
        turn: &mut Turn<'_>,
        beside: &mut Beside<'_>,
        ledger: &RegionId,
        from: u64,
    ) -> Result<Option<(Vec<Bytes>, u64, Bytes)>, StoreError> {
        let own = beside.cluster.is_own(ledger);
        // Where a tail may end: the own region's anywhere, a mirror's where a checkpoint was kept.
        let ends = if own {
            (from + 1..=beside.own.size()).take(beside.cluster.config().sizes.tail_records).collect()
        } else {
            kept_notes(turn, beside.cluster.config().sizes.tail_notes, ledger, from)?
        };
        let Sizes { tail_bytes, tail_records, .. } = beside.cluster.config().sizes;
        let (mut records, mut bytes) = (Vec::new(), 0);
        'ends: for end in ends {
            let fits = bytes < tail_bytes as u64 && end - from <= tail_records as u64;
            if !records.is_empty() && !fits {
                break;
            }
            let whole = records.len();
            for index in from + whole as u64..end {
                let Some(record) = beside.records.bytes(turn, ledger, index)? else {
                    records.truncate(whole);
                    break 'ends;
                };
                bytes += record.len() as u64;
                records.push(record);
            }
        }
        if records.is_empty() {
            return Ok(None);
        }
        let end = from + records.len() as u64;
        if end < self.held(beside, ledger) {
            marks::reached(Mark::TailCut);
        }
        let note = if own && end == beside.own.size() {
            beside.own.note()
        } else if own {
            let root = beside.records.root_at(turn, ledger, end)?;
            beside.own.sign(end, root)
        } else {
            turn.get(Derived, &rows::note(ledger, end))?
        };
        Ok(note.map(|note| (records, bytes, note)))
    }
}

/// The sizes above `from` of the first checkpoints kept with a mirror.
fn kept_notes(turn: &mut Turn<'_>, count: usize, ledger: &RegionId, from: u64) -> Result<Vec<u64>, StoreError> {
    let first = rows::note(ledger, from + 1);
    let last = rows::note(ledger, u64::MAX);
    let notes = turn.scan(Derived, (&first, &last), count, false)?;
    Ok(notes.iter().filter_map(|(key, _)| key.last_chunk::<8>()).map(|size| u64::from_be_bytes(*size)).collect())
}
