//! What a plan asks of the real arena, found out before anything starts.

use anyhow::{bail, ensure};

use crate::arena::DiskKind;
use crate::plan::{ArenaKind, Inject, Plan, Spot, Target};

/// What the arena must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// What the nodes' data must be on.
    pub disk: DiskKind,
    /// Whether their clocks must be such as can be set wrong.
    pub clocks: bool,
    /// How many nodes join at most, in any one region.
    pub joins: usize,
}

impl Needs {
    /// Of a plan under a seed.
    ///
    /// # Errors
    /// What of it the real arena cannot do.
    pub fn of(plan: &Plan, seed: u64) -> anyhow::Result<Self> {
        ensure!(plan.arenas.contains(&ArenaKind::Real), "{} is a plan for the simulator only", plan.name);
        let mut needs = Self::default();
        for occurrence in plan.timeline(seed) {
            let inject = &plan.faults[occurrence.fault].inject;
            possible(inject, plan)?;
            match inject {
                Inject::PowerLoss { .. }
                | Inject::TornWrite { .. }
                | Inject::DiskFull { .. }
                | Inject::DiskSlow { .. }
                | Inject::DiskFails { .. } => needs.disk = DiskKind::Forgetful,
                Inject::Skew { .. } | Inject::Jump { .. } | Inject::Drift { .. } => needs.clocks = true,
                Inject::Join { .. } => needs.joins += 1,
                _ => {}
            }
        }
        let restores = plan.faults.iter().any(|fault| matches!(fault.inject, Inject::DiskRestored { .. }));
        ensure!(
            !restores || needs.disk != DiskKind::Forgetful,
            "{}: `disk-restored` needs disks that forget nothing, other faults of the plan do not",
            plan.name
        );
        Ok(needs)
    }
}

/// Whether a fault can be carried out on real processes.
fn possible(inject: &Inject, plan: &Plan) -> anyhow::Result<()> {
    let kind = inject.kind();
    match inject {
        Inject::Proposals { .. } | Inject::Disorder { .. } => {
            bail!("{}: only the simulator can do `{kind}`", plan.name)
        }
        // Links have a shape by region.
        Inject::Link { .. } => {
            for target in inject.targets() {
                let whole = matches!(settled(target, plan), Spot::Region(_)) || *target == Target::All;
                ensure!(
                    whole,
                    "{}: `{kind}` meets whole regions only, not `{}`",
                    plan.name,
                    String::from(target.clone())
                );
            }
        }
        _ => {}
    }
    Ok(())
}

/// What kind of spot a target becomes.
fn settled(target: &Target, plan: &Plan) -> Spot {
    target.settle(&plan.topology, &mut crate::chance::Chance::new(0), |_| None)
}
