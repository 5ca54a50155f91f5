//! What a node says of the others.

use bytes::Bytes;
use trine_ledger::LogPosition;
use trine_protocol::reply::RaftRole;
use trine_protocol::request::Options;
use trine_protocol::{Reply, Request};
use trine_replica::input::{CommittedEntry, Payload};

use crate::world::{World, region};

#[test]
fn a_node_that_does_not_vote_is_called_a_learner() {
    let mut world = World::new(&[3]);
    let voters = [world.nodes[0].id, world.nodes[1].id].into();
    let log = &world.logs[&region(0)];
    let index = log.borrow().len() as u64;
    let position = LogPosition { term: 1, leader: world.nodes[0].id, index };
    log.borrow_mut().push(CommittedEntry { position, payload: Payload::Membership { bytes: Bytes::new(), voters } });
    world.run();
    let id = world.ask(1, Options::default(), Request::NodeList);
    let Ok(answer) = world.answered(1, id) else { panic!("its nodes") };
    let Reply::Nodes(nodes) = &answer.reply else { panic!("nodes") };
    let roles: Vec<RaftRole> = nodes.iter().map(|node| node.raft).collect();
    assert_eq!(roles, [RaftRole::Leader, RaftRole::Voter, RaftRole::Learner]);
}
