//! What a peer's message leads to.

use trine_crdt::NodeId;

use crate::message::PeerMessage;
use crate::replica::Organs;
use crate::store::StoreError;
use crate::turn::Turn;
use crate::waiting::{Asked, Origin};

impl Organs {
    pub(crate) fn message(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        message: PeerMessage,
    ) -> Result<(), StoreError> {
        // A message may overtake the news that its stream stands, or come after that it is gone: it is as if lost.
        if !self.cluster.linked(from) {
            turn.counters.messages_refused += 1;
            return Ok(());
        }
        match message {
            PeerMessage::Metadata(bytes) => self.metadata_message(turn, from, &bytes)?,
            PeerMessage::Intervals { batch, intervals } => self.take_intervals(turn, from, batch, intervals)?,
            PeerMessage::Have { batch, upto } => self.take_have(turn, from, batch, &upto),
            PeerMessage::Vectors(hashes) => self.take_hashes(turn, from, &hashes),
            PeerMessage::Vector { vectors, reply } => self.take_vectors(turn, from, &vectors, reply),
            PeerMessage::PullPartition { partition, after, vector } => {
                self.serve_page(turn, from, &partition, &after, vector)?;
            }
            PeerMessage::PartitionPage { partition, objects, vector, next } => {
                self.take_page(turn, from, &partition, &objects, &vector, next.as_ref())?;
            }
            PeerMessage::Follow { ledger, from: next, window_bytes } => {
                self.take_follow(from, ledger, next, window_bytes);
            }
            PeerMessage::Tail { ledger, from: first, records, checkpoint } => {
                self.take_tail(turn, from, &ledger, first, records, checkpoint)?;
            }
            PeerMessage::Followed { ledger, from: next } => self.take_followed(from, ledger, next),
            PeerMessage::Forward { number, role, options, request, hops } => {
                let origin = Origin::Peer { node: from, number };
                self.forwarded_request(
                    turn,
                    Asked {
                        origin,
                        role,
                        options,
                        request,
                        hops,
                        tried: false,
                        passed: std::collections::BTreeSet::new(),
                        why: None,
                    },
                );
            }
            PeerMessage::Forwarded { number, answer } => self.forwarded_answer(turn, from, number, answer),
            PeerMessage::AskHoldings { after } => self.serve_holdings(turn, from, after),
            PeerMessage::Holdings(holdings) => self.take_holdings(turn, from, holdings),
            PeerMessage::CatchingUp(joining) => self.take_catching_up(turn, from, joining),
            PeerMessage::Register(registration) => self.take_registration(turn, from, registration),
            PeerMessage::NotAdmitted { node, reason } => self.cluster.take_not_admitted(turn, from, node, reason),
            PeerMessage::LetGo => self.take_let_go(turn, from),
            PeerMessage::ClockAsk { asked_ns } => {
                turn.send(from, PeerMessage::ClockTell { asked_ns, wall_ns: turn.now.wall_ns });
            }
            PeerMessage::ClockTell { asked_ns, wall_ns } => {
                turn.clock.told(turn.now, from, asked_ns, wall_ns);
                self.look_at_clock(turn);
            }
            PeerMessage::HeadAsked => self.tell_head(turn, from),
            PeerMessage::ExtensionAsked { ledger, from: size } => self.tell_extension(turn, from, ledger, size)?,
            PeerMessage::ExtensionTold { ledger, from: size, root, note, path } => {
                self.take_extension(turn, &ledger, size, (&root, &path), &note)?;
            }
            PeerMessage::HeadTold(told) => self.take_head_told(turn, from, told)?,
        }
        Ok(())
    }
}
