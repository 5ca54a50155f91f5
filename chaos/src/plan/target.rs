//! Whom a fault meets: named, or drawn by the seed when it happens.
//!
//! ```text
//!   all                          every node
//!   clients                      every client (for splits and links)
//!   us-east-1                    a region                      any-region               one drawn
//!   us-east-1-a                  a node                        any-node                 one drawn
//!   any-node of eu-west-1        one of its nodes              leader of any-region     drawn, then asked for
//!   leader of eu-west-1          whoever leads it then         follower of eu-west-1    another than that
//!   minority of eu-west-1        as many as may fail           majority of eu-west-1    one more than that
//!   clients of eu-west-1         the clients in that region
//! ```

use serde::{Deserialize, Serialize};

use crate::chance::Chance;
use crate::plan::Topology;

/// Whom a fault meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    /// Every node.
    All,
    /// Every client.
    Clients,
    /// A region, drawn.
    AnyRegion,
    /// A node, drawn.
    AnyNode,
    /// This region or node.
    Named(String),
    /// Some of a region; none: of a region that is drawn.
    Of(Which, Option<String>),
}

/// Which of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// One node, drawn.
    AnyNode,
    /// Whoever leads when the fault happens; one drawn when nobody does.
    Leader,
    /// One that does not lead then.
    Follower,
    /// As many as may fail while the region goes on.
    Minority,
    /// One more than that.
    Majority,
    /// The clients there.
    Clients,
}

const WHICH: [(&str, Which); 6] = [
    ("any-node", Which::AnyNode),
    ("leader", Which::Leader),
    ("follower", Which::Follower),
    ("minority", Which::Minority),
    ("majority", Which::Majority),
    ("clients", Which::Clients),
];

/// A target when its time has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spot {
    /// A whole region.
    Region(String),
    /// These nodes.
    Nodes(Vec<String>),
    /// Clients: of a region, or all.
    Clients(Option<String>),
}

impl Spot {
    /// The nodes there; none where it is about clients.
    #[must_use]
    pub fn nodes(&self, topology: &Topology) -> Vec<String> {
        match self {
            Self::Region(region) => topology.nodes_of(region),
            Self::Nodes(nodes) => nodes.clone(),
            Self::Clients(_) => Vec::new(),
        }
    }
}

impl Target {
    /// Draws what is to be drawn. `leader` names who leads a region now, when somebody does.
    #[must_use]
    pub fn settle(&self, topology: &Topology, chance: &mut Chance, leader: impl Fn(&str) -> Option<String>) -> Spot {
        let one = |chance: &mut Chance, names: &[String]| {
            let place = usize::try_from(chance.below(names.len() as u64)).unwrap_or_default();
            names.get(place).cloned().unwrap_or_default()
        };
        match self {
            Self::All => Spot::Nodes(topology.node_names()),
            Self::Clients => Spot::Clients(None),
            Self::AnyRegion => Spot::Region(one(chance, &topology.region_names())),
            Self::AnyNode => Spot::Nodes(vec![one(chance, &topology.node_names())]),
            Self::Named(name) if topology.region_of(name).is_some() => Spot::Nodes(vec![name.clone()]),
            Self::Named(name) => Spot::Region(name.clone()),
            Self::Of(which, region) => {
                let region = region.clone().unwrap_or_else(|| one(chance, &topology.region_names()));
                let nodes = topology.nodes_of(&region);
                let leads = leader(&region);
                let rest = || nodes.iter().filter(|node| Some(*node) != leads.as_ref()).cloned().collect::<Vec<_>>();
                match which {
                    Which::Clients => Spot::Clients(Some(region)),
                    Which::AnyNode => Spot::Nodes(vec![one(chance, &nodes)]),
                    Which::Leader => Spot::Nodes(vec![leads.unwrap_or_else(|| one(chance, &nodes))]),
                    Which::Follower if rest().is_empty() => Spot::Nodes(Vec::new()),
                    Which::Follower => Spot::Nodes(vec![one(chance, &rest())]),
                    Which::Minority => Spot::Nodes(some(chance, nodes.clone(), (nodes.len().max(1) - 1) / 2)),
                    Which::Majority => Spot::Nodes(some(chance, nodes.clone(), nodes.len() / 2 + 1)),
                }
            }
        }
    }

