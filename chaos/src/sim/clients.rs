//! The clients of the simulated world: what they ask, what they were told, and their calls for the checkers.

use std::collections::{BTreeMap, BTreeSet};

use trine_protocol::reply::Answer;
use trine_protocol::request::Options;
use trine_protocol::{Request, RequestError, Role, SessionToken};
use trine_replica::Input;

use crate::history::{Call, History, Known, Outcome};
use crate::plan::{Plan, Topology};
use crate::sim::event::Event;
use crate::sim::world::World;
use crate::workload::probe::Asked;
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

    /// What no call of a region that began at this time or later was acknowledged for, each with the client that asks
    /// for it there.
    fn unanswered(&self, since_ns: u64) -> Vec<(usize, Asked)> {
        let since = self.calls.values().rev().take_while(|call| call.invoked_ns >= since_ns);
        let done = since.filter(|call| call.ok().is_some());
        let done: BTreeSet<_> = done.filter_map(|call| Some((call.region.as_str(), Asked::of(call)?))).collect();
        let probes = (self.clients.len() - self.probes..self.clients.len()).flat_map(|client| {
            let home = self.clients[client].home.as_str();
            Asked::ALL
                .into_iter()
                .filter(|asked| !done.contains(&(home, *asked)))
                .map(|asked| (client, asked))
                .collect::<Vec<_>>()
        });
        probes.collect()
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
    let next = world.clients.clients[client].next(&mut world.chance);
    ask(world, client, next);
}

/// Asks each region for what it has not answered since; whether there was nothing to ask.
pub fn probe(world: &mut World, since_ns: u64) -> bool {
    let unanswered = world.clients.unanswered(since_ns);
    for (client, asked) in &unanswered {
        // The next attempt is another node's.
        world.clients.clients[*client].leave(&mut world.chance);
        let Client { node, home, number, .. } = &world.clients.clients[*client];
        let value = format!("v{number}-{}", world.clients.calls.len());
        let next = asked.next(node, home, value);
        ask(world, *client, next);
    }
    unanswered.is_empty()
}

fn ask(world: &mut World, client: usize, mut next: Next) {
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
