//! The nodes' processes: started, watched, stopped.
//!
//! Each node is a process group of its own, so that Ctrl-C reaches `trine up` alone, which then ends them in order. Should
//! `trine up` itself vanish without a word, the pipe that is their standard input ends, and they stop by themselves.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;
use trine_node::daemon::SUPERVISED;

use super::cluster::ClusterNode;
use super::limits::{LOG_LINES_SHOWN, NODES_STOP_MAX};
use crate::exit::Exit;

/// Where tokio looks up how many threads its runtime has.
const THREADS: &str = "TOKIO_WORKER_THREADS";

/// One node's process.
pub(super) struct Process {
    pub(super) name: String,
    pub(super) pid: u32,
    pub(super) log: PathBuf,
    child: Child,
    /// Waiting for a child closes the standard input that it still has; this one must stay open.
    _leash: Option<ChildStdin>,
}

impl Process {
    /// Starts a node of a prepared cluster with this many threads for its connections, unless the environment says how many.
    pub(super) fn start(node: &ClusterNode, gossip: bool, threads: usize) -> anyhow::Result<Self> {
        let log = node.directory.join("node.log");
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        command
            .arg("node")
            .arg("--config")
            .arg(&node.config)
            .env(SUPERVISED, "1")
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .kill_on_drop(true);
        if !gossip {
            command.env("TRINE_CLUSTER__GOSSIP", "false");
        }
        if std::env::var_os(THREADS).is_none() {
            command.env(THREADS, threads.to_string());
        }
        let mut child = command.spawn().with_context(|| format!("cannot start {}", node.name))?;
        let pid = child.id().context("the process ended at once")?;
        Ok(Self { name: node.name.clone(), pid, log, _leash: child.stdin.take(), child })
    }

    fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.pid)
            && self.child.id().is_some()
        {
            // Not yet reaped, so the number is still this child's.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

/// A node that ended.
pub(super) struct Ended {
    pub(super) name: String,
    pub(super) how: String,
    /// It was taken off its region's roster.
    pub(super) left: bool,
    pub(super) log: PathBuf,
}

/// Waits until one of them ends, and takes it out; never ends when there is none.
pub(super) async fn any_end(processes: &mut Vec<Process>) -> Ended {
    if processes.is_empty() {
        return std::future::pending().await;
    }
    let waits = processes.iter_mut().enumerate().map(|(at, process)| {
        Box::pin(async move {
            let status = process.child.wait().await;
            let left = status.as_ref().is_ok_and(|status| status.code() == Some(Exit::Refused as i32));
            let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            (at, how, left)
        })
    });
    let ((at, how, left), ..) = futures::future::select_all(waits).await;
    let process = processes.remove(at);
    Ended { name: process.name, how, left, log: process.log }
}

/// Ends all, in order if they let themselves, otherwise by force; the names of the latter.
pub(super) async fn stop_all(processes: Vec<Process>) -> Vec<String> {
    let mut ends = JoinSet::new();
    for mut process in processes {
        ends.spawn(async move {
            process.signal(Signal::SIGTERM);
            if tokio::time::timeout(NODES_STOP_MAX, process.child.wait()).await.is_ok() {
                return None;
            }
            process.signal(Signal::SIGCONT);
            let _ = process.child.kill().await;
            Some(process.name)
        });
    }
    ends.join_all().await.into_iter().flatten().collect()
}

/// The last lines of a node's log.
pub(super) fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].iter().map(|line| format!("    {line}\n")).collect()
}
