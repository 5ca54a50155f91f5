//! Founding a group, exactly once.
//!
//! Only a founder whose log is empty takes part, only the one with the lowest name acts, and only after *all* founders
//! answered over authenticated connections that they are empty too. If any holds anything, the group exists: then
//! this node's disk was wiped, and the leader will add it under its new id. The same holds when all founders are empty and
//! others hold the log, who joined later: the core asks about them ([`Founds`]), and it is asked first.

use std::collections::BTreeMap;

use tokio::sync::watch;
use trine_replica::Founds;

use super::config::Founder;
use super::limits::{FOUND_PATIENCE, FOUND_ROUND};
use super::log::LogStore;
use super::net::peer::Network;
use super::types::{Member, Raft};

/// Who founds.
pub struct Founding {
    /// This node's id.
    pub node: u64,
    /// This node's name.
    pub name: String,
    /// All founders.
    pub founders: Vec<Founder>,
    /// Whether others tell of a group.
    pub founds: watch::Receiver<Founds>,
    /// Reaches them.
    pub network: Network,
    /// To be initialised.
    pub raft: Raft,
    /// This node's log.
    pub log: LogStore,
}

impl Founding {
    /// Runs until the group is founded, by this node or another.
    pub async fn run(self) {
        let first = self.founders.iter().map(|founder| &founder.name).min();
        if first != Some(&self.name) {
            return;
        }
        let mut round = tokio::time::interval(FOUND_ROUND);
        let mut said = None;
        while self.log.is_empty() {
            round.tick().await;
            let founds = self.founds.borrow().clone();
            if founds != Founds::Yes {
                let refusal = founds.refusal();
                if let Some(reason) = refusal.clone().filter(|_| refusal != said) {
                    tracing::warn!(reason = reason.to_string(), "founds no Raft group");
                    said = refusal;
                }
                continue;
            }
            match self.ask_all().await {
                Some(Answers::AllEmpty(members)) => {
                    tracing::info!(
                        founders = members.len(),
                        "all founders are empty: founding the region's Raft group"
                    );
                    if let Err(error) = self.raft.initialize(members).await {
                        tracing::warn!(%error, "founding the Raft group failed");
                    }
                }
                Some(Answers::Exists(name)) => {
                    tracing::info!(founder = name, "the Raft group exists: waiting to be added");
                    return;
                }
                None => {}
            }
        }
    }

    async fn ask_all(&self) -> Option<Answers> {
        let mut members = BTreeMap::new();
        for founder in &self.founders {
            let member = Member { address: founder.raft.clone(), name: founder.name.clone() };
            if founder.name == self.name {
                members.insert(self.node, member);
                continue;
            }
            let (node, empty) = self.network.ask_empty(&member, FOUND_PATIENCE).await.ok()?;
            if !empty {
                return Some(Answers::Exists(member.name));
            }
            members.insert(node, member);
        }
        (members.len() == self.founders.len()).then_some(Answers::AllEmpty(members))
    }
}

enum Answers {
    AllEmpty(BTreeMap<u64, Member>),
    Exists(String),
}
