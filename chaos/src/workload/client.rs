//! One client: from its state and a draw of chance, what it asks next.
//!
//! Pure: it neither sends nor waits. Whoever runs it hands back each call when it has ended, so that it can remove
//! what it knows to be there, append on the condition of what it knows to be the latest, and repeat what it does not
//! know the fate of.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use trine_crdt::{NamespaceId, PartitionId};
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
/// What the keys of objects begin with.
const KINDS: [&str; 5] = ["set", "counter", "register", "multi", "map"];
/// How many partitions the objects' namespace has.
pub const SLOTS: u32 = 256;

/// A client's state.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its number, unique in the run; also its session's.
    pub number: usize,
    /// The region where it began.
    pub home: String,
    /// The node that it talks to.
    pub node: String,
    /// What its clock says, in nanoseconds of the run; whoever keeps it at 0 lets no idempotency key grow old.
    pub now_ns: u64,
    workload: Workload,
    topology: Topology,
    asked: u64,
    elements: BTreeMap<String, VecDeque<String>>,
    latest: BTreeMap<(String, String), u64>,
    /// What it appended.
    appends: VecDeque<Made>,
    /// The keys of its objects, where they are chosen for the partitions they fall into.
    names: Arc<BTreeMap<String, String>>,
    registry: Registry,
}

/// An append that a client asked for.
#[derive(Debug, Clone)]
struct Made {
    next: Next,
    /// When it was told that it is done.
    done_ns: Option<u64>,
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
            now_ns: 0,
            workload: workload.clone(),
            topology,
            asked: 0,
            elements: BTreeMap::new(),
            latest: BTreeMap::new(),
            appends: VecDeque::new(),
            names: Arc::new(names(workload)),
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
                let mut client = Self::new(clients.len(), &nodes[place % nodes.len()], workload, topology);
                if let Some(first) = clients.first() {
                    client.names = Arc::clone(&first.names);
                }
                clients.push(client);
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
        let value = format!("v{}-{}", self.number, self.asked);
        if matches!(kind, Kind::Append | Kind::Publish)
            && chance.happens(self.workload.repeat_share)
            && let Some(again) = self.again(&region, &value)
        {
            return again;
        }
        let few = chance.below(self.workload.keys as u64);
        let asked = self.draw(kind, &region, &value, few, chance);
        let next = self.ask(region, asked, Some(value), chance);
        if next.request_id.is_some() {
            self.appends.push_back(Made { next: next.clone(), done_ns: None });
            if self.appends.len() > APPENDS_MAX {
                self.appends.pop_front();
            }
        }
        next
    }

    /// An append that it made before in this region: the same again, or, where that was told to be done long enough ago,
    /// its idempotency key for another value. Where keys are used again only what was told to be done is repeated: nobody
    /// knows how old the others will be when they come into the log.
    fn again(&mut self, region: &str, value: &str) -> Option<Next> {
        let Some(after) = self.workload.reuse_after else {
            let made = self.appends.iter().find(|made| made.next.region == region)?;
            return Some(Next { node: self.node.clone(), ..made.next.clone() });
        };
        let age = |made: &Made| made.done_ns.map(|done_ns| u128::from(self.now_ns.saturating_sub(done_ns)));
        let is_fresh = |made: &Made| age(made).is_some_and(|age| age * 4 <= after.as_nanos());
        // A release's key and value belong together.
        let is_old = |made: &Made| age(made).is_some_and(|age| age >= after.as_nanos()) && !made.next.key.contains('/');
        let place =
            self.appends.iter().position(|made| made.next.region == region && (is_fresh(made) || is_old(made)))?;
        let fresh = is_fresh(&self.appends[place]);
        let made = &mut self.appends[place];
        if !fresh && let Action::Append { value: former, only_after } = &mut made.next.action {
            (made.done_ns, *only_after) = (None, None);
            value.clone_into(former);
        }
        Some(Next { node: self.node.clone(), ..made.next.clone() })
    }

    /// The key of an object.
    fn object(&self, name: &str, number: u64) -> String {
        let plain = format!("{name}-{number}");
        self.names.get(&plain).cloned().unwrap_or(plain)
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
        let edit = |name: &str, edit| (self.object(name, few), Action::Edit(edit));
        let read = |name: &str| (self.object(name, few), Action::Read);
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
                let known = self.elements.get(&self.object("set", few));
                let place = chance.below(known.map_or(0, VecDeque::len) as u64);
                let element = known.and_then(|known| known.get(usize::try_from(place).unwrap_or_default()).cloned());
                // Knowing none, it adds one.
                edit("set", element.map_or(Edit::Add(value), Edit::Remove))
            }
            Kind::SetRead => read("set"),
            Kind::CounterAdd => edit("counter", Edit::Increment(i64::try_from(1 + chance.below(5)).unwrap_or(1))),
            Kind::CounterRead => read("counter"),
            Kind::RegisterSet => edit("register", Edit::Set(value)),
            Kind::RegisterRead => read("register"),
            Kind::MultiPut => edit("multi", Edit::Put(value)),
            Kind::MultiRead => read("multi"),
            Kind::MapAdd => edit("map", Edit::Field(field(chance), Box::new(Edit::Add(value)))),
            Kind::MapRemove => edit("map", Edit::RemoveField(field(chance))),
            Kind::MapRead => read("map"),
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
        let same = |made: &&mut Made| made.next.request_id == call.request_id && made.next.action == call.action;
        if let Some(made) = self.appends.iter_mut().find(same) {
            made.done_ns = made.done_ns.or(call.returned_ns);
        }
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

