//! Asking every node for its state, all the time: who leads, what its clock says, and what its region signed.
//!
//! Each node is asked by a task of its own, one question after the other. So what it answers is in the order of its own
//! time, over its restarts too: hybrid time that goes back between two answers has gone back on the node.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;
use trine_client::{CallOptions, Client};
use trine_crdt::{NodeId, RegionId};
use trine_ledger::Checkpoint;
use trine_protocol::reply::{RaftRole, StatusView};
use trine_protocol::request::CheckpointGet;

use crate::arena::cluster::{Layout, NodeLayout};
use crate::arena::program::load::pinned;
use crate::arena::run::limits::{WATCH_EVERY, WATCH_PATIENCE};
use crate::check::{ClockMark, Did, NodeEvent, SignedHead};
use crate::history::Recorder;

/// What a node said last.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// When, in nanoseconds of the run.
    pub at_ns: u64,
    /// Its disk.
    pub id: NodeId,
    /// Whether it leads, and in which term.
    pub leads: Option<u64>,
    /// Remote stamps that it held so far, because they were too far ahead.
    pub stamps_held: u64,
}

#[derive(Debug, Default)]
struct Told {
    nodes: BTreeMap<String, Sighting>,
    marks: Vec<ClockMark>,
    /// The heads of regions, and who showed each first.
    heads: BTreeMap<(String, u64, [u8; 32]), String>,
}

/// What was heard in all.
#[derive(Debug)]
pub struct Heard {
    /// What the clocks said.
    pub clocks: Vec<ClockMark>,
    /// Which nodes did not believe others' clocks.
    pub doubts: Vec<NodeEvent>,
    /// What regions signed.
    pub heads: Vec<SignedHead>,
}

/// The tasks, and what they heard.
pub struct Watch {
    told: Arc<Mutex<Told>>,
    regions: BTreeMap<String, String>,
    clients: BTreeMap<String, Client>,
    recorder: Recorder,
    tasks: JoinSet<()>,
    identity: std::path::PathBuf,
}

impl Watch {
    /// Begins to ask.
    ///
    /// # Errors
    /// When a client cannot be built.
    pub fn start(layout: &Layout, recorder: &Recorder) -> anyhow::Result<Self> {
        let mut watch = Self {
            told: Arc::default(),
            regions: BTreeMap::new(),
            clients: BTreeMap::new(),
            recorder: recorder.clone(),
            tasks: JoinSet::new(),
            identity: layout.client.clone(),
        };
        layout.nodes.iter().try_for_each(|node| watch.add(node))?;
        Ok(watch)
    }

    /// Asks one more node.
    ///
    /// # Errors
    /// When a client cannot be built.
    pub fn add(&mut self, node: &NodeLayout) -> anyhow::Result<()> {
        let client = pinned(&self.identity, &node.libp2p)?;
        self.regions.insert(node.name.clone(), node.region.clone());
        self.clients.insert(node.name.clone(), client.clone());
        let (told, recorder, name) = (Arc::clone(&self.told), self.recorder.clone(), node.name.clone());
        let region: RegionId = node.region.parse()?;
        self.tasks.spawn(async move {
            let mut due = tokio::time::interval(WATCH_EVERY);
            due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                due.tick().await;
                let at_ns = recorder.now_ns();
                if let Some(status) = ask(&client).await {
                    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                    told.marks.push(ClockMark { node: name.clone(), at_ns, stamp: status.timestamp });
                    told.nodes.insert(name.clone(), sighting(&status, recorder.now_ns()));
                }
                if let Some(head) = head(&client, &region).await {
                    let head = (region.to_string(), head.size, head.root);
                    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                    told.heads.entry(head).or_insert_with(|| name.clone());
                }
            }
        });
        Ok(())
    }

    /// What a node said last.
    #[must_use]
    pub fn last(&self, node: &str) -> Option<Sighting> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).nodes.get(node).cloned()
    }

    /// Whether a node of this region, another than this, has led since then.
    #[must_use]
    pub fn another_leads(&self, region: &str, than: &str, since_ns: u64) -> bool {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.nodes.iter().any(|(name, last)| {
            name != than
                && self.regions.get(name).map(String::as_str) == Some(region)
                && last.at_ns > since_ns
                && last.leads.is_some()
        })
    }

    /// Who leads each region, asked now: of those that say so the one with the latest term.
    pub async fn leaders(&self) -> BTreeMap<String, String> {
        let mut asked = JoinSet::new();
        for (name, client) in &self.clients {
            let (name, client) = (name.clone(), client.clone());
            asked.spawn(async move { (name, ask(&client).await) });
        }
        let mut leaders: BTreeMap<String, (u64, String)> = BTreeMap::new();
        while let Some(answered) = asked.join_next().await {
            let Ok((name, Some(status))) = answered else { continue };
            let (Some(term), Some(region)) = (sighting(&status, 0).leads, self.regions.get(&name)) else { continue };
            let best = leaders.entry(region.clone()).or_default();
            *best = std::mem::take(best).max((term, name));
        }
        leaders.into_iter().map(|(region, (_, name))| (region, name)).collect()
    }

    /// Asks no more; what was heard.
    pub async fn finish(mut self) -> Heard {
        self.tasks.shutdown().await;
        let told = std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
        let held = told.nodes.into_iter().filter(|(_, last)| last.stamps_held > 0).map(|(node, last)| {
            let words = format!("held {} stamps that were too far ahead of its clock", last.stamps_held);
            NodeEvent { node, at_ns: last.at_ns, what: Did::Tell, words }
        });
        let head = |((region, size, root), node)| SignedHead { node, region, size, root };
        Heard { clocks: told.marks, doubts: held.collect(), heads: told.heads.into_iter().map(head).collect() }
    }
}

/// What a node shows of its region's ledger under its region's key.
async fn head(client: &Client, region: &RegionId) -> Option<Checkpoint> {
    let options = CallOptions::new().retries(0).deadline(WATCH_PATIENCE);
    let answer = client
        .request(&options, trine_protocol::Request::Checkpoint(CheckpointGet { region: region.clone() }))
        .await
        .ok()?;
    match answer.reply {
        trine_protocol::Reply::Checkpoint(note) => Checkpoint::peek(&note).ok(),
        _ => None,
    }
}

async fn ask(client: &Client) -> Option<StatusView> {
    let options = CallOptions::new().retries(0).deadline(WATCH_PATIENCE);
    let answer = client.request(&options, trine_protocol::Request::Status).await.ok()?;
    match answer.reply {
        trine_protocol::Reply::Status(status) => Some(*status),
        _ => None,
    }
}

fn sighting(status: &StatusView, at_ns: u64) -> Sighting {
    let leads = (status.node.raft == RaftRole::Leader).then_some(status.term);
    Sighting { at_ns, id: status.node.id, leads, stamps_held: status.stamps_held }
}
