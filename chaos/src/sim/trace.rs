//! What happened, folded into one number: the same seed must come to the same number again.

use trine_replica::{Effect, Input, PeerMessage};

use crate::sim::disk::Rows;

/// A running hash of inputs and effects, and how many inputs there were.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    hash: u64,
    /// How many inputs went through a core's door.
    pub inputs: u64,
    /// How many starts, crashes and the like were marked.
    pub marks: u64,
}

impl Trace {
    /// An input is handed over.
    pub fn input(&mut self, now_ns: u64, node: usize, input: &Input) {
        self.inputs += 1;
        let kind = match input {
            Input::Tick => 1,
            Input::Message { message, .. } => 100 + message_kind(message),
            Input::Rumor { bytes, .. } => 1_000 + bytes.len() as u64,
            Input::PeerUp(_) => 2,
            Input::PeerDown(_) => 3,
            Input::Request { id, .. } => 10_000 + id,
            Input::Persisted(batch) => 1_000_000 + batch,
            Input::Committed { entries, .. } => 20_000 + entries.len() as u64,
            Input::Leadership { .. } => 4,
            Input::Voters(_) => 7,
            Input::Proposed { ticket, .. } => 2_000_000 + ticket,
            Input::ReadIndex { .. } => 5,
            Input::Damaged(_) => 8,
            Input::Disk { .. } => 6,
            Input::HeldBack(_) => 9,
            Input::OtherGroup(_) => 10,
        };
        self.fold(now_ns);
        self.fold((node as u64) << 32 ^ kind);
    }

    /// An effect is carried out.
    pub fn effect(&mut self, effect: &Effect) {
        let kind = match effect {
            Effect::Persist(batch) => {
                let bytes: usize =
                    batch.rows.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, bytes::Bytes::len)).sum();
                1_000_000 + bytes as u64
            }
            Effect::Send { to, message } => to.0 ^ message_kind(message),
            Effect::Publish(bytes) => 3_000 + bytes.len() as u64,
            Effect::Propose { entry, .. } => 4_000_000 + entry.len() as u64,
            Effect::ReadIndex { .. } => 7,
            Effect::Reply { request, answer } => (*request << 1) ^ u64::from(answer.is_ok()),
            Effect::Peers(peers) => 5_000 + peers.len() as u64,
            Effect::Roster { roster, .. } => 6_000 + roster.nodes.len() as u64,
            Effect::Halt(_) => 8,
            Effect::Leave { .. } => 9,
            Effect::StepDown => 10,
        };
        self.fold(kind);
    }

    /// A fault, or its end.
    pub fn mark(&mut self, now_ns: u64, node: usize, what: u64) {
        self.marks += 1;
        self.fold(now_ns ^ what);
        self.fold(node as u64);
    }

    /// What a node's disk holds in the end: what is traced on the way are kinds and lengths.
    pub fn contents(&mut self, rows: &Rows) {
        let mut hasher = blake3::Hasher::new();
        for (key, value) in rows {
            for bytes in [key, value] {
                hasher.update(&(bytes.len() as u64).to_be_bytes()).update(bytes);
            }
        }
        let words = hasher.finalize();
        words.as_bytes().as_chunks::<8>().0.iter().for_each(|word| self.fold(u64::from_be_bytes(*word)));
    }

    /// The hash so far.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// FNV-1a over 64-bit words, with a final rotation to spread the low bits.
    fn fold(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    }
}

fn message_kind(message: &PeerMessage) -> u64 {
    match message {
        PeerMessage::Metadata(bytes) => 1 + ((bytes.len() as u64) << 8),
        PeerMessage::Intervals { intervals, .. } => 2 + ((intervals.len() as u64) << 8),
        PeerMessage::Have { upto, .. } => 3 + ((upto.len() as u64) << 8),
        PeerMessage::Vectors(hashes) => 4 + ((hashes.len() as u64) << 8),
        PeerMessage::Vector { vectors, .. } => 5 + ((vectors.len() as u64) << 8),
        PeerMessage::PullPartition { .. } => 6,
        PeerMessage::PartitionPage { objects, .. } => 7 + ((objects.len() as u64) << 8),
        PeerMessage::Follow { from, .. } => 8 + (from << 8),
        PeerMessage::Tail { from, records, .. } => 9 + (from << 8) + ((records.len() as u64) << 40),
        PeerMessage::Followed { from, .. } => 10 + (from << 8),
        PeerMessage::Forward { number, .. } => 11 + (number << 8),
        PeerMessage::Forwarded { number, .. } => 12 + (number << 8),
        PeerMessage::Register(_) => 13,
        PeerMessage::NotAdmitted { .. } => 14,
        PeerMessage::LetGo => 15,
        PeerMessage::AskHoldings { .. } => 16,
        PeerMessage::Holdings(holdings) => 17 + ((holdings.partitions.len() as u64) << 8),
        PeerMessage::CatchingUp(joining) => 18 + (u64::from(*joining) << 8),
        PeerMessage::ClockAsk { .. } => 19,
        PeerMessage::ClockTell { .. } => 20,
        PeerMessage::HeadAsked => 23,
        PeerMessage::HeadTold(told) => 24 + (told.size << 8),
        PeerMessage::ExtensionAsked { from, .. } => 21 + (from << 8),
        PeerMessage::ExtensionTold { from, .. } => 22 + (from << 8),
    }
}
