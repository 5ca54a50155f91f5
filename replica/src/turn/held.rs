//! Effects that wait until what they reveal is on disk.
//!
//! Effects leave in the order of the batches that they wait for. An effect that waits for nothing may overtake
//! one that waits, since messages between nodes may be reordered; proposals may not, so a proposal waits at
//! least as long as the one before it. What says who belongs together comes from committed entries and reveals
//! nothing of this node's own: it leaves at once, so that an older list cannot come after a newer one.

use std::collections::VecDeque;

use crate::mutants::{self, Mutant};

use crate::effect::Effect;
use crate::input::BatchId;

/// The effects held back.
#[derive(Debug, Default)]
pub struct Held {
    waiting: VecDeque<(BatchId, Vec<Effect>)>,
    last_proposal: BatchId,
}

impl Held {
    /// Lets out at once what waits for nothing (`batch` 0), keeps the rest.
    pub fn admit(&mut self, batch: BatchId, effects: Vec<Effect>, out: &mut Vec<Effect>) {
        let proposes = effects.iter().any(|effect| matches!(effect, Effect::Propose { .. }));
        let batch = if proposes { batch.max(self.last_proposal) } else { batch };
        if batch == 0 || mutants::is(Mutant::SpeakBeforePersisting) {
            out.extend(effects);
            return;
        }
        if proposes {
            self.last_proposal = batch;
        }
        let (at_once, effects): (Vec<_>, Vec<_>) = effects
            .into_iter()
            .partition(|effect| matches!(effect, Effect::Peers(_) | Effect::Roster { .. } | Effect::Halt(_)));
        out.extend(at_once);
        if effects.is_empty() {
            return;
        }
        // Batches rise, but a turn may depend on an older one than its predecessor did: keep the queue sorted.
        let place = self.waiting.iter().rposition(|(earlier, _)| *earlier <= batch).map_or(0, |index| index + 1);
        self.waiting.insert(place, (batch, effects));
    }

    /// Lets out all that waited for batches up to this one.
    pub fn release(&mut self, batch: BatchId, out: &mut Vec<Effect>) {
        while self.waiting.front().is_some_and(|(waits, _)| *waits <= batch) {
            let (_, effects) = self.waiting.pop_front().expect("just seen");
            out.extend(effects);
        }
        if self.last_proposal <= batch {
            self.last_proposal = 0;
        }
    }
}
