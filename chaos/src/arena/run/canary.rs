//! How far behind each region is: a counter in each region that grows all the time, read in all the others.
//!
//! The lag of a region at a moment is the age of the oldest growth of any other region's counter that a reader there does
//! not see. It is taken by the run's own clock, and not known while nobody in the region answers.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinSet;
use trine_client::{CallOptions, Client};
use trine_protocol::{Consistency, Durability, Edit, View};

use super::{of_region, regions};
use crate::arena::cluster::Layout;
use crate::arena::program::Places;
use crate::arena::program::load::pinned;
use crate::arena::run::limits::{CANARY_EVERY, CANARY_PATIENCE};
use crate::history::Recorder;
use crate::report::Lag;
use crate::workload::request::OBJECTS;

/// The total after each growth, and when it was acknowledged, in nanoseconds of the run.
type Grown = Arc<Mutex<Vec<(i64, u64)>>>;

/// The running canaries.
#[derive(Debug)]
pub struct Canaries {
    stop: watch::Sender<bool>,
    writers: JoinSet<()>,
    readers: JoinSet<Vec<Lag>>,
}

/// Starts one writer and one reader in each region.
///
/// # Errors
/// When a client cannot be built.
pub fn start(layout: &Layout, places: &Places, recorder: &Recorder) -> anyhow::Result<Canaries> {
    let (stop, stopped) = watch::channel(false);
    let mut canaries = Canaries { stop, writers: JoinSet::new(), readers: JoinSet::new() };
    let regions = regions(&layout.nodes);
    let grown: Vec<(String, Grown)> = regions.iter().map(|region| (region.clone(), Grown::default())).collect();
    for (region, own) in &grown {
        let clients = of_region(&layout.nodes, region).map(|node| pinned(&layout.client, &node.libp2p));
        let nodes = Nodes { clients: clients.collect::<anyhow::Result<_>>()?, at: 0 };
        let others = grown.iter().filter(|(other, _)| other != region).cloned().collect();
        let (name, recorder) = (region.clone(), recorder.clone());
        let place = places.of(region);
        let writes = write(nodes.clone(), name.clone(), Arc::clone(own), recorder.clone(), stopped.clone());
        canaries.writers.spawn_on(writes, &place);
        canaries.readers.spawn_on(read(nodes, name, others, recorder, stopped.clone()), &place);
    }
    Ok(canaries)
}

impl Canaries {
    /// Ends them; what they saw.
    ///
    /// # Errors
    /// When one of them panicked.
    pub async fn finish(mut self) -> anyhow::Result<Vec<Lag>> {
        self.stop.send_replace(true);
        while let Some(ended) = self.writers.join_next().await {
            ended?;
        }
        let mut lags = Vec::new();
        while let Some(seen) = self.readers.join_next().await {
            lags.extend(seen?);
        }
        lags.sort_by_key(|lag| lag.at_ns);
        Ok(lags)
    }
}

/// The nodes of a region, one of which is asked until it does not answer.
#[derive(Clone)]
struct Nodes {
    clients: Vec<Client>,
    at: usize,
}

impl Nodes {
    fn now(&self) -> &Client {
        &self.clients[self.at % self.clients.len()]
    }
}

fn key(region: &str) -> String {
    format!("canary/{region}")
}

fn total(views: &[View]) -> i64 {
    views.iter().find_map(|view| if let View::Counter(total) = view { Some(*total) } else { None }).unwrap_or_default()
}

async fn write(mut nodes: Nodes, region: String, own: Grown, recorder: Recorder, mut stopped: watch::Receiver<bool>) {
    let options = CallOptions::new().durability(Durability::Local).retries(0).deadline(CANARY_PATIENCE);
    let mut due = tokio::time::interval(CANARY_EVERY);
    while !*stopped.borrow_and_update() {
        tokio::select! { _ = stopped.changed() => return, _ = due.tick() => {} }
        match nodes.now().object_edit_with(&options, OBJECTS, &key(&region), Edit::Increment(1)).await {
            Ok(view) => {
                let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
                let total = total(&view.views);
                if own.last().is_none_or(|(last, _)| total > *last) {
                    own.push((total, recorder.now_ns()));
                }
            }
            Err(_) => nodes.at += 1,
        }
    }
}

async fn read(
    mut nodes: Nodes,
    region: String,
    others: Vec<(String, Grown)>,
    recorder: Recorder,
    mut stopped: watch::Receiver<bool>,
) -> Vec<Lag> {
    let options = CallOptions::new().consistency(Consistency::Eventual).retries(0).deadline(CANARY_PATIENCE);
    let mut lags = Vec::new();
    let mut due = tokio::time::interval(CANARY_EVERY);
    while !*stopped.borrow_and_update() {
        tokio::select! { _ = stopped.changed() => break, _ = due.tick() => {} }
        let mut behind_ns = Some(0);
        for (other, grown) in &others {
            let at_ns = recorder.now_ns();
            let seen = match nodes.now().object_get_with(&options, OBJECTS, &key(other)).await {
                Ok(view) => view.map_or(0, |view| total(&view.views)),
                Err(_) => {
                    nodes.at += 1;
                    behind_ns = None;
                    break;
                }
            };
            let grown = grown.lock().unwrap_or_else(PoisonError::into_inner);
            let unseen = grown.iter().find(|(total, _)| *total > seen).map_or(0, |(_, at)| at_ns.saturating_sub(*at));
            behind_ns = behind_ns.max(Some(unseen));
        }
        lags.push(Lag { region: region.clone(), at_ns: recorder.now_ns(), behind_ns });
    }
    lags
}
