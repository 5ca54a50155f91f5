//! Three nodes of one region as plain processes, and their files.

use std::fmt;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

/// Of each kind a file is picked in its turn: its name, and what its path shows.
const KINDS: &[(&str, &str, &str)] = &[
    ("synced: table", "synced/", "/tables/"),
    ("derived: table", "derived/", "/tables/"),
    ("synced: journal", "journal/", ".log"),
    ("derived: journal", "derived/", ".jnl"),
    ("synced: list", "synced/", "/v"),
    ("derived: list", "derived/", "/v"),
    ("synced: current", "synced/", "/current"),
    ("derived: current", "derived/", "/current"),
    ("log: segment", "raft/", ".log"),
    ("log: state", "raft/", "state"),
    ("floor", "floor", ""),
    ("identity", "node", ""),
    ("damage", "damage", ""),
];

/// A bit in a file.
pub struct Spot {
    pub kind: &'static str,
    path: PathBuf,
    at: u64,
    bit: u8,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bit {} of byte {} of {}", self.bit, self.at, self.path.display())
    }
}

impl Spot {
    pub fn flip(&self) -> std::io::Result<()> {
        let file = File::options().read(true).write(true).open(&self.path)?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, self.at)?;
        file.write_all_at(&[byte[0] ^ 1 << self.bit], self.at)
    }
}

struct Node {
    config: PathBuf,
    data: PathBuf,
    log: PathBuf,
    http: String,
    libp2p: String,
    raft: String,
    process: Option<Child>,
    /// How long its log was when it was started last.
    said: usize,
}

/// How the nodes are started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setting {
    /// Small tables, so that there are some, and they are merged.
    pub small_tables: bool,
    /// How many files each may have open.
    pub descriptors: Option<u64>,
}

/// The nodes; killed when this is dropped.
pub struct Nodes {
    setting: Setting,
    trine: PathBuf,
    directory: PathBuf,
    nodes: Vec<Node>,
}

