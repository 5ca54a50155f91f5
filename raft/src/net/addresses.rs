//! Where the members are reached, as they themselves said last.
//!
//! Membership names an address for each member, but only a leader can change membership, and when a majority has moved
//! there can be none before they find each other. So who dials asks here first. Two sources are believed, whichever spoke
//! last: what a node says of itself when a link to it is made (the link's certificate proves that it is that node), and
//! what it registered in the region's ledger. Nothing is lost by believing: a connection counts only when the node at
//! its other end shows the member's certificate, and when it does not, membership's own address is tried next.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use trine_replica::effect::RosterNode;

use super::limits::MOVED_MEMBERS_MAX;
use crate::types::Member;

/// Addresses by member's name; clones share them.
#[derive(Debug, Clone)]
pub struct Addresses(Arc<watch::Sender<BTreeMap<String, Known>>>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Known {
    newest: String,
    /// Where the node was found although the newest word led nowhere; until there is news.
    found: Option<String>,
    /// What the roster said last: it says so again with each of its changes, which makes it no news.
    registered: String,
}

impl Default for Addresses {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeMap::new())))
    }
}

impl Addresses {
    /// A node says of itself where it is reached, `host:port`.
    pub fn told(&self, name: &str, address: &str) {
        self.0.send_if_modified(|known| {
            if address.is_empty() || (!known.contains_key(name) && known.len() >= MOVED_MEMBERS_MAX) {
                return false;
            }
            let known = known.entry(name.to_owned()).or_default();
            let news = known.newest != address;
            if news {
                tracing::debug!(name, address, "a node of the region is reached here");
                known.newest = address.to_owned();
                known.found = None;
            }
            news
        });
    }

    /// A member was found there: later dials begin with it.
    pub fn found(&self, member: &Member, address: &str) {
        self.0.send_if_modified(|known| {
            if let Some(known) = known.get_mut(&member.name).filter(|known| known.newest != address) {
                known.found = Some(address.to_owned());
            }
            false
        });
    }

    /// What the roster says.
    pub fn registered(&self, roster: &[RosterNode]) {
        self.0.send_if_modified(|known| {
            let mut news = false;
            for node in roster {
                if !known.contains_key(&node.name) && known.len() >= MOVED_MEMBERS_MAX {
                    continue;
                }
                let known = known.entry(node.name.clone()).or_default();
                if known.registered != node.raft {
                    // The first roster is what the ledger held at the start: older than what a link has told since.
                    let older = known.registered.is_empty() && !known.newest.is_empty();
                    known.registered.clone_from(&node.raft);
                    if known.newest != node.raft && !older {
                        known.newest.clone_from(&node.raft);
                        known.found = None;
                        news = true;
                    }
                }
            }
            news
        });
    }

    /// Where to dial a member: the newest address before membership's own, but first where it was found.
    #[must_use]
    pub fn of(&self, member: &Member) -> Vec<String> {
        let known = self.0.borrow().get(&member.name).cloned();
        let known = known.into_iter().flat_map(|known| known.found.into_iter().chain([known.newest]));
        let mut addresses: Vec<String> = Vec::new();
        for address in known.chain([member.address.clone()]) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    /// Waits until a member is reached elsewhere than at `address`, as it says.
    pub async fn moved(&self, member: &Member, address: &str) {
        let mut known = self.0.subscribe();
        let elsewhere = |known: &Known| known.newest != address && known.found.as_deref() != Some(address);
        let moved = known.wait_for(|known| known.get(&member.name).is_some_and(elsewhere));
        if moved.await.is_err() {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use trine_crdt::NodeId;

    use super::*;

    fn on(raft: &str) -> Vec<RosterNode> {
        vec![RosterNode {
            node: NodeId(1),
            name: "a".to_owned(),
            raft: raft.to_owned(),
            writer: trine_crdt::WriterId([1; 16]),
        }]
    }

    #[test]
    fn the_roster_of_the_start_is_older_than_what_a_link_told() {
        let addresses = Addresses::default();
        addresses.told("a", "new:1");
        addresses.registered(&on("old:1"));
        let member = Member { name: "a".to_owned(), address: "old:1".to_owned() };
        assert_eq!(addresses.of(&member), ["new:1", "old:1"]);
        addresses.registered(&on("newer:1"));
        assert_eq!(addresses.of(&member), ["newer:1", "old:1"]);
    }

    #[test]
    fn the_newest_word_is_believed_and_what_is_repeated_is_not_new() {
        let member = Member { address: "old:1".to_owned(), name: "a".to_owned() };
        let addresses = Addresses::default();
        assert_eq!(addresses.of(&member), ["old:1"]);
        addresses.registered(&on("registered:1"));
        assert_eq!(addresses.of(&member), ["registered:1", "old:1"]);
        addresses.told("a", "told:1");
        assert_eq!(addresses.of(&member), ["told:1", "old:1"]);
        addresses.registered(&on("registered:1"));
        assert_eq!(addresses.of(&member), ["told:1", "old:1"], "the roster changed for another's sake");
        addresses.registered(&on("registered:2"));
        assert_eq!(addresses.of(&member), ["registered:2", "old:1"]);
        addresses.found(&member, "old:1");
        assert_eq!(addresses.of(&member), ["old:1", "registered:2"], "the newest word led nowhere");
        addresses.told("a", "told:3");
        assert_eq!(addresses.of(&member), ["told:3", "old:1"], "news");
        addresses.told("a", "old:1");
        assert_eq!(addresses.of(&member), ["old:1"], "back again");
    }
}
