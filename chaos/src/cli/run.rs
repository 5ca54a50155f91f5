//! `trine-chaos run`: plans on real processes, each to its verdict.
//!
//! One run is carried out in this process. Several are carried out one after the other, each by a process of its own, so
//! that no run inherits anything from another; what stands in the report directory already is not run again.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use trine_chaos::arena::network::limits::MTU_BYTES_DEFAULT;
use trine_chaos::arena::network::privilege;
use trine_chaos::arena::run::needs::Needs;
use trine_chaos::arena::run::{self, Progress, Ran};
use trine_chaos::arena::{Arena, ArenaConfig};
use trine_chaos::check::{Evidence, judge};
use trine_chaos::plan::{ArenaKind, Plan};
use trine_chaos::report::runs::{self, Line};
use trine_chaos::report::{Report, Verdict};

/// Exit code of what could not be run.
const COULD_NOT_RUN: u8 = 2;

/// Exit code 0: every promise held; 1: one was broken; 2: a run could not be carried out.
#[derive(Debug, Args)]
pub struct Run {
    /// The plans' files
    #[arg(required = true, value_name = "PLAN")]
    plans: Vec<PathBuf>,
    /// What chance starts from, in the first run of each plan
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often each plan is run, each time with the next seed
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Where the nodes' files are made while a run lasts
    #[arg(long, value_name = "DIR", default_value = "trine-chaos-run")]
    data: PathBuf,
    /// Where reports and `runs.jsonl` go; runs that stand there are not run again when there are several
    #[arg(long, value_name = "DIR", default_value = "trine-chaos-report")]
    report: PathBuf,
    /// Keep the nodes' files, and write the evidence down, even when everything held
    #[arg(long)]
    keep: bool,
    /// The `trine` binary; otherwise the one beside this program
    #[arg(long, alias = "program", value_name = "PATH")]
    trine: Option<PathBuf>,
    /// How long the nodes may take to be ready, in seconds
    #[arg(long, default_value_t = 120)]
    patience: u64,
    /// How the verdict looks
    #[arg(short, long, value_parser = ["table", "json"], default_value = "table")]
    output: String,
}

