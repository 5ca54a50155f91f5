//! `trine-chaos rounds` and `trine-chaos partition`: programs that end with a verdict.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use trine_chaos::arena::Arena;
use trine_chaos::arena::program::{Event, partition, rounds};
use trine_chaos::units::parse_time;

use super::up::ArenaArgs;

/// What both programs take.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    arena: ArenaArgs,
    /// Clients in each region
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// Write every call down in this file, a line of JSON each
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
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
    /// Do not kill all nodes at once after them
    #[arg(long)]
    without_all: bool,
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
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let plan = rounds::Plan {
            rounds: self.rounds,
            all: !self.without_all,
            clients_per_region: self.common.clients,
            before: self.before,
            down: self.down,
            patience: Duration::from_secs(self.common.arena.patience),
            seed: self.common.arena.seed,
        };
        let mut arena = self.common.arena.arena()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (summary, events, report) = runtime.block_on(async {
            self.common.arena.start_all(&mut arena).await?;
            rounds::run(&mut arena, &plan, |round, name, took| {
                eprintln!(
                    "round {:>3}: {name} killed, all ready {:.2} s after its start",
                    round + 1,
                    took.as_secs_f64()
                );
            })
            .await
        })?;
        self.common.finish(&arena, &summary, &events, summary.passed())?;
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
            clients_per_region: self.common.clients,
            patience: Duration::from_secs(self.common.arena.patience),
        };
        let mut arena = self.common.arena.arena()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (summary, events) = runtime.block_on(async {
            self.common.arena.start_all(&mut arena).await?;
            partition::run(&mut arena, &plan).await
        })?;
        self.common.finish(&arena, &summary, &events, summary.passed())?;
        Ok(ExitCode::from(u8::from(!summary.passed())))
    }
}

impl Common {
    fn finish(&self, arena: &Arena, summary: &impl Serialize, events: &[Event], passed: bool) -> anyhow::Result<()> {
        if let Some(path) = &self.history {
            write_history(path, events).with_context(|| format!("write {}", path.display()))?;
        }
        let value = serde_json::to_value(summary)?;
        if self.output == "json" {
            println!("{}", serde_json::to_string_pretty(&value)?);
            return Ok(());
        }
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        for (name, value) in value.as_object().into_iter().flatten().filter(|(name, _)| *name != "violations") {
            table.add_row([name.replace('_', " "), value.to_string()]);
        }
        println!("{table}");
        for (outcome, count) in rounds::outcomes(events) {
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

fn write_history(path: &Path, events: &[Event]) -> anyhow::Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for event in events {
        serde_json::to_writer(&mut file, event)?;
        file.write_all(b"\n")?;
    }
    file.flush()?;
    Ok(())
}
