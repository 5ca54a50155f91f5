//! Leader after leader lost, and how long until its region appends again.
//!
//! ```text
//!   all level, one leader ── rest ── loss ─┬─ appends begin at every survivor, again and again ─── the first answer
//!                                          0                                                            time
//! ```
//!
//! A leader is killed, stopped in its tracks (its connections stay open and say nothing), or cut off from the other nodes
//! (it lives, and believes for a while that it leads). The time is taken from when the loss is done, to the first
//! acknowledgement of an append that began after it. Then the node comes back and catches up, and the next loss follows. In
//! the end every acknowledged append is read back.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use tokio::task::JoinSet;
use trine_client::{AppendRequest, CallOptions, Client};
use trine_protocol::reply::{RaftRole, StatusView};
use trine_protocol::{Consistency, Request};

use super::agreement;
use super::load::pinned;
use crate::arena::Arena;
use crate::arena::cluster::{NodeLayout, readiness};
use crate::arena::network::Cut;
use crate::chance::Chance;

/// The namespace that is appended to.
const NAMESPACE: &str = "default";
/// How often one more append begins at each survivor.
const APPEND_EVERY: Duration = Duration::from_millis(50);
/// Appends under way while the log is filled. What waits together becomes one entry, so more would not fill faster.
const FILLERS: usize = 4;
/// The longest rest before a loss, so that losses come at any phase of the heartbeats.
const REST_MS_MAX: u64 = 700;
/// How often something is looked at that will come true.
const LOOK: Duration = Duration::from_millis(50);
/// How long a node may take to say how it stands.
const ASK_PATIENCE: Duration = Duration::from_secs(1);

/// How a leader is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// SIGKILL.
    Killed,
    /// SIGSTOP.
    Stopped,
    /// Cut off from all other nodes, not from clients.
    Cut,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Leaders killed.
    pub kills: usize,
    /// Leaders stopped.
    pub stops: usize,
    /// Leaders cut off.
    pub cuts: usize,
    /// Entries in the log before the first loss.
    pub log: u64,
    /// How long nodes may take to come back, and an append to be acknowledged.
    pub patience: Duration,
    /// The order of the losses, and the rests.
    pub seed: u64,
}

/// One loss.
#[derive(Debug, Clone, Serialize)]
pub struct Loss {
    /// How.
    pub how: How,
    /// Who led.
    pub leader: String,
    /// Who led then.
    pub heir: String,
    /// From the loss to the first acknowledged append, in milliseconds.
    pub append_ms: u64,
}

/// All losses, or those of one kind.
#[derive(Debug, Clone, Serialize)]
pub struct Times {
    /// How many.
    pub losses: usize,
    /// The shortest, in milliseconds.
    pub least_ms: u64,
    /// The median.
    pub median_ms: u64,
    /// What one of a hundred exceeds; of fewer, the longest.
    pub p99_ms: u64,
    /// The longest.
    pub most_ms: u64,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Entries in the log at the first loss.
    pub entries: u64,
    /// The machine's load over the last minute at the first loss and after the last one.
    pub load: (f64, f64),
    /// All losses in order.
    pub losses: Vec<Loss>,
    /// By kind.
    pub by_kind: Vec<(How, Times)>,
    /// All together.
    pub all: Times,
    /// Acknowledged appends that could not be read back.
    pub missing: Vec<String>,
}

