//! The signed checkpoints that were verified last. A head comes by gossip, by repair and with a ledger's tail, from
//! several nodes each: its signature is verified once.

use std::collections::VecDeque;

use bytes::Bytes;
use ed25519_dalek::VerifyingKey;
use trine_ledger::checkpoint::{self, Checkpoint};
use trine_ledger::genesis::GenesisRegion;

use crate::marks::{self, Mark};

/// Notes and what they say, the latest last.
#[derive(Debug)]
pub(crate) struct OpenedNotes {
    /// A checkpoint's origin names its ledger, and the genesis gives each ledger one key.
    last: VecDeque<(Bytes, Checkpoint)>,
    kept_max: usize,
}

impl OpenedNotes {
    /// None yet, and room for `kept_max`.
    pub fn new(kept_max: usize) -> Self {
        Self { last: VecDeque::new(), kept_max }
    }

    /// Reads a checkpoint that this region of this cluster signed.
    pub fn open(&mut self, cluster: &str, region: &GenesisRegion, note: &[u8]) -> Option<Checkpoint> {
        let origin = checkpoint::origin(cluster, &region.id);
        if let Some((_, known)) = self.last.iter().rev().find(|(known, _)| known == note) {
            return (known.origin == origin).then(|| known.clone());
        }
        let key = VerifyingKey::from_bytes(&region.log_key).ok()?;
        let opened = Checkpoint::open(note, &key, &origin).ok()?;
        if self.last.len() >= self.kept_max {
            marks::reached(Mark::NoteForgotten);
            self.last.pop_front();
        }
        // A copy: the note may be a part of a large message.
        self.last.push_back((Bytes::copy_from_slice(note), opened.clone()));
        Some(opened)
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::limits::OPENED_NOTES_MAX;

    fn region(name: &str, key: &SigningKey) -> GenesisRegion {
        GenesisRegion { id: name.parse().expect("a name"), log_key: key.verifying_key().to_bytes(), nodes: Vec::new() }
    }

    fn note(region: &GenesisRegion, key: &SigningKey, size: u64) -> Bytes {
        Checkpoint { origin: checkpoint::origin("c", &region.id), size, root: [7; 32] }.sign(key)
    }

    #[test]
    fn a_note_is_of_one_ledger_also_when_it_was_seen_before() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let (here, there) = (region("here", &key), region("there", &key));
        let mut notes = OpenedNotes::new(OPENED_NOTES_MAX);
        let signed = note(&here, &key, 3);
        for _ in 0..2 {
            assert_eq!(notes.open("c", &here, &signed).map(|it| it.size), Some(3));
            assert_eq!(notes.open("c", &there, &signed), None);
            assert_eq!(notes.open("d", &here, &signed), None);
        }
    }

    #[test]
    fn what_its_key_has_not_signed_is_refused_each_time() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let here = region("here", &key);
        let mut notes = OpenedNotes::new(OPENED_NOTES_MAX);
        let forged = note(&here, &SigningKey::from_bytes(&[2; 32]), 3);
        assert!((0..2).all(|_| notes.open("c", &here, &forged).is_none()));
    }

    #[test]
    fn only_the_last_are_kept() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let here = region("here", &key);
        let mut notes = OpenedNotes::new(OPENED_NOTES_MAX);
        let last = OPENED_NOTES_MAX as u64 + 5;
        assert!((1..=last).all(|size| notes.open("c", &here, &note(&here, &key, size)).is_some()));
        assert_eq!(notes.last.len(), OPENED_NOTES_MAX);
        assert_eq!(notes.last.back().map(|(_, it)| it.size), Some(last));
    }
}
