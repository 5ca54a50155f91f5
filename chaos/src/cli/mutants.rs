//! `trine-chaos mutants`: breaks the product on purpose, one defect after the other, and says which checker saw it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use trine_chaos::plan::{Topology, kept};
use trine_chaos::sim::hunt::hunt;
use trine_chaos::sim::mutants::{choose, is_core, names, plan, shown_elsewhere};
use trine_chaos::sim::sweep::Scenario;
use trine_chaos::units::parse_time;
use trine_probe::mutants;

use crate::cli::sim::write_case;

/// Runs the simulator under deliberate defects. Exit code 0: each was seen by a checker; 1: some were not.
#[derive(Debug, Args)]
pub struct Mutants {
    /// Which defects; none: all that the simulator can see
    names: Vec<String>,
    /// How many seeds to try each on
    #[arg(long, default_value_t = 300)]
    seeds: u64,
    /// Under which plan; none: for each defect the one that shows it soonest
    #[arg(long)]
    plan: Option<String>,
    /// Only these checkers count: does each see what it is for?
    #[arg(long, num_args = 1.., value_name = "CHECKER")]
    checks: Vec<String>,
    /// How long clients work and faults happen at most: longer plans are squeezed into it
    #[arg(long, default_value = "10s")]
    duration: String,
    /// Make what caught each defect small, and write it into this directory as a case
    #[arg(long)]
    shrink: Option<PathBuf>,
    /// Run nothing: list the defects that the simulator cannot see, with the package and the tests that show them
    #[arg(long)]
    elsewhere: bool,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Mutants {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        for name in self.names.iter().filter(|name| shown_elsewhere(name).is_none()) {
            choose(Some(name)).map_err(anyhow::Error::msg)?;
        }
        // A defect may make the core give up: that is told in the table.
        std::panic::set_hook(Box::new(|_| {}));
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(["MUTANT", "PLAN", "SEEN BY", "AFTER SEEDS", "REACHED"]);
        let mut survivors = 0;
        for name in names() {
            if !self.names.is_empty() && !self.names.iter().any(|wanted| wanted == name) {
                continue;
            }
            if self.elsewhere {
                if let Some((package, test)) = shown_elsewhere(name) {
                    println!("{name}\t{package}\t{test}");
                }
                continue;
            }
            if let Some((package, test)) = shown_elsewhere(name).filter(|_| self.names.is_empty() || !is_core(name)) {
                table.add_row([name, "elsewhere", &format!("{package}, {test}"), "", ""]);
                continue;
            }
            choose(Some(name)).map_err(anyhow::Error::msg)?;
            let scenario = match self.plan.as_deref().or(plan(name)).filter(|plan| *plan != "mixed") {
                Some(name) => Scenario::of(&kept::find(name)?, parse_time(&self.duration)?),
                None => Scenario::mixed(Topology::default()),
            };
            let counts = |finding: &String| {
                self.checks.is_empty() || self.checks.iter().any(|check| finding.split(':').next() == Some(check))
            };
            let run = |seed| scenario.run(seed).failures.into_iter().filter(counts).collect();
            let caught = hunt(self.seed, self.seeds, run);
            let reached = mutants::reached().to_string();
            let (seen, seeds) = match &caught {
                Some(catch) => (catch.checkers().join(", "), (catch.seed - self.seed + 1).to_string()),
                None => ("NOBODY".to_owned(), format!("more than {}", self.seeds)),
            };
            survivors += usize::from(caught.is_none());
            eprintln!("{name}: {seen}, {seeds}");
            for finding in caught.iter().flat_map(|catch| &catch.findings).take(3) {
                eprintln!("    {finding:.300}");
            }
            if let (Some(directory), Some(catch)) = (&self.shrink, &caught) {
                write_case(directory, scenario.plan(catch.seed), catch.seed, Some(name.to_owned()))?;
            }
            table.add_row([name, &scenario.name, &seen, &seeds, &reached]);
        }
        if self.elsewhere {
            return Ok(ExitCode::SUCCESS);
        }
        println!("{table}");
        println!("{survivors} of them were seen by nobody");
        Ok(if survivors > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }
}
