//! One client: from its state and a draw of chance, what it asks next.
//!
//! Pure: it neither sends nor waits. Whoever runs it hands back each call when it has ended, so that it can remove
//! what it knows to be there, append on the condition of what it knows to be the latest, and repeat what it does not
//! know the fate of.

use std::collections::{BTreeMap, VecDeque};

use trine_protocol::{Consistency, Durability};

use crate::chance::Chance;
use crate::history::{Action, After, Call, Edit, Shown, View};
use crate::plan::Topology;
use crate::workload::registry::Registry;
use crate::workload::{Kind, Moves, Workload};

/// How many elements of a set a client remembers, to remove them.
const ELEMENTS_MAX: usize = 32;
/// How many of its appends a client remembers, to repeat them.
const APPENDS_MAX: usize = 8;
/// The fields of a map.
const FIELDS: u64 = 3;

/// A client's state.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its number, unique in the run; also its session's.
    pub number: usize,
    /// The region where it began.
    pub home: String,
    /// The node that it talks to.
    pub node: String,
    workload: Workload,
    topology: Topology,
    asked: u64,
    elements: BTreeMap<String, VecDeque<String>>,
    latest: BTreeMap<(String, String), u64>,
    appends: VecDeque<Next>,
    registry: Registry,
}

/// What a client asks next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// The node to ask.
    pub node: String,
    /// That node's region.
    pub region: String,
    /// The key.
    pub key: String,
    /// What.
    pub action: Action,
    /// How fresh a read must be.
    pub consistency: Consistency,
    /// What a write must survive.
    pub durability: Durability,
    /// The idempotency key of an append.
    pub request_id: Option<String>,
    /// Whether an append asks for a proof.
    pub with_proof: bool,
}

impl Client {
    /// A client at a node, that has asked nothing.
    #[must_use]
    pub fn new(number: usize, node: &str, workload: &Workload, topology: Topology) -> Self {
        let home = topology.region_of(node).unwrap_or_default();
        Self {
            number,
            home,
            node: node.to_owned(),
            workload: workload.clone(),
            topology,
            asked: 0,
            elements: BTreeMap::new(),
            latest: BTreeMap::new(),
            appends: VecDeque::new(),
            registry: Registry::default(),
        }
    }

    /// All clients of a workload, spread over the nodes of each region.
    #[must_use]
    pub fn all(workload: &Workload, topology: Topology) -> Vec<Self> {
        let mut clients: Vec<Self> = Vec::new();
        for region in topology.region_names() {
            let nodes = topology.nodes_of(&region);
            for place in 0..workload.clients_per_region {
                clients.push(Self::new(clients.len(), &nodes[place % nodes.len()], workload, topology));
            }
        }
        clients
    }

    /// What it asks next.
    pub fn next(&mut self, chance: &mut Chance) -> Next {
        self.asked += 1;
        if chance.happens(self.workload.move_share) {
            self.wander(chance);
        }
        let region = self.topology.region_of(&self.node).unwrap_or_default();
        // What it has begun in the registry comes before anything new.
        if let Some((key, action)) = self.registry.step() {
            return self.ask(region, (key, action), None, chance);
        }
        let kind = self.workload.mix.draw(chance);
        if matches!(kind, Kind::Append | Kind::Publish)
            && chance.happens(self.workload.repeat_share)
            && let Some(again) = self.appends.iter().find(|append| append.region == region)
        {
            return Next { node: self.node.clone(), ..again.clone() };
        }
        let value = format!("v{}-{}", self.number, self.asked);
        let few = chance.below(self.workload.keys as u64);
        let asked = self.draw(kind, &region, &value, few, chance);
        let next = self.ask(region, asked, Some(value), chance);
        if next.request_id.is_some() {
            self.appends.push_back(next.clone());
            if self.appends.len() > APPENDS_MAX {
                self.appends.pop_front();
            }
        }
        next
    }

    /// How it asks. What a workload does not name draws nothing, so that its seeds stay what they were.
    fn ask(&self, region: String, asked: (String, Action), id: Option<String>, chance: &mut Chance) -> Next {
        let (workload, (key, action)) = (&self.workload, asked);
        let append = matches!(action, Action::Append { .. });
        let regional = matches!(action, Action::Latest | Action::Versions) && chance.happens(workload.regional_share);
        let other_read = !regional && !append && !matches!(action, Action::Edit(_));
        let eventual = other_read && workload.eventual_share > 0.0 && chance.happens(workload.eventual_share);
        let keyless = append && workload.keyless_share > 0.0 && chance.happens(workload.keyless_share);
        Next {
            node: self.node.clone(),
            region,
            key,
            consistency: match (regional, eventual) {
                (true, _) => Consistency::Regional,
                (false, true) => Consistency::Eventual,
                (false, false) => Consistency::Session,
            },
            durability: if chance.happens(workload.local_share) { Durability::Local } else { Durability::Region },
            request_id: id.filter(|_| append && !keyless),
            with_proof: append && chance.happens(workload.proof_share),
            action,
        }
    }

