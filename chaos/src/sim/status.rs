//! What nodes say of themselves: each is asked now and then for its status, as an operator would, and once more in the
//! end, when all is at rest.

use std::collections::BTreeMap;

use trine_crdt::digest::SumDigest;
use trine_crdt::{NodeId, WriterId};
use trine_protocol::reply::{Answer, StatusView};
use trine_protocol::request::{Options, Request};
use trine_protocol::{Reply, RequestError, Role};
use trine_replica::Input;

use crate::check::{Said, SaidLedger, Sum, Uptime};
use crate::sim::event::Event;
use crate::sim::restored::HEADS;
use crate::sim::world::{MS, World};

/// The number of the first question: neither clients nor operators ask under it.
const QUESTION: u64 = 1 << 50;
/// How often each node is asked.
const EVERY_NS: u64 = 500 * MS;
/// What a node says of itself it looks up at a tick: the last look comes a few of them after the last change.
const SETTLE_NS: u64 = 500 * MS;
/// How long regions may take to choose a leader before the last look.
const ELECTED_NS: u64 = 5_000 * MS;
/// How long the last answers may take.
const LAST_NS: u64 = 100 * MS;
/// In worlds of more nodes than this nobody asks.
const NODES_MAX: usize = 20;

impl World {
    /// Asks all nodes that are awake, now and from now on.
    pub(super) fn look(&mut self) {
        self.question();
        self.schedule(EVERY_NS, Event::Look);
    }

    /// Asks once more, when nothing changes any longer. Whoever left in the end may have led its region.
    pub fn last_look(&mut self) {
        let until_ns = self.now_ns + ELECTED_NS;
        while self.now_ns < until_ns && !self.all_led() {
            self.run_until(self.now_ns + LAST_NS, |_| {});
        }
        self.run_until(self.now_ns + SETTLE_NS, |_| {});
        let first = self.said.len();
        self.question();
        self.run_until(self.now_ns + LAST_NS, |_| {});
        self.said.iter_mut().skip(first).for_each(|said| said.at_rest = true);
    }

    fn question(&mut self) {
        if self.nodes.len() > NODES_MAX {
            return;
        }
        for node in 0..self.nodes.len() {
            if self.nodes[node].awake() {
                let (id, life) = (QUESTION + node as u64, self.nodes[node].life);
                let (options, request) = (Options::default(), Request::Status);
                self.input(node, life, Input::Request { id, role: Role::Admin, options, request });
                self.ask_head(node);
            }
        }
    }

    /// An answer of a node; whether it is one to a question.
    pub(super) fn told(&mut self, node: usize, request: u64, answer: &Result<Box<Answer>, RequestError>) -> bool {
        if request < QUESTION {
            return self.brought_back(request, answer);
        }
        if request >= HEADS {
            self.showed(node, answer);
            return true;
        }
        if let Ok(answer) = answer
            && let Reply::Status(status) = &answer.reply
        {
            let said = self.of(node, status);
            self.said.push(said);
        }
        true
    }

    fn of(&self, node: usize, status: &StatusView) -> Said {
        let name = |id: &NodeId| match self.by_id.get(id) {
            Some(node) => self.name(*node),
            None => former(*id),
        };
        let ledger = |(region, head): (&trine_crdt::RegionId, &trine_protocol::reply::LedgerHead)| {
            (region.to_string(), SaidLedger { size: head.size, root: head.root })
        };
        let objects = status.objects.iter().filter(|(_, objects)| objects.count > 0);
        let objects: BTreeMap<String, Sum> = objects
            .map(|(namespace, objects)| {
                let digest = SumDigest(objects.digest).to_string();
                (namespace.to_string(), Sum { count: objects.count, digest })
            })
            .collect();
        Said {
            node: self.name(node),
            at_ns: self.now_ns,
            at_rest: false,
            ready: status.ready,
            reason: status.reason.clone(),
            leader: status.leader.as_ref().map(name),
            connected: status.connected.iter().map(name).collect(),
            ledgers: status.ledgers.iter().map(ledger).collect(),
            objects,
        }
    }

    /// A node's process runs from now on.
    pub(super) fn runs(&mut self, node: usize, writer: WriterId) {
        let (node, writer) = (self.name(node), writer.to_string());
        self.uptimes.push(Uptime { node, from_ns: self.now_ns, until_ns: None, writer });
    }

    /// A node's id is about to mean nobody any more: what ran under it last is known by the id from now on, since
    /// others may name it for a while.
    pub(super) fn forget_id(&mut self, node: usize) {
        let (id, name) = (self.nodes[node].id, self.name(node));
        if let Some(last) = self.uptimes.iter().rev().find(|uptime| uptime.node == name) {
            // Whose answers were which the node's own name tells.
            let (from_ns, until_ns) = (last.from_ns, last.until_ns.or(Some(self.now_ns)));
            let last = Uptime { node: former(id), from_ns, until_ns, writer: String::new() };
            self.uptimes.push(last);
        }
        self.by_id.remove(&id);
    }

    /// A node's process has ended.
    pub(super) fn ended(&mut self, node: usize) {
        let name = self.name(node);
        if let Some(last) = self.uptimes.iter_mut().rev().find(|uptime| uptime.node == name) {
            last.until_ns = last.until_ns.or(Some(self.now_ns));
        }
    }
}

/// What a node is called that has another disk now, or none.
fn former(id: NodeId) -> String {
    format!("a former disk, {id}")
}