/// Runs the losses in an arena of one region whose nodes are ready. `tell` hears of the log's growth and of each loss.
///
/// # Errors
/// When no append is acknowledged in time, or a node does not come back.
pub async fn run(
    arena: &mut Arena,
    plan: &Plan,
    fills: impl Fn(u64),
    tell: impl Fn(usize, &Loss),
) -> anyhow::Result<Summary> {
    let layout = arena.cluster().layout().clone();
    ensure!(layout.nodes.len() >= 3, "a region of fewer than three nodes has nobody to take over");
    let nodes: Vec<Node> = layout
        .nodes
        .iter()
        .map(|node| Ok(Node { layout: node.clone(), client: pinned(&layout.client, &node.libp2p)? }))
        .collect::<anyhow::Result<_>>()?;
    let entries = fill(arena, &nodes, plan, fills).await?;
    let before = machine_load();
    let mut chance = Chance::new(plan.seed);
    let mut acknowledged = Vec::new();
    let mut losses: Vec<Loss> = Vec::new();
    for (number, how) in order(plan, &mut chance).into_iter().enumerate() {
        let leader = settled(arena, &nodes, plan.patience).await?;
        tokio::time::sleep(Duration::from_millis(chance.below(REST_MS_MAX))).await;
        let cut = lose(arena, how, &leader).await?;
        let survivors: Vec<&Node> = nodes.iter().filter(|node| node.layout.name != leader).collect();
        let lost = first_append(&survivors, number, plan.patience).await;
        let (append_ms, key) = lost.with_context(|| format!("loss {}: {leader} {how:?}", number + 1))?;
        acknowledged.push(key);
        let heir = leads(&survivors, plan.patience).await?;
        let loss = Loss { how, leader: leader.clone(), heir, append_ms };
        tell(number, &loss);
        losses.push(loss);
        give_back(arena, how, &leader, cut)?;
    }
    settled(arena, &nodes, plan.patience).await?;
    let missing = missing(&nodes[0].client, &acknowledged).await?;
    let kinds = [How::Killed, How::Stopped, How::Cut].into_iter();
    let of = |how: How| losses.iter().filter(|loss| loss.how == how).map(|loss| loss.append_ms).collect::<Vec<_>>();
    let by_kind = kinds.map(|how| (how, of(how))).filter(|(_, ms)| !ms.is_empty()).map(|(how, ms)| (how, times(ms)));
    Ok(Summary {
        entries,
        load: (before, machine_load()),
        by_kind: by_kind.collect(),
        all: times(losses.iter().map(|loss| loss.append_ms).collect()),
        losses,
        missing,
    })
}

struct Node {
    layout: NodeLayout,
    client: Client,
}

/// The losses in an order that chance decides.
fn order(plan: &Plan, chance: &mut Chance) -> Vec<How> {
    let kinds = [(How::Killed, plan.kills), (How::Stopped, plan.stops), (How::Cut, plan.cuts)];
    let mut order: Vec<How> = kinds.iter().flat_map(|(how, count)| std::iter::repeat_n(*how, *count)).collect();
    for at in (1..order.len()).rev() {
        let other = usize::try_from(chance.below(at as u64 + 1)).unwrap_or(at);
        order.swap(at, other);
    }
    order
}

async fn fill(arena: &Arena, nodes: &[Node], plan: &Plan, tell: impl Fn(u64)) -> anyhow::Result<u64> {
    let mut fillers = JoinSet::new();
    for filler in 0..FILLERS {
        let client = nodes[0].client.clone();
        fillers.spawn(async move {
            for number in 0_u64.. {
                let key = format!("fill/{filler}/{number}");
                // Who does not answer is asked again with the next one; it is the log's length that counts.
                let _ = client.append(NAMESPACE, &key, key.clone()).await;
            }
        });
    }
    let (mut entries, mut grew) = (0, Instant::now());
    loop {
        let now = readiness::figure(arena.network(), &nodes[0].layout, "trine_raft_commit_index");
        let now = now.map_or(0, |index| index as u64 + 1);
        if now > entries {
            (entries, grew) = (now, Instant::now());
            tell(entries);
        }
        if entries >= plan.log {
            return Ok(entries);
        }
        ensure!(grew.elapsed() < plan.patience, "the log does not grow beyond {entries} entries");
        tokio::time::sleep(LOOK * 10).await;
    }
}

/// Waits until all nodes serve, hold the same and know one leader; who that is.
async fn settled(arena: &mut Arena, nodes: &[Node], patience: Duration) -> anyhow::Result<String> {
    let (cluster, network) = arena.parts();
    let names = cluster.names();
    cluster.wait_ready(network, &names, patience).await?;
    agreement::wait(&cluster.layout().clone(), patience).await?;
    let all: Vec<&Node> = nodes.iter().collect();
    leads(&all, patience).await
}

