//! What the network does at the moment: a shape per direction between two sites, and what is cut.
//!
//! A cut names two sets of ports and a direction. It can flap: open and closed in turns of one period each, beginning with
//! closed, as a pure function of time.

use std::collections::BTreeSet;
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
    /// What goes to what is cut off is dropped.
    In,
    /// What comes from what is cut off is dropped.
    Out,
}

/// One cut. Names are those of [`Map::named`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cut {
    /// What is cut off; among themselves these still reach each other.
    pub places: Vec<String>,
    /// From whom; empty: from all other nodes, and a region also from the other regions' clients.
    pub from: Vec<String>,
    /// From all clients, too.
    pub clients: bool,
    /// Which direction.
    pub direction: Direction,
    /// Closed for so long, then open for as long, and so on; none: closed until healed.
    pub flap: Option<Duration>,
}

impl Cut {
    /// The directions between ports that it closes.
    ///
    /// # Errors
    /// When a name stands for nothing.
    fn pairs(&self, map: &Map) -> anyhow::Result<BTreeSet<(usize, usize)>> {
        let named = |names: &[String]| -> anyhow::Result<BTreeSet<usize>> {
            let ports = names.iter().map(|name| map.named(name)).collect::<anyhow::Result<Vec<_>>>()?;
            Ok(ports.concat().into_iter().collect())
        };
        let (inside, from) = (named(&self.places)?, named(&self.from)?);
        let only_clients = inside.iter().all(|port| map.is_callers(*port));
        let whole_region = self.places.iter().any(|name| map.site(name).is_some());
        let outside = |port: &usize| {
            let client = map.is_callers(*port);
            !inside.contains(port)
                && if client && self.clients {
                    true
                } else if !from.is_empty() {
                    from.contains(port)
                } else {
                    // Other regions' clients are beyond the ocean, those from outside are not.
                    !client || (whole_region && !only_clients && map.ports()[*port].name != CLIENTS)
                }
        };
        let mut pairs = BTreeSet::new();
        for other in (0..map.ports().len()).filter(outside) {
            for port in &inside {
                if self.direction != Direction::In {
                    pairs.insert((*port, other));
                }
                if self.direction != Direction::Out {
                    pairs.insert((other, *port));
                }
            }
        }
        Ok(pairs)
    }
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

/// A cut that stands.
#[derive(Debug, Clone)]
struct Standing {
    number: u64,
    cut: Cut,
    pairs: BTreeSet<(usize, usize)>,
    gate: Gate,
}

/// All rules at a moment.
#[derive(Debug, Clone)]
pub struct Rules {
    sites: usize,
    ports: usize,
    /// From site to site.
    shapes: Vec<Shape>,
    /// From port to port.
    gates: Vec<Gate>,
    cuts: Vec<Standing>,
    next: u64,
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
        let (sites, ports) = (names.len(), map.ports().len());
        Self { sites, ports, shapes, gates: vec![Gate::Open; ports * ports], cuts: Vec::new(), next: 0 }
    }

    /// How packets from one site to another behave; from a site to itself: within it.
    #[must_use]
    pub fn shape(&self, from: usize, to: usize) -> &Shape {
        &self.shapes[from * self.sites + to]
    }

    /// The same, to be changed.
    pub fn shape_mut(&mut self, from: usize, to: usize) -> &mut Shape {
        &mut self.shapes[from * self.sites + to]
    }

    /// Whether a packet from one port to another is dropped now.
    #[must_use]
    pub fn is_cut(&self, from: usize, to: usize, now_ns: u64) -> bool {
        self.gates[from * self.ports + to].is_closed(now_ns)
    }

    /// Cuts; the cut's number.
    ///
    /// # Errors
    /// When a name stands for nothing.
    pub fn cut(&mut self, map: &Map, cut: Cut, now_ns: u64) -> anyhow::Result<u64> {
        let pairs = cut.pairs(map)?;
        let gate = cut.flap.map_or(Gate::Closed, |period| Gate::Flaps {
            since_ns: now_ns,
            period_ns: u64::try_from(period.as_nanos()).unwrap_or(u64::MAX),
        });
        self.next += 1;
        self.cuts.push(Standing { number: self.next, cut, pairs, gate });
        self.close();
        Ok(self.next)
    }

