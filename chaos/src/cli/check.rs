//! `trine-chaos check`: the checkers' verdict on a recorded history.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;

use trine_chaos::check::{ALL, Evidence, judge};
use trine_chaos::history::{Form, History};

/// Judges a history. Exit code 0: every checker is content; 1: one is not.
#[derive(Debug, Args)]
pub struct Check {
    /// The calls, a line of JSON each, as a run writes them
    #[arg(value_name = "HISTORY", required_unless_present = "list")]
    history: Option<PathBuf>,
    /// What nodes held in the end and what was done to them; without it only the calls are judged
    #[arg(long, value_name = "FILE")]
    held: Option<PathBuf>,
    /// Only these checkers
    #[arg(long = "check", value_name = "NAME")]
    checks: Vec<String>,
    /// Say which checkers there are
    #[arg(long)]
    list: bool,
    /// Write the history in Jepsen's EDN as well
    #[arg(long, value_name = "FILE")]
    edn: Option<PathBuf>,
    /// Of the EDN, only a region's ledger as transactions for Elle (list-append)
    #[arg(long, value_name = "REGION", requires = "edn", conflicts_with = "set")]
    ledger: Option<String>,
    /// Of the EDN, only one set, for Jepsen's set-full
    #[arg(long, value_name = "KEY", requires = "edn")]
    set: Option<String>,
    /// How the verdict looks
    #[arg(short, long, value_parser = ["table", "json"], default_value = "table")]
    output: String,
}

impl Check {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if self.list {
            ALL.iter().for_each(|check| println!("{:<14} {}", check.name, check.statement));
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(name) = self.checks.iter().find(|name| !ALL.iter().any(|check| check.name == **name)) {
            bail!("no checker `{name}`; `trine-chaos check --list` names them");
        }
        let open =
            |path: &PathBuf| File::open(path).map(BufReader::new).with_context(|| format!("open {}", path.display()));
        let path = self.history.as_ref().context("which history?")?;
        let history = History::read_json(open(path)?).with_context(|| format!("read {}", path.display()))?;
        let mut evidence = match &self.held {
            Some(path) => serde_json::from_reader(open(path)?).with_context(|| format!("read {}", path.display()))?,
            None => Evidence::default(),
        };
        if let Some(path) = &self.edn {
            let form = match (&self.ledger, &self.set) {
                (Some(region), _) => Form::ListAppend(region),
                (None, Some(key)) => Form::SetFull(key),
                (None, None) => Form::Plain,
            };
            let file = File::create(path).with_context(|| format!("write {}", path.display()))?;
            history.write_edn(form, &mut std::io::BufWriter::new(file))?;
        }
        let (done, failed, unknown) = history.counts();
        evidence.history = history;
        let found = judge(&evidence, &self.checks);
        if self.output == "json" {
            println!("{}", serde_json::to_string_pretty(&found)?);
        } else {
            println!(
                "{done} calls done, {failed} failed, {unknown} of unknown fate; {} nodes' disks",
                evidence.held.len()
            );
            found.iter().for_each(|violation| println!("VIOLATION  {violation}"));
            println!("{}", if found.is_empty() { "every checker is content" } else { "FAILED" });
        }
        Ok(ExitCode::from(u8::from(!found.is_empty())))
    }
}
