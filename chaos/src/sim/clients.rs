//! The clients of the simulated world: what they ask, what they were told, and their calls for the checkers.

use std::collections::BTreeMap;

use trine_protocol::reply::Answer;
use trine_protocol::request::Options;
use trine_protocol::{Request, RequestError, Role, SessionToken};
use trine_replica::Input;

use crate::history::{Call, History, Known, Outcome};
use crate::plan::{Plan, Topology};
use crate::sim::event::Event;
use crate::sim::world::World;
use crate::workload::{Client, Moves, Next, Workload};

/// How long a call may take.
const TIMEOUT_MS: u64 = 3_000;

/// All clients.
#[derive(Debug, Default)]
pub struct Clients {
    clients: Vec<Client>,
    sessions: Vec<SessionToken>,
    calls: BTreeMap<u64, Call>,
    /// Those that only ask whether a healed region answers: one a region, the last of all.
    probes: usize,
}

impl Clients {
    /// The clients of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let mut clients = Client::all(&plan.workload, plan.topology);
        let asks = Workload { moves: Moves::Stay, ..plan.workload.clone() };
        for region in plan.topology.region_names() {
            clients.push(Client::new(clients.len(), &Topology::node(&region, 0), &asks, plan.topology));
        }
        let sessions = vec![SessionToken::default(); clients.len()];
        Self { clients, sessions, calls: BTreeMap::new(), probes: plan.topology.regions }
    }

    /// The calls so far.
    #[must_use]
    pub fn history(&self) -> History {
        History::new(self.calls.values().cloned().collect())
    }

    /// A call by its number.
    #[must_use]
    pub fn call(&self, id: u64) -> Option<&Call> {
        self.calls.get(&id)
    }

    /// Whether a write that began at this time or later was acknowledged in each of so many regions.
    #[must_use]
    pub fn all_acknowledged_since(&self, since_ns: u64, regions: usize) -> bool {
        let since = self.calls.values().rev().filter(|call| call.invoked_ns >= since_ns);
        let done = since.filter(|call| call.writes() && call.ok().is_some()).map(|call| call.region.as_str());
        done.collect::<std::collections::BTreeSet<_>>().len() == regions
    }

    /// A call is answered.
    pub fn answered(&mut self, id: u64, now_ns: u64, answer: Result<Box<Answer>, RequestError>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let answer = answer.map(|answer| *answer);
        if let Ok(answer) = &answer {
            self.sessions[call.session].merge(&answer.session);
        }
        call.returned_ns = Some(now_ns);
        call.outcome = Outcome::of(&call.action, &answer);
        self.clients[call.client].told(call);
    }

    /// The region where a call's client lives.
    #[must_use]
    pub fn home(&self, call: u64) -> Option<&str> {
        self.calls.get(&call).map(|call| self.clients[call.client].home.as_str())
    }

    /// Whether a call may yet be answered.
    #[must_use]
    pub fn wait(&self, now_ns: u64) -> bool {
        let since_ns = now_ns.saturating_sub(TIMEOUT_MS * 1_000_000);
        let recent = self.calls.values().rev().take_while(|call| call.invoked_ns >= since_ns);
        recent.into_iter().any(|call| call.returned_ns.is_none())
    }

    /// How many writes were acknowledged.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.calls.values().filter(|call| call.writes() && call.ok().is_some()).count() as u64
    }

    fn begin(&mut self, client: usize, next: &Next, now_ns: u64) -> (u64, Options, Request) {
        let id = self.calls.len() as u64 + 1;
        let token = self.sessions[client].clone();
        let knew = Known::from(&token);
        self.calls.insert(id, next.call(id, client, client, knew, now_ns));
        let options = Options {
            consistency: next.consistency,
            durability: next.durability,
            session: token,
            timeout: Some(std::time::Duration::from_millis(TIMEOUT_MS)),
        };
        (id, options, next.request())
    }
}

/// Begins one call of a client that is drawn, and books the next while the plan lasts.
pub fn operate(world: &mut World) {
    let mean_ns = 1_000_000_000 / world.plan.workload.rate_per_s.max(1);
    if world.now_ns < world.end_ns() {
        let wait = world.chance.below(2 * mean_ns) + 1;
        world.schedule(wait, Event::Operation);
    }
    let usual = world.clients.clients.len() - world.clients.probes;
    let client = world.chance.below(usual as u64) as usize;
    ask(world, client);
}

/// One call in each region.
pub fn probe(world: &mut World) {
    let all = world.clients.clients.len();
    for client in all - world.clients.probes..all {
        ask(world, client);
    }
}

fn ask(world: &mut World, client: usize) {
    let mut next = world.clients.clients[client].next(&mut world.chance);
    // A client whose node does not run finds another of its region; where none does, nobody takes the call.
    let of_region = |name: &String| world.serves(name);
    if !world.serves(&next.node) {
        let others: Vec<String> = world.plan.topology.nodes_of(&next.region).into_iter().filter(of_region).collect();
        let place = world.chance.below(others.len() as u64) as usize;
        let Some(other) = others.get(place) else { return };
        world.clients.clients[client].node.clone_from(other);
        next.node.clone_from(other);
    }
    let Some(node) = world.number(&next.node) else { return };
    let (id, options, request) = world.clients.begin(client, &next, world.now_ns);
    if world.faults.clients_cut(&world.clients.clients[client].home, node) {
        // It never arrives, and nobody tells its client: the next call goes elsewhere.
        world.clients.clients[client].leave(&mut world.chance);
        return;
    }
    let life = world.nodes[node].life;
    let request = Box::new(Input::Request { id, role: Role::Admin, options, request });
    world.schedule(0, Event::Request { node, life, request });
}
