//! Following another region's ledger: verified, or refused.

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use trine_ledger::checkpoint::{Checkpoint, origin};
use trine_protocol::request::{LedgerGet, Options};
use trine_protocol::{Durability, Reply, Request};
use trine_replica::PeerMessage;

use crate::world::{MS, World, append, appended, region};

fn held(world: &mut World, node: usize) -> u64 {
    let id = world.ask(node, Options::default(), Request::Status);
    match &world.answered(node, id).as_ref().expect("its status").reply {
        Reply::Status(status) => status.ledgers[&region(0)].size,
        other => panic!("a status, not {other:?}"),
    }
}

/// A tail that would follow on what the mirror holds, caught on its way.
fn catch_tail(world: &mut World) -> PeerMessage {
    let id = world.ask(0, Options::default(), append("key", "value", None));
    world.commit();
    appended(world.answered(0, id));
    let tails = |(_, message): &(_, PeerMessage)| matches!(message, PeerMessage::Tail { .. });
    let at = world.nodes[0].sent.iter().position(tails).expect("the mirror follows");
    world.nodes[0].sent.remove(at).expect("just seen").1
}

#[test]
fn a_mirror_takes_a_tail_that_its_checkpoint_signs() {
    let mut world = World::new(&[1, 1]);
    for number in 0..20 {
        let id = world.ask(0, Options::default(), append(&format!("key {number}"), "value", None));
        world.run();
        appended(world.answered(0, id));
    }
    world.settle();
    assert_eq!(held(&mut world, 1), 20);
    let get = Request::LedgerGet(LedgerGet { namespace: "default".into(), key: "key 7".into(), with_proof: true });
    let read = world.ask(1, Options::default(), get);
    let Ok(answer) = world.answered(1, read) else { panic!("read in another region") };
    let Reply::Record(record) = &answer.reply else { panic!("a record") };
    assert!(record.index == 7 && record.proof.is_some());
}

/// The source was asked a moment ago when the second of two tails comes before the first.
#[test]
fn a_gap_that_is_seen_too_soon_to_ask_again_is_asked_for_later() {
    let mut world = World::new(&[1, 1]);
    world.settle();
    let (first, second) = (catch_tail(&mut world), catch_tail(&mut world));
    world.loses = |_, _, _, message| matches!(message, PeerMessage::Follow { .. } | PeerMessage::Tail { .. });
    world.forge(0, 1, second.clone());
    world.run();
    world.loses = |_, _, _, _| false;
    world.forge(0, 1, second);
    world.forge(0, 1, first);
    world.run();
    assert_eq!(held(&mut world, 1), 1, "the second did not follow on what was held");
    world.pass(400);
    assert_eq!(held(&mut world, 1), 2);
}

#[test]
fn a_forged_record_or_checkpoint_is_refused_and_the_real_one_still_comes() {
    let mut world = World::new(&[1, 1]);
    let caught = catch_tail(&mut world);
    let PeerMessage::Tail { ledger, from, records, checkpoint } = caught.clone() else { panic!("a tail") };
    let forged = |records: Vec<Bytes>, checkpoint: Bytes| PeerMessage::Tail {
        ledger: ledger.clone(),
        from,
        records,
        checkpoint,
    };
    // A record with one bit turned, at each place of it.
    for place in 0..records[0].len() {
        let mut bytes = records[0].to_vec();
        bytes[place] ^= 1;
        world.forge(0, 1, forged(vec![bytes.into()], checkpoint.clone()));
        assert_eq!(held(&mut world, 1), 0);
    }
    // A checkpoint that another key signed, and one of another size.
    let note = |seed: [u8; 32], size| {
        let origin = origin(&world.genesis.cluster, &ledger);
        Checkpoint { origin, size, root: [7; 32] }.sign(&SigningKey::from_bytes(&seed))
    };
    for note in [note([9; 32], 1), note(crate::world::log_seed(0), 1), note(crate::world::log_seed(0), 2)] {
        world.forge(0, 1, forged(records.clone(), note));
        assert_eq!(held(&mut world, 1), 0);
    }
    world.forge(
        0,
        1,
        PeerMessage::Tail { ledger: ledger.clone(), from: u64::MAX, records: records.clone(), checkpoint },
    );
    assert_eq!(held(&mut world, 1), 0);
    world.forge(0, 1, caught);
    assert_eq!(held(&mut world, 1), 1);
}

#[test]
fn a_stranger_s_forgery_does_not_make_a_mirror_leave_its_source() {
    let mut world = World::new(&[1, 2]);
    let (first, second) = (1, 2);
    let caught = catch_tail(&mut world);
    let PeerMessage::Tail { ledger, from, .. } = caught.clone() else { panic!("a tail") };
    let junk = PeerMessage::Tail {
        ledger,
        from,
        records: vec![Bytes::from_static(b"junk")],
        checkpoint: Bytes::from_static(b"junk"),
    };
    // Whichever of the two follows across the ocean, neither asked the other in vain.
    for (liar, victim) in [(first, second), (second, first)] {
        world.forge(liar, victim, junk.clone());
    }
    world.settle();
    assert_eq!((held(&mut world, first), held(&mut world, second)), (1, 1));
}

#[test]
fn a_mirror_of_a_mirror_gets_the_same_in_bounded_pieces() {
    let mut world = World::new(&[1, 2]);
    let value = "v".repeat(200_000);
    for number in 0..30 {
        let id = world.ask(0, Options::default(), append(&format!("key {number}"), &value, None));
        world.run();
        appended(world.answered(0, id));
    }
    world.settle();
    assert_eq!((held(&mut world, 1), held(&mut world, 2)), (30, 30));
    // A third disk begins from nothing and follows the mirror that is first.
    let late = world.add(1, "eu-west-1-c");
    world.loses = |_, _, _, message| match message {
        PeerMessage::Tail { records, .. } => {
            assert!(records.iter().map(Bytes::len).sum::<usize>() < 1024 * 1024, "a tail is bounded");
            false
        }
        _ => false,
    };
    world.connect(late);
    let leader = world.leaders[&region(1)];
    world.tell_leader(late, leader);
    world.settle();
    world.settle();
    let sizes: Vec<u64> = (1..=late).map(|node| held(&mut world, node)).collect();
    assert!(sizes.iter().filter(|size| **size == 30).count() >= 2, "{sizes:?}");
}

#[test]
fn a_mirrored_record_moves_the_clock_of_whoever_took_it_in() {
    let mut world = World::new(&[1, 1]);
    world.nodes[0].wall_ahead_ns = 600 * MS;
    let id = world.ask(0, Options::default(), append("key", "value", None));
    world.run();
    let get = Request::LedgerGet(LedgerGet { namespace: "default".into(), key: "key".into(), with_proof: false });
    let read = world.ask(1, Options::default(), get);
    let Ok(answer) = world.answered(1, read) else { panic!("read in another region") };
    let Reply::Record(record) = &answer.reply else { panic!("a record") };
    let shown = record.timestamp;
    let edit = world.increment(1, "visits", Durability::Local);
    let stamp = world.answered(1, edit).as_ref().expect("written").timestamp;
    assert!(stamp.time > shown.time, "{stamp} is not behind {shown}, which the node had shown");
    appended(world.answered(0, id));
}
