//! What clients do with a group, what an administrator does, and what goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::WatchReceiver as _;
use openraft::raft::ReadPolicy;
use openraft::{AsyncRuntime as _, ChangeMembers};
use openraft_rt_sim::SimRuntime;
use trine_raft::types::AppData;

use super::node::{Live, Raft};
use super::story::{World, member};

/// A client: writes to whoever believes that it leads.
pub async fn writes(world: Arc<World>, client: u64) {
    while world.chaos() {
        SimRuntime::sleep(world.ms(5, 80)).await;
        if let Some((live, raft)) = world.leader() {
            drop(SimRuntime::spawn(write(world.clone(), live, raft, client)));
        }
    }
}

pub async fn write(world: Arc<World>, live: Arc<Live>, raft: Raft, client: u64) -> bool {
    let mut number = 0;
    world.count(|count| {
        count.texts += 1;
        number = count.texts;
    });
    let size = world.dice(|dice| if dice.percent(10) { dice.below(900) } else { dice.below(60) });
    let text = Bytes::from(format!("{client}/{number} {}", "x".repeat(size)));
    let written = SimRuntime::timeout(Duration::from_secs(4), raft.client_write(AppData(text.clone()))).await;
    match written {
        Ok(Ok(answer)) if live.is_alive() => {
            world.judge().acknowledges(answer.log_id, &text);
            true
        }
        _ => false,
    }
}

/// A client that reads what it may rely on.
pub async fn reads(world: Arc<World>) {
    while world.chaos() {
        SimRuntime::sleep(world.ms(50, 400)).await;
        let Some((live, raft)) = world.leader() else { continue };
        let acknowledged = world.judge().acknowledged.keys().next_back().copied();
        let world = world.clone();
        drop(SimRuntime::spawn(async move {
            let read = SimRuntime::timeout(Duration::from_secs(2), raft.get_read_log_id(ReadPolicy::ReadIndex)).await;
            if let Ok(Ok((index, _))) = read
                && live.is_alive()
            {
                world.judge().reads(live.node, Some(index.index()), acknowledged);
            }
        }));
    }
}

/// Learners come, become voters, stop being voters, go: one step at a time, as the daemon does it.
pub async fn membership(world: Arc<World>) {
    while world.chaos() {
        SimRuntime::sleep(world.ms(200, 2_500)).await;
        let Some((live, raft)) = world.leader() else { continue };
        let members = raft.metrics().borrow_watched().membership_config.membership().clone();
        let node = world.any();
        let voters = members.voter_ids().count();
        let is_voter = members.voter_ids().any(|voter| voter == node);
        let only = BTreeSet::from([node]);
        let own = node == live.node;
        let (what, change) = match (members.get_node(&node), is_voter) {
            (None, _) => ("learner", None),
            (Some(_), false) if world.dice(|dice| dice.percent(70)) => {
                ("voter", Some((ChangeMembers::AddVoterIds(only), true)))
            }
            (Some(_), false) => ("gone", Some((ChangeMembers::RemoveNodes(only), false))),
            (Some(_), true) if voters > 2 && !own => {
                ("no voter", Some((ChangeMembers::RemoveVoters(only), world.dice(|dice| dice.percent(50)))))
            }
            (Some(_), true) => continue,
        };
        world.judge().event(&format!("{} makes {node} {what}", live.node));
        let changing = async {
            match change {
                None => raft.add_learner(node, member(node), false).await.is_ok(),
                Some((change, retain)) => raft.change_membership(change, retain).await.is_ok(),
            }
        };
        if let Ok(true) = SimRuntime::timeout(Duration::from_secs(5), changing).await {
            world.count(|count| count.changes += 1);
        }
    }
}

/// What goes wrong.
pub async fn trouble(world: Arc<World>) {
    while world.chaos() {
        SimRuntime::sleep(world.ms(50, 1_500)).await;
        if !world.chaos() {
            return;
        }
        match world.dice(|dice| dice.below(100)) {
            0..35 => {
                let node = world.any();
                if let Some(live) = world.live(node) {
                    world.stop(&live);
                }
            }
            35..40 => {
                for live in world.ids().into_iter().filter_map(|node| world.live(node)) {
                    world.stop(&live);
                }
            }
            40..60 => split(&world, |world, _| world.dice(|dice| dice.percent(50))),
            60..70 => {
                let alone = world.leader().map_or(1, |(live, _)| live.node);
                split(&world, |_, node| node == alone);
            }
            70..80 => {
                // One way only.
                let (from, to) = (world.any(), world.any());
                world.judge().event(&format!("cut {from} -> {to}"));
                world.state().cut.insert((from, to));
            }
            80..90 => {
                if let Some((live, raft)) = world.leader() {
                    let heir = world.any();
                    world.judge().event(&format!("{} hands over to {heir}", live.node));
                    let _ = raft.trigger().transfer_leader(heir).await;
                }
            }
            _ => {
                if let Some(raft) = world.live(world.any()).and_then(|live| live.started()) {
                    let _ = raft.trigger().snapshot().await;
                }
            }
        }
    }
}

/// Cuts the nodes apart by side, for a while.
fn split(world: &Arc<World>, side: impl Fn(&World, u64) -> bool) {
    let ids = world.ids();
    let sides: BTreeMap<u64, bool> = ids.iter().map(|node| (*node, side(world, *node))).collect();
    let apart = |from: &u64, to: &u64| sides[from] != sides[to];
    let pairs = ids.iter().flat_map(|from| ids.iter().map(move |to| (*from, *to)));
    let cut: BTreeSet<_> = pairs.filter(|(from, to)| apart(from, to)).collect();
    world.judge().event(&format!("split {sides:?}"));
    world.state().cut = cut;
    let (world, pause) = (world.clone(), world.ms(200, 4_000));
    drop(SimRuntime::spawn(async move {
        SimRuntime::sleep(pause).await;
        world.judge().event("split ends");
        world.state().cut.clear();
    }));
}
