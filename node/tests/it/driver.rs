//! The driver around a scripted core: order, bounds, deadlines, and what it does when the core gives up.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use trine_crdt::{NodeId, Now, Timestamp};
use trine_node::driver::{Clock, Core, Driver, DriverHandle, Readiness, Stop, World, channel};
use trine_protocol::reply::{Answer, Reply};
use trine_protocol::request::{Append, NodeRemove, Options, Request, Role};
use trine_protocol::{RequestError, SessionToken};
use trine_replica::effect::{Halt, PeerAddress, Roster};
use trine_replica::input::{GroupId, Leadership};
use trine_replica::store::{Memory, Store};
use trine_replica::{Batch, Counters, Effect, Input, NotReady, Outbox, PeerMessage, Persistence, StoreError};

const PATIENCE: Duration = Duration::from_secs(20);

/// A core that persists before it answers, proposes rumors, and gives up when a peer goes.
#[derive(Default)]
struct Script {
    batches: u64,
    waiting: Vec<u64>,
    ticks: u64,
    deadline: Option<u64>,
}

impl Core for Script {
    fn handle(&mut self, now: Now, _store: &dyn Store, input: Input, outbox: &mut Outbox) {
        match input {
            Input::Tick => {
                self.ticks += 1;
                self.deadline = (self.ticks < 4).then_some(now.monotonic_ns + 1_000_000);
                outbox.effects.push(Effect::Publish(Bytes::from(format!("tick {}", self.ticks))));
            }
            Input::Request { id, request: Request::Status, .. } => {
                self.batches += 1;
                self.waiting.push(id);
                let rows = vec![(Bytes::from_static(b"k"), None)];
                outbox.effects.push(Effect::Persist(Batch {
                    id: self.batches,
                    persistence: Persistence::Synced,
                    rows,
                }));
            }
            Input::Persisted(_) => {
                let session = SessionToken::default();
                for request in self.waiting.drain(..) {
                    let answer = Answer { reply: Reply::Done, session: session.clone(), timestamp: Timestamp::ZERO };
                    outbox.effects.push(Effect::Reply { request, answer: Ok(Box::new(answer)) });
                }
            }
            Input::Rumor { bytes, .. } => {
                outbox.effects.push(Effect::Propose { group: GroupId::Region, ticket: 7, entry: bytes })
            }
            Input::PeerDown(_) => {
                outbox.effects.push(Effect::Halt(Halt::Store(StoreError::Failed("fenced".to_owned()))))
            }
            _ => {}
        }
    }

    fn deadline(&self) -> u64 {
        self.deadline.unwrap_or(u64::MAX)
    }

    fn ready(&self) -> Result<(), NotReady> {
        if self.ticks > 0 { Ok(()) } else { Err(NotReady::Starting) }
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }
}

/// A world that writes down what it is told, and persists when the test says so.
struct Notes(SyncSender<String>);

impl World for Notes {
    fn step_down(&mut self) {}

    fn persist(&mut self, batch: Batch) {
        let _ = self.0.send(format!("persist {}", batch.id));
    }

    fn send(&mut self, to: NodeId, _message: PeerMessage) {
        let _ = self.0.send(format!("send {to}"));
    }

    fn publish(&mut self, rumor: Bytes) {
        let _ = self.0.send(String::from_utf8(rumor.to_vec()).unwrap());
    }

    fn peers(&mut self, _peers: Vec<PeerAddress>) {}

    fn propose(&mut self, _group: GroupId, term: u64, ticket: u64, entry: Bytes) {
        let _ = self.0.send(format!("propose {ticket} in term {term}: {}", entry.len()));
    }

    fn read_index(&mut self, _group: GroupId, _ticket: u64) {}

    fn roster(&mut self, _group: GroupId, _roster: Roster) {}

    fn leave(&mut self, reason: String) {
        let _ = self.0.send(format!("leave: {reason}"));
    }

    fn halt(&mut self, reason: String) {
        let _ = self.0.send(format!("halt: {reason}"));
    }
}

struct Running {
    driver: DriverHandle,
    notes: Receiver<String>,
    readiness: Readiness,
    stop: Stop,
    thread: std::thread::JoinHandle<()>,
}

fn start() -> Running {
    let (driver, inbox) = channel();
    let (notes, told) = sync_channel(1024);
    let (stop, readiness) = (Stop::default(), Readiness::default());
    let rest = (stop.clone(), Clock::default(), readiness.clone());
    let opening = Outbox { effects: vec![Effect::Publish(Bytes::from_static(b"opened"))] };
    let thread =
        Driver::start(Script::default(), opening, Box::new(Memory::default()), Notes(notes), inbox, rest).unwrap();
    Running { driver, notes: told, readiness, stop, thread }
}