/// Waits until one of these nodes leads and all the others know it.
async fn leads(nodes: &[&Node], patience: Duration) -> anyhow::Result<String> {
    let ends = Instant::now() + patience;
    loop {
        let mut statuses = Vec::new();
        for node in nodes {
            statuses.extend(status(&node.client).await);
        }
        let leader = statuses.iter().find(|status| status.node.raft == RaftRole::Leader);
        if let Some(leader) = leader
            && statuses.len() == nodes.len()
            && statuses.iter().all(|status| status.leader == Some(leader.node.id))
        {
            return Ok(leader.node.name.clone());
        }
        if Instant::now() > ends {
            let said: Vec<_> = statuses.iter().map(|status| (&status.node.name, status.leader, status.term)).collect();
            bail!("no leader that all nodes know after {} s: {said:?}", patience.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn status(client: &Client) -> Option<StatusView> {
    let options = CallOptions::new().retries(0).deadline(ASK_PATIENCE);
    match client.request(&options, Request::Status).await.ok()?.reply {
        trine_protocol::Reply::Status(status) => Some(*status),
        _ => None,
    }
}

/// Takes the leader away; the number of the cut, when it is one.
async fn lose(arena: &mut Arena, how: How, leader: &str) -> anyhow::Result<Option<u64>> {
    match how {
        How::Killed => arena.parts().0.node(leader)?.kill().await.map(|()| None),
        How::Stopped => arena.parts().0.node(leader)?.pause().map(|()| None),
        How::Cut => {
            let cut = Cut { places: vec![leader.to_owned()], ..Cut::default() };
            arena.network().router().cut(cut).map(Some)
        }
    }
}

fn give_back(arena: &mut Arena, how: How, leader: &str, cut: Option<u64>) -> anyhow::Result<()> {
    if let Some(cut) = cut {
        arena.network().router().mend(cut);
    }
    let (cluster, network) = arena.parts();
    match how {
        How::Killed => cluster.start(network, leader),
        How::Stopped => cluster.node(leader)?.resume(),
        How::Cut => Ok(()),
    }
}

/// Begins appends at all survivors until one is acknowledged: after how many milliseconds, and its key.
async fn first_append(survivors: &[&Node], loss: usize, patience: Duration) -> anyhow::Result<(u64, String)> {
    let began = Instant::now();
    let options = CallOptions::new().retries(0).deadline(patience);
    let mut appends = JoinSet::new();
    let mut due = tokio::time::interval(APPEND_EVERY);
    let mut last = None;
    let mut number = 0;
    while began.elapsed() < patience {
        tokio::select! {
            _ = due.tick() => for node in survivors {
                let key = format!("loss/{loss}/{number}");
                number += 1;
                let (client, options) = (node.client.clone(), options.clone());
                appends.spawn(async move {
                    let append = AppendRequest::new(NAMESPACE, &key, key.clone());
                    (client.append_with(&options, append).await, key)
                });
            },
            Some(ended) = appends.join_next() => match ended? {
                (Ok(_), key) => {
                    let took = u64::try_from(began.elapsed().as_millis())?;
                    // The others end, too, before anything else happens: what they do is no part of the next loss.
                    appends.abort_all();
                    return Ok((took, key));
                }
                (Err(error), _) => last = Some(error.to_string()),
            },
        }
    }
    bail!("no append in {} s; the last answer: {last:?}", patience.as_secs())
}

/// The acknowledged appends that the region does not have any more.
async fn missing(client: &Client, keys: &[String]) -> anyhow::Result<Vec<String>> {
    let options = CallOptions::new().consistency(Consistency::Regional);
    let mut missing = Vec::new();
    for key in keys {
        if client.get_with(&options, NAMESPACE, key).await?.is_none() {
            missing.push(key.clone());
        }
    }
    Ok(missing)
}

fn times(mut ms: Vec<u64>) -> Times {
    ms.sort_unstable();
    let rank = |share: usize| ms.get((ms.len() * share).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default();
    Times { losses: ms.len(), least_ms: rank(0), median_ms: rank(50), p99_ms: rank(99), most_ms: rank(100) }
}

/// The machine's load over the last minute.
fn machine_load() -> f64 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred_one_may_be_longer_and_of_sixty_none() {
        let hundred = times((1..=100).collect());
        assert_eq!((hundred.least_ms, hundred.median_ms, hundred.p99_ms, hundred.most_ms), (1, 50, 99, 100));
        let sixty = times((1..=60).rev().collect());
        assert_eq!((sixty.least_ms, sixty.median_ms, sixty.p99_ms, sixty.most_ms), (1, 30, 60, 60));
    }

    #[test]
    fn a_seed_orders_the_losses_and_none_is_left_out() {
        let plan = Plan { kills: 3, stops: 2, cuts: 1, log: 0, patience: Duration::ZERO, seed: 1 };
        let mut order = order(&plan, &mut Chance::new(1));
        assert_eq!(order, super::order(&plan, &mut Chance::new(1)));
        order.sort();
        assert_eq!(order, [How::Killed, How::Killed, How::Killed, How::Stopped, How::Stopped, How::Cut]);
    }
}
