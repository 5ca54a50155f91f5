//! Who may be taken away, when whoever is taken away stops, and whose a name is.

use std::collections::BTreeSet;

use trine_crdt::NodeId;
use trine_protocol::reply::Recovered;
use trine_protocol::request::{NodeReadmit, NodeRemove, NodeReplace, ObjectEdit, Options, RegionRecover};
use trine_protocol::{Conflict, Durability, Reply, Request, RequestError};
use trine_replica::input::{GroupId, Leadership, Voters};
use trine_replica::{Effect, Input, NotReady, PeerMessage};

use crate::world::World;

/// A region whose log says that all of its nodes vote.
fn voting(nodes: usize) -> World {
    let mut world = World::new(&[nodes]);
    let all: Vec<usize> = (0..nodes).collect();
    world.vote(0, &all);
    world.run();
    world
}

fn ids(world: &World, places: &[usize]) -> BTreeSet<NodeId> {
    places.iter().map(|place| world.nodes[*place].id).collect()
}

/// The leader, the first node, is told who of the voters answers.
fn answering(world: &mut World, voters: &[usize], up: &[usize]) {
    let term = 100;
    let told = Voters { term, sets: vec![ids(world, voters)], learners: BTreeSet::new(), answering: ids(world, up) };
    world.input(0, Input::Voters(told));
    let leader = Some(world.nodes[0].id);
    world
        .input(0, Input::Leadership { group: GroupId::Region, leadership: Leadership { leader, term, serving: true } });
    for place in (0..world.nodes.len()).filter(|place| !up.contains(place)) {
        let node = world.nodes[place].id;
        up.iter().for_each(|there| world.input(*there, Input::PeerDown(node)));
    }
}

fn remove(world: &mut World, place: usize, force: bool) -> Result<Reply, RequestError> {
    let node = world.nodes[place].id;
    let id = world.ask(0, Options::default(), Request::NodeRemove(NodeRemove { node, force }));
    world.run();
    world.answered(0, id).clone().map(|answer| answer.reply)
}

