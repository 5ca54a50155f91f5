//! A workload's clients against real nodes: each asks what its generator says, when it is due, until told to stop.
//!
//! Retries are off, so that a call is one attempt. A client talks to one node at a time, by name; when that one does not
//! answer it goes to another of its region, as a user's client would, and takes its session along. Where a session goes to
//! another region, its user does: the call is made from there.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use trine_client::{CallOptions, Client as Connection, ClientError, Session};

use super::places::Places;
use crate::arena::cluster::Layout;
use crate::chance::Chance;
use crate::history::{Call, Known, Outcome, Recorder};
use crate::plan::Topology;
use crate::workload::{Client, Next, Workload};

/// How long a call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// How long a client rests after a failed call, so that a region without a majority is not asked in a tight loop.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(20);
/// The most calls of one client under way at once; what is due then begins late.
const CALLS_OPEN_MAX: usize = 64;

/// The running clients.
#[derive(Debug)]
pub struct Load {
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
}

/// A client of one node, retries off.
///
/// # Errors
/// When the identity cannot be read.
pub fn pinned(identity: &Path, libp2p: &str) -> anyhow::Result<Connection> {
    let builder = Connection::builder().directory(identity)?.seed(libp2p)?.pinned();
    Ok(builder.retries(0).deadline(CALL_DEADLINE).build()?)
}

/// The size of a prepared cluster.
#[must_use]
pub fn topology(layout: &Layout) -> Topology {
    let regions: std::collections::BTreeSet<&str> = layout.nodes.iter().map(|node| node.region.as_str()).collect();
    Topology { regions: regions.len(), nodes: layout.nodes.len() / regions.len().max(1) }
}

impl Load {
    /// Starts a workload's clients.
    ///
    /// # Errors
    /// When a client cannot be built.
    pub fn start(
        layout: &Layout,
        places: &Places,
        workload: &Workload,
        seed: u64,
        recorder: &Recorder,
    ) -> anyhow::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let mut clients = JoinSet::new();
        let all = Client::all(workload, topology(layout));
        let every =
            (workload.rate_per_s > 0).then(|| Duration::from_secs_f64(all.len() as f64 / workload.rate_per_s as f64));
        for client in all {
            let mut connections = BTreeMap::new();
            for node in &layout.nodes {
                connections.insert(node.name.clone(), pinned(&layout.client, &node.libp2p)?);
            }
            let chance = Chance::new(seed ^ ((client.number as u64 + 1) << 24));
            let (recorder, session) = (recorder.clone(), Session::new());
            let places = places.handles();
            let worker = Worker { client, connections, places, session, chance, recorder, every };
            clients.spawn(worker.work(stopped.clone()));
        }
        Ok(Self { stop, clients })
    }

    /// Lets no client begin another call.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Lets each client finish its calls and ends.
    ///
    /// # Errors
    /// When a client panicked.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        self.stop();
        while let Some(ended) = self.clients.join_next().await {
            ended.context("a client of the load")?;
        }
        Ok(())
    }
}

/// Asks one thing once, and says how it ended.
pub async fn ask(recorder: &Recorder, connection: &Connection, session: Session, client: usize, next: &Next) -> Call {
    let token = session.token();
    let options =
        CallOptions::new().consistency(next.consistency).durability(next.durability).session(session).retries(0);
    let knew = Known::from(&token);
    let mut call = next.call(recorder.number(), client, client, knew, recorder.now_ns());
    let result = connection.request(&options, next.request()).await;
    call.returned_ns = Some(recorder.now_ns());
    call.outcome = match result {
        Ok(answer) => Outcome::of(&call.action, &Ok(answer)),
        Err(ClientError::Request(error)) => Outcome::of(&call.action, &Err(error)),
        Err(error) if error.retryable() => Outcome::Fail(error.to_string()),
        Err(error) => Outcome::Unknown(error.to_string()),
    };
    call
}

/// One client.
struct Worker {
    client: Client,
    connections: BTreeMap<String, Connection>,
    places: BTreeMap<String, Handle>,
    session: Session,
    chance: Chance,
    recorder: Recorder,
    every: Option<Duration>,
}

impl Worker {
    async fn work(mut self, mut stopped: watch::Receiver<bool>) {
        let mut open: JoinSet<Call> = JoinSet::new();
        // Clients do not all begin at once.
        let first = self.every.unwrap_or(REST_AFTER_FAILURE).mul_f64(self.chance.below(1_000) as f64 / 1_000.0);
        let mut due = Instant::now() + first;
        while !*stopped.borrow_and_update() {
            let room = if self.every.is_some() { open.len() < CALLS_OPEN_MAX } else { open.is_empty() };
            tokio::select! {
                _ = stopped.changed() => {}
                () = tokio::time::sleep_until(due), if room => {
                    due += self.every.unwrap_or_default();
                    self.ask(&mut open);
                }
                Some(ended) = open.join_next() => {
                    let Ok(call) = ended else { continue };
                    if self.ended(call) && self.every.is_none() {
                        due = Instant::now() + REST_AFTER_FAILURE;
                    }
                }
            }
        }
        while let Some(ended) = open.join_next().await {
            if let Ok(call) = ended {
                self.ended(call);
            }
        }
        for connection in self.connections.values() {
            connection.close().await;
        }
    }

    /// Begins the client's next call.
    fn ask(&mut self, open: &mut JoinSet<Call>) {
        self.client.now_ns = self.recorder.now_ns();
        let next = self.client.next(&mut self.chance);
        let Some(connection) = self.connections.get(&next.node).cloned() else { return };
        let (recorder, session, number) = (self.recorder.clone(), self.session.clone(), self.client.number);
        let place = self.places.get(&next.region).cloned().unwrap_or_else(Handle::current);
        open.spawn_on(async move { ask(&recorder, &connection, session, number, &next).await }, &place);
    }

    /// Takes a call in that has ended; says whether it failed.
    fn ended(&mut self, call: Call) -> bool {
        let failed = call.ok().is_none();
        self.client.told(&call);
        // A condition that did not hold is an answer; anything else may be the node.
        if failed && call.node.as_deref() == Some(self.client.node.as_str()) {
            self.client.leave(&mut self.chance);
        }
        self.recorder.push(call);
        failed
    }
}
