//! One node's process: started, killed, paused, resumed, stopped.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;
use tokio::process::{Child, Command};

use super::clock::Clock;
use super::layout::NodeLayout;
use crate::arena::network::Space;

/// How much of a node's log is shown when it fails, in bytes.
const LAST_WORDS_BYTES: u64 = 2000;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Was not started yet.
    New,
    /// Runs.
    Running,
    /// Is stopped by SIGSTOP.
    Paused,
    /// Ended by itself, with this code.
    Exited(i32),
    /// Was ended by this signal.
    Killed(i32),
}

impl State {
    /// Whether there is a process.
    #[must_use]
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("new"),
            Self::Running => f.write_str("running"),
            Self::Paused => f.write_str("paused"),
            Self::Exited(code) => write!(f, "exited with {code}"),
            Self::Killed(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

/// One node's process.
#[derive(Debug)]
pub struct Process {
    layout: NodeLayout,
    child: Option<Child>,
    state: State,
    starts: u32,
    clock: Option<Clock>,
}

impl Process {
    /// A node that does not run yet.
    #[must_use]
    pub fn new(layout: NodeLayout) -> Self {
        Self { layout, child: None, state: State::New, starts: 0, clock: None }
    }

    /// The node's files and addresses.
    #[must_use]
    pub fn layout(&self) -> &NodeLayout {
        &self.layout
    }

    /// How often it was started.
    #[must_use]
    pub fn starts(&self) -> u32 {
        self.starts
    }

    /// Gives it a clock that can be set wrong, from its next start on.
    ///
    /// # Errors
    /// When the library that it takes is not installed.
    pub fn own_clock(&mut self) -> anyhow::Result<()> {
        self.clock = Some(Clock::new(self.layout.directory.join("clock"))?);
        Ok(())
    }

    /// How far ahead of the true time its clock ever was.
    #[must_use]
    pub fn ahead(&self) -> Duration {
        self.clock.as_ref().map_or(Duration::ZERO, Clock::ahead)
    }

    /// How far behind the true time its clock ever was.
    #[must_use]
    pub fn behind(&self) -> Duration {
        self.clock.as_ref().map_or(Duration::ZERO, Clock::behind)
    }

    /// Its clock.
    ///
    /// # Errors
    /// When it has none of its own.
    pub fn clock(&mut self) -> anyhow::Result<&mut Clock> {
        let name = &self.layout.name;
        self.clock.as_mut().with_context(|| format!("{name} has the machine's clock (start the arena with --clocks)"))
    }

    /// What its clock is off by, in seconds, when it has one of its own.
    #[must_use]
    pub fn skew(&self) -> Option<f64> {
        self.clock.as_ref().map(Clock::offset)
    }

    /// The process's id, while there is one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.layout.directory.join("node.log")
    }

    /// What it does at the moment.
    pub fn state(&mut self) -> State {
        if let Some(child) = &mut self.child
            && let Ok(Some(status)) = child.try_wait()
        {
            self.ended(status);
        }
        self.state
    }

    /// Starts it inside its network. Must be called on a thread that lives as long as the arena: the
    /// kernel kills the node when the thread that started it ends.
    ///
    /// # Errors
    /// When it runs already or cannot be started.
    pub fn start(&mut self, trine: &Path, space: &Space, settings: &[(&str, String)]) -> anyhow::Result<()> {
        let name = &self.layout.name.clone();
        if self.state().is_alive() {
            bail!("{name} runs already");
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log())
            .with_context(|| format!("open {}", self.log().display()))?;
        let mut command = Command::new(std::env::current_exe().context("find this program")?);
        command.arg("enter").arg("--network").arg(space.path());
        command.arg("--die-with").arg(std::process::id().to_string());
        command.arg("--").arg(trine).arg("node").arg("--config").arg(&self.layout.config);
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        if let Some(clock) = &mut self.clock {
            clock.start()?;
            command.envs(clock.environment());
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("share the log")?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        self.child = Some(child);
        self.state = State::Running;
        self.starts += 1;
        Ok(())
    }

    /// Sends SIGKILL and does not wait.
    ///
    /// # Errors
    /// When it does not run.
    pub fn send_kill(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGKILL)
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.send_kill()?;
        self.wait().await
    }

    /// Waits until it is gone, having been sent a signal that ends it.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn kill_sent(&mut self) -> anyhow::Result<()> {
        self.wait().await
    }

    /// Stops the process in its tracks.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGSTOP)?;
        self.state = State::Paused;
        Ok(())
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGCONT)?;
        self.state = State::Running;
        Ok(())
    }

    /// Asks it to end, as Ctrl-C in the daemon's own terminal would.
    pub fn ask_to_stop(&mut self) {
        if self.state() == State::Paused && self.resume().is_err() {
            return;
        }
        if self.state().is_alive()
            && let Err(error) = self.signal(Signal::SIGTERM)
        {
            tracing::debug!("{}: {error:#}", self.layout.name);
        }
    }

    /// Asks it to end and waits; kills it when the grace is over.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn stop(&mut self, grace: Duration) -> anyhow::Result<()> {
        if !self.state().is_alive() {
            return Ok(());
        }
        self.ask_to_stop();
        match tokio::time::timeout(grace, self.wait()).await {
            Ok(done) => done,
            Err(_) => {
                tracing::warn!("{} did not end within {} s: killed", self.layout.name, grace.as_secs());
                self.kill().await
            }
        }
    }

    /// The end of its log.
    #[must_use]
    pub fn last_words(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(self.log())?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS_BYTES)))?;
            let mut bytes = Vec::new();
            file.take(LAST_WORDS_BYTES).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_else(|error| format!("(its log cannot be read: {error})"))
    }

    fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        let name = &self.layout.name;
        let pid = self.child.as_ref().and_then(Child::id).with_context(|| format!("{name} does not run"))?;
        kill(Pid::from_raw(i32::try_from(pid)?), signal).with_context(|| format!("send {signal} to {name}"))
    }

    async fn wait(&mut self) -> anyhow::Result<()> {
        if let Some(child) = &mut self.child {
            let status = child.wait().await.with_context(|| format!("wait for {}", self.layout.name))?;
            self.ended(status);
        }
        Ok(())
    }

    fn ended(&mut self, status: ExitStatus) {
        self.child = None;
        self.state = match status.signal() {
            Some(signal) => State::Killed(signal),
            None => State::Exited(status.code().unwrap_or_default()),
        };
    }
}
