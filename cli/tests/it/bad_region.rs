//! One region of three real processes, for tests that treat it badly.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use trine_cli::up::cluster::{Cluster, ClusterNode};
use trine_cli::up::plan::plan;
use trine_cli::up::prepare::prepare;
use trine_identity::Ca;

/// How long a node may take until it serves, and anything else that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(30);
const NODES: u16 = 3;

/// Three nodes of one region, killed when this is dropped.
pub struct Region {
    pub cluster: Cluster,
    pub directory: PathBuf,
    /// How many files each node may have open.
    pub open_files: Option<u32>,
    settings: Vec<(&'static str, String)>,
    logs: tempfile::TempDir,
    processes: Vec<Option<Child>>,
}

/// What a node answered over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The stable code of a problem.
    pub fn code(&self) -> String {
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }

    /// What a problem says.
    pub fn detail(&self) -> String {
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        problem["detail"].as_str().unwrap_or_default().to_owned()
    }
}

impl Region {
    /// Files of a region, nothing started. Settings are environment variables of all nodes.
    pub fn prepared(directory: &Path, settings: &[(&'static str, &str)]) -> Self {
        Self::of(NODES, directory, settings)
    }

    /// The same with this many nodes.
    pub fn of(nodes: u16, directory: &Path, settings: &[(&'static str, &str)]) -> Self {
        Self::prepared_as(directory, (1, nodes), settings)
    }

    /// The files of these numbers of regions and of nodes in each, nothing started.
    pub fn prepared_as(directory: &Path, (regions, nodes): (u16, u16), settings: &[(&'static str, &str)]) -> Self {
        let planned = plan(regions, nodes, free_ports(3 * regions * nodes), &[]).unwrap();
        let cluster = prepare(directory, &planned).unwrap();
        let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let (logs, processes) = (tempfile::tempdir().unwrap(), planned.iter().map(|_| None).collect());
        Self { cluster, directory: directory.to_owned(), open_files: None, settings, logs, processes }
    }

    /// A region that serves.
    pub fn started(directory: &Path, settings: &[(&'static str, &str)]) -> Self {
        Self::prepared(directory, settings).all_ready()
    }

    /// Starts all nodes and waits until they serve.
    pub fn all_ready(mut self) -> Self {
        (0..self.processes.len()).for_each(|at| self.start(at));
        (0..self.processes.len()).for_each(|at| self.ready(at));
        self
    }

    /// Takes a node into the care of this; its number. Its files are there already.
    pub fn adopt(&mut self, node: ClusterNode) -> usize {
        self.cluster.nodes.push(node);
        self.processes.push(None);
        self.processes.len() - 1
    }

    pub fn node(&self, at: usize) -> &ClusterNode {
        &self.cluster.nodes[at]
    }

    /// Where a node keeps its data.
    pub fn data(&self, at: usize) -> PathBuf {
        self.node_path(at, "data")
    }

    /// A file of a node's.
    pub fn node_path(&self, at: usize, name: &str) -> PathBuf {
        self.node(at).directory.join(name)
    }

    /// The authority; it can issue whatever a thief of its key could.
    pub fn ca(&self) -> Ca {
        Ca::open(&self.directory.join("ca")).unwrap()
    }

    /// Starts a node and does not wait for it.
    pub fn start(&mut self, at: usize) {
        let log = File::options().create(true).append(true).open(self.log_path(at)).unwrap();
        let mut command = match self.open_files {
            Some(most) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {most}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_trine")]);
                shell
            }
            None => Command::new(env!("CARGO_BIN_EXE_trine")),
        };
        command.arg("node").arg("--config").arg(&self.node(at).config).env("RUST_LOG", "info,openraft=warn,fjall=warn");
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        self.processes[at] = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// Waits until a node serves.
    pub fn ready(&mut self, at: usize) {
        let deadline = Instant::now() + PATIENCE;
        while !self.serves(at) {
            let ended = self.processes[at].as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "node {at} does not serve:\n{}", self.log(at));
        }
    }

    fn serves(&self, at: usize) -> bool {
        try_http(&self.node(at).http, "GET", "/readyz", &[], b"").is_some_and(|answer| answer.status == 200)
    }

    /// Kills a node without a warning.
    pub fn kill(&mut self, at: usize) {
        let mut process = self.processes[at].take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Stops a node as an operator would, and waits for its end.
    pub fn stop(&mut self, at: usize) {
        let mut process = self.processes[at].take().unwrap();
        let pid = nix::unistd::Pid::from_raw(process.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        process.wait().unwrap();
    }

    /// Starts a node that may not want to: none when it serves, otherwise its exit code.
    pub fn tried(&mut self, at: usize) -> Option<i32> {
        self.start(at);
        let deadline = Instant::now() + PATIENCE;
        while !self.serves(at) {
            if let Some(status) = self.processes[at].as_mut().unwrap().try_wait().unwrap() {
                self.processes[at] = None;
                return status.code();
            }
            assert!(Instant::now() < deadline, "node {at} neither serves nor ends:\n{}", self.log(at));
        }
        None
    }

    /// Waits until a node has ended by itself; its exit code.
    pub fn ended(&mut self, at: usize) -> Option<i32> {
        let deadline = Instant::now() + 2 * PATIENCE;
        loop {
            if let Some(status) = self.processes[at].as_mut().unwrap().try_wait().unwrap() {
                self.processes[at] = None;
                return status.code();
            }
            assert!(Instant::now() < deadline, "node {at} goes on:\n{}", self.log(at));
        }
    }

    /// Whether a node's process lives.
    pub fn lives(&mut self, at: usize) -> bool {
        self.processes[at].as_mut().is_some_and(|process| process.try_wait().unwrap().is_none())
    }

    /// All that a node said so far, over all of its starts.
    pub fn log(&self, at: usize) -> String {
        std::fs::read_to_string(self.log_path(at)).unwrap_or_default()
    }

    /// Outside the cluster, so that a full disk does not keep nodes from saying so.
    fn log_path(&self, at: usize) -> PathBuf {
        self.logs.path().join(format!("{}.log", self.node(at).name))
    }

    /// Asks a node over HTTP; reads of ledgers see all that was acknowledged in the region.
    pub fn http(&self, at: usize, method: &str, path: &str, body: impl AsRef<[u8]>) -> Answer {
        let level = if path.contains("/ledger/") { "Trine-Consistency: regional" } else { "Trine-Durability: region" };
        let answer = try_http(&self.node(at).http, method, path, &[level], body.as_ref());
        answer.unwrap_or_else(|| panic!("{method} {path}: no answer:\n{}", self.log(at)))
    }

    /// Runs the command line as this cluster's administrator.
    pub fn trine(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trine"));
        command.args(arguments).env("TRINE_CLUSTER", &self.directory).stdin(Stdio::null()).output().unwrap()
    }

    /// The memory that a node has in use, in bytes.
    pub fn resident(&self, at: usize) -> u64 {
        let pid = self.processes[at].as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
    }

    /// One of a node's figures; the sum over its labels that contain `label`.
    pub fn figure(&self, at: usize, name: &str, label: &str) -> f64 {
        let figures = self.http(at, "GET", "/metrics", "").body;
        let lines = figures.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Appends and reads through every node: the region is as well as before.
    pub fn is_well(&self, word: &str) {
        for at in 0..self.processes.len() {
            let path = format!("/api/v1/ledger/default/well-{word}-{at}");
            assert_eq!(self.http(at, "PUT", &path, word).status, 201, "{word} at {at}");
            assert_eq!(self.http(at, "GET", &path, "").body, word, "{word} at {at}");
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().flatten() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            (0..self.processes.len()).for_each(|at| eprintln!("node {at}:\n{}", self.log(at)));
        }
    }
}

/// Asks over HTTP; none when the connection fails.
pub fn try_http(address: &str, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    // A node that refuses a body answers before it has read it all.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// The first of this many free ports in a row, never given to two tests of this process.
pub fn free_ports(count: u16) -> u16 {
    // Processes of this program begin in different places, and go on from the start of the range at its end.
    const RANGE: std::ops::Range<u16> = 10_000..19_900;
    static NEXT: Mutex<Option<u16>> = Mutex::new(None);
    let mut next = NEXT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let start = next.unwrap_or(RANGE.start + u16::try_from(std::process::id() * 37 % 97).unwrap() * 100);
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let step = usize::from(count);
    let mut rows = (start..RANGE.end - count).step_by(step).chain((RANGE.start..start).step_by(step));
    let first = rows.find(|first| (*first..first + count).all(free));
    let first = first.expect("free ports");
    *next = Some(first + count);
    first
}
