//! `trine-chaos table`: what the runs of a report directory came to.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use clap::Args;

use trine_chaos::report::{Verdict, runs};

/// Exit code 0: every run held; 1: some did not.
#[derive(Debug, Args)]
pub struct Table {
    /// A directory that `trine-chaos run --report` wrote
    #[arg(value_name = "DIR", default_value = "trine-chaos-report")]
    directory: PathBuf,
    /// How the table looks
    #[arg(short, long, value_parser = ["table", "json"], default_value = "table")]
    output: String,
}

impl Table {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let lines = runs::read(&self.directory)?;
        ensure!(!lines.is_empty(), "{} has no runs yet", self.directory.display());
        if self.output == "json" {
            println!("{}", serde_json::to_string_pretty(&lines)?);
        } else {
            print!("{}", runs::table(&lines));
        }
        Ok(ExitCode::from(u8::from(lines.iter().any(|line| line.verdict != Verdict::Held))))
    }
}
