//! The clients of the simulated world: what they ask, what they were told, and their calls for the checkers.
//!
//! With a rate, calls begin when they are due, whoever makes them. Without one, each client thinks for a moment when its
//! last call was answered or given up, and begins its next.

use std::collections::{BTreeMap, BTreeSet};

use trine_protocol::reply::Answer;
use trine_protocol::request::Options;
use trine_protocol::{Request, RequestError, Role, SessionToken};
use trine_replica::Input;

use crate::history::{Call, History, Known, Outcome};
use crate::plan::{Plan, Topology};
use crate::sim::event::Event;
use crate::sim::world::{MS, World};
use crate::workload::probe::Asked;
use crate::workload::{Client, Moves, Next, Workload};

/// How long a call may take.
const TIMEOUT_MS: u64 = 3_000;
/// How long a client that is asked for no rate thinks between two calls on average: a read may take no time at all here.
const THINK_MS: u64 = 20;
/// The number of the first call that nobody took: those that nodes see are counted apart.
const REFUSED: u64 = 1 << 40;

/// All clients.
#[derive(Debug, Default)]
pub struct Clients {
    clients: Vec<Client>,
    sessions: Vec<SessionToken>,
    calls: BTreeMap<u64, Call>,
    /// Calls for which no node ran.
    refused: Vec<Call>,
    /// Each client's last call.
    last: Vec<u64>,
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
        let (sessions, last) = (vec![SessionToken::default(); clients.len()], vec![0; clients.len()]);
        let (calls, refused) = (BTreeMap::new(), Vec::new());
        Self { clients, sessions, calls, refused, last, probes: plan.topology.regions }
    }

    /// The calls so far.
    #[must_use]
    pub fn history(&self) -> History {
        History::new(self.calls.values().chain(&self.refused).cloned().collect())
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

    /// How many there are beside those that only probe.
    fn usual(&self) -> usize {
        self.clients.len() - self.probes
    }

    /// A call is answered; whose it was.
    fn answered(&mut self, id: u64, now_ns: u64, answer: Result<Box<Answer>, RequestError>) -> Option<usize> {
        let call = self.calls.get_mut(&id)?;
        let answer = answer.map(|answer| *answer);
        if let Ok(answer) = &answer {
            self.sessions[call.session].merge(&answer.session);
        }
        call.returned_ns = Some(now_ns);
        call.outcome = Outcome::of(&call.action, &answer);
        self.clients[call.client].told(call);
        Some(call.client)
    }

    /// The region where a call's client lives.
    #[must_use]
    pub fn home(&self, call: u64) -> Option<&str> {
        self.calls.get(&call).map(|call| self.clients[call.client].home.as_str())
    }

    /// Whether a call may yet be answered.
    #[must_use]
    pub fn wait(&self, now_ns: u64) -> bool {
        let since_ns = now_ns.saturating_sub(TIMEOUT_MS * MS);
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
            ..Options::default()
        };
        (id, options, next.request())
    }

    /// No node of its region runs that could take a call.
    fn refuse(&mut self, client: usize, next: &Next, now_ns: u64) -> u64 {
        let id = REFUSED + self.refused.len() as u64;
        let mut call = next.call(id, client, client, Known::from(&self.sessions[client]), now_ns);
        call.returned_ns = Some(now_ns);
        call.outcome = Outcome::Fail(format!("no node of {} runs", next.region));
        self.refused.push(call);
        id
    }
}

/// Begins one call of a client that is drawn, and books the next while the plan lasts; without a rate, lets all clients
/// begin.
pub fn operate(world: &mut World) {
    let usual = world.clients.usual();
    let Some(mean_ns) = 1_000_000_000_u64.checked_div(world.plan.workload.rate_per_s) else {
        (0..usual).for_each(|client| think(world, client));
        return;
    };
    if world.now_ns < world.end_ns() {
        let wait = world.chance.below(2 * mean_ns) + 1;
        world.schedule(wait, Event::Operation);
    }
    let client = world.chance.below(usual as u64) as usize;
    world.clients.clients[client].now_ns = world.now_ns;
    let next = world.clients.clients[client].next(&mut world.chance);
    ask(world, client, next);
}

