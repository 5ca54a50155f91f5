//! Regions and nodes by name, alike in both arenas: `us-east-1`, and in it `us-east-1-a`, `us-east-1-b`, …

use serde::{Deserialize, Serialize};

/// The first regions' names, in the order in which `trine up` uses them.
const REGION_NAMES: [&str; 3] = ["us-east-1", "eu-west-1", "ap-southeast-1"];

/// How large the cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Topology {
    /// How many regions.
    pub regions: usize,
    /// How many nodes in each.
    pub nodes: usize,
}

impl Default for Topology {
    fn default() -> Self {
        Self { regions: 3, nodes: 3 }
    }
}

impl Topology {
    /// The name of a region, counted from 0.
    #[must_use]
    pub fn region(number: usize) -> String {
        REGION_NAMES.get(number).map_or_else(|| format!("region-{}", number + 1), |name| (*name).to_owned())
    }

    /// The name of a region's node, counted from 0: letters as a spreadsheet counts its columns.
    #[must_use]
    pub fn node(region: &str, place: usize) -> String {
        let (mut letters, mut rest) = (Vec::new(), place + 1);
        while rest > 0 {
            letters.push(char::from(b'a' + u8::try_from((rest - 1) % 26).unwrap_or_default()));
            rest = (rest - 1) / 26;
        }
        format!("{region}-{}", letters.iter().rev().collect::<String>())
    }

    /// All regions.
    #[must_use]
    pub fn region_names(&self) -> Vec<String> {
        (0..self.regions).map(Self::region).collect()
    }

    /// All nodes of a region.
    #[must_use]
    pub fn nodes_of(&self, region: &str) -> Vec<String> {
        (0..self.nodes).map(|place| Self::node(region, place)).collect()
    }

    /// All nodes.
    #[must_use]
    pub fn node_names(&self) -> Vec<String> {
        self.region_names().iter().flat_map(|region| self.nodes_of(region)).collect()
    }

    /// The region of a node.
    #[must_use]
    pub fn region_of(&self, node: &str) -> Option<String> {
        let (region, _) = node.rsplit_once('-')?;
        let known = (0..self.regions).map(Self::region).find(|known| known == region)?;
        (0..self.nodes).any(|place| Self::node(&known, place) == node).then_some(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_trine_up_and_go_on_beyond_the_alphabet() {
        let small = Topology { regions: 2, nodes: 2 };
        assert_eq!(small.node_names(), ["us-east-1-a", "us-east-1-b", "eu-west-1-a", "eu-west-1-b"]);
        assert_eq!(small.region_of("eu-west-1-b").as_deref(), Some("eu-west-1"));
        assert_eq!(small.region_of("eu-west-1-c"), None, "there are only two");
        assert_eq!(small.region_of("eu-west-1"), None, "a region is no node");
        assert_eq!(Topology::region(3), "region-4");
        let names: Vec<String> = [25, 26, 99].map(|place| Topology::node("r", place)).to_vec();
        assert_eq!(names, ["r-z", "r-aa", "r-cv"]);
    }
}