fn standstill(answer: &Result<Reply, RequestError>) -> (u32, u32) {
    match answer {
        Err(RequestError::Standstill { voters, answering, .. }) => (*voters, *answering),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_removed_voter_votes_until_the_log_says_that_it_is_not_missed() {
    let mut world = voting(3);
    assert!(matches!(remove(&mut world, 2, false), Ok(Reply::Done)));
    assert_eq!(world.nodes[2].halted, None, "its vote still counts");
    assert_eq!(world.nodes[2].core.ready(), Err(NotReady::Leaving));
    // Over a restart, too.
    world.restart(2, None);
    world.run();
    assert_eq!(world.nodes[2].halted, None);
    // It takes no edits any more that nobody might come to know of.
    let options = Options { durability: Durability::Local, ..Options::default() };
    let edit = trine_protocol::Edit::Increment(1);
    let request = Request::ObjectEdit(ObjectEdit { namespace: "objects".into(), key: "visits".into(), edit });
    let id = world.ask(2, options, request);
    assert!(matches!(world.answered(2, id), Err(RequestError::Unavailable { .. })));
    world.vote(0, &[0, 1]);
    world.run();
    let left = |end: &Effect| matches!(end, Effect::Leave { reason } if reason.contains("has left"));
    assert!(world.nodes[2].halted.as_ref().is_some_and(left));
    assert!(world.nodes[0].halted.is_none() && world.nodes[1].halted.is_none());
}

#[test]
fn one_that_the_log_does_not_reach_any_more_is_let_go_by_a_neighbour() {
    let mut world = voting(3);
    world.nodes[2].deaf = true;
    assert!(remove(&mut world, 2, false).is_ok());
    world.settle();
    assert_eq!(world.nodes[2].halted, None, "it is known to be removed, and still missed");
    world.vote(0, &[0, 1]);
    world.settle();
    assert!(world.nodes[2].halted.is_some());
}

#[test]
fn nobody_is_let_go_who_was_not_removed() {
    let mut world = voting(3);
    world.forge(1, 2, PeerMessage::LetGo);
    world.settle();
    assert_eq!(world.nodes[2].halted, None);
}

#[test]
fn a_removal_that_the_rest_could_not_go_on_after_is_refused() {
    let mut world = voting(3);
    answering(&mut world, &[0, 1, 2], &[0, 1]);
    let refused = remove(&mut world, 1, false);
    assert_eq!(standstill(&refused), (2, 1));
    let words = refused.unwrap_err().to_string();
    assert!(
        words.contains("without us-east-1-b") && words.contains("us-east-1-c") && words.contains("--force"),
        "{words}"
    );
    // Whoever is down can be taken away, and so can it be forced.
    assert!(remove(&mut world, 2, false).is_ok());
    let mut world = voting(3);
    answering(&mut world, &[0, 1, 2], &[0, 1]);
    assert!(remove(&mut world, 1, true).is_ok());
    // Where not even the change could be committed, force is of no use.
    let mut world = voting(3);
    answering(&mut world, &[0, 1, 2], &[0]);
    assert_eq!(standstill(&remove(&mut world, 2, true)), (3, 1));
}

#[test]
fn removals_are_judged_after_those_before_them_also_when_none_is_applied_yet() {
    let mut world = voting(2);
    answering(&mut world, &[0, 1], &[0, 1]);
    world.commits = false;
    let asked: Vec<u64> = [1, 0]
        .map(|place| {
            let node = world.nodes[place].id;
            world.ask(0, Options::default(), Request::NodeRemove(NodeRemove { node, force: false }))
        })
        .into();
    world.commits = true;
    world.run();
    assert!(world.answered(0, asked[0]).is_ok());
    let refused = world.answered(0, asked[1]).clone().map(|answer| answer.reply);
    assert_eq!(standstill(&refused), (0, 0));
    assert!(refused.unwrap_err().to_string().contains("the only node"));
}

#[test]
fn a_leader_that_does_not_know_yet_who_answers_lets_a_removal_wait() {
    let mut world = voting(3);
    let leader = Some(world.nodes[0].id);
    world.input(
        0,
        Input::Leadership { group: GroupId::Region, leadership: Leadership { leader, term: 100, serving: true } },
    );
    let node = world.nodes[2].id;
    let id = world.ask(0, Options::default(), Request::NodeRemove(NodeRemove { node, force: false }));
    world.run();
    assert!(!world.nodes[0].answers.contains_key(&id), "it waits");
    answering(&mut world, &[0, 1, 2], &[0, 1, 2]);
    world.settle();
    assert!(world.answered(0, id).is_ok());
}

#[test]
fn a_name_is_its_holders_while_that_one_answers() {
    let mut world = voting(3);
    let double = world.add(0, "us-east-1-c");
    world.connect(double);
    world.tell_leader(double, 0);
    world.settle();
    let why = world.nodes[double].core.ready().unwrap_err().to_string();
    assert!(why.contains(&world.nodes[2].id.to_string()) && why.contains("registered since"), "{why}");
    assert_eq!(world.nodes[2].core.ready(), Ok(()));
    // When the holder is gone, the name is free for it.
    answering(&mut world, &[0, 1, 2], &[0, 1, double]);
    world.settle();
    assert_eq!(world.nodes[double].core.ready(), Ok(()));
}

#[test]
fn a_removed_name_is_opened_by_its_own_command() {
    let mut world = voting(3);
    assert!(remove(&mut world, 2, false).is_ok());
    world.vote(0, &[0, 1]);
    world.settle();
    let new = world.add(0, "us-east-1-c");
    world.connect(new);
    world.tell_leader(new, 0);
    world.settle();
    let why = world.nodes[new].core.ready().unwrap_err().to_string();
    assert!(why.contains("trine nodes readmit us-east-1-c"), "{why}");
    for (name, found) in [("us-east-1-b", false), ("us-east-1-x", false), ("us-east-1-c", true)] {
        let id = world.ask(0, Options::default(), Request::NodeReadmit(NodeReadmit { name: name.into() }));
        world.run();
        assert_eq!(world.answered(0, id).is_ok(), found, "{name}");
    }
    world.settle();
    assert_eq!(world.nodes[new].core.ready(), Ok(()));
}

/// Asks a node and waits until it has answered.
fn asked(world: &mut World, place: usize, request: Request) -> Result<Reply, RequestError> {
    let id = world.ask(place, Options::default(), request);
    world.settle();
    world.answered(place, id).clone().map(|answer| answer.reply)
}

#[test]
fn any_node_of_the_cluster_takes_a_change_of_any_regions_roster() {
    let mut world = World::new(&[3, 1]);
    world.vote(0, &[0, 1, 2]);
    world.settle();
    let elsewhere = 3;
    let node = world.nodes[2].id;
    assert_eq!(asked(&mut world, elsewhere, Request::NodeRemove(NodeRemove { node, force: false })), Ok(Reply::Done));
    world.vote(0, &[0, 1]);
    world.settle();
    let new = world.add(0, "us-east-1-c");
    world.connect(new);
    world.tell_leader(new, 0);
    world.settle();
    let readmit = |name: &str| Request::NodeReadmit(NodeReadmit { name: name.to_owned() });
    assert_eq!(asked(&mut world, elsewhere, readmit("us-east-1-c")), Ok(Reply::Done));
    world.settle();
    assert_eq!(world.nodes[new].core.ready(), Ok(()));
    let taken = asked(&mut world, elsewhere, readmit("us-east-1-b"));
    assert!(matches!(&taken, Err(RequestError::Conflict { what: Conflict::NameTaken { .. } })), "{taken:?}");
    let nobody = asked(&mut world, elsewhere, readmit("us-east-1-x"));
    assert!(matches!(nobody, Err(RequestError::NotFound { .. })), "{nobody:?}");
    let node = world.nodes[1].id;
    let replaced = asked(&mut world, elsewhere, Request::NodeReplace(NodeReplace { node, force: false }));
    assert!(matches!(&replaced, Err(RequestError::Conflict { what: Conflict::NodeAnswers { .. } })), "{replaced:?}");
    // What a region lost is brought back there, whoever is asked.
    let recovered =
        asked(&mut world, elsewhere, Request::RegionRecover(RegionRecover { region: crate::world::region(0) }));
    assert!(matches!(recovered, Ok(Reply::Recovered(Recovered { restored: 0, .. }))), "{recovered:?}");
    // Who reaches none of that region's nodes says so.
    for place in [0, 1, 2, new] {
        let away = world.nodes[place].id;
        world.input(elsewhere, Input::PeerDown(away));
    }
    let cut = asked(&mut world, elsewhere, readmit("us-east-1-b"));
    assert!(matches!(&cut, Err(RequestError::Unavailable { what }) if what.contains("us-east-1")), "{cut:?}");
}

#[test]
fn who_hands_a_request_on_hears_why_it_was_refused_at_the_last_moment() {
    let mut world = World::new(&[2, 1]);
    [0, 1].into_iter().for_each(|place| world.unseat(place));
    let id = world.ask(2, Options::default(), Request::NodeReadmit(NodeReadmit { name: "us-east-1-b".into() }));
    world.pass(11_000);
    let answer = world.answered(2, id).clone().map(|answer| answer.reply);
    assert!(matches!(&answer, Err(RequestError::Unavailable { what }) if what.contains("no leader")), "{answer:?}");
}

#[test]
fn a_newcomer_asks_its_neighbours_in_turn_some_of_whom_know_no_more_than_it_does() {
    let mut world = World::new(&[3]);
    world.lead(1);
    world.run();
    // The first of its neighbours hears of no leader, as another newcomer would.
    world.nodes[0].deaf = true;
    world.unseat(0);
    let new = world.add(0, "us-east-1-d");
    world.connect(new);
    let options = Options { durability: Durability::Local, ..Options::default() };
    let record = world.ask(new, options, crate::world::append("key", "value", None));
    world.settle();
    assert_eq!(world.nodes[new].core.ready(), Ok(()));
    assert!(world.answered(new, record).is_ok());
}

/// A copy of a node's files knows its id and its name: links go to the first process alone, and what comes by a neighbour is not
/// taken for its word, or Raft would be spoken with the copy from then on.
#[test]
fn what_another_passes_on_in_the_name_of_a_node_that_is_linked_is_not_believed() {
    let mut world = World::new(&[3]);
    let (id, name) = (world.nodes[1].id, world.nodes[1].name.clone());
    let copy = trine_replica::message::Registration {
        node: id,
        name,
        peer: "peer-us-east-1-b".to_owned(),
        addresses: Vec::new(),
        raft: "the copy's".to_owned(),
        http: None,
        writer: trine_crdt::WriterId([99; 16]),
        levels: trine_crdt::FORMAT_LEVELS,
    };
    let raft = |world: &World| {
        let roster = world.nodes[0].core.roster();
        roster.nodes.into_iter().find(|node| node.node == id).expect("on the roster").raft
    };
    world.forge(2, 0, PeerMessage::Register(copy.clone()));
    world.settle();
    assert_eq!(raft(&world), "");
    // Once it is away, whoever has its disk may come back by another.
    world.input(0, Input::PeerDown(id));
    world.forge(2, 0, PeerMessage::Register(copy));
    world.run();
    assert_eq!(raft(&world), "the copy's");
}