impl Nodes {
    /// Writes a cluster's files and starts it.
    pub fn started(trine: &Path, directory: &Path, port: u16, setting: Setting) -> anyhow::Result<Self> {
        ensure!(!directory.exists(), "{} is there: name a directory that is not", directory.display());
        let port = port.to_string();
        let done = Command::new(trine)
            .args(["up", "--prepare", "--regions", "1", "--nodes", "3", "--port", &port, "--data"])
            .arg(directory)
            .output()
            .with_context(|| format!("cannot run {}", trine.display()))?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let listed: serde_json::Value = serde_json::from_slice(&std::fs::read(directory.join("cluster.json"))?)?;
        let text = |node: &serde_json::Value, name: &str| node[name].as_str().unwrap_or_default().to_owned();
        let nodes = listed["nodes"].as_array().context("cluster.json lists nodes")?.iter().map(|node| {
            let home = directory.join(text(node, "directory"));
            Node {
                config: directory.join(text(node, "config")),
                data: home.join("data"),
                log: directory.join(format!("{}.said", text(node, "name"))),
                http: text(node, "http"),
                libp2p: text(node, "libp2p"),
                raft: text(node, "raft"),
                process: None,
                said: 0,
            }
        });
        let (trine, directory) = (trine.to_owned(), directory.to_owned());
        let mut nodes = Self { setting, trine, directory, nodes: nodes.collect() };
        for node in 0..nodes.count() {
            nodes.start(node)?;
        }
        nodes.wait_well(Duration::from_secs(60))?;
        Ok(nodes)
    }

    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.http.clone()).collect()
    }

    /// Where a node answers clients over libp2p, with its peer id; as text.
    pub fn libp2p(&self, node: usize) -> &str {
        &self.nodes[node].libp2p
    }

    /// The address of each port of each node: HTTP, libp2p, Raft.
    pub fn ports(&self) -> anyhow::Result<Vec<SocketAddr>> {
        let mut ports = Vec::new();
        for node in &self.nodes {
            let mut parts = node.libp2p.split('/').skip(2).step_by(2);
            let (ip, port) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            for address in [&node.http, &format!("{ip}:{port}"), &node.raft] {
                ports.push(address.parse().with_context(|| format!("{address} is no address"))?);
            }
        }
        Ok(ports)
    }

    pub fn start(&mut self, node: usize) -> anyhow::Result<()> {
        let mut command = match self.setting.descriptors {
            Some(most) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {most}; exec \"$0\" \"$@\"")]).arg(&self.trine);
                shell
            }
            None => Command::new(&self.trine),
        };
        if self.setting.small_tables {
            command.env("TRINE_STORAGE__MEMTABLE", "64KiB");
        }
        let node = &mut self.nodes[node];
        node.said = std::fs::read_to_string(&node.log).unwrap_or_default().len();
        let log = File::options().create(true).append(true).open(&node.log)?;
        let process = command
            .args(["node", "--config"])
            .arg(&node.config)
            .env("RUST_LOG", "info,openraft=warn,fjall=warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        node.process = Some(process);
        Ok(())
    }

    pub fn kill(&mut self, node: usize) {
        if let Some(mut process) = self.nodes[node].process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    pub fn lives(&mut self, node: usize) -> bool {
        let process = self.nodes[node].process.as_mut();
        process.is_some_and(|process| process.try_wait().is_ok_and(|ended| ended.is_none()))
    }

    /// What it said when it ended by itself since it was started last.
    pub fn refusal(&mut self, node: usize) -> Option<String> {
        if self.lives(node) {
            return None;
        }
        let node = &self.nodes[node];
        let said = std::fs::read_to_string(&node.log).unwrap_or_default();
        let said = said.get(node.said..).unwrap_or_default().to_owned();
        Some(said.lines().rfind(|line| line.starts_with("error:")).unwrap_or("(nothing)").to_owned())
    }

    /// Does what a refusal says: the node begins anew.
    pub fn wipe(&mut self, node: usize) -> anyhow::Result<()> {
        self.kill(node);
        Ok(std::fs::remove_dir_all(&self.nodes[node].data)?)
    }

    pub fn ready(&self, node: usize) -> bool {
        http(&self.nodes[node].http, "GET", "/readyz", "").is_some_and(|(status, _)| status == 200)
    }

    fn figure(&self, node: usize, name: &str) -> u64 {
        let Some((_, figures)) = http(&self.nodes[node].http, "GET", "/metrics", "") else { return 0 };
        let lines = figures.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    pub fn found(&self, node: usize) -> u64 {
        self.figure(node, "trine_damage_found_total")
    }

    pub fn healed(&self, node: usize) -> u64 {
        self.figure(node, "trine_damage_healed_total")
    }

    /// Whether `trine status` finds nothing wrong.
    pub fn well(&self) -> anyhow::Result<bool> {
        Ok(self.status()?.0)
    }

    /// What `trine status` says.
    pub fn ills(&self) -> anyhow::Result<String> {
        Ok(self.status()?.1)
    }

    fn status(&self) -> anyhow::Result<(bool, String)> {
        let done = Command::new(&self.trine).arg("status").env("TRINE_CLUSTER", &self.directory).output()?;
        Ok((done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned()))
    }

    pub fn wait_well(&self, bound: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + bound;
        while !self.well()? {
            ensure!(Instant::now() < deadline, "not well: {}", self.ills()?);
        }
        Ok(())
    }

    /// The next kind's bit in a node's files; none where the node has no such file.
    pub fn spot(&self, node: usize, round: usize, chance: &mut u64) -> Option<Spot> {
        let data = &self.nodes[node].data;
        let (kind, under, like) = KINDS[round / self.nodes.len() % KINDS.len()];
        let mut files = Vec::new();
        below(data, &mut files);
        files.retain(|path| {
            let name = path.strip_prefix(data).unwrap_or(path).display().to_string();
            let here = if like.is_empty() { name == under } else { name.starts_with(under) && name.contains(like) };
            here && !name.ends_with("lock") && !name.contains(".damaged")
        });
        let path = files.get(usize::try_from(next(chance)).ok()? % files.len().max(1))?.clone();
        let bytes = std::fs::read(&path).ok()?;
        // Journals and logs are mostly room for more.
        let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        let at = *used.get(usize::try_from(next(chance)).ok()? % used.len().max(1))? as u64;
        Some(Spot { kind, path, at, bit: (next(chance) % 8) as u8 })
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        (0..self.count()).for_each(|node| self.kill(node));
    }
}

fn below(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() { below(&path, found) } else { found.push(path) }
    }
    found.sort();
}

/// The next number of a simple generator (xorshift64*).
pub fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 1
}

/// Status and body; none when the connection fails.
pub fn http(address: &str, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address.parse().ok()?, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(12))).ok()?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nTrine-Durability: region\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
