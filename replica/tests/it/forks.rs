//! Lies about a region: what its log key did not sign is nobody's word, and two histories that it signed are evidence.

use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use trine_crdt::Timestamp;
use trine_gossip::entry::{Entry, Version};
use trine_gossip::repair::RepairMessage;
use trine_ledger::checkpoint::{Checkpoint, origin};
use trine_ledger::registry::Registry;
use trine_protocol::reply::{ForkView, RegionView};
use trine_protocol::request::Options;
use trine_protocol::{Reply, Request};
use trine_replica::PeerMessage;

use crate::signing::status;
use crate::world::{World, append, appended, log_seed, region};

/// Hands an entry of the metadata over as if `from` had it.
fn tell(world: &mut World, from: usize, to: usize, key: &str, epoch: u64, value: Bytes) {
    let version = Version { epoch, stamp: Timestamp::ZERO };
    let entry = Entry { key: Bytes::copy_from_slice(key.as_bytes()), version, value };
    world.forge(from, to, PeerMessage::Metadata(RepairMessage::Entries(vec![entry]).to_bytes()));
}

/// A region as a node sees it.
fn seen(world: &mut World, node: usize, number: usize) -> RegionView {
    let id = world.ask(node, Options::default(), Request::RegionList);
    match &world.answered(node, id).as_ref().expect("its regions").reply {
        Reply::Regions(regions) => regions[number].clone(),
        other => panic!("regions, not {other:?}"),
    }
}

fn appends(world: &mut World, count: usize) {
    for _ in 0..count {
        let id = world.ask(0, Options::default(), append("key", "value", None));
        world.run();
        appended(world.answered(0, id));
    }
    world.settle();
}

/// A checkpoint of the first region's, of a history that is not its own.
fn forked(world: &World, size: u64) -> Bytes {
    let origin = origin(&world.genesis.cluster, &region(0));
    Checkpoint { origin, size, root: [7; 32] }.sign(&SigningKey::from_bytes(&log_seed(0)))
}

fn size(note: &[u8]) -> u64 {
    Checkpoint::peek(note).expect("a checkpoint").size
}

#[test]
fn only_a_regions_own_key_retires_its_nodes() {
    let mut world = World::new(&[1, 1, 1]);
    let registry = Registry { retired: [world.nodes[0].id].into(), ..Registry::default() };
    let said = registry.to_bytes().expect("within bounds");
    let signed = |world: &World, key: &str, epoch: u64, seed: [u8; 32]| -> Bytes {
        let cluster = &world.genesis.cluster;
        let head = format!("trine/metadata/1\n{cluster}\n{key}\n");
        let text = [head.as_bytes(), &epoch.to_be_bytes(), &said].concat();
        let signature = SigningKey::from_bytes(&seed).sign(&text).to_bytes();
        [signature.as_slice(), &said].concat().into()
    };
    let key = "registry/us-east-1";
    // Unsigned; by the liar's own region; of another key; of another epoch.
    let lies = [
        said.clone(),
        [[0; 64].as_slice(), &said].concat().into(),
        signed(&world, key, 1_000, log_seed(1)),
        signed(&world, "registry/eu-west-1", 1_000, log_seed(0)),
        signed(&world, key, 999, log_seed(0)),
    ];
    for lie in lies {
        for victim in [0, 2] {
            tell(&mut world, 1, victim, key, 1_000, lie.clone());
            world.settle();
            assert!(world.nodes[victim].halted.is_none());
            assert_eq!(seen(&mut world, victim, 0).nodes, 1);
        }
    }
    // Its own region's registry it may sign, and say in it that another's nodes were retired.
    let overreach = signed(&world, "registry/eu-west-1", 1_000, log_seed(1));
    for victim in [0, 2] {
        tell(&mut world, 1, victim, "registry/eu-west-1", 1_000, overreach.clone());
        world.settle();
        assert_eq!(world.nodes[victim].halted, None, "another region sent it away");
        assert_eq!(seen(&mut world, victim, 0).reachable, 1, "another region parted nodes");
    }
    // The same words, signed by whom they are about, are believed.
    let truth = signed(&world, key, 1_000, log_seed(0));
    tell(&mut world, 1, 2, key, 1_000, truth);
    assert_eq!(seen(&mut world, 2, 0).nodes, 0);
}