    /// Whether the name that it bears, if any, is one of a region or node of this topology.
    #[must_use]
    pub fn stands_in(&self, topology: &Topology) -> bool {
        match self {
            Self::Named(name) => topology.region_names().contains(name) || topology.region_of(name).is_some(),
            Self::Of(_, Some(region)) => topology.region_names().contains(region),
            _ => true,
        }
    }
}

/// This many of these, drawn.
fn some(chance: &mut Chance, mut nodes: Vec<String>, count: usize) -> Vec<String> {
    let mut drawn = Vec::new();
    while drawn.len() < count && !nodes.is_empty() {
        let place = usize::try_from(chance.below(nodes.len() as u64)).unwrap_or_default();
        drawn.push(nodes.remove(place));
    }
    drawn.sort();
    drawn
}

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "all" => return Ok(Self::All),
            "clients" => return Ok(Self::Clients),
            "any-region" => return Ok(Self::AnyRegion),
            "any-node" => return Ok(Self::AnyNode),
            _ => {}
        }
        let Some((which, region)) = text.split_once(" of ") else {
            if text.is_empty() || text.contains(' ') {
                return Err(format!("`{text}` is no target: use a name, `any-node`, `leader of REGION` or the like"));
            }
            return Ok(Self::Named(text));
        };
        let Some((_, which)) = WHICH.iter().find(|(name, _)| *name == which) else {
            let names = WHICH.map(|(name, _)| name).join(", ");
            return Err(format!("`{which}` of a region is nothing: there are {names}"));
        };
        Ok(Self::Of(*which, (region != "any-region").then(|| region.to_owned())))
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        match target {
            Target::All => "all".to_owned(),
            Target::Clients => "clients".to_owned(),
            Target::AnyRegion => "any-region".to_owned(),
            Target::AnyNode => "any-node".to_owned(),
            Target::Named(name) => name,
            Target::Of(which, region) => {
                let name = WHICH.iter().find(|(_, known)| *known == which).map_or("", |(name, _)| name);
                format!("{name} of {}", region.as_deref().unwrap_or("any-region"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::try_from(text.to_owned()).expect("a target")
    }

    fn nodes(text: &str) -> Vec<String> {
        let leader = |region: &str| Some(format!("{region}-b"));
        target(text).settle(&Topology::default(), &mut Chance::new(3), leader).nodes(&Topology::default())
    }

    #[test]
    fn targets_read_and_write_as_words() {
        for text in ["all", "clients", "any-region", "any-node", "eu-west-1", "leader of any-region"] {
            assert_eq!(String::from(target(text)), text);
        }
        for text in ["", "the node", "king of eu-west-1"] {
            assert!(Target::try_from(text.to_owned()).is_err(), "{text}");
        }
        assert!(!target("mars-1").stands_in(&Topology::default()));
        assert!(!target("leader of mars-1").stands_in(&Topology::default()));
        assert!(target("eu-west-1-c").stands_in(&Topology::default()));
    }

    #[test]
    fn what_is_drawn_is_of_the_right_kind_and_number() {
        assert_eq!(nodes("all").len(), 9);
        assert_eq!(nodes("eu-west-1").len(), 3);
        assert_eq!(nodes("leader of eu-west-1"), ["eu-west-1-b"]);
        assert_ne!(nodes("follower of eu-west-1"), ["eu-west-1-b"]);
        assert_eq!(nodes("minority of eu-west-1").len(), 1);
        assert_eq!(nodes("majority of eu-west-1").len(), 2);
        assert_eq!(nodes("any-node").len(), 1);
        let clients = target("clients of eu-west-1").settle(&Topology::default(), &mut Chance::new(1), |_| None);
        assert_eq!(clients, Spot::Clients(Some("eu-west-1".to_owned())));
    }
}
