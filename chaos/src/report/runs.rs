//! Many runs: a line of JSON each, in `runs.jsonl`, and the table that they come to.
//!
//! A line says nothing of the code that ran, so that lines of several machines and days can be put together; who does that
//! takes care that they belong together.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::{Figures, Report, Simulated, Verdict};
use crate::plan::ArenaKind;

/// The most violations that a line repeats.
pub const VIOLATIONS_MAX: usize = 5;

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The plan's name.
    pub plan: String,
    /// The seed.
    pub seed: String,
    /// Where.
    pub arena: ArenaKind,
    /// What it came to.
    pub verdict: Verdict,
    /// In numbers.
    pub figures: Figures,
    /// In a simulated run, what that was like, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<Simulated>,
    /// The first violations, or why it could not run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
}

impl From<&Report> for Line {
    fn from(report: &Report) -> Self {
        let broken = report.checks.iter();
        let why = broken.flat_map(|it| it.violations.iter().map(|what| format!("{}: {what}", it.check)));
        Self {
            plan: report.plan.name.clone(),
            seed: report.seed.clone(),
            arena: report.arena,
            verdict: report.verdict,
            figures: report.figures.clone(),
            simulated: report.simulated.clone(),
            why: why.take(VIOLATIONS_MAX).collect(),
        }
    }
}

impl Line {
    /// The line of a run that shows nothing.
    #[must_use]
    pub fn could_not_run(plan: &str, seed: u64, arena: ArenaKind, why: String) -> Self {
        let (plan, seed, figures) = (plan.to_owned(), seed.to_string(), Figures::default());
        Self { plan, seed, arena, verdict: Verdict::CouldNotRun, figures, simulated: None, why: vec![why] }
    }

    /// Adds it to a directory's runs.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&self, directory: &Path) -> anyhow::Result<()> {
        let path = path(directory);
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(directory)?;
            OpenOptions::new().create(true).append(true).open(&path)?.write_all(&line)
        };
        write().with_context(|| format!("write {}", path.display()))
    }
}

/// The runs of a directory; none when there is no file yet.
///
/// # Errors
/// When a line is none, with its number.
pub fn read(directory: &Path) -> anyhow::Result<Vec<Line>> {
    let path = path(directory);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.with_context(|| format!("read {}", path.display()))?,
    };
    let line = |(number, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("{}, line {}", path.display(), number + 1))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(line).collect()
}

fn path(directory: &Path) -> PathBuf {
    directory.join("runs.jsonl")
}

/// Of several lines for one run, the last.
#[must_use]
pub fn latest(lines: &[Line]) -> Vec<&Line> {
    let key = |line: &'_ Line| (line.plan.clone(), line.arena as u8, line.seed.clone());
    let last: BTreeMap<_, &Line> = lines.iter().map(|line| (key(line), line)).collect();
    last.into_values().collect()
}

/// What the runs come to, a row for each scenario and arena, as Markdown. Of several lines for one run the last counts.
#[must_use]
pub fn table(lines: &[Line]) -> String {
    let mut rows: BTreeMap<(&str, u8), Vec<&Line>> = BTreeMap::new();
    for line in latest(lines) {
        rows.entry((&line.plan, line.arena as u8)).or_default().push(line);
    }
    let mut text = String::from(
        "| scenario | arena | runs | held | verdict | calls done | failed | unknown | faults | p50 | p99 | max | \
         answers after | agreed after |\n|---|---|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for ((plan, _), runs) in rows {
        let count = |verdict| runs.iter().filter(|line| line.verdict == verdict).count();
        let sum = |of: fn(&Figures) -> u64| runs.iter().map(|line| of(&line.figures)).sum::<u64>();
        let most = |of: fn(&Figures) -> u64| runs.iter().map(|line| of(&line.figures)).max().unwrap_or_default();
        let latest = |of: fn(&Figures) -> Option<u64>| {
            runs.iter().filter_map(|line| of(&line.figures)).max().map_or("–".to_owned(), |ms| millis(1_000 * ms))
        };
        let verdict = runs.iter().map(|line| line.verdict).max().unwrap_or(Verdict::CouldNotRun);
        let arena = match runs[0].arena {
            ArenaKind::Simulated => "simulated",
            ArenaKind::Real => "real",
        };
        let _ = writeln!(
            text,
            "| {plan} | {arena} | {} | {} | {verdict} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            runs.len(),
            count(Verdict::Held),
            sum(|figures| figures.ok),
            sum(|figures| figures.failed),
            sum(|figures| figures.unknown),
            sum(|figures| figures.faults),
            millis(most(|figures| figures.p50_us)),
            millis(most(|figures| figures.p99_us)),
            millis(most(|figures| figures.max_us)),
            latest(|figures| figures.answer_ms),
            latest(|figures| figures.converge_ms),
        );
    }
    text
}

/// Microseconds for people.
pub(super) fn millis(us: u64) -> String {
    match us {
        0..10_000 => format!("{:.1} ms", us as f64 / 1e3),
        10_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(plan: &str, seed: u64, verdict: Verdict) -> Line {
        Line { verdict, ..Line::could_not_run(plan, seed, ArenaKind::Real, "x".to_owned()) }
    }

    #[test]
    fn the_table_has_a_row_a_scenario_and_believes_the_last_line_of_a_run() {
        let lines = [
            line("kill", 1, Verdict::CouldNotRun),
            line("kill", 1, Verdict::Held),
            line("kill", 2, Verdict::Held),
            line("split", 1, Verdict::Broken),
            line("split", 2, Verdict::Held),
        ];
        let table = table(&lines);
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(rows.len(), 2);
        assert!(rows[0].starts_with("| kill | real | 2 | 2 | held |"), "{table}");
        assert!(rows[1].starts_with("| split | real | 2 | 1 | BROKEN |"), "{table}");
    }

    #[test]
    fn runs_are_read_as_they_were_written_and_a_broken_line_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(read(directory.path()).expect("none yet"), []);
        let lines = [line("kill", u64::MAX, Verdict::Held), line("split", 1, Verdict::Broken)];
        lines.iter().for_each(|line| line.append(directory.path()).expect("written"));
        assert_eq!(read(directory.path()).expect("both"), lines);
        std::fs::write(directory.path().join("runs.jsonl"), "{}\n").expect("written");
        assert!(format!("{:#}", read(directory.path()).expect_err("no run")).contains("line 1"));
    }
}