impl Run {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut plans = Vec::new();
        for path in &self.plans {
            match Plan::read(path) {
                Ok(plan) => plans.push((path.clone(), plan)),
                Err(error) => return Ok(refused(&format!("{}: {error}", path.display()))),
            }
        }
        match &plans[..] {
            [(_, plan)] if self.runs == 1 => self.single(plan),
            _ => self.series(&plans),
        }
    }

    /// One run in this process.
    fn single(&self, plan: &Plan) -> anyhow::Result<ExitCode> {
        let (report, evidence) = match self.carry_out(plan) {
            Ok(done) => done,
            Err(error) => {
                Line::could_not_run(&plan.name, self.seed, ArenaKind::Real, format!("{error:#}"))
                    .append(&self.report)?;
                return Ok(refused(&format!("{} shows nothing: {error:#}", plan.name)));
            }
        };
        let held = report.verdict == Verdict::Held;
        let directory = report.write(&self.report, &evidence, !held || self.keep)?;
        if held && !self.keep {
            std::fs::remove_dir_all(self.place(plan)).context("remove the nodes' files")?;
        }
        if self.output == "json" {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            print!("{}", report.to_text());
            println!("{} (seed {}): {}; see {}", plan.name, self.seed, report.verdict, directory.display());
            if !held || self.keep {
                println!("the nodes' files stay in {}", self.place(plan).display());
            }
        }
        Ok(ExitCode::from(u8::from(!held)))
    }

    fn place(&self, plan: &Plan) -> PathBuf {
        self.data.join(format!("{}-{}", plan.name, self.seed))
    }

    fn carry_out(&self, plan: &Plan) -> anyhow::Result<(Report, Evidence)> {
        let needs = Needs::of(plan, self.seed)?;
        let directory = self.place(plan);
        clear(&directory)?;
        let config = ArenaConfig {
            directory,
            regions: plan.topology.regions,
            nodes: plan.topology.nodes,
            trine: self.trine.clone(),
            settings: plan.nodes.clone(),
            seed: self.seed,
            mtu_bytes: MTU_BYTES_DEFAULT,
            disk: needs.disk,
            clocks: needs.clocks,
            joins: needs.joins,
        };
        let mut arena = Arena::new(&config, privilege::acquire_private()?)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let bar = bar(plan);
        let ran: Ran = runtime.block_on(async {
            let (cluster, network) = arena.parts();
            cluster.start_all(network)?;
            let names = cluster.names();
            cluster.wait_ready(network, &names, Duration::from_secs(self.patience)).await?;
            run::run(&mut arena, plan, self.seed, &|progress| show(&bar, progress)).await
        })?;
        bar.finish_and_clear();
        let found = judge(&ran.evidence, &plan.checks);
        let report = Report::new((plan, self.seed, ArenaKind::Real), &ran.evidence, &ran.lags, &found);
        Ok((report, ran.evidence))
    }

    /// Every run that has no verdict yet, each in a process of its own.
    fn series(&self, plans: &[(PathBuf, Plan)]) -> anyhow::Result<ExitCode> {
        let mut wanted = Vec::new();
        for (path, plan) in plans.iter().filter(|(_, plan)| plan.arenas.contains(&ArenaKind::Real)) {
            wanted.extend((self.seed..self.seed + self.runs).map(|seed| (path, plan, seed)));
        }
        let of = |line: &Line, plan: &Plan, seed: u64| line.plan == plan.name && line.seed == seed.to_string();
        for (number, (path, plan, seed)) in wanted.iter().enumerate() {
            let before = runs::read(&self.report)?;
            let judged = |line: &&Line| of(line, plan, *seed) && line.verdict != Verdict::CouldNotRun;
            if before.iter().any(|line| judged(&line)) {
                continue;
            }
            let at = format!("{} of {}: {}, seed {seed}", number + 1, wanted.len(), plan.name);
            eprintln!("{at}");
            let status = self.child(path, *seed)?.status().context("run this program")?;
            let after = runs::read(&self.report)?;
            match after.get(before.len()..).and_then(<[Line]>::last) {
                Some(line) => {
                    eprintln!("{at}: {}", line.verdict);
                    line.why.iter().for_each(|why| eprintln!("    {why}"));
                }
                None if status.code() == Some(COULD_NOT_RUN.into()) || !status.success() => {
                    let why = format!("its process ended with {status}");
                    Line::could_not_run(&plan.name, *seed, ArenaKind::Real, why).append(&self.report)?;
                }
                None => bail!("{at}: no line was written"),
            }
        }
        let all = runs::read(&self.report)?;
        let asked: Vec<Line> =
            all.into_iter().filter(|line| wanted.iter().any(|(_, plan, seed)| of(line, plan, *seed))).collect();
        if self.output == "json" {
            println!("{}", serde_json::to_string_pretty(&asked)?);
        } else {
            print!("{}", runs::table(&asked));
        }
        let worst = runs::latest(&asked).iter().map(|line| line.verdict).max();
        Ok(match worst {
            Some(Verdict::Broken) => ExitCode::from(1),
            Some(Verdict::CouldNotRun) => ExitCode::from(COULD_NOT_RUN),
            Some(Verdict::Held) | None => ExitCode::SUCCESS,
        })
    }

    fn child(&self, plan: &Path, seed: u64) -> anyhow::Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("find this program")?);
        command.arg("run").arg(plan).args(["--seed", &seed.to_string(), "--patience", &self.patience.to_string()]);
        command.arg("--data").arg(&self.data).arg("--report").arg(&self.report);
        if self.keep {
            command.arg("--keep");
        }
        if let Some(trine) = &self.trine {
            command.arg("--trine").arg(trine);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(command)
    }
}

fn refused(why: &str) -> ExitCode {
    eprintln!("error: {why}");
    ExitCode::from(COULD_NOT_RUN)
}

/// Removes what an earlier run left; nothing else.
fn clear(directory: &Path) -> anyhow::Result<()> {
    if !directory.exists() {
        return Ok(());
    }
    if !directory.join("cluster.json").exists() && directory.read_dir()?.next().is_some() {
        bail!("{} is not empty and holds no cluster: choose another --data", directory.display());
    }
    std::fs::remove_dir_all(directory).with_context(|| format!("remove {}", directory.display()))
}

fn bar(plan: &Plan) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} s  {msg}").expect("a template");
    ProgressBar::new(plan.duration.as_secs()).with_style(style).with_prefix(plan.name.clone())
}

fn show(bar: &ProgressBar, progress: &Progress) {
    bar.set_position(progress.elapsed.as_secs());
    bar.set_message(format!("{}, {} calls  {}", progress.phase, progress.calls, progress.wrong.join(", ")));
}
