//! The mixed scenario: a plan drawn by a seed, with a little of everything that the simulator can do.

use std::time::Duration;

use trine_ledger::state::Idempotency;
use trine_replica::Sizes;

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
            sizes: Sizes::default(),
        };
        plan.draw_sizes(seed);
        plan.draw_trouble(&mut chance);
        plan.draw_failures(&mut chance);
        plan
    }

    /// Sizes so small that what lies behind them is reached, some at a time; from chance of their own, so that a seed's
    /// faults stay what they were.
    fn draw_sizes(&mut self, seed: u64) {
        let chance = &mut Chance::new(seed ^ 0x7369_7a65_7300);
        let sizes = &mut self.nodes.sizes;
        let mut few = |share: f64, least: u64, more: u64| {
            chance.happens(share).then(|| usize::try_from(least + chance.below(more)).unwrap_or(1))
        };
        fn set(size: &mut usize, drawn: Option<usize>) {
            *size = drawn.unwrap_or(*size);
        }
        self.workload.partitions = few(0.5, 1, 4).and_then(|count| u32::try_from(count).ok());
        set(&mut sizes.page_objects, few(0.4, 1, 4));
        set(&mut sizes.page_bytes, few(0.2, 100, 1_000));
        set(&mut sizes.tail_records, few(0.4, 1, 8));
        set(&mut sizes.tail_bytes, few(0.2, 200, 2_000));
        set(&mut sizes.tail_notes, few(0.2, 1, 3));
        set(&mut sizes.recent_records_bytes, few(0.4, 0, 2_000));
        set(&mut sizes.latest_kept, few(0.4, 2, 6));
        set(&mut sizes.opened_notes, few(0.3, 1, 3));
        set(&mut sizes.requests_waiting, few(0.1, 3, 8));
        set(&mut sizes.unpersisted_bytes, few(0.1, 2_000, 4_000));
        set(&mut sizes.entry_commands, few(0.3, 1, 3));
        set(&mut sizes.entry_commands_min, few(0.3, 1, 2));
        set(&mut sizes.proposals_in_flight, few(0.3, 1, 2));
        set(&mut sizes.intervals_per_message, few(0.2, 1, 3));
        set(&mut sizes.intervals_bytes, few(0.2, 100, 1_000));
        set(&mut sizes.delta_rows_per_read, few(0.3, 1, 4));
        set(&mut sizes.vectors_per_message, few(0.3, 1, 3));
        set(&mut sizes.lacked, few(0.2, 1, 8));
        set(&mut sizes.link_dirty, few(0.2, 1, 4));
        set(&mut sizes.link_batch_ranges, few(0.2, 1, 3));
        set(&mut sizes.link_batches, few(0.2, 1, 3));
        set(&mut sizes.trim_rows, few(0.3, 1, 8));
        set(&mut sizes.trim_logs, few(0.3, 4, 16));
        set(&mut sizes.metadata_repair_bytes, few(0.3, 100, 1_000));
        set(&mut sizes.metadata_answer_bytes, few(0.2, 200, 2_000));
        set(&mut sizes.rumor_bytes, few(0.2, 100, 1_000));
        if let Some(bytes) = few(0.2, 500, 3_000) {
            sizes.follow_window_bytes = bytes as u64;
        }
        if let Some(levels) = few(0.5, 1, 3) {
            sizes.tree_levels = u8::try_from(levels).unwrap_or(1);
        }
        if let Some(stride) = few(0.3, 1, 8) {
            sizes.trim_stride = stride as u64;
        }
        if let Some(ms) = few(0.2, 100, 900) {
            sizes.pull_timeout_ms = ms as u64;
        }
        // A call's attempts lie within its own time-out and the walls' differences: well below the window.
        if few(0.3, 1, 1).is_some() {
            sizes.idempotency = Idempotency { window_ms: 5_500, forget_max: 1, ..sizes.idempotency };
            self.workload.reuse_after = Some(Duration::from_millis(6_000));
        }
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
        // Of two voters neither goes on without the other's disk.
        if chance.happens(0.15) && self.topology.nodes > 2 {
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