#[test]
fn a_second_history_is_kept_as_evidence_and_not_followed_until_released() {
    let mut world = World::new(&[1, 1]);
    appends(&mut world, 5);
    let note = forked(&world, 3);
    tell(&mut world, 0, 1, "head/us-east-1", 3, note.clone());
    let fork = seen(&mut world, 1, 0).fork.expect("evidence");
    assert_eq!(fork, ForkView { first: fork.first.clone(), second: note, quarantined: true });
    assert!((3..=5).contains(&size(&fork.first)), "what the mirror was verified against");
    assert_eq!(world.nodes[1].core.counters().fork_evidence, 1);

    appends(&mut world, 2);
    assert_eq!(seen(&mut world, 1, 0).ledger_size, 5, "nothing more is taken in");
    world.restart(1, None);
    world.settle();
    let after = seen(&mut world, 1, 0);
    assert_eq!((after.fork, after.ledger_size), (Some(fork.clone()), 5), "also after a restart");

    // The region was shown the evidence, and takes no appends either before it is released there.
    assert!(status(&mut world, 0).reason.is_some_and(|reason| reason.contains("signed two histories")));
    for node in [0, 1] {
        world.nodes[node].config.forks_released.insert(region(0));
        world.restart(node, None);
    }
    world.lead(0);
    world.settle();
    let released = seen(&mut world, 1, 0);
    assert_eq!(released.ledger_size, 7);
    assert_eq!(released.fork, Some(ForkView { quarantined: false, ..fork }), "evidence is kept for ever");
}

#[test]
fn two_histories_in_one_message_are_evidence() {
    let mut world = World::new(&[1, 1]);
    appends(&mut world, 2);
    let origin = origin(&world.genesis.cluster, &region(0));
    let notes = [[7; 32], [8; 32]]
        .map(|root| Checkpoint { origin: origin.clone(), size: 9, root }.sign(&SigningKey::from_bytes(&log_seed(0))));
    let version = Version { epoch: 9, stamp: Timestamp::ZERO };
    let key = Bytes::from_static(b"head/us-east-1");
    let entries = notes.each_ref().map(|note| Entry { key: key.clone(), version, value: note.clone() });
    world.forge(0, 1, PeerMessage::Metadata(RepairMessage::Entries(entries.to_vec()).to_bytes()));
    let [first, second] = notes;
    assert_eq!(seen(&mut world, 1, 0).fork, Some(ForkView { first, second, quarantined: true }));
}

#[test]
fn a_head_that_the_records_turn_out_to_contradict_is_evidence_too() {
    let mut world = World::new(&[1, 1]);
    appends(&mut world, 5);
    let note = forked(&world, 7);
    tell(&mut world, 0, 1, "head/us-east-1", 7, note.clone());
    assert_eq!(seen(&mut world, 1, 0).fork, None, "nothing speaks against it yet");
    appends(&mut world, 3);
    let view = seen(&mut world, 1, 0);
    let fork = view.fork.expect("evidence");
    assert!(fork.first == note || fork.second == note);
    assert!(view.ledger_size < 7);
}

#[test]
fn a_region_with_evidence_against_itself_takes_no_appends_until_it_is_released() {
    let mut world = World::new(&[1, 1]);
    appends(&mut world, 5);
    let note = forked(&world, 4);
    tell(&mut world, 1, 0, "head/us-east-1", 4, note);
    let fork = seen(&mut world, 0, 0).fork.expect("evidence");
    assert!(!fork.quarantined);
    assert_eq!(size(&fork.first), 4);
    let id = world.ask(0, Options::default(), append("key", "value", None));
    world.run();
    let error = world.answered(0, id).as_ref().expect_err("an operator has to decide").to_string();
    assert!(error.contains("signed two histories"), "{error}");
    world.nodes[0].config.forks_released.insert(region(0));
    world.restart(0, None);
    world.lead(0);
    world.settle();
    appends(&mut world, 1);
    assert_eq!(seen(&mut world, 0, 0).ledger_size, 6);
    assert_eq!(seen(&mut world, 1, 0).ledger_size, 6, "others were shown nothing false");
}

#[test]
fn a_head_under_an_epoch_that_is_not_its_size_is_refused() {
    let mut world = World::new(&[1, 1]);
    appends(&mut world, 5);
    world.pass(1_500);
    let origin = origin(&world.genesis.cluster, &region(0));
    let root = world.nodes[0].core.head(&region(0)).expect("its own ledger").1;
    let note = Checkpoint { origin, size: 5, root }.sign(&SigningKey::from_bytes(&log_seed(0)));
    let refused = world.nodes[1].core.counters().messages_refused;
    // True words under the numbers of later ones would stand in their way.
    for epoch in [4, 6, 1_000, u64::MAX] {
        tell(&mut world, 0, 1, "head/us-east-1", epoch, note.clone());
    }
    // The epoch below its size is no news to a node that has the true one.
    assert_eq!(world.nodes[1].core.counters().messages_refused, refused + 3);
    appends(&mut world, 2);
    world.pass(1_500);
    assert_eq!(seen(&mut world, 1, 0).checkpoint_size, 7);
}