    /// Goes to another node of the region where it is: its own does not answer.
    pub fn leave(&mut self, chance: &mut Chance) {
        let region = self.topology.region_of(&self.node).unwrap_or_default();
        let mut nodes = self.topology.nodes_of(&region);
        nodes.retain(|node| *node != self.node);
        if let Some(node) = nodes.get(usize::try_from(chance.below(nodes.len() as u64)).unwrap_or_default()) {
            self.node.clone_from(node);
        }
    }

    /// Goes to another node.
    fn wander(&mut self, chance: &mut Chance) {
        let nodes = match self.workload.moves {
            Moves::Stay => return,
            Moves::Nodes => self.topology.nodes_of(&self.home),
            Moves::Regions => self.topology.node_names(),
        };
        if let Some(node) = nodes.get(usize::try_from(chance.below(nodes.len() as u64)).unwrap_or_default()) {
            self.node.clone_from(node);
        }
    }

    fn draw(&mut self, kind: Kind, region: &str, value: &str, few: u64, chance: &mut Chance) -> (String, Action) {
        let value = value.to_owned();
        let edit = |name: &str, edit| (format!("{name}-{few}"), Action::Edit(edit));
        let field = |chance: &mut Chance| format!("field-{}", chance.below(FIELDS));
        // Keys that all regions append to, and keys that only one does: only these are registers to a regional read.
        let ledger = |chance: &mut Chance| {
            if chance.happens(0.5) { format!("shared-{few}") } else { format!("at-{region}-{few}") }
        };
        match kind {
            Kind::Append if chance.happens(0.3) => (format!("own-{value}"), Action::Append { value, only_after: None }),
            Kind::Append => {
                let key = ledger(chance);
                let conditional = chance.happens(self.workload.conditional_share);
                let latest = self.latest.get(&(region.to_owned(), key.clone()));
                let after = latest.map_or(After::Nothing, |index| After::Record(*index));
                (key, Action::Append { value, only_after: conditional.then_some(after) })
            }
            Kind::Latest => (ledger(chance), Action::Latest),
            Kind::Versions => (ledger(chance), Action::Versions),
            Kind::SetAdd => edit("set", Edit::Add(value)),
            Kind::SetRemove => {
                let known = self.elements.get(&format!("set-{few}"));
                let place = chance.below(known.map_or(0, VecDeque::len) as u64);
                let element = known.and_then(|known| known.get(usize::try_from(place).unwrap_or_default()).cloned());
                // Knowing none, it adds one.
                edit("set", element.map_or(Edit::Add(value), Edit::Remove))
            }
            Kind::SetRead => (format!("set-{few}"), Action::Read),
            Kind::CounterAdd => edit("counter", Edit::Increment(i64::try_from(1 + chance.below(5)).unwrap_or(1))),
            Kind::CounterRead => (format!("counter-{few}"), Action::Read),
            Kind::RegisterSet => edit("register", Edit::Set(value)),
            Kind::RegisterRead => (format!("register-{few}"), Action::Read),
            Kind::MultiPut => edit("multi", Edit::Put(value)),
            Kind::MultiRead => (format!("multi-{few}"), Action::Read),
            Kind::MapAdd => edit("map", Edit::Field(field(chance), Box::new(Edit::Add(value)))),
            Kind::MapRemove => edit("map", Edit::RemoveField(field(chance))),
            Kind::MapRead => (format!("map-{few}"), Action::Read),
            Kind::Publish => self.registry.publish(few, value),
            Kind::Find => Registry::find(few),
            Kind::Delete => {
                let names = self.workload.mix.written();
                let place = chance.below(names.len() as u64);
                let name = names.get(usize::try_from(place).unwrap_or_default()).copied().unwrap_or("set");
                edit(name, Edit::Delete)
            }
        }
    }

    /// Learns from a call of its own that has ended.
    pub fn told(&mut self, call: &Call) {
        let Some(seen) = call.ok() else { return };
        self.registry.told(call);
        match (&call.action, &seen.shown) {
            (Action::Edit(Edit::Add(element)), _) => self.remember(&call.key, element),
            (Action::Edit(Edit::Remove(element)), _) => {
                if let Some(known) = self.elements.get_mut(&call.key) {
                    known.retain(|other| other != element);
                }
            }
            (Action::Edit(Edit::Delete), _) => drop(self.elements.remove(&call.key)),
            (Action::Read, Some(Shown::Object(views))) => {
                for view in views {
                    // The last in their order: any will do, and all would be many.
                    if let View::Set(elements) = view {
                        for element in elements.iter().rev().take(4) {
                            self.remember(&call.key, element);
                        }
                    }
                }
            }
            _ => {}
        }
        if let Some(record) = &seen.record {
            let latest = self.latest.entry((record.region.clone(), call.key.clone())).or_default();
            *latest = (*latest).max(record.index);
        }
    }

