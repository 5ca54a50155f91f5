//! A plan: what a run does to its cluster, as data. Both arenas carry out the same plans.
//!
//! ```toml
//! name = "split-and-kill"
//! shows = "Both sides of a split take writes while one of them loses a node, and nothing acknowledged is lost."
//! duration = "60s"
//!
//! [workload]                # who asks for what; see `workload`
//! rate_per_s = 100
//!
//! [[faults]]                # see `plan::fault`
//! at = "10s"
//! for = "20s"
//! kind = "split"
//! target = "any-region"
//!
//! [[faults]]
//! at = "15s"
//! for = "2s"
//! every = "5s"
//! kind = "kill"
//! target = "any-node"
//!
//! [bounds]
//! converge_within = "30s"
//! ```
//!
//! After `duration` the clients end and everything heals: cuts, clocks, disks, and nodes that are down start. What
//! must be well again within which time stands in `bounds`, and `checks` names the checkers (all by default).

pub mod fault;
#[cfg(test)]
mod files;
pub mod kept;
pub mod mixed;
pub mod squeeze;
pub mod target;
pub mod timeline;
pub mod topology;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use trine_replica::Sizes;

use crate::units::{maybe_time, time};
use crate::workload::Workload;

pub use fault::{Fault, Inject, Way};
pub use target::{Spot, Target, Which};
pub use timeline::Occurrence;
pub use topology::Topology;

/// What a run does to its cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Its name: lower-case words joined by hyphens.
    pub name: String,
    /// What it shows, in one sentence.
    pub shows: String,
    /// Where it can be carried out.
    #[serde(default = "ArenaKind::both")]
    pub arenas: Vec<ArenaKind>,
    /// How long clients work and faults happen.
    #[serde(with = "time")]
    pub duration: Duration,
    /// Which checkers judge; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<String>,
    /// How large the cluster is.
    #[serde(default)]
    pub topology: Topology,
    /// How its nodes are set up.
    #[serde(default)]
    pub nodes: Nodes,
    /// What clients do.
    #[serde(default)]
    pub workload: Workload,
    /// What must be well again within which time.
    #[serde(default)]
    pub bounds: Bounds,
    /// What goes wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

/// Where a plan can be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArenaKind {
    /// In the simulated world.
    Simulated,
    /// On real processes.
    Real,
}

impl ArenaKind {
    /// Both.
    #[must_use]
    pub fn both() -> Vec<Self> {
        vec![Self::Simulated, Self::Real]
    }
}

/// How nodes are set up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nodes {
    /// Whether they gossip.
    pub gossip: bool,
    /// How many delta rows a node keeps per partition and writer: few force whole objects to be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta_rows_max: Option<u64>,
    /// How many bytes of records a sealed segment has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment_bytes: Option<u64>,
    /// What bounds their cores; only the simulator's nodes have other bounds than the usual ones.
    #[serde(skip_serializing_if = "Sizes::is_usual")]
    pub sizes: Sizes,
}

impl Default for Nodes {
    fn default() -> Self {
        Self { gossip: true, delta_rows_max: None, segment_bytes: None, sizes: Sizes::default() }
    }
}

/// What must be well again within which time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
    /// All nodes hold the same within so long of the heal.
    #[serde(with = "time")]
    pub converge_within: Duration,
    /// Every region acknowledges writes again within so long of the heal, where anybody asks.
    #[serde(with = "time")]
    pub answer_within: Duration,
    /// While nothing is wrong, reads show what was acknowledged so long before them, anywhere; none: not judged.
    #[serde(with = "maybe_time", skip_serializing_if = "Option::is_none")]
    pub fresh_within: Option<Duration>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { converge_within: Duration::from_secs(60), answer_within: Duration::from_secs(30), fresh_within: None }
    }
}

/// Why a plan is none.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file cannot be read.
    #[error("read {path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is no TOML, or says what plans do not say.
    #[error("{0}")]
    Syntax(#[from] Box<toml::de::Error>),
    /// Its words contradict each other or the world.
    #[error("{0}")]
    Sense(String),
}

