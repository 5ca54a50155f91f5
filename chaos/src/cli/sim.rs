//! `trine-chaos sim`: one seed of a plan in detail, or many seeds of many plans with a table.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use trine_chaos::plan::{ArenaKind, Plan, Topology, kept};
use trine_chaos::report::Verdict;
use trine_chaos::report::words::bytes_of;
use trine_chaos::sim::case::Case;
use trine_chaos::sim::shrink::shrink;
use trine_chaos::sim::sweep::{BATCH_SEEDS, Batch, Scenario, sweep};
use trine_chaos::sim::{Ran, measure_plan};
use trine_chaos::units::parse_time;

use super::memory;

/// The name of the scenario that each seed draws for itself.
const MIXED: &str = "mixed";
/// All kept plans that the simulator can carry out, and the mixed one.
const ALL: &str = "all";
/// At most this many seeds of a plan that do not hold get a report.
const REPORTS_MAX: usize = 5;
/// How often a plan is run to make it small.
const SHRINK_RUNS: usize = 400;

/// Runs plans in the simulated world. Exit code 0: every property held; 1: some did not.
#[derive(Debug, Args)]
pub struct Sim {
    /// Which plan: a name, a file, or `mixed`, which each seed draws for itself
    #[arg(long, default_value = MIXED)]
    plan: String,
    /// Run a case: a plan with its seed, as `--shrink` writes it
    #[arg(long, conflicts_with_all = ["plan", "plans", "seeds", "seed"])]
    case: Option<PathBuf>,
    /// Several plans: names, files, or `all`
    #[arg(long, num_args = 1.., conflicts_with = "plan")]
    plans: Vec<String>,
    /// How many regions, where the plan's own number is not meant
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=30))]
    regions: Option<u8>,
    /// How many nodes in each
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=100))]
    nodes: Option<u8>,
    /// How long clients work and faults happen at most: longer plans are squeezed into it
    #[arg(long, default_value = "10s")]
    duration: String,
    /// The seed to run
    #[arg(long, default_value_t = 1, conflicts_with_all = ["seeds", "from"])]
    seed: u64,
    /// Run this many seeds of each plan, on all cores
    #[arg(long)]
    seeds: Option<u64>,
    /// With `--seeds`: the first one
    #[arg(long, default_value_t = 1, requires = "seeds")]
    from: u64,
    /// With `--seeds`: write each finished batch to this file, a JSON object a line, and run only what it lacks
    #[arg(long, requires = "seeds")]
    resume: Option<PathBuf>,
    /// Make what does not hold small, and write it into this directory as a case (with `--seeds`, one of each plan)
    #[arg(long)]
    shrink: Option<PathBuf>,
    /// Where reports and `runs.jsonl` go, beside those of `trine-chaos run`; with `--seeds`, reports of what did not hold
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Break the core on purpose, by this defect
    #[cfg(feature = "mutants")]
    #[arg(long)]
    mutant: Option<String>,
    /// Print JSON
    #[arg(short, long, value_parser = ["table", "json"], default_value = "table")]
    output: String,
}

