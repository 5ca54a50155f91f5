#!/usr/bin/env bash
# A leader that nobody hears any more goes on saying that it leads, for ever, in the state and in the leader that its metrics name.
#
# Who knows etcd's Raft expects a leader to step down when no majority has answered it for an election timeout (there called
# CheckQuorum), and the metrics call the field "the current cluster leader". Here a leader that is cut off stays `Leader` and
# names itself, long after the others have elected another one in a later term. Who sends clients to `current_leader`, or
# serves because `state` says so, answers from a past that the others have left. What tells the two apart is the moment
# when a majority answered last, which the metrics have as well.
#
# Seen with openraft and openraft-memstore 0.10.0-alpha.37 on tokio 1.48.0: three nodes in one process, one cut off, six seconds.
# Ends with 0 while that is so, and with 1 when it has changed. Needs cargo and the crates' registry; takes two minutes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "deposed"
version = "0.0.0"
edition = "2024"

[dependencies]
openraft = "=0.10.0-alpha.37"
openraft-memstore = "=0.10.0-alpha.37"
tokio = { version = "=1.48.0", features = ["macros", "rt-multi-thread", "time"] }

[workspace]
TOML
cat >"$work/src/main.rs" <<'RUST'
use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openraft::alias::{SnapshotOf, VoteOf};
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::{Config, Instant, OptionalSend};
use openraft_memstore::{MemStateMachine, TypeConfig, new_mem_store};

type Raft = openraft::Raft<TypeConfig, Arc<MemStateMachine>>;

/// Whom a call reaches, and who is cut off; 0: nobody.
#[derive(Clone, Default)]
struct Wires {
    nodes: Arc<Mutex<BTreeMap<u64, Raft>>>,
    cut_off: Arc<AtomicU64>,
}

struct Wire {
    wires: Wires,
    from: u64,
    to: u64,
}

struct Factory(Wires, u64);

impl RaftNetworkFactory<TypeConfig> for Factory {
    type Network = Wire;

    async fn new_client(&mut self, target: u64, _: &()) -> Wire {
        Wire { wires: self.0.clone(), from: self.1, to: target }
    }
}

impl Wire {
    fn reach(&self) -> Result<Raft, RPCError<TypeConfig>> {
        let cut_off = self.wires.cut_off.load(Ordering::SeqCst);
        let there = self.wires.nodes.lock().unwrap().get(&self.to).cloned();
        there
            .filter(|_| cut_off != self.from && cut_off != self.to)
            .ok_or_else(|| Unreachable::from_string("cut off").into())
    }
}

impl RaftNetworkV2<TypeConfig> for Wire {
    type SnapshotData = Cursor<Vec<u8>>;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.reach()?.append_entries(request).await.map_err(|error| Unreachable::new(&error).into())
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.reach()?.vote(request).await.map_err(|error| Unreachable::new(&error).into())
    }

    async fn full_snapshot(
        &mut self,
        _: VoteOf<TypeConfig>,
        _: SnapshotOf<TypeConfig, Self::SnapshotData>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        unreachable!("nothing is compacted here")
    }
}

#[tokio::main]
async fn main() {
    let wires = Wires::default();
    let timing = Config { heartbeat_interval: 100, election_timeout_min: 300, election_timeout_max: 600, ..Config::default() };
    let timing = Arc::new(timing.validate().expect("sound"));
    for node in 1..=3 {
        let (log, machine) = new_mem_store();
        let raft = Raft::new(node, timing.clone(), Factory(wires.clone(), node), log, machine).await.expect("starts");
        wires.nodes.lock().unwrap().insert(node, raft);
    }
    let nodes = wires.nodes.lock().unwrap().clone();
    nodes[&1].initialize(BTreeMap::from([(1, ()), (2, ()), (3, ())])).await.expect("founds");
    let minute = Some(Duration::from_secs(60));
    let first = nodes[&1].wait(minute).metrics(|now| now.current_leader.is_some(), "a leader").await.expect("in time");
    let old = first.current_leader.expect("one");
    wires.cut_off.store(old, Ordering::SeqCst);
    let other = nodes.keys().copied().find(|node| *node != old).expect("one");
    let elected = |now: &openraft::RaftMetrics<TypeConfig>| now.current_leader.is_some_and(|leader| leader != old);
    nodes[&other].wait(minute).metrics(elected, "another leader").await.expect("in time");
    // Ten election timeouts later.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let old_says = nodes[&old].metrics().borrow_watched().clone();
    println!("cut off leader: state {:?}, leads itself: {}", old_says.state, old_says.current_leader == Some(old));
    let silent = old_says.last_quorum_acked.map(|at| at.elapsed() > Duration::from_secs(3));
    println!("its quorum was silent for over 3 s: {silent:?}");
    let new_says = nodes[&other].metrics().borrow_watched().clone();
    println!("a later term has a leader: {}", new_says.current_term > old_says.current_term);
}
RUST
seen=$(cargo run --quiet --manifest-path "$work/Cargo.toml")
printf '%s\n' "$seen"
grep -qx 'cut off leader: state Leader, leads itself: true' <<<"$seen" &&
    grep -qx 'its quorum was silent for over 3 s: Some(true)' <<<"$seen" &&
    grep -qx 'a later term has a leader: true' <<<"$seen"
