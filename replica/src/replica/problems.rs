//! What is wrong, in sentences, as far as this node knows.
//!
//! Each condition is one entry with a stable code; the status of a node, that of the cluster, its exit code and its
//! JSON follow from the list by themselves. What a node cannot know (that it is cut off from somebody who asks, that others hold
//! something else) is for whoever asks several nodes.

use trine_crdt::RegionId;
use trine_protocol::reply::ProblemView;

use super::Organs;
use crate::not_ready::NotReady;
use crate::turn::Turn;

/// How long after the last stamp that was held back one is said to be held.
const HOLDING_NS: u64 = 10_000_000_000;

/// Whether messages are held back for their stamps, lately.
#[derive(Debug, Default)]
pub(super) struct Holding {
    seen: u64,
    last_ns: u64,
    lately: bool,
}

impl Holding {
    /// Looks at how many were held back in all.
    pub(super) fn look(&mut self, now_ns: u64, held: u64) {
        if held > self.seen {
            (self.seen, self.last_ns, self.lately) = (held, now_ns, true);
        } else {
            self.lately &= now_ns < self.last_ns.saturating_add(HOLDING_NS);
        }
    }
}

impl Organs {
    /// All of it.
    pub(super) fn problems(&self, turn: &Turn<'_>) -> Vec<ProblemView> {
        let mut found = Vec::new();
        let name = &self.cluster.config().name;
        if let Err(reason) = turn.clock.stamps(self.cluster.peers()) {
            found.push(of_node("clock", name, format!("{name} takes no writes: {reason}")));
        } else if let Err(reason) = self.ready(turn.clock) {
            let code = if matches!(reason, NotReady::WentBack(_)) { "held_back" } else { "not_ready" };
            found.push(of_node(code, name, format!("{name} does not serve: {reason}")));
        } else if let Err(reason) = self.writes(turn.clock) {
            found.push(match &reason.appends {
                Some(NotReady::Withheld(withheld)) => of_node(withheld.code(), name, format!("{name}: {withheld}")),
                _ => of_node("writes_refused", name, format!("{name} takes no writes: {reason}")),
            });
        }
        found.extend(self.cluster.config().damage.iter().map(|words| {
            of_node("damaged", name, format!("{name} has found damage on its disk that is not healed: {words}"))
        }));
        if let Some(words) = self.joining.incomplete() {
            let what = format!("{name} serves although nothing more comes of what it lacks: {words}");
            found.push(of_node("incomplete", name, what));
        }
        if self.holding.lately {
            let what = format!(
                "{name} holds back what others send, because its stamps are too far ahead of {name}'s clock: compare the \
                 clocks of the nodes"
            );
            found.push(of_node("stamps_held", name, what));
        }
        found.extend(self.cluster.other_group().iter().map(|other| {
            let what = format!(
                "{other} is of another Raft group of this region than {name}: which of the two was founded beside the \
                 other is to be stopped and started with an empty directory"
            );
            of_node("other_group", other, what)
        }));
        self.forks_found(&mut found);
        self.unreached(&mut found);
        found
    }

    fn forks_found(&self, found: &mut Vec<ProblemView>) {
        let regions = self.cluster.config().genesis.regions.iter().map(|region| &region.id);
        for region in regions.filter(|region| self.mirrors.evidence(region).is_some()) {
            let follows = if self.mirrors.quarantined(&self.cluster, region) {
                "its ledger is followed no more"
            } else {
                "an operator released it"
            };
            let what = format!("{region}'s key signed two histories; {follows}: see `trine region list -o json`");
            found.push(of_region("fork", region, what));
        }
    }

    fn unreached(&self, found: &mut Vec<ProblemView>) {
        let name = &self.cluster.config().name;
        for region in self.cluster.config().genesis.regions.iter().map(|region| &region.id) {
            let nodes = self.cluster.registry(region).into_iter().flat_map(|known| known.roster.values());
            let away = nodes.filter(|node| {
                node.node != self.cluster.config().node && !self.cluster.peers().contains_key(&node.node)
            });
            found.extend(
                away.map(|node| of_node("unreachable", &node.name, format!("{} is not reached by {name}", node.name))),
            );
        }
        found.extend(self.cluster.unheard_founders().into_iter().map(|(region, founder)| {
            let what = format!("{}, a founder of {region}, stands on no roster that {name} knows", founder.name);
            of_node("unregistered", &founder.name, what)
        }));
    }
}

/// A problem of a node, by its name.
pub(super) fn of_node(code: &str, node: &str, what: String) -> ProblemView {
    ProblemView { code: code.to_owned(), what, node: Some(node.to_owned()), region: None }
}

/// A problem of a region.
pub(super) fn of_region(code: &str, region: &RegionId, what: String) -> ProblemView {
    ProblemView { code: code.to_owned(), what, node: None, region: Some(region.clone()) }
}
