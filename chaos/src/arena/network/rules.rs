//! What the network does at the moment: a shape per direction between two places, and what is cut.
//!
//! A cut names two sets of places and a direction, or one node's address. It can flap: open and closed in turns of
//! one period each, beginning with closed, as a pure function of time.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::link::Shape;
use super::map::{CLIENTS, Map};

/// Which direction of a cut is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Both.
    #[default]
    Both,
    /// What goes into the place named first is dropped.
    In,
    /// What comes out of the place named first is dropped.
    Out,
}

/// One cut.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cut {
    /// The place that is cut off.
    pub region: String,
    /// From whom; empty: from all other regions.
    pub from: Vec<String>,
    /// From the clients, too.
    pub clients: bool,
    /// Only this node of the place, by its address.
    pub node: Option<Ipv4Addr>,
    /// Which direction.
    pub direction: Direction,
    /// Closed for so long, then open for as long, and so on; none: closed until healed.
    pub flap: Option<Duration>,
}

/// The state of one direction's gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Gate {
    #[default]
    Open,
    Closed,
    Flaps {
        since_ns: u64,
        period_ns: u64,
    },
}

impl Gate {
    fn is_closed(self, now_ns: u64) -> bool {
        match self {
            Self::Open => false,
            Self::Closed => true,
            Self::Flaps { since_ns, period_ns } => {
                (now_ns.saturating_sub(since_ns) / period_ns.max(1)).is_multiple_of(2)
            }
        }
    }
}

/// A node that is cut off from some places.
#[derive(Debug, Clone)]
struct NodeCut {
    address: Ipv4Addr,
    direction: Direction,
    from: Vec<usize>,
    gate: Gate,
}

/// All rules at a moment.
#[derive(Debug, Clone)]
pub struct Rules {
    places: usize,
    shapes: Vec<Shape>,
    gates: Vec<Gate>,
    nodes: Vec<NodeCut>,
    cuts: Vec<Standing>,
    next: u64,
}

/// A cut that stands.
#[derive(Debug, Clone)]
struct Standing {
    number: u64,
    cut: Cut,
    since_ns: u64,
}

/// The one-way delay between two regions by default.
#[must_use]
pub fn delay_between(a: &str, b: &str) -> Duration {
    let pair = if a < b { (a, b) } else { (b, a) };
    let ms = match pair {
        (a, b) if a == b || a == CLIENTS || b == CLIENTS => 0,
        ("eu-west-1", "us-east-1") => 38,
        ("ap-southeast-1", "us-east-1") => 110,
        ("ap-southeast-1", "eu-west-1") => 80,
        _ => 60,
    };
    Duration::from_millis(ms)
}

impl Rules {
    /// Usual delays, no loss, nothing cut.
    #[must_use]
    pub fn new(map: &Map) -> Self {
        let names: Vec<&str> = map.sites().iter().map(|site| site.name.as_str()).collect();
        let shapes = names
            .iter()
            .flat_map(|a| names.iter().map(|b| Shape { delay: delay_between(a, b), ..Shape::default() }))
            .collect();
        let places = names.len();
        Self { places, shapes, gates: vec![Gate::Open; places * places], nodes: Vec::new(), cuts: Vec::new(), next: 0 }
    }

    /// How packets from one place to another behave.
    #[must_use]
    pub fn shape(&self, from: usize, to: usize) -> &Shape {
        &self.shapes[from * self.places + to]
    }

    /// The same, to be changed.
    pub fn shape_mut(&mut self, from: usize, to: usize) -> &mut Shape {
        &mut self.shapes[from * self.places + to]
    }

    /// Whether a packet between two places and addresses is dropped now.
    #[must_use]
    pub fn is_cut(&self, from: usize, to: usize, source: [u8; 4], target: [u8; 4], now_ns: u64) -> bool {
        self.gates[from * self.places + to].is_closed(now_ns)
            || self.nodes.iter().any(|cut| {
                let node = cut.address.octets();
                let out = cut.direction != Direction::In && node == source && cut.from.contains(&to);
                let into = cut.direction != Direction::Out && node == target && cut.from.contains(&from);
                (out || into) && cut.gate.is_closed(now_ns)
            })
    }