/// A call is answered; without a rate, its client goes on.
pub fn answered(world: &mut World, id: u64, answer: Result<Box<Answer>, RequestError>) {
    let client = world.clients.answered(id, world.now_ns, answer);
    let goes_on = |client: &usize| *client < world.clients.usual() && world.clients.last[*client] == id;
    if let Some(client) = client.filter(goes_on).filter(|_| world.plan.workload.rate_per_s == 0) {
        think(world, client);
    }
}

/// A client that is asked for no rate begins its next call in a moment.
fn think(world: &mut World, client: usize) {
    let wait = world.chance.below(2 * THINK_MS * MS) + 1;
    let after = world.clients.last[client];
    world.schedule(wait, Event::NextCall { client, after });
}

/// A client begins its next call while the plan lasts, unless it has done so since this one.
pub fn go_on(world: &mut World, client: usize, after: u64) {
    if world.clients.last[client] != after || world.now_ns >= world.end_ns() {
        return;
    }
    world.clients.clients[client].now_ns = world.now_ns;
    let next = world.clients.clients[client].next(&mut world.chance);
    ask(world, client, next);
    let last = world.clients.last[client];
    if last >= REFUSED {
        return think(world, client);
    }
    world.schedule(TIMEOUT_MS * MS, Event::NextCall { client, after: last });
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
        let Some(other) = others.get(place) else {
            world.clients.last[client] = world.clients.refuse(client, &next, world.now_ns);
            return;
        };
        world.clients.clients[client].node.clone_from(other);
        next.node.clone_from(other);
    }
    let Some(node) = world.number(&next.node) else { return };
    let (id, options, request) = world.clients.begin(client, &next, world.now_ns);
    world.clients.last[client] = id;
    let home = &world.clients.clients[client].home;
    let (arrives, is_told) = (!world.faults.deaf_to_clients(home, node), !world.faults.mute_to_clients(home, node));
    if !arrives || !is_told {
        // Nobody will tell its client what became of it: the next call goes elsewhere.
        world.clients.clients[client].leave(&mut world.chance);
    }
    if !arrives {
        return;
    }
    let life = world.nodes[node].life;
    let request = Box::new(Input::Request { id, role: Role::Admin, options, request });
    world.schedule(0, Event::Request { node, life, request });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sim::{Ran, run_plan};

    fn run(faults: &str, rate_per_s: u64) -> Ran {
        let plan = format!(
            "name = \"asked\"\nshows = \"All is well.\"\nduration = \"4s\"\n\
             [workload]\nrate_per_s = {rate_per_s}\nmoves = \"stay\"\n[[faults]]\n{faults}"
        );
        let ran = run_plan(3, Plan::parse(&plan).expect("a plan"));
        assert!(ran.outcome.failures.is_empty(), "{:#?}", ran.outcome.failures);
        ran
    }

    #[test]
    fn without_a_rate_each_client_asks_when_it_was_answered_or_gave_up() {
        let cut = "at = \"500ms\"\nkind = \"split\"\ntarget = \"clients of eu-west-1\"";
        let ran = run(cut, 0);
        let calls = ran.evidence.history.calls();
        assert!(calls.len() > 800, "{} calls", calls.len());
        let mut given_up = 0;
        for client in 0..12 {
            let own: Vec<&Call> = calls.iter().filter(|call| call.client == client).collect();
            for pair in own.windows(2) {
                let waited_ns = pair[1].invoked_ns - pair[0].invoked_ns;
                given_up += usize::from(pair[0].returned_ns.is_none());
                match pair[0].returned_ns {
                    Some(returned_ns) => assert!(pair[1].invoked_ns > returned_ns, "{pair:?}"),
                    None => assert_eq!(Duration::from_nanos(waited_ns), Duration::from_millis(TIMEOUT_MS)),
                }
            }
        }
        assert!(given_up > 0, "the clients that are cut off wait in vain");
    }

    #[test]
    fn a_call_that_no_node_could_take_has_failed() {
        for rate_per_s in [0, 60] {
            let ran = run("at = \"500ms\"\nfor = \"1s\"\nkind = \"kill\"\ntarget = \"eu-west-1\"", rate_per_s);
            let refused = Outcome::Fail("no node of eu-west-1 runs".to_owned());
            let calls = ran.evidence.history.calls().iter().filter(|call| call.outcome == refused).count();
            assert!((10..500).contains(&calls), "{calls} calls");
        }
    }
}
