//! How much memory a scenario's world takes for each of its nodes.
//!
//! A sweep's threads share one process, and what one world has left the next one takes: so one seed is run in a process of
//! its own, which has nothing else.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::Context;
use trine_chaos::report::Report;
use trine_chaos::sim::case::Case;
use trine_chaos::sim::sweep::Scenario;

/// Resident bytes for each node of a scenario's world; none where the system does not tell.
pub fn bytes_per_node(scenario: &Scenario, seed: u64) -> anyhow::Result<Option<u64>> {
    let case = Case { found: "memory".to_owned(), mutant: None, seed, plan: scenario.plan(seed) };
    let mut command = Command::new(std::env::current_exe().context("find this program")?);
    command.args(["sim", "--output", "json", "--case", "/dev/stdin"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("run this program")?;
    child.stdin.take().context("it has an input")?.write_all(case.to_toml().as_bytes())?;
    let told = child.wait_with_output()?.stdout;
    // What panics has no report, and its seed is told as broken already.
    let report: Option<Report> = serde_json::from_slice(&told).ok();
    Ok(report.and_then(|report| report.simulated).and_then(|simulated| simulated.resident_bytes_per_node))
}