impl Plan {
    /// A plan of this name and length without faults.
    #[must_use]
    pub fn quiet(name: &str, shows: &str, duration: Duration) -> Self {
        Self {
            name: name.to_owned(),
            shows: shows.to_owned(),
            arenas: ArenaKind::both(),
            duration,
            topology: Topology::default(),
            nodes: Nodes::default(),
            workload: Workload::default(),
            bounds: Bounds::default(),
            checks: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Reads a plan's file.
    ///
    /// # Errors
    /// When it cannot be read or is no plan.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let text = std::fs::read_to_string(path).map_err(|error| PlanError::File { path: path.to_owned(), error })?;
        Self::parse(&text)
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// When it is none, with the line and what was expected there.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let plan: Self = toml::from_str(text).map_err(Box::new)?;
        plan.validate()?;
        Ok(plan)
    }

    /// The plan as TOML.
    ///
    /// # Panics
    /// Never: a plan has no value that TOML lacks.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a plan is TOML")
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// What does not.
    pub fn validate(&self) -> Result<(), PlanError> {
        let sense = |what: String| Err(PlanError::Sense(what));
        if self.name.is_empty() || !self.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        {
            return sense(format!("the name `{}` is not of lower-case letters, digits and hyphens", self.name));
        }
        if !self.shows.ends_with('.') {
            return sense("`shows` is a sentence and ends with a full stop".to_owned());
        }
        if self.duration.is_zero() || self.arenas.is_empty() || self.topology.regions == 0 || self.topology.nodes == 0 {
            return sense("a plan needs a duration, an arena, a region and a node".to_owned());
        }
        if let Err(name) = self.nodes.sizes.check() {
            return sense(format!("nodes do not go on with `{name}` as small or as large as this"));
        }
        if !self.nodes.sizes.is_usual() && self.arenas != [ArenaKind::Simulated] {
            return sense("only nodes of the simulator have other sizes than the usual ones".to_owned());
        }
        for check in &self.checks {
            if !crate::check::ALL.iter().any(|known| known.name == check) {
                let names = crate::check::ALL.map(|known| known.name).join(", ");
                return sense(format!("no checker `{check}`; there are {names}"));
            }
        }
        for (number, fault) in self.faults.iter().enumerate() {
            let at = format!("fault {} ({})", number + 1, fault.inject.kind());
            if fault.at >= self.duration {
                return sense(format!("{at} begins when the plan has ended"));
            }
            if fault.inject.shares().iter().any(|share| !(0.0..=1.0).contains(share)) {
                return sense(format!("{at}: a share is between 0 and 1"));
            }
            if let Some(target) = fault.inject.targets().iter().find(|target| !target.stands_in(&self.topology)) {
                let (name, nodes) = (String::from((*target).clone()), self.topology.node_names().join(", "));
                return sense(format!("{at}: there is no `{name}`; the nodes are {nodes}"));
            }
        }
        self.workload.validate().map_err(PlanError::Sense)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        name = "split-and-kill"
        shows = "Both sides of a split go on."
        duration = "60s"
        [[faults]]
        at = "10s"
        for = "20s"
        kind = "split"
        target = "any-region"
        from = ["us-east-1"]
        way = "out"
        flap = "500ms"
        [[faults]]
        at = "15s"
        every = "10s"
        spread = "2s"
        kind = "kill"
        target = "leader of eu-west-1"
    "#;

    #[test]
    fn a_plan_reads_as_it_is_written() {
        let mut plan = Plan::parse(SMALL).expect("a plan");
        plan.checks = vec!["sets".to_owned(), "clocks".to_owned()];
        assert_eq!(plan.topology, Topology::default());
        let Inject::Split { from, way, flap, .. } = &plan.faults[0].inject else { panic!("a split") };
        assert_eq!((from.len(), *way, *flap), (1, Way::Out, Some(Duration::from_millis(500))));
        assert_eq!(Plan::parse(&plan.to_toml()).expect("its own text"), plan);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, word) in [
            ("kind = \"kill\"", "kind = \"kil\"", "unknown variant `kil`"),
            ("at = \"15s\"", "at = \"15\"", "`15` is no time"),
            ("at = \"15s\"", "at = \"90s\"", "begins when the plan has ended"),
            ("every = ", "evry = ", "unknown field `evry`"),
            ("target = \"any-region\"", "target = \"mars-1\"", "there is no `mars-1`"),
            ("target = \"any-region\"", "target = \"king of x\"", "`king` of a region is nothing"),
            ("go on.", "go on", "full stop"),
            ("duration = ", "checks = [\"luck\"]\nduration = ", "no checker `luck`"),
            ("duration = ", "luck = 1\nduration = ", "unknown field `luck`"),
            ("[[faults]]", "[nodes.sizes]\npage_objects = 2\n[[faults]]", "only nodes of the simulator"),
            ("[[faults]]", "[nodes.sizes]\npage_objects = 0\n[[faults]]", "do not go on with `page_objects`"),
        ] {
            let text = SMALL.replacen(from, to, 1);
            assert_ne!(text, SMALL, "{from}");
            let error = Plan::parse(&text).expect_err(to).to_string();
            assert!(error.contains(word), "{to}: {error}");
        }
    }

    #[test]
    fn a_timeline_repeats_spreads_and_is_decided_by_the_seed() {
        let plan = Plan::parse(SMALL).expect("a plan");
        let timeline = plan.timeline(7);
        let kills: Vec<u64> = timeline.iter().filter(|it| it.fault == 1).map(|it| it.at.as_secs()).collect();
        assert_eq!(kills.len(), 5, "{kills:?}");
        assert!(kills.iter().zip([15, 25, 35, 45, 55]).all(|(at, base)| (base..=base + 2).contains(at)), "{kills:?}");
        assert_eq!(timeline[0].until, Some(Duration::from_secs(30)));
        assert!(timeline.is_sorted_by_key(|it| it.at));
        assert_eq!(timeline, plan.timeline(7));
        assert_ne!(timeline, plan.timeline(8));
    }
}
