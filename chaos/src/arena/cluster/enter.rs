//! Becoming another program inside a network namespace.
//!
//! The arena cannot set up its children between fork and exec without `unsafe`; so a child is this program first,
//! does what is needed, and then replaces itself.

use std::fs::File;
use std::os::unix::process::{CommandExt, parent_id};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

/// What to join before the program starts.
#[derive(Debug, Clone, Default)]
pub struct Entrance {
    /// A user namespace.
    pub user: Option<PathBuf>,
    /// The network namespace.
    pub network: PathBuf,
    /// Be killed when this process, our parent, ends.
    pub die_with: Option<u32>,
}

/// Joins and becomes the program; returns only when that fails.
///
/// # Errors
/// When a namespace cannot be joined or the program not be run.
pub fn become_program(entrance: &Entrance, program: &[String]) -> anyhow::Result<std::convert::Infallible> {
    if let Some(user) = &entrance.user {
        join(user, CloneFlags::CLONE_NEWUSER)?;
    }
    join(&entrance.network, CloneFlags::CLONE_NEWNET)?;
    if let Some(parent) = entrance.die_with {
        set_pdeathsig(Signal::SIGKILL).context("ask to be killed with the arena")?;
        ensure!(parent_id() == parent, "the arena has ended");
    }
    let (name, arguments) = program.split_first().context("no program to run")?;
    let error = Command::new(name).args(arguments).exec();
    Err(error).with_context(|| format!("run {name}"))
}

fn join(path: &Path, kind: CloneFlags) -> anyhow::Result<()> {
    let namespace = File::open(path).with_context(|| format!("open {} (does the arena still run?)", path.display()))?;
    setns(&namespace, kind).with_context(|| format!("join {}", path.display()))
}
