//! `trine-chaos rounds` and `trine-chaos partition`: programs that end with a verdict.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use trine_chaos::arena::Arena;
use trine_chaos::arena::disk::loss::Forgotten;
use trine_chaos::arena::program::{partition, rounds};
use trine_chaos::check::Evidence;
use trine_chaos::history::Outcome;
use trine_chaos::units::parse_time;
use trine_chaos::workload::Workload;

use super::up::ArenaArgs;

/// What both programs take.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    arena: ArenaArgs,
    /// Clients in each region
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// Calls begun in a second, over all clients; 0: each client's next one when its last was answered
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// Write every call down in this file, a line of JSON each
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Write down in this file what nodes held in the end, for `trine-chaos check --held`
    #[arg(long, value_name = "FILE")]
    held: Option<PathBuf>,
    /// How the verdict looks
    #[arg(short, long, value_parser = ["table", "json"], default_value = "table")]
    output: String,
}

#[derive(Debug, Args)]
pub struct Rounds {
    #[command(flatten)]
    common: Common,
    /// Kills of one random node
    #[arg(long, default_value_t = 50)]
    rounds: usize,
    /// Kills of all nodes at once after them
    #[arg(long, default_value_t = 1)]
    all_rounds: usize,
    /// Take the power from the killed nodes' disks, too: what was not synced is lost (needs FUSE)
    #[arg(long)]
    power: bool,
    /// Load before each kill
    #[arg(long, value_parser = parse_time, default_value = "1s")]
    before: Duration,
    /// How long a killed node stays down
    #[arg(long, value_parser = parse_time, default_value = "500ms")]
    down: Duration,
}

#[derive(Debug, Args)]
pub struct Partition {
    #[command(flatten)]
    common: Common,
    /// The region that is cut off
    #[arg(long, default_value = "eu-west-1")]
    region: String,
    /// Load before the cut
    #[arg(long, value_parser = parse_time, default_value = "5s")]
    before: Duration,
    /// How long the cut lasts
    #[arg(long, value_parser = parse_time, default_value = "30s")]
    cut: Duration,
}

impl Rounds {
    pub fn run(mut self) -> anyhow::Result<ExitCode> {
        if self.power {
            self.common.arena.disk = "forgetful".to_owned();
        }
        let plan = rounds::Plan {
            rounds: self.rounds,
            all_rounds: self.all_rounds,
            power: self.power,
            workload: self.common.workload(),
            before: self.before,
            down: self.down,
            patience: Duration::from_secs(self.common.arena.patience),
            seed: self.common.arena.seed,
        };
        let mut arena = self.common.arena.arena()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (summary, evidence, report) = runtime.block_on(async {
            self.common.arena.start_all(&mut arena).await?;
            let tell = |round: usize, name: &str, took: Duration, forgotten: Option<Forgotten>| {
                let lost = forgotten.map_or_else(String::new, |forgotten| format!(", lost {forgotten}"));
                let (round, took) = (round + 1, took.as_secs_f64());
                eprintln!("round {round:>3}: {name} killed{lost}, all ready {took:.2} s after its start");
            };
            rounds::run(&mut arena, &plan, tell, |evidence| self.common.keep(evidence)).await
        })?;
        self.common.finish(&arena, &summary, &evidence, summary.passed())?;
        if self.common.output != "json" {
            super::digest::print(&report);
        }
        Ok(ExitCode::from(u8::from(!summary.passed())))
    }
}

impl Partition {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let plan = partition::Plan {
            region: self.region.clone(),
            before: self.before,
            cut: self.cut,
            workload: self.common.workload(),
            patience: Duration::from_secs(self.common.arena.patience),
            seed: self.common.arena.seed,
        };
        let mut arena = self.common.arena.arena()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (summary, evidence) = runtime.block_on(async {
            self.common.arena.start_all(&mut arena).await?;
            partition::run(&mut arena, &plan, |evidence| self.common.keep(evidence)).await
        })?;
        self.common.finish(&arena, &summary, &evidence, summary.passed())?;
        Ok(ExitCode::from(u8::from(!summary.passed())))
    }
}

impl Common {
    fn workload(&self) -> Workload {
        Workload { clients_per_region: self.clients, rate_per_s: self.rate, ..Workload::default() }
    }

    /// Writes down what is to be judged, where that is wanted.
    fn keep(&self, evidence: &Evidence) -> anyhow::Result<()> {
        if let Some(path) = &self.history {
            evidence.history.write_json(&mut create(path)?).with_context(|| format!("write {}", path.display()))?;
        }
        if let Some(path) = &self.held {
            serde_json::to_writer(create(path)?, evidence).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }

    fn finish(&self, arena: &Arena, summary: &impl Serialize, evidence: &Evidence, passed: bool) -> anyhow::Result<()> {
        let value = serde_json::to_value(summary)?;
        if self.output == "json" {
            println!("{}", serde_json::to_string_pretty(&value)?);
            return Ok(());
        }
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        for (name, value) in value.as_object().into_iter().flatten().filter(|(name, _)| *name != "violations") {
            table.add_row([name.replace('_', " "), value.to_string()]);
        }
        println!("{table}");
        for (outcome, count) in outcomes(evidence) {
            println!("{count:>8}  {outcome}");
        }
        for violation in value.get("violations").and_then(|list| list.as_array()).into_iter().flatten() {
            println!("VIOLATION  {violation}");
        }
        let verdict = if passed { "nothing acknowledged was lost" } else { "FAILED" };
        println!("{verdict}; the data stays in {}", arena.directory().display());
        Ok(())
    }
}

/// Counts by kind of outcome: reasons that differ in a number alone are one.
fn outcomes(evidence: &Evidence) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in evidence.history.calls() {
        let name = match &call.outcome {
            Outcome::Ok(_) => "ok".to_owned(),
            Outcome::Fail(why) => format!("failed: {}", without_numbers(why)),
            Outcome::Unknown(why) => format!("unknown: {}", without_numbers(why)),
        };
        *counts.entry(name).or_insert(0) += 1;
    }
    counts
}

fn without_numbers(why: &str) -> String {
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    why.split(' ').map(|word| if is_number(word) { "N" } else { word }).collect::<Vec<_>>().join(" ")
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path).with_context(|| format!("write {}", path.display()))?))
}
