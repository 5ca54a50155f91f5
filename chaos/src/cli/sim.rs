//! `trine-chaos sim`: one seed in detail, or many with a summary.

use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use trine_chaos::sim::sweep::{Summary, sweep};
use trine_chaos::sim::{Outcome, run};

/// Runs seeds. Exit code 0: every property held; 1: some did not.
#[derive(Debug, Args)]
pub struct Sim {
    /// How many regions
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=30))]
    regions: u8,
    /// How many nodes in each
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    nodes: u8,
    /// The seed to run (with `--seeds`: the first one)
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds to run, one after the other, on all cores
    #[arg(long)]
    seeds: Option<u64>,
    /// Break the core on purpose, by this defect
    #[cfg(feature = "mutants")]
    #[arg(long)]
    mutant: Option<String>,
    /// Print JSON
    #[arg(short, long, value_parser = ["table", "json"], default_value = "table")]
    output: String,
}

#[derive(Serialize)]
struct Row<'a> {
    seed: String,
    trace_hash: String,
    inputs: u64,
    messages: u64,
    operations_acknowledged: usize,
    operations: usize,
    converged_ms: u64,
    failures: &'a [String],
}

impl Sim {
    /// Runs what the arguments name.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        #[cfg(feature = "mutants")]
        trine_crdt::mutants::choose(self.mutant.as_deref()).map_err(anyhow::Error::msg)?;
        let (regions, nodes) = (usize::from(self.regions), usize::from(self.nodes));
        let failed = match self.seeds {
            None => self.one(&run(self.seed, regions, nodes))?,
            Some(count) => {
                let bar = ProgressBar::new(count).with_style(
                    ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {eta} left").expect("a template"),
                );
                let summary = sweep(self.seed, count, regions, nodes, || bar.inc(1));
                bar.finish_and_clear();
                self.many(&summary)?
            }
        };
        Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }

    fn one(&self, outcome: &Outcome) -> anyhow::Result<bool> {
        if self.output == "json" {
            println!("{}", serde_json::to_string(&row(outcome))?);
        } else {
            let Outcome { seed, trace_hash, inputs, messages, operations: (done, all), converged_ms, .. } = outcome;
            println!("seed          {seed}");
            println!("trace_hash    {trace_hash:016x}");
            println!("inputs        {inputs}");
            println!("messages      {messages}");
            println!("operations    {done} of {all} acknowledged");
            println!("converged     {converged_ms} ms after the heal");
            outcome.failures.iter().for_each(|failure| println!("FAILED        {failure}"));
        }
        Ok(!outcome.failures.is_empty())
    }

    fn many(&self, summary: &Summary) -> anyhow::Result<bool> {
        if self.output == "json" {
            println!("{}", serde_json::to_string(summary)?);
        } else {
            println!("{summary}");
        }
        for outcome in &summary.failed {
            let Outcome { seed, failures, .. } = outcome;
            eprintln!(
                "seed {seed} failed: trine-chaos sim --regions {} --nodes {} --seed {seed}",
                self.regions, self.nodes
            );
            failures.iter().for_each(|failure| eprintln!("  {failure}"));
        }
        Ok(!summary.failed.is_empty())
    }
}

fn row(outcome: &Outcome) -> Row<'_> {
    Row {
        seed: outcome.seed.to_string(),
        trace_hash: format!("{:016x}", outcome.trace_hash),
        inputs: outcome.inputs,
        messages: outcome.messages,
        operations_acknowledged: outcome.operations.0,
        operations: outcome.operations.1,
        converged_ms: outcome.converged_ms,
        failures: &outcome.failures,
    }
}