impl Sim {
    /// Runs what the arguments name.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        #[cfg(feature = "mutants")]
        trine_chaos::sim::mutants::choose(self.mutant.as_deref()).map_err(anyhow::Error::msg)?;
        if let Some(path) = &self.case {
            let case = Case::read(path)?;
            let broken = self.tell_report(&measure_plan(case.seed, case.plan))?;
            return Ok(if broken { ExitCode::from(1) } else { ExitCode::SUCCESS });
        }
        let scenarios = self.scenarios()?;
        let broken = match self.seeds {
            Some(seeds) => self.many(&scenarios, seeds)?,
            None => {
                let mut broken = false;
                for scenario in &scenarios {
                    broken |= self.one(scenario)?;
                }
                broken
            }
        };
        Ok(if broken { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }

    fn scenarios(&self) -> anyhow::Result<Vec<Scenario>> {
        let duration = parse_time(&self.duration)?;
        let names = if self.plans.is_empty() { std::slice::from_ref(&self.plan) } else { &self.plans };
        let mut scenarios = Vec::new();
        for name in names {
            match name.as_str() {
                ALL => {
                    scenarios.push(Scenario::mixed(self.sized(Topology::default())));
                    for plan in kept::all().iter().filter(|plan| plan.arenas.contains(&ArenaKind::Simulated)) {
                        scenarios.push(self.scenario(plan.clone(), duration)?);
                    }
                }
                MIXED => scenarios.push(Scenario::mixed(self.sized(Topology::default()))),
                name => scenarios.push(self.scenario(kept::find(name)?, duration)?),
            }
        }
        Ok(scenarios)
    }

    fn scenario(&self, mut plan: Plan, duration: Duration) -> anyhow::Result<Scenario> {
        plan.topology = self.sized(plan.topology);
        plan.validate().with_context(|| format!("{} in this topology", plan.name))?;
        Ok(Scenario::of(&plan, duration))
    }

    fn sized(&self, own: Topology) -> Topology {
        Topology {
            regions: self.regions.map_or(own.regions, usize::from),
            nodes: self.nodes.map_or(own.nodes, usize::from),
        }
    }

    /// The command that runs a seed again.
    fn command(&self, plan: &str, seed: u64) -> String {
        let mut command = format!("trine-chaos sim --plan {plan} --seed {seed}");
        if plan != MIXED {
            command += &format!(" --duration {}", self.duration);
        }
        for (name, value) in [("regions", self.regions), ("nodes", self.nodes)] {
            if let Some(value) = value {
                command += &format!(" --{name} {value}");
            }
        }
        #[cfg(feature = "mutants")]
        if let Some(mutant) = &self.mutant {
            command += &format!(" --mutant {mutant}");
        }
        command
    }

    fn one(&self, scenario: &Scenario) -> anyhow::Result<bool> {
        let plan = scenario.plan(self.seed);
        let broken = self.tell_report(&measure_plan(self.seed, plan.clone()))?;
        if broken {
            self.make_small(plan, self.seed)?;
        }
        Ok(broken)
    }

    /// Tells a run; whether anything was broken.
    fn tell_report(&self, ran: &Ran) -> anyhow::Result<bool> {
        let report = ran.report();
        let broken = report.verdict == Verdict::Broken;
        let place = match &self.report {
            Some(directory) => Some(report.write(directory, &ran.evidence, broken)?),
            None => None,
        };
        if self.output == "json" {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            let see = place.map(|place| format!("; see {}", place.display())).unwrap_or_default();
            print!("{}", report.to_text());
            println!("\n{} (seed {}): {}{see}", report.plan.name, report.seed, report.verdict);
        }
        Ok(broken)
    }

    /// Shrinks what does not hold, where that is wanted.
    fn make_small(&self, plan: Plan, seed: u64) -> anyhow::Result<()> {
        let Some(directory) = &self.shrink else { return Ok(()) };
        #[cfg(feature = "mutants")]
        let mutant = self.mutant.clone();
        #[cfg(not(feature = "mutants"))]
        let mutant = None;
        write_case(directory, plan, seed, mutant)
    }

    fn many(&self, scenarios: &[Scenario], seeds: u64) -> anyhow::Result<bool> {
        let finished = match &self.resume {
            Some(path) if path.exists() => read(path)?,
            _ => Vec::new(),
        };
        let file = match &self.resume {
            Some(path) => Some(std::fs::OpenOptions::new().create(true).append(true).open(path)?),
            None => None,
        };
        let file = Mutex::new(file);
        let all = scenarios.len() as u64 * seeds.div_ceil(BATCH_SEEDS) * BATCH_SEEDS;
        let bar = ProgressBar::new(all).with_style(
            ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left").expect("a template"),
        );
        let done = |batch: &Batch| {
            bar.inc(batch.seeds);
            for broken in &batch.broken {
                self.tell(&batch.scenario, broken.seed, &broken.findings);
            }
            if let Some(directory) = &self.report
                && let Err(error) = batch.lines.iter().try_for_each(|line| line.append(directory))
            {
                eprintln!("a batch could not be written down: {error:#}");
            }
            if let Some(file) = file.lock().expect("nobody panics with it").as_mut() {
                let line = serde_json::to_string(batch).expect("a batch is JSON");
                if let Err(error) = writeln!(file, "{line}").and_then(|()| file.flush()) {
                    eprintln!("a batch could not be written down: {error}");
                }
            }
        };
        let batches = sweep(scenarios, (self.from, seeds), &finished, done);
        bar.finish_and_clear();
        let mut by_name: BTreeMap<&str, Vec<&Batch>> = BTreeMap::new();
        batches.iter().for_each(|batch| by_name.entry(&batch.scenario).or_default().push(batch));
        let mut totals: Vec<Total> = Vec::new();
        for total in by_name.into_values().map(Batch::total) {
            let scenario = scenarios.iter().find(|scenario| scenario.name == total.scenario);
            let Some(scenario) = scenario else { continue };
            if let Some(broken) = total.broken.first() {
                self.make_small(scenario.plan(broken.seed), broken.seed)?;
            }
            if let Some(directory) = &self.report {
                let ran =
                    total.broken.iter().filter(|broken| !broken.findings.iter().any(|it| it.starts_with("panic")));
                for broken in ran.take(REPORTS_MAX) {
                    let ran = measure_plan(broken.seed, scenario.plan(broken.seed));
                    ran.report().write(directory, &ran.evidence, true)?;
                }
            }
            let resident_bytes_per_node = memory::bytes_per_node(scenario, self.from)?;
            totals.push(Total { batch: total, resident_bytes_per_node });
        }
        if self.output == "json" {
            println!("{}", serde_json::to_string(&totals)?);
        } else {
            println!("{}", table(&totals));
        }
        Ok(totals.iter().any(|total| !total.batch.broken.is_empty()))
    }

    fn tell(&self, plan: &str, seed: u64, findings: &[String]) {
        eprintln!("{plan}, seed {seed}: {}", self.command(plan, seed));
        findings.iter().for_each(|finding| eprintln!("  {finding:.400}"));
    }
}

/// Makes a plan and seed that do not hold small, and writes the case down.
pub fn write_case(directory: &Path, plan: Plan, seed: u64, mutant: Option<String>) -> anyhow::Result<()> {
    let run = |plan: &Plan, seed| Scenario::of(plan, plan.duration).run(seed).failures;
    let Some(case) = shrink(plan, seed, SHRINK_RUNS, run) else { return Ok(()) };
    let case = Case { mutant, ..case };
    std::fs::create_dir_all(directory)?;
    let path = directory.join(case.file_name());
    std::fs::write(&path, case.to_toml())?;
    eprintln!("made small: trine-chaos sim --case {}", path.display());
    Ok(())
}

/// Reads the batches of a file, and takes off the half line that an interrupted hunt may have left at its end.
fn read(path: &Path) -> anyhow::Result<Vec<Batch>> {
    let text = std::fs::read_to_string(path)?;
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        std::fs::OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    }
    let read = |(number, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("line {} of {}", number + 1, path.display()))
    };
    text[..whole].lines().enumerate().map(read).collect()
}

