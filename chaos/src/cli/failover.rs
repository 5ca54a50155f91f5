//! `trine-chaos failover`: how long a region is without its leader.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use trine_chaos::arena::program::failover::{self, How, Loss, Summary, Times};
use trine_chaos::units::parse_time;

use super::up::ArenaArgs;

/// Exit code 0: nothing acknowledged was lost, and the times are within the bound; 1: not so; 2: it could not be measured.
#[derive(Debug, Args)]
pub struct Failover {
    #[command(flatten)]
    arena: ArenaArgs,
    /// How many leaders are killed (SIGKILL)
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// How many are stopped (SIGSTOP): their connections stay open and say nothing
    #[arg(long, default_value_t = 20)]
    stops: usize,
    /// How many are cut off from the other nodes
    #[arg(long, default_value_t = 20)]
    cuts: usize,
    /// Fill the region's log with this many entries first
    #[arg(long, value_name = "ENTRIES", default_value_t = 0)]
    log: u64,
    /// The longest time to the first acknowledged append that is taken for good, in 99 of 100 losses
    #[arg(long, value_parser = parse_time, default_value = "1600ms")]
    bound: Duration,
    /// How the figures look
    #[arg(short, long, value_parser = ["table", "json"], default_value = "table")]
    output: String,
}

impl Failover {
    pub fn run(mut self) -> anyhow::Result<ExitCode> {
        self.arena.regions = 1;
        match self.measure() {
            Ok(summary) => self.finish(&summary),
            Err(error) => {
                eprintln!("error: {error:#}");
                Ok(ExitCode::from(2))
            }
        }
    }

    fn measure(&self) -> anyhow::Result<Summary> {
        let plan = failover::Plan {
            kills: self.kills,
            stops: self.stops,
            cuts: self.cuts,
            log: self.log,
            patience: Duration::from_secs(self.arena.patience),
            seed: self.arena.seed,
        };
        let mut arena = self.arena.arena()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            self.arena.start_all(&mut arena).await?;
            let fills = |entries: u64| eprint!("\r{entries} of {} entries", self.log);
            let tell = |number: usize, loss: &Loss| {
                let Loss { how, leader, heir, append_ms } = loss;
                eprintln!("\rloss {:>3}: {leader} {}, {heir} appends after {append_ms} ms", number + 1, word(*how));
            };
            let measured = failover::run(&mut arena, &plan, fills, tell).await;
            let stopped = arena.parts().0.stop_all().await;
            measured.and_then(|summary| stopped.map(|()| summary))
        })
    }

    fn finish(&self, summary: &Summary) -> anyhow::Result<ExitCode> {
        let within = Duration::from_millis(summary.all.p99_ms) <= self.bound && summary.missing.is_empty();
        if self.output == "json" {
            println!("{}", serde_json::to_string_pretty(summary)?);
            return Ok(ExitCode::from(u8::from(!within)));
        }
        println!("first acknowledged append after the loss of a leader, in ms; {} entries in the log", summary.entries);
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING).set_header(["", "losses", "least", "median", "p99", "most"]);
        let mut row = |name: &str, times: &Times| {
            let figures = [times.least_ms, times.median_ms, times.p99_ms, times.most_ms].map(|ms| ms.to_string());
            table.add_row([vec![name.to_owned(), times.losses.to_string()], figures.to_vec()].concat());
        };
        summary.by_kind.iter().for_each(|(how, times)| row(word(*how), times));
        row("all", &summary.all);
        println!("{table}");
        println!("the machine's load was {} before and {} after", summary.load.0, summary.load.1);
        summary.missing.iter().for_each(|key| println!("LOST  {key} was acknowledged and cannot be read"));
        let bound = self.bound.as_millis();
        println!("{}", if within { format!("within {bound} ms") } else { format!("FAILED: not within {bound} ms") });
        Ok(ExitCode::from(u8::from(!within)))
    }
}

fn word(how: How) -> &'static str {
    match how {
        How::Killed => "killed",
        How::Stopped => "stopped",
        How::Cut => "cut off",
    }
}