impl Running {
    fn next(&self) -> String {
        self.notes.recv_timeout(PATIENCE).expect("an effect")
    }

    fn after_opening(self) -> Self {
        assert_eq!(self.next(), "opened");
        (1..=4).for_each(|tick| assert_eq!(self.next(), format!("tick {tick}"), "the core's timer is kept"));
        self
    }
}

#[tokio::test]
async fn a_client_is_answered_only_after_its_batch_is_on_disk() {
    let running = start().after_opening();
    let driver = running.driver.clone();
    let asked = tokio::spawn(async move { driver.request(Role::Reader, Options::default(), Request::Status).await });
    let running = tokio::task::spawn_blocking(move || {
        assert_eq!(running.next(), "persist 1");
        running
    })
    .await
    .unwrap();
    assert!(!asked.is_finished());
    running.driver.persisted_synced(1);
    assert_eq!(asked.await.unwrap().unwrap().reply, Reply::Done);
    assert_eq!(running.readiness.get(), Ok(()));
    running.stop.stop();
    running.thread.join().unwrap();
}

#[tokio::test]
async fn proposals_bear_the_term_in_which_the_core_last_served() {
    let running = start().after_opening();
    let group = GroupId::Region;
    let leadership = Leadership { leader: Some(NodeId(1)), term: 3, serving: true };
    running.driver.deliver(Input::Leadership { group, leadership }, 0).await.unwrap();
    let leadership = Leadership { leader: Some(NodeId(2)), term: 4, serving: false };
    running.driver.deliver(Input::Leadership { group, leadership }, 0).await.unwrap();
    running.driver.deliver(Input::Rumor { from: NodeId(1), bytes: Bytes::from_static(b"x") }, 1).await.unwrap();
    assert_eq!(running.next(), "propose 7 in term 3: 1");
}

#[tokio::test]
async fn a_core_that_gives_up_ends_the_driver_and_whoever_waits_is_told() {
    let running = start().after_opening();
    let driver = running.driver.clone();
    let asked = tokio::spawn(async move { driver.request(Role::Reader, Options::default(), Request::Status).await });
    let running = tokio::task::spawn_blocking(move || {
        assert_eq!(running.next(), "persist 1");
        running
    })
    .await
    .unwrap();
    running.driver.deliver(Input::PeerDown(NodeId(9)), 0).await.unwrap();
    assert_eq!(running.next(), "halt: the disk failed: fenced");
    running.thread.join().unwrap();
    let error = asked.await.unwrap().unwrap_err();
    assert_eq!(error, RequestError::Unavailable { what: "the node is stopping".to_owned() });
    assert!(running.driver.deliver(Input::Tick, 0).await.is_err());
}

#[tokio::test]
async fn a_core_that_never_answers_leaves_a_write_unknown_and_a_read_unavailable() {
    let running = start().after_opening();
    let options = || Options { timeout: Some(Duration::from_millis(50)), ..Options::default() };
    let read = running.driver.request(Role::Reader, options(), Request::NamespaceList).await.unwrap_err();
    assert_eq!(read, RequestError::Unavailable { what: "no answer within 50ms".to_owned() });
    let write = Request::NodeRemove(NodeRemove { node: NodeId(1), force: false });
    assert_eq!(running.driver.request(Role::Admin, options(), write).await.unwrap_err(), RequestError::Unknown);
}

#[tokio::test]
async fn requests_that_weigh_too_much_together_are_refused_not_queued() {
    // Nobody takes anything out.
    let (driver, _inbox) = channel();
    let value = Bytes::from(vec![0; 16 * 1024 * 1024]);
    let append = || {
        Request::Append(Append {
            namespace: "default".to_owned(),
            key: "k".to_owned(),
            value: value.clone(),
            content_type: String::new(),
            metadata: Default::default(),
            idempotency_key: None,
            if_match: None,
            with_proof: false,
        })
    };
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let (driver, append) = (driver.clone(), append());
            tokio::spawn(async move { driver.request(Role::Writer, Options::default(), append).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let refused = driver.request(Role::Writer, Options::default(), append()).await.unwrap_err();
    assert!(matches!(refused, RequestError::Overloaded { .. }), "{refused}");
    waiting.iter().for_each(|waiting| assert!(!waiting.is_finished()));
}
