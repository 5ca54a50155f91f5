//! `trine-fuzz`: writes the corpora's samples anew, and runs a target on files.

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use trine_fuzz::{TARGETS, Target, corpus};

/// Decoders under fire: their corpora and single inputs.
#[derive(Debug, Parser)]
enum Command {
    /// Writes what every corpus must have anew, after a change of a format; what was found stays.
    Samples {
        /// Only these targets'.
        targets: Vec<String>,
    },
    /// Runs one target on files and says what became of each.
    Run {
        /// The target.
        target: String,
        /// The inputs.
        files: Vec<PathBuf>,
    },
    /// Names the targets.
    List,
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Samples { targets } => {
            for target in TARGETS.iter().filter(|target| targets.is_empty() || targets.iter().any(|t| t == target.name))
            {
                println!("{:20} {} samples", target.name, corpus::write(target)?);
            }
        }
        Command::Run { target, files } => {
            let target = named(&target)?;
            for path in files {
                let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
                println!("{}: {:?}", path.display(), (target.run)(&bytes));
            }
        }
        Command::List => TARGETS.iter().for_each(|target| println!("{}", target.name)),
    }
    Ok(())
}

fn named(name: &str) -> anyhow::Result<&'static Target> {
    TARGETS.iter().find(|target| target.name == name).with_context(|| format!("there is no target `{name}`"))
}