    /// Cuts; the cut's number.
    ///
    /// # Errors
    /// When a place does not exist.
    pub fn cut(&mut self, map: &Map, cut: Cut, now_ns: u64) -> anyhow::Result<u64> {
        map.find(&cut.region)?;
        cut.from.iter().try_for_each(|name| map.find(name).map(drop))?;
        self.next += 1;
        self.cuts.push(Standing { number: self.next, cut, since_ns: now_ns });
        self.close(map);
        Ok(self.next)
    }

    /// Takes one cut back, by its number.
    pub fn mend(&mut self, map: &Map, number: u64) {
        self.cuts.retain(|standing| standing.number != number);
        self.close(map);
    }

    /// Takes back all cuts, or those that cut off this place; says how many.
    pub fn heal(&mut self, map: &Map, region: Option<&str>) -> usize {
        let before = self.cuts.len();
        self.cuts.retain(|standing| region.is_some_and(|region| standing.cut.region != region));
        self.close(map);
        before - self.cuts.len()
    }

    /// The cuts that stand.
    pub fn cuts(&self) -> impl Iterator<Item = &Cut> {
        self.cuts.iter().map(|standing| &standing.cut)
    }

    /// Recomputes the gates from the cuts.
    fn close(&mut self, map: &Map) {
        self.gates.fill(Gate::Open);
        self.nodes.clear();
        for Standing { cut, since_ns, .. } in &self.cuts {
            let gate = cut.flap.map_or(Gate::Closed, |period| Gate::Flaps {
                since_ns: *since_ns,
                period_ns: u64::try_from(period.as_nanos()).unwrap_or(u64::MAX),
            });
            let Some(region) = map.site(&cut.region) else { continue };
            let named = |name: &str| match name {
                CLIENTS => cut.clients || cut.from.iter().any(|from| from == CLIENTS),
                _ => cut.from.is_empty() || cut.from.iter().any(|from| from == name),
            };
            let sites = map.sites().iter().enumerate();
            let from: Vec<usize> =
                sites.filter(|(other, site)| *other != region && named(&site.name)).map(|(other, _)| other).collect();
            if let Some(address) = cut.node {
                self.nodes.push(NodeCut { address, direction: cut.direction, from, gate });
                continue;
            }
            for other in from {
                if cut.direction != Direction::In {
                    shut(&mut self.gates[region * self.places + other], gate);
                }
                if cut.direction != Direction::Out {
                    shut(&mut self.gates[other * self.places + region], gate);
                }
            }
        }
    }
}

