use bytes::Bytes;
use trine_crdt::NodeId;

use super::{Clock, Kept, Turn};
use crate::effect::Persistence::{Derived, Synced};
use crate::effect::{Batch, Effect, Outbox};
use crate::fixture::{FAR, HERE, NEAR, NOW, WRITER};
use crate::message::PeerMessage;
use crate::store::Memory;

/// Turns over a disk that is as fast as a test wants it.
struct Bench {
    kept: Kept,
    store: Memory,
}

impl Bench {
    fn new() -> Self {
        let clock = Clock::new(WRITER, 0, crate::limits::CLOCK_DRIFT_MS_MAX);
        Self { kept: Kept::new(clock), store: Memory::default() }
    }

    /// A turn: the batches that it ended with, and to whom something was sent then.
    fn turn(&mut self, call: impl FnOnce(&mut Turn<'_>, &mut Outbox)) -> (Vec<Batch>, Vec<NodeId>) {
        let mut out = Outbox::default();
        let mut turn = Turn::begin(&mut self.kept, NOW, &self.store);
        call(&mut turn, &mut out);
        turn.end(&mut out);
        let (mut batches, mut sent) = (Vec::new(), Vec::new());
        for effect in out.effects {
            match effect {
                Effect::Persist(batch) => batches.push(batch),
                Effect::Send { to, .. } => sent.push(to),
                other => panic!("{other:?} was not asked for"),
            }
        }
        (batches, sent)
    }

    fn persisted(&mut self, batch: &Batch) -> Vec<NodeId> {
        self.store.write(batch);
        self.turn(|turn, out| assert!(turn.persisted(batch.id, out))).1
    }
}

fn say(turn: &mut Turn<'_>, to: NodeId) {
    turn.send(to, PeerMessage::HeadAsked);
}

#[test]
fn what_leaves_waits_for_what_its_turn_wrote_and_for_what_it_read_of_a_former_one() {
    let mut bench = Bench::new();
    let row = || Bytes::from_static(b"row");
    let (batches, sent) = bench.turn(|turn, _| {
        turn.put(Synced, row(), Some(row()));
        say(turn, NEAR);
    });
    assert!(batches.len() == 1 && sent.is_empty());
    let (_, sent) = bench.turn(|turn, _| {
        assert_eq!(turn.get(Synced, b"row"), Ok(Some(row())), "it is not on disk yet");
        say(turn, FAR);
    });
    assert!(sent.is_empty(), "what it says may show the row");
    assert_eq!(bench.turn(|turn, _| say(turn, HERE)).1, [HERE], "this turn shows nothing of it");
    assert_eq!(bench.persisted(&batches[0]), [NEAR, FAR]);
}

#[test]
fn what_comes_again_from_the_log_is_not_waited_for() {
    let mut bench = Bench::new();
    let (batches, sent) = bench.turn(|turn, _| {
        turn.put(Derived, Bytes::from_static(b"row"), None);
        say(turn, NEAR);
    });
    assert!(batches.len() == 1 && sent == [NEAR]);
}

#[test]
fn the_time_that_is_told_is_one_that_a_restart_remembers() {
    let mut bench = Bench::new();
    let (batches, sent) = bench.turn(|turn, _| {
        let stamp = turn.stamp().expect("the clock goes on");
        assert!(turn.latest().time < stamp.time, "its mark is not on disk");
        say(turn, NEAR);
    });
    assert!(sent.is_empty(), "a stamp leaves when its mark is on disk");
    assert_eq!(bench.persisted(&batches[0]), [NEAR]);
    bench.turn(|turn, _| {
        let latest = turn.latest();
        assert!(turn.stamp().is_ok_and(|stamp| latest.time > 0 && latest < stamp));
    });
}
