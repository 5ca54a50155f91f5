//! Regions whose disks all come back as they were before: their log goes back with them, and an operator brings back what
//! it lost.
//!
//! Nobody of the region knows of what came after the image, so that terms and indexes are given anew; the other regions
//! hold what was mirrored. What regions sign is noted on the way, for `signed-once`.

use std::collections::{BTreeMap, BTreeSet};

use trine_crdt::NodeId;
use trine_ledger::checkpoint::Checkpoint;
use trine_ledger::tree::Hash;
use trine_placement::voters::Membership;
use trine_protocol::reply::Answer;
use trine_protocol::request::{CheckpointGet, Options, RegionRecover, Request};
use trine_protocol::{Reply, RequestError, Role};
use trine_replica::Input;

use crate::check::SignedHead;
use crate::plan::{Inject, Plan, Target};
use crate::sim::event::Event;
use crate::sim::sequencer::Sequencer;
use crate::sim::voters::Group;
use crate::sim::world::{MS, World};

/// How often an operator asks again for what a region lost.
const AGAIN_NS: u64 = 500 * MS;
/// The number under which the first region's operator asks; below are clients and who takes nodes out.
const RECOVERY: u64 = 1 << 49;
/// The number under which the first node is asked for what its region signed; below are questions for its status.
pub(super) const HEADS: u64 = 1 << 51;

/// What is known of regions that went back, and of what regions sign.
#[derive(Debug, Default)]
pub struct Restored {
    /// By region: its log and membership when the image was taken.
    pasts: BTreeMap<usize, Past>,
    /// The regions that have not got back yet what they lost.
    recovering: BTreeSet<usize>,
    /// The heads that regions' own nodes showed under their region's key, and who showed each first.
    heads: BTreeMap<(String, u64, Hash), String>,
    /// Whether anybody asks for them: it is a request more for each look, and of use where a region goes back.
    asks: bool,
}

#[derive(Debug)]
struct Past {
    end: u64,
    term: u64,
    membership: Membership,
}

impl Restored {
    /// Under this plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let regions = plan.topology.region_names();
        let whole = |target: &Target| match target {
            Target::All | Target::AnyRegion => true,
            Target::Named(name) => regions.contains(name) || plan.topology.nodes == 1,
            _ => plan.topology.nodes == 1,
        };
        let asks = plan.faults.iter().any(|fault| match &fault.inject {
            Inject::DiskRestored { target } => whole(target),
            _ => false,
        });
        Self { asks, ..Self::default() }
    }

    /// The heads that regions showed.
    #[must_use]
    pub fn heads(&self) -> Vec<SignedHead> {
        let head = |((region, size, root), node): (&(String, u64, Hash), &String)| SignedHead {
            node: node.clone(),
            region: region.clone(),
            size: *size,
            root: *root,
        };
        self.heads.iter().map(head).collect()
    }

    /// The regions that have not got back yet what they lost.
    pub fn recovering(&self) -> impl Iterator<Item = usize> {
        self.recovering.iter().copied()
    }
}

impl World {
    /// The regions all of whose nodes are among these.
    pub(super) fn whole_regions(&self, nodes: &[usize]) -> Vec<usize> {
        let whole = |region: &usize| {
            let members = &self.members[*region];
            !members.is_empty() && members.iter().all(|member| nodes.contains(member))
        };
        (0..self.regions.len()).filter(whole).collect()
    }

    /// Images of these nodes' disks are taken: of a region that is among them whole, its log is on them.
    pub(super) fn note_past(&mut self, nodes: &[usize]) {
        nodes.iter().for_each(|node| drop(self.restored.pasts.remove(&self.nodes[*node].region)));
        for region in self.whole_regions(nodes) {
            let membership = self.groups[region].membership.clone();
            let log = self.logs[region].borrow();
            let past = Past { end: log.end(), term: log.term, membership };
            drop(log);
            self.restored.pasts.insert(region, past);
        }
    }

    /// The disks of these nodes are about to come back as they were: of a region that is among them whole, nobody runs, and
    /// its log ends where the image ended. Those regions.
    pub(super) fn go_back(&mut self, nodes: &[usize]) -> Vec<usize> {
        let mut gone_back = Vec::new();
        for region in self.whole_regions(nodes) {
            let Some(past) = self.restored.pasts.remove(&region) else { continue };
            gone_back.push(region);
            self.members[region].clone().into_iter().for_each(|node| self.crash(node));
            self.logs[region].borrow_mut().go_back(past.end, past.term);
            self.groups[region] = Group::of(past.membership);
            self.ask_back(region);
        }
        gone_back
    }

    /// The only node of a region begins anew with an empty disk: it founds its region's log once more.
    pub(super) fn found_anew(&mut self, region: usize, node: NodeId) {
        let group = Group::founded(&[node]);
        let mut log = Sequencer::default();
        log.found(group.membership.voters.clone());
        *self.logs[region].borrow_mut() = log;
        self.groups[region] = group;
        self.ask_back(region);
    }

    fn ask_back(&mut self, region: usize) {
        self.unseat(region);
        if self.restored.recovering.insert(region) {
            self.schedule(AGAIN_NS, Event::Recover { region });
        }
    }

    /// An operator asks a region to bring back what it lost, until it has.
    pub(super) fn recover(&mut self, region: usize) {
        if !self.restored.recovering.contains(&region) {
            return;
        }
        let near = self.members[region].iter().copied().find(|node| self.nodes[*node].awake());
        if let Some(near) = near {
            let id = RECOVERY + region as u64;
            let request = Request::RegionRecover(RegionRecover { region: self.regions[region].clone() });
            let options = Options::default();
            self.input(near, self.nodes[near].life, Input::Request { id, role: Role::Admin, options, request });
        }
        self.schedule(AGAIN_NS, Event::Recover { region });
    }

    /// Asks a node what its region has signed.
    pub(super) fn ask_head(&mut self, node: usize) {
        if self.restored.asks {
            let (id, life) = (HEADS + node as u64, self.nodes[node].life);
            let request = Request::Checkpoint(CheckpointGet { region: self.regions[self.nodes[node].region].clone() });
            let options = Options::default();
            self.input(node, life, Input::Request { id, role: Role::Admin, options, request });
        }
    }

    /// What a node showed of its region.
    pub(super) fn showed(&mut self, node: usize, answer: &Result<Box<Answer>, RequestError>) {
        if let Ok(answer) = answer
            && let Reply::Checkpoint(note) = &answer.reply
            && let Ok(head) = Checkpoint::peek(note)
        {
            let region = self.regions[self.nodes[node].region].to_string();
            let name = self.name(node);
            self.restored.heads.entry((region, head.size, head.root)).or_insert(name);
        }
    }

    /// What an operator was answered; whether it was about what a region lost.
    pub(super) fn brought_back(&mut self, request: u64, answer: &Result<Box<Answer>, RequestError>) -> bool {
        let Some(region) = request.checked_sub(RECOVERY).map(|region| region as usize) else { return false };
        if region >= self.regions.len() {
            return false;
        }
        if answer.is_ok() {
            self.restored.recovering.remove(&region);
        }
        true
    }
}