/// The keys that objects of a workload have in place of their plain ones: of all that begin like it the first that falls
/// into one of the partitions asked for. Each other one begins with the whole key of the one before it.
fn names(workload: &Workload) -> BTreeMap<String, String> {
    let Some(partitions) = workload.partitions else { return BTreeMap::new() };
    let objects = NamespaceId::default_objects();
    let falls = |key: &String| PartitionId::of_key(objects.clone(), key.as_bytes(), SLOTS).slot < partitions;
    let mut names = BTreeMap::new();
    for name in KINDS {
        let mut before = String::new();
        for number in 0..workload.keys {
            let plain = format!("{name}-{number}");
            let begins = if number % 2 == 1 { &before } else { &plain };
            let key = (0..u32::MAX).map(|suffix| format!("{begins}.{suffix}")).find(falls);
            before = key.unwrap_or_else(|| plain.clone());
            names.insert(plain, before.clone());
        }
    }
    names
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
    fn objects_lie_in_as_many_partitions_as_they_are_to() {
        let workload = Workload { partitions: Some(2), ..Workload::default() };
        let all = ask(&mut client(&workload), 5, 500);
        let objects = all.iter().filter(|next| matches!(next.action, Action::Edit(_) | Action::Read));
        let slot = |next: &Next| PartitionId::of_key(NamespaceId::default_objects(), next.key.as_bytes(), SLOTS).slot;
        assert_eq!(objects.map(slot).collect::<BTreeSet<u32>>(), BTreeSet::from([0, 1]));
    }

    #[test]
    fn an_old_idempotency_key_is_used_again_for_another_value_and_nothing_old_is_repeated() {
        let reuse_after = Some(std::time::Duration::from_nanos(40));
        let workload = Workload { repeat_share: 0.5, reuse_after, ..Workload::default() };
        let (mut client, mut chance) = (client(&workload), Chance::new(5));
        let mut made: BTreeMap<String, (u64, String)> = BTreeMap::new();
        let (mut again, mut anew) = (0, 0);
        for now_ns in 0..2_000 {
            client.now_ns = now_ns;
            let next = client.next(&mut chance);
            let (Action::Append { value, .. }, Some(id)) = (next.action.clone(), next.request_id.clone()) else {
                continue;
            };
            let mut story = crate::check::story::Story::default();
            let is_it = |call: &mut Call| call.request_id = next.request_id.clone();
            story.call(&next.key, next.action.clone()).during(now_ns, now_ns).but(is_it).at(0, 0);
            client.told(&story.told().history.calls()[0]);
            match made.get(&id) {
                Some((at, former)) if *former == value => {
                    assert!(now_ns - at <= 10, "{id} is repeated after {} ns", now_ns - at);
                    again += 1;
                }
                Some((at, _)) => {
                    assert!(now_ns - at >= 40, "{id} is used again after {} ns", now_ns - at);
                    anew += 1;
                    made.insert(id, (now_ns, value));
                }
                None => drop(made.insert(id, (now_ns, value))),
            }
        }
        assert!(again > 20 && anew > 20, "{again} and {anew}");
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
