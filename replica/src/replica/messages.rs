//! What a peer's message leads to.

use trine_crdt::NodeId;

use super::Organs;
use crate::marks::{self, Mark};
use crate::message::{Interval, PeerMessage};
use crate::objects::Receipt;
use crate::store::StoreError;
use crate::turn::Turn;
use crate::waiting::{Asked, Origin};

impl Organs {
    /// A peer says something.
    pub(super) fn message(
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
            PeerMessage::Have { batch, upto } => {
                let news = self.objects.take_have(&self.cluster, from, batch, upto);
                self.tell(turn, news);
            }
            PeerMessage::Vectors(hashes) => {
                let news = self.objects.note_equal(&self.cluster, from, &hashes);
                self.tell(turn, news);
                self.objects.answer_hashes(turn, &self.cluster, from, &hashes);
            }
            PeerMessage::Vector { vectors, reply } => {
                let (news, behind) = self.objects.take_vectors(&self.cluster, from, &vectors, reply);
                self.tell(turn, news);
                if reply {
                    self.objects.tell_vectors(turn, from, behind);
                }
            }
            PeerMessage::PullPartition { partition, after, vector } => {
                self.objects.serve_page(turn, &self.cluster, from, &partition, &after, vector)?;
            }
            PeerMessage::PartitionPage { partition, objects, vector, next } => {
                let next = next.as_ref();
                let news = self.objects.take_page(turn, &self.cluster, from, (&partition, &objects), &vector, next)?;
                self.tell(turn, news);
            }
            PeerMessage::Follow { ledger, from: next, window_bytes } => {
                self.mirrors.take_follow(&self.cluster, from, ledger, next, window_bytes);
            }
            PeerMessage::Tail { ledger, from: first, records, checkpoint } => {
                if self.cluster.is_own(&ledger) {
                    self.take_lost_tail(turn, from, (first, &records), &checkpoint);
                } else {
                    let (mirrors, mut beside) = self.mirrors_and();
                    let news = mirrors.take_tail(turn, &mut beside, from, &ledger, (first, records, checkpoint))?;
                    self.tell(turn, news);
                }
            }
            PeerMessage::Followed { ledger, from: next } => self.mirrors.take_followed(from, ledger, next),
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
            PeerMessage::Holdings(holdings) => self.joining.take_holdings(turn, from, holdings),
            PeerMessage::CatchingUp(joining) => self.joining.take_catching_up(turn, from, joining),
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
            PeerMessage::ExtensionAsked { ledger, from: size } => {
                let (mirrors, mut beside) = self.mirrors_and();
                mirrors.tell_extension(turn, &mut beside, from, ledger, size)?;
            }
            PeerMessage::ExtensionTold { ledger, from: size, root, note, path } => {
                let (mirrors, mut beside) = self.mirrors_and();
                let news = mirrors.take_extension(turn, &mut beside, &ledger, size, (&root, &path), &note)?;
                self.tell(turn, news);
            }
            PeerMessage::HeadTold(told) => self.take_head_told(turn, from, told)?,
        }
        Ok(())
    }

    fn take_intervals(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        batch: u64,
        intervals: Vec<Interval>,
    ) -> Result<(), StoreError> {
        if !self.cluster.has_room(turn) {
            marks::reached(Mark::MessagePassedOver);
            return Ok(());
        }
        let mut receipt = Receipt::default();
        for interval in intervals {
            let news = self.objects.take_interval(turn, &self.cluster, from, interval, &mut receipt)?;
            self.tell(turn, news);
        }
        self.objects.acknowledge(turn, &self.cluster, from, batch, receipt);
        Ok(())
    }
}