    /// Takes one cut back, by its number.
    pub fn mend(&mut self, number: u64) {
        self.cuts.retain(|standing| standing.number != number);
        self.close();
    }

    /// Takes back all cuts, or those that cut off this place or a part of it; says how many.
    ///
    /// # Errors
    /// When the name stands for nothing.
    pub fn heal(&mut self, map: &Map, place: Option<&str>) -> anyhow::Result<usize> {
        let before = self.cuts.len();
        let within = place.map(|place| map.named(place)).transpose()?;
        let touches = |cut: &Cut| {
            let Some(within) = &within else { return true };
            let ports = cut.places.iter().filter_map(|name| map.named(name).ok()).flatten();
            ports.into_iter().all(|port| within.contains(&port))
        };
        self.cuts.retain(|standing| !touches(&standing.cut));
        self.close();
        Ok(before - self.cuts.len())
    }

    /// The cuts that stand.
    pub fn cuts(&self) -> impl Iterator<Item = &Cut> {
        self.cuts.iter().map(|standing| &standing.cut)
    }

    /// Recomputes the gates from the cuts. A closed gate stays closed when another cut flaps.
    fn close(&mut self) {
        self.gates.fill(Gate::Open);
        for standing in &self.cuts {
            for (from, to) in &standing.pairs {
                let gate = &mut self.gates[from * self.ports + to];
                if *gate != Gate::Closed {
                    *gate = standing.gate;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NetworkConfig, RegionPlan};
    use super::*;

    fn world() -> (Map, Rules) {
        let regions = ["us-east-1", "eu-west-1", "ap-southeast-1"]
            .map(|name| RegionPlan { name: name.into(), nodes: 2 })
            .to_vec();
        let map = Map::new(&NetworkConfig { regions, ..NetworkConfig::default() }).expect("it fits");
        let rules = Rules::new(&map);
        (map, rules)
    }

    fn off(places: &[&str]) -> Cut {
        Cut { places: places.iter().map(|place| (*place).to_owned()).collect(), ..Cut::default() }
    }

    fn from(places: &[&str], cut: Cut) -> Cut {
        Cut { from: places.iter().map(|place| (*place).to_owned()).collect(), ..cut }
    }

    /// The closed directions at a time, as `us>eu` (nodes: `us1`, clients: `us*`); a site stands for all of its ports.
    fn closed(map: &Map, rules: &Rules, now_ns: u64) -> String {
        let sites = [("us", "us-east-1"), ("eu", "eu-west-1"), ("ap", "ap-southeast-1"), ("cl", CLIENTS)];
        let short = |port: usize| {
            let (site, _) = sites[map.ports()[port].site];
            let name = &map.ports()[port].name;
            match name.rsplit_once('-').map(|(_, last)| last) {
                Some("a") => format!("{site}1"),
                Some("b") => format!("{site}2"),
                _ if name == CLIENTS => site.to_owned(),
                _ => format!("{site}*"),
            }
        };
        let mut text = Vec::new();
        for from in 0..map.ports().len() {
            for to in 0..map.ports().len() {
                if rules.is_cut(from, to, now_ns) {
                    text.push(format!("{}>{}", short(from), short(to)));
                }
            }
        }
        text.join(" ")
    }

    #[test]
    fn regions_lie_an_ocean_apart() {
        let (_, rules) = world();
        let ms = |from, to| rules.shape(from, to).delay.as_millis();
        assert_eq!((ms(0, 1), ms(2, 0), ms(1, 2), ms(3, 2), ms(1, 1)), (38, 110, 80, 0, 0));
        assert_eq!(delay_between("mars-1", "us-east-1").as_millis(), 60);
    }

    #[test]
    fn a_split_cuts_a_region_with_its_clients_off_from_the_others_and_not_from_clients_outside() {
        let (map, mut rules) = world();
        rules.cut(&map, from(&["us-east-1"], off(&["eu-west-1"])), 0).expect("regions");
        assert_eq!(
            closed(&map, &rules, 0),
            "us1>eu1 us1>eu2 us1>eu* us2>eu1 us2>eu2 us2>eu* us*>eu1 us*>eu2 us*>eu* \
             eu1>us1 eu1>us2 eu1>us* eu2>us1 eu2>us2 eu2>us* eu*>us1 eu*>us2 eu*>us*"
        );
        rules.heal(&map, None).expect("all");
        rules.cut(&map, off(&["eu-west-1"]), 0).expect("a region");
        let all = closed(&map, &rules, 0);
        assert_eq!(all.split(' ').count(), 2 * 3 * 6, "{all}");
        assert!(!all.contains("cl") && !all.contains("eu1>eu2"), "{all}");
        assert_eq!(rules.heal(&map, None).expect("all"), 1);
        assert_eq!(closed(&map, &rules, 0), "");
    }

    #[test]
    fn cuts_can_be_one_way_and_flapping() {
        let (map, mut rules) = world();
        let flap = Some(Duration::from_nanos(100));
        let cut = Cut { direction: Direction::Out, flap, ..from(&["us-east-1-a"], off(&["eu-west-1-a"])) };
        rules.cut(&map, cut, 1000).expect("nodes");
        assert_eq!(closed(&map, &rules, 1050), "eu1>us1");
        assert_eq!(closed(&map, &rules, 1150), "");
        assert_eq!(closed(&map, &rules, 1250), "eu1>us1");
    }

    #[test]
    fn cuts_heal_one_by_one() {
        let (map, mut rules) = world();
        let first = rules.cut(&map, off(&["eu-west-1"]), 0).expect("a region");
        rules.cut(&map, off(&["ap-southeast-1-a"]), 0).expect("a node");
        rules.cut(&map, off(&["us-east-1"]), 0).expect("a region");
        assert_eq!(rules.heal(&map, Some("us-east-1")).expect("a region"), 1);
        rules.mend(first);
        assert_eq!(closed(&map, &rules, 0).split(' ').count(), 2 * 5);
        assert_eq!(rules.heal(&map, Some("ap-southeast-1")).expect("a region"), 1, "a node of it, too");
        assert!(rules.heal(&map, Some("mars")).is_err() && rules.cut(&map, off(&["mars"]), 0).is_err());
    }

    #[test]
    fn a_node_is_cut_off_from_its_own_region_too_and_its_clients_still_reach_it() {
        let (map, mut rules) = world();
        rules.cut(&map, Cut { direction: Direction::Out, ..off(&["eu-west-1-a"]) }, 0).expect("a node");
        assert_eq!(closed(&map, &rules, 0), "eu1>us1 eu1>us2 eu1>eu2 eu1>ap1 eu1>ap2");
        rules.heal(&map, None).expect("all");
        rules.cut(&map, Cut { clients: true, direction: Direction::Out, ..off(&["eu-west-1-a"]) }, 0).expect("a node");
        assert_eq!(closed(&map, &rules, 0), "eu1>us1 eu1>us2 eu1>us* eu1>eu2 eu1>eu* eu1>ap1 eu1>ap2 eu1>ap* eu1>cl");
        rules.heal(&map, None).expect("all");
        rules.cut(&map, off(&["eu-west-1-a", "eu-west-1-b"]), 0).expect("two nodes");
        assert!(!closed(&map, &rules, 0).contains("eu1>eu2"), "they still reach each other");
    }

    #[test]
    fn clients_can_be_cut_off_alone() {
        let (map, mut rules) = world();
        rules.cut(&map, from(&["eu-west-1"], off(&["clients of eu-west-1"])), 0).expect("clients");
        assert_eq!(closed(&map, &rules, 0), "eu1>eu* eu2>eu* eu*>eu1 eu*>eu2");
        rules.heal(&map, None).expect("all");
        rules.cut(&map, from(&[CLIENTS], off(&["eu-west-1"])), 0).expect("clients from outside");
        assert_eq!(closed(&map, &rules, 0), "eu1>cl eu2>cl eu*>cl cl>eu1 cl>eu2 cl>eu*");
    }
}