/// A scenario's row of the table: all batches, and the memory of a node.
#[derive(Serialize)]
struct Total {
    #[serde(flatten)]
    batch: Batch,
    resident_bytes_per_node: Option<u64>,
}

fn table(totals: &[Total]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header([
        "SCENARIO",
        "SEEDS",
        "VERDICT",
        "ACKED",
        "EVENTS/SEED",
        "EVENTS/s",
        "MESSAGES/WRITE",
        "BYTES/WRITE",
        "CONVERGED p50 p99 max",
        "MEMORY/NODE",
        "LEFT OUT",
    ]);
    let mut all = 0;
    for Total { batch: total, resident_bytes_per_node } in totals {
        all += total.seeds;
        let verdict =
            if total.broken.is_empty() { "held".to_owned() } else { format!("{} BROKEN", total.broken.len()) };
        let each = |count: u64, of: u64| if of == 0 { 0.0 } else { count as f64 / of as f64 };
        let converged = [0.5, 0.99, 1.0].map(|share| total.converged_at(share).to_string()).join(" ");
        table.add_row([
            total.scenario.clone(),
            total.seeds.to_string(),
            verdict,
            format!("{:.1}%", 100.0 * each(total.calls.0, total.calls.1)),
            format!("{:.0}", each(total.inputs.1, total.seeds)),
            format!("{:.0}", each(1_000 * total.inputs.1, total.took_ms)),
            format!("{:.1}", each(total.messages, total.writes)),
            bytes_of(each(total.measured.0.bytes, total.measured.1) as u64),
            format!("{converged} ms"),
            resident_bytes_per_node.map_or("–".to_owned(), bytes_of),
            total.left_out.iter().cloned().collect::<Vec<_>>().join(" "),
        ]);
    }
    let broken: usize = totals.iter().map(|total| total.batch.broken.len()).sum();
    format!("{table}\n{all} seeds, {broken} broken; events a second are those of one core")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_half_line_of_an_interrupted_hunt_is_taken_off() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("hunt.jsonl");
        let line = serde_json::to_string(&Batch { seeds: 25, ..Batch::default() }).expect("JSON");
        std::fs::write(&path, format!("{line}\n{}", &line[..line.len() / 2])).expect("written");
        assert_eq!(read(&path).expect("read").len(), 1);
        // What is written behind it is a line of its own.
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("opened");
        writeln!(file, "{line}").expect("written");
        assert_eq!(read(&path).expect("read").len(), 2);
        std::fs::write(&path, format!("{line}\n{{}}}}\n{line}\n")).expect("written");
        assert!(read(&path).is_err(), "a damaged line in the middle is told");
    }
}