/// A closed gate stays closed when another cut flaps.
fn shut(gate: &mut Gate, with: Gate) {
    if *gate != Gate::Closed {
        *gate = with;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NetworkConfig, RegionPlan};
    use super::*;

    const US: usize = 0;
    const EU: usize = 1;
    const AP: usize = 2;
    const CLIENT: usize = 3;

    fn world() -> (Map, Rules) {
        let regions = ["us-east-1", "eu-west-1", "ap-southeast-1"]
            .map(|name| RegionPlan { name: name.into(), nodes: 3 })
            .to_vec();
        let map = Map::new(&NetworkConfig { regions, ..NetworkConfig::default() }).expect("it fits");
        let rules = Rules::new(&map);
        (map, rules)
    }

    /// The closed directions at a time, as `us>eu`.
    fn closed(rules: &Rules, now_ns: u64) -> String {
        let names = ["us", "eu", "ap", "cl"];
        let mut text = Vec::new();
        for (from, a) in names.iter().enumerate() {
            for (to, b) in names.iter().enumerate() {
                if rules.is_cut(from, to, [0; 4], [0; 4], now_ns) {
                    text.push(format!("{a}>{b}"));
                }
            }
        }
        text.join(" ")
    }

    #[test]
    fn regions_lie_an_ocean_apart() {
        let (_, rules) = world();
        let ms = |from, to| rules.shape(from, to).delay.as_millis();
        assert_eq!((ms(US, EU), ms(AP, US), ms(EU, AP), ms(CLIENT, AP)), (38, 110, 80, 0));
        assert_eq!(delay_between("mars-1", "us-east-1").as_millis(), 60);
    }

    #[test]
    fn a_split_cuts_off_a_region_from_the_others_and_not_from_its_clients() {
        let (map, mut rules) = world();
        rules.cut(&map, Cut { region: "eu-west-1".into(), ..Cut::default() }, 0).expect("a region");
        assert_eq!(closed(&rules, 0), "us>eu eu>us eu>ap ap>eu");
        assert_eq!(rules.heal(&map, None), 1);
        assert_eq!(closed(&rules, 0), "");
    }

    #[test]
    fn cuts_can_be_partial_one_way_and_flapping() {
        let (map, mut rules) = world();
        let cut = Cut {
            region: "eu-west-1".into(),
            from: vec!["us-east-1".into()],
            direction: Direction::Out,
            flap: Some(Duration::from_nanos(100)),
            ..Cut::default()
        };
        rules.cut(&map, cut, 1000).expect("a region");
        assert_eq!(closed(&rules, 1050), "eu>us");
        assert_eq!(closed(&rules, 1150), "");
        assert_eq!(closed(&rules, 1250), "eu>us");
    }

    #[test]
    fn two_cuts_heal_one_by_one() {
        let (map, mut rules) = world();
        rules.cut(&map, Cut { region: "eu-west-1".into(), ..Cut::default() }, 0).expect("a region");
        rules.cut(&map, Cut { region: "ap-southeast-1".into(), ..Cut::default() }, 0).expect("a region");
        assert_eq!(rules.heal(&map, Some("eu-west-1")), 1);
        assert_eq!(closed(&rules, 0), "us>ap eu>ap ap>us ap>eu");
        assert!(rules.cut(&map, Cut { region: "mars".into(), ..Cut::default() }, 0).is_err());
    }

    #[test]
    fn one_node_can_be_cut_off_by_its_address() {
        let (map, mut rules) = world();
        let (node, us, other, client) = ([10, 77, 2, 1], [10, 77, 1, 1], [10, 77, 2, 2], [10, 77, 254, 1]);
        let cut = Cut { region: "eu-west-1".into(), node: Some(node.into()), ..Cut::default() };
        rules.cut(&map, cut.clone(), 0).expect("a region");
        assert!(rules.is_cut(EU, US, node, us, 0) && rules.is_cut(AP, EU, [10, 77, 3, 1], node, 0));
        assert!(!rules.is_cut(CLIENT, EU, client, node, 0), "its clients still reach it");
        assert!(!rules.is_cut(EU, US, other, us, 0), "the node beside it is not cut off");
        rules.heal(&map, None);
        let cut = Cut { from: vec!["us-east-1".into()], direction: Direction::Out, clients: true, ..cut };
        rules.cut(&map, cut, 0).expect("a region");
        assert!(rules.is_cut(EU, US, node, us, 0) && rules.is_cut(EU, CLIENT, node, client, 0));
        assert!(!rules.is_cut(US, EU, us, node, 0), "one way");
        assert!(!rules.is_cut(EU, AP, node, [10, 77, 3, 1], 0), "not from there");
    }

    #[test]
    fn clients_can_be_cut_off_too_or_alone() {
        let (map, mut rules) = world();
        rules.cut(&map, Cut { region: "eu-west-1".into(), clients: true, ..Cut::default() }, 0).expect("a region");
        assert_eq!(closed(&rules, 0), "us>eu eu>us eu>ap eu>cl ap>eu cl>eu");
        rules.heal(&map, None);
        let cut = Cut { region: "eu-west-1".into(), from: vec![CLIENTS.into()], ..Cut::default() };
        rules.cut(&map, cut, 0).expect("a region");
        assert_eq!(closed(&rules, 0), "eu>cl cl>eu");
    }
}
