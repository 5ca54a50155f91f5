//! What links and the log say, on its way to the driver.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use metrics::gauge;
use tokio::sync::{mpsc, watch};
use trine_ledger::LogPosition;
use trine_raft::hold::Held;
use trine_raft::{Applied, Group};
use trine_replica::Input;
use trine_replica::input::{CommittedEntry, GroupId, Leadership, Payload, Voters};
use trine_replica::not_ready::WentBack;

use crate::daemon::limits::FIGURES_INTERVAL;
use crate::daemon::signals::End;
use crate::driver::{DriverHandle, Readiness};
use crate::net::NetEvent;
use crate::store::Damage;

/// Hands over what the network says, in its order, until either end is gone. Waiting here stops the links reading.
pub(super) async fn network(mut events: mpsc::Receiver<NetEvent>, driver: DriverHandle, end: Arc<End>) {
    while let Some(event) = events.recv().await {
        let delivered = match event {
            NetEvent::PeerUp(peer) => driver.deliver(Input::PeerUp(peer), 0).await,
            NetEvent::PeerDown(node) => driver.deliver(Input::PeerDown(node), 0).await,
            NetEvent::Taken { by } => {
                end.leave(format!(
                    "{} and all others that answer hear this node from another process, which began before this one: two \
                     processes run on copies of one data directory. End the other one too, keep the directory that was \
                     there first, and start only that. For one node more, start with an empty data directory and with a \
                     name and a certificate of its own",
                    by.name
                ));
                Ok(())
            }
            NetEvent::Message { from, message, room } => {
                driver.deliver_held(Input::Message { from, message }, Box::new(room)).await
            }
            NetEvent::Rumor { from, bytes } => {
                let weight = bytes.len();
                driver.deliver(Input::Rumor { from, bytes }, weight).await
            }
            NetEvent::Request { role, options, request, reply, room, .. } => {
                driver.submit(role, options, request, reply, Box::new(room));
                Ok(())
            }
            NetEvent::Discovered { address } => {
                tracing::info!(%address, "found a node on the local network");
                Ok(())
            }
        };
        if delivered.is_err() {
            return;
        }
    }
}

/// Hands over who votes and who leads, whenever that changes, in this order.
pub(super) async fn leadership(
    mut watched: watch::Receiver<Leadership>,
    mut voters: watch::Receiver<Voters>,
    driver: DriverHandle,
) {
    loop {
        // Read before the voters are: what is told of them is then not older.
        let now = *watched.borrow_and_update();
        let told = voters.borrow_and_update().clone();
        if driver.deliver(Input::Voters(told), 0).await.is_err()
            || driver.deliver(Input::Leadership { group: GroupId::Region, leadership: now }, 0).await.is_err()
        {
            return;
        }
        let changed = tokio::select! {
            changed = watched.changed() => changed,
            changed = voters.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Hands over why this node votes for nobody, whenever that changes.
pub(super) async fn held(mut watched: watch::Receiver<Option<Held>>, driver: DriverHandle) {
    loop {
        let why = watched.borrow_and_update().as_ref().map(WentBack::from);
        gauge!("trine_raft_held_back").set(if why.is_some() { 1.0 } else { 0.0 });
        if driver.deliver(Input::HeldBack(why), 0).await.is_err() || watched.changed().await.is_err() {
            return;
        }
    }
}

/// Hands over who is of another group of this region, whenever that changes.
pub(super) async fn foreign(mut watched: watch::Receiver<BTreeSet<String>>, driver: DriverHandle) {
    while watched.changed().await.is_ok() {
        let names = watched.borrow_and_update().clone();
        if driver.deliver(Input::OtherGroup(names), 0).await.is_err() {
            return;
        }
    }
}

/// Takes the group's figures, again and again, as long as the node runs.
pub(super) async fn figures(group: Group) {
    let mut interval = tokio::time::interval(FIGURES_INTERVAL);
    loop {
        interval.tick().await;
        let now = group.metrics();
        gauge!("trine_raft_term").set(now.term as f64);
        gauge!("trine_raft_leader").set(f64::from(group.leadership().borrow().serving));
        gauge!("trine_raft_commit_index").set(now.committed_index.unwrap_or(0) as f64);
        gauge!("trine_raft_applied_index").set(now.applied_index.unwrap_or(0) as f64);
        gauge!("trine_raft_voters").set(now.voters.len() as f64);
        gauge!("trine_raft_learners").set(now.learners.len() as f64);
    }
}

/// Tells the core of damage that this process cannot heal; ends when there is some that a new process can.
pub(super) async fn damaged(damage: &Damage, driver: &DriverHandle) {
    loop {
        damage.wait().await;
        if damage.calls_for_restart() {
            return;
        }
        // The driver gone, the process ends.
        let _ = driver.deliver(Input::Damaged(damage.words()), 0).await;
    }
}

/// Notes that what an earlier process found is healed, once the node serves again.
pub(super) async fn healed(damage: Damage, readiness: Readiness, driver: DriverHandle) {
    let mut interval = tokio::time::interval(FIGURES_INTERVAL);
    while !damage.words().is_empty() {
        interval.tick().await;
        if readiness.get().is_ok() {
            damage.healed();
            let _ = driver.deliver(Input::Damaged(damage.words()), 0).await;
            return;
        }
    }
}

/// Takes what the group commits to the driver.
pub(super) struct Uptake {
    pub(super) driver: DriverHandle,
    pub(super) last: Option<LogPosition>,
    pub(super) membership: Option<Bytes>,
}

impl Applied for Uptake {
    fn last_applied(&self) -> (Option<LogPosition>, Option<Bytes>) {
        (self.last, self.membership.clone())
    }

    fn committed(&self, entries: Vec<CommittedEntry>) -> BoxFuture<'_, ()> {
        let bytes = entries.iter().map(weight).sum();
        Box::pin(async move {
            // The driver gone, the process ends: what it did not take is in the log.
            let _ = self.driver.deliver(Input::Committed { group: GroupId::Region, entries }, bytes).await;
        })
    }
}

fn weight(entry: &CommittedEntry) -> usize {
    match &entry.payload {
        Payload::Blank => 0,
        Payload::Entry(bytes) | Payload::Membership { bytes, .. } => bytes.len(),
    }
}
