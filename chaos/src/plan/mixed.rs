//! The mixed scenario: a plan drawn by a seed, with a little of everything that the simulator can do.

use std::time::Duration;

use crate::chance::Chance;
use crate::plan::{ArenaKind, Fault, Inject, Nodes, Plan, Spot, Target, Topology, Way, Which};
use crate::units::Offset;
use crate::workload::{Moves, Workload};

impl Plan {
    /// The mixed scenario of a seed.
    #[must_use]
    pub fn mixed(seed: u64, topology: Topology) -> Self {
        let mut chance = Chance::new(seed ^ 0x7472_696e_6500);
        let duration = Duration::from_millis(8_000 + chance.below(1_000));
        let mut plan = Self::quiet(
            "mixed",
            "Whatever comes together: nothing acknowledged is lost, nothing comes back, all nodes agree in the end.",
            duration,
        );
        plan.arenas = vec![ArenaKind::Simulated];
        plan.topology = topology;
        plan.workload = Workload {
            clients_per_region: 3,
            rate_per_s: 22 + chance.below(28),
            moves: if chance.happens(0.3) { Moves::Nodes } else { Moves::Regions },
            move_share: if chance.happens(0.5) { 1.0 } else { 0.2 },
            ..Workload::default()
        };
        plan.nodes = Nodes {
            gossip: chance.happens(0.5),
            delta_rows_max: chance.happens(0.4).then(|| 2 + chance.below(4)),
            segment_bytes: Some(4 * 1024),
        };
        plan.draw_trouble(&mut chance);
        plan.draw_failures(&mut chance);
        plan
    }

    /// Trouble that is there all the time: messages, proposals, clocks.
    fn draw_trouble(&mut self, chance: &mut Chance) {
        let sometimes = |chance: &mut Chance, share: f64, value: f64| chance.happens(share).then_some(value);
        let (loss, duplicate) = (sometimes(chance, 0.6, 0.02), sometimes(chance, 0.6, 0.02));
        let (reorder, late) = (sometimes(chance, 0.6, 0.03), Some(Duration::from_secs(1)));
        let always = |inject| Fault { at: Duration::ZERO, spread: Duration::ZERO, lasts: None, every: None, inject };
        let (from, to) = (Target::All, Target::All);
        let (one_way, delay, jitter, bytes_per_s) = (false, None, None, None);
        self.faults.push(always(Inject::Link {
            from,
            to,
            one_way,
            delay,
            jitter,
            loss,
            duplicate,
            reorder,
            late,
            bytes_per_s,
        }));
        if let Some(share) = sometimes(chance, 0.3, 0.05) {
            self.faults.push(always(Inject::Proposals { target: Target::All, share }));
        }
        let skew_ms = if chance.happens(0.3) { chance.below(400) } else { 10 };
        for node in self.topology.node_names() {
            let us = (chance.below(2_000 * skew_ms + 1) as i64) - (1_000 * skew_ms) as i64;
            self.faults.push(always(Inject::Skew { target: Target::Named(node), by: Offset { ns: 1_000 * us } }));
        }
    }

    /// Failures that begin and end.
    fn draw_failures(&mut self, chance: &mut Chance) {
        let active_us = u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX);
        let when = |chance: &mut Chance| Duration::from_micros(300_000 + chance.below(active_us - 500_000));
        let once = |at, lasts, inject| Fault { at, spread: Duration::ZERO, lasts, every: None, inject };
        let millis = |chance: &mut Chance, least, more| Some(Duration::from_millis(least + chance.below(more)));
        let crashes = if chance.happens(0.85) { 1 + chance.below(4) } else { 0 };
        for _ in 0..crashes {
            let inject = Inject::PowerLoss { target: Target::AnyNode };
            self.faults.push(once(when(chance), millis(chance, 100, 2_500), inject));
        }
        if chance.happens(0.1) {
            let inject = Inject::PowerLoss { target: Target::All };
            self.faults.push(once(when(chance), millis(chance, 200, 500), inject));
        }
        let splits = if chance.happens(0.8) { 1 + chance.below(2) } else { 0 };
        for _ in 0..splits {
            let inject = Inject::Split { target: Target::AnyRegion, from: Vec::new(), way: Way::Both, flap: None };
            self.faults.push(once(when(chance), millis(chance, 500, 4_000), inject));
        }
        let cuts = if chance.happens(0.3) { 1 + chance.below(4) } else { 0 };
        for _ in 0..cuts {
            let any = |chance: &mut Chance| match Target::AnyNode.settle(&self.topology, chance, |_| None) {
                Spot::Nodes(mut nodes) => Target::Named(nodes.remove(0)),
                _ => Target::AnyNode,
            };
            let (at, target, from) = (when(chance), any(chance), any(chance));
            if target != from {
                let inject = Inject::Split { target, from: vec![from], way: Way::Out, flap: None };
                self.faults.push(once(at, None, inject));
            }
        }
        for _ in 0..chance.below(3) {
            self.faults.push(once(when(chance), None, Inject::Elect { target: Target::AnyRegion }));
        }
        for (probability, target) in [(0.3, Target::AnyNode), (0.3, Target::Of(Which::Leader, None))] {
            if chance.happens(probability) {
                let inject = Inject::Split { target: target.clone(), from: Vec::new(), way: Way::Both, flap: None };
                self.faults.push(once(when(chance), millis(chance, 500, 2_500), inject));
            }
            if chance.happens(probability) {
                self.faults.push(once(when(chance), millis(chance, 200, 3_000), Inject::Pause { target }));
            }
        }
        if chance.happens(0.2) {
            let by = Offset { ns: 1_000_000 * (300 - chance.below(600) as i64) };
            self.faults.push(once(when(chance), None, Inject::Jump { target: Target::AnyNode, by }));
        }
        if chance.happens(0.15) {
            self.faults.push(once(
                when(chance),
                millis(chance, 200, 1_500),
                Inject::DiskLost { target: Target::AnyNode },
            ));
        }
        if chance.happens(0.15) {
            let by = Duration::from_millis(20 + chance.below(300));
            self.faults.push(once(
                when(chance),
                millis(chance, 500, 3_000),
                Inject::DiskSlow { target: Target::AnyNode, by },
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_makes_a_plan_that_reads_as_it_is_written() {
        for seed in 1..=200 {
            let plan = Plan::mixed(seed, Topology::default());
            assert_eq!(Plan::parse(&plan.to_toml()).expect("a plan"), plan, "seed {seed}");
            assert_eq!(plan, Plan::mixed(seed, Topology::default()));
        }
        assert_ne!(Plan::mixed(1, Topology::default()), Plan::mixed(2, Topology::default()));
    }
}