    fn remember(&mut self, set: &str, element: &str) {
        let known = self.elements.entry(set.to_owned()).or_default();
        if !known.iter().any(|other| other == element) {
            known.push_back(element.to_owned());
        }
        if known.len() > ELEMENTS_MAX {
            known.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::workload::Mix;

    fn ask(client: &mut Client, seed: u64, count: usize) -> Vec<Next> {
        let mut chance = Chance::new(seed);
        (0..count).map(|_| client.next(&mut chance)).collect()
    }

    fn client(workload: &Workload) -> Client {
        Client::new(0, "eu-west-1-a", workload, Topology::default())
    }

    #[test]
    fn a_seed_decides_what_is_asked_and_all_values_differ() {
        let workload = Workload::default();
        let one = ask(&mut client(&workload), 5, 500);
        assert_eq!(one, ask(&mut client(&workload), 5, 500));
        let values: Vec<&str> = one
            .iter()
            .filter_map(|next| match &next.action {
                Action::Append { value, .. } => Some(&**value),
                Action::Edit(Edit::Set(value) | Edit::Add(value) | Edit::Put(value)) => Some(value),
                _ => None,
            })
            .collect();
        let repeats = values.len() - values.iter().collect::<BTreeSet<_>>().len();
        assert!((1..30).contains(&repeats), "only appends are repeated, on purpose: {repeats}");
    }

    #[test]
    fn sessions_move_as_far_as_they_are_told() {
        let far = |moves| {
            let workload = Workload { moves, move_share: 0.5, ..Workload::default() };
            let nodes = ask(&mut client(&workload), 5, 200);
            nodes.iter().map(|next| next.node.clone()).collect::<BTreeSet<_>>().len()
        };
        assert_eq!([far(Moves::Stay), far(Moves::Nodes), far(Moves::Regions)], [1, 3, 9]);
    }

    #[test]
    fn a_repeated_append_is_the_same_to_the_same_region() {
        let workload = Workload { repeat_share: 0.5, moves: Moves::Regions, ..Workload::default() };
        let all = ask(&mut client(&workload), 5, 500);
        for next in &all {
            for other in all.iter().filter(|other| other.request_id.is_some() && other.request_id == next.request_id) {
                assert_eq!((&other.region, &other.key, &other.action), (&next.region, &next.key, &next.action));
            }
        }
    }

    #[test]
    fn only_objects_that_the_mix_writes_are_deleted_and_only_a_share_of_reads_takes_what_is_there() {
        let mix =
            Mix { delete: 20, ..toml::from_str("set_add = 20\nregister_set = 20\nset_read = 40").expect("a mix") };
        let workload = Workload { mix, eventual_share: 0.5, ..Workload::default() };
        let all = ask(&mut client(&workload), 5, 500);
        let deleted = all.iter().filter(|next| next.action == Action::Edit(Edit::Delete));
        let names: BTreeSet<&str> =
            deleted.filter_map(|next| next.key.rsplit_once('-')).map(|(name, _)| name).collect();
        assert_eq!(names, BTreeSet::from(["register", "set"]));
        let eventual = all.iter().filter(|next| next.consistency == Consistency::Eventual);
        let (reads, others): (Vec<&Next>, Vec<&Next>) = eventual.partition(|next| next.action == Action::Read);
        assert!((70..130).contains(&reads.len()) && others.is_empty(), "{} and {}", reads.len(), others.len());
    }

    #[test]
    fn what_was_begun_in_the_registry_comes_before_anything_new() {
        let mix: Mix = toml::from_str("publish = 1").expect("a mix");
        let workload = Workload { mix, repeat_share: 0.0, ..Workload::default() };
        let (mut client, mut chance) = (client(&workload), Chance::new(5));
        let publish = client.next(&mut chance);
        assert!(matches!(publish.action, Action::Append { .. }) && publish.request_id.is_some(), "{publish:?}");
        let mut story = crate::check::story::Story::default();
        story.call(&publish.key, publish.action).at(0, 0);
        client.told(&story.told().history.calls()[0]);
        let next: Vec<Next> = (0..4).map(|_| client.next(&mut chance)).collect();
        assert!(next[..3].iter().all(|next| matches!(next.action, Action::Edit(_)) && next.request_id.is_none()));
        assert!(matches!(next[3].action, Action::Append { .. }), "{next:?}");
    }
}
