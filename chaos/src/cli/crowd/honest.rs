//! Clients that ask one thing after the other at one node each, and note how long it took and what failed.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::Nodes;
use trine_client::Client;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between an answer and the next question.
const PAUSE: Duration = Duration::from_millis(10);
/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Where the crowd is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Before,
    During,
    After,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::During => "during",
            Self::After => "after",
        }
    }

    fn of(number: u8) -> Self {
        [Self::Before, Self::During, Self::After]
            .into_iter()
            .find(|phase| *phase as u8 == number)
            .unwrap_or(Self::After)
    }
}

/// What is asked, and how it gets there.
const KINDS: [&str; 7] = [
    "health",
    "health, new connection",
    "edit",
    "edit, new connection",
    "append",
    "append, new connection",
    "libp2p, new connection",
];

/// What was asked, by phase and kind.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub times: BTreeMap<(Phase, &'static str), Vec<Duration>>,
    pub failures: BTreeMap<(Phase, &'static str), BTreeMap<String, usize>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    phase: AtomicU8,
    asked: Mutex<Asked>,
}

/// The clients; stopped when this is dropped.
pub struct Honest {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Honest {
    /// One client of each kind at each node.
    pub fn start(nodes: &Nodes, directory: &Path) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut threads = Vec::new();
        for (node, http) in nodes.addresses().into_iter().enumerate() {
            for kind in KINDS {
                let (shared, way) = (Arc::clone(&shared), Way::new(kind, &http, nodes.libp2p(node), directory)?);
                threads.push(std::thread::spawn(move || ask_on(kind, way, &shared)));
            }
        }
        Ok(Self { shared, threads })
    }

    pub fn enter(&self, phase: Phase) {
        self.shared.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Stops them; what they asked.
    pub fn stop(mut self) -> Asked {
        self.end();
        self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl Drop for Honest {
    fn drop(&mut self) {
        self.end();
    }
}

fn ask_on(kind: &'static str, mut way: Way, shared: &Shared) {
    for number in 0_u64.. {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let (phase, began) = (Phase::of(shared.phase.load(Ordering::Relaxed)), Instant::now());
        let answer = way.ask(number);
        let took = began.elapsed();
        let mut asked = shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let times = asked.times.entry((phase, kind)).or_default();
        match answer {
            Ok(()) => times.push(took),
            Err(error) => {
                tracing::info!(kind, ?took, "failed: {error:#}");
                *asked.failures.entry((phase, kind)).or_default().entry(format!("{error:#}")).or_default() += 1;
            }
        }
        drop(asked);
        std::thread::sleep(PAUSE);
    }
}

/// How one client asks.
enum Way {
    Http { address: String, method: &'static str, path: String, body: String, kept: Option<Option<TcpStream>> },
    Libp2p { identity: PathBuf, address: String, runtime: tokio::runtime::Runtime },
}

impl Way {
    fn new(kind: &str, http: &str, libp2p: &str, directory: &Path) -> anyhow::Result<Self> {
        let (what, new) = kind.split_once(", ").unzip();
        let (address, kept) = (http.to_owned(), new.is_none().then_some(None));
        let port = http.rsplit(':').next().unwrap_or_default();
        let (method, path, body) = match what.unwrap_or(kind) {
            "health" => ("GET", "/healthz".to_owned(), String::new()),
            "edit" => ("POST", format!("/api/v1/objects/objects/crowd-{port}"), r#"{"op":"increment"}"#.to_owned()),
            "append" => ("PUT", format!("/api/v1/ledger/default/crowd-{port}"), "v".repeat(100)),
            _ => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let identity = directory.join("clients/admin");
                return Ok(Self::Libp2p { identity, address: libp2p.to_owned(), runtime });
            }
        };
        Ok(Self::Http { address, method, path, body, kept })
    }

    fn ask(&mut self, number: u64) -> anyhow::Result<()> {
        match self {
            Self::Http { address, method, path, body, kept } => {
                let mut stream = match kept.as_mut().and_then(Option::take) {
                    Some(stream) => stream,
                    None => connected(address)?,
                };
                let status = exchange(&mut stream, address, method, path, body)?;
                if !(200..300).contains(&status) {
                    bail!("status {status}");
                }
                if let Some(kept) = kept {
                    *kept = Some(stream);
                }
                Ok(())
            }
            Self::Libp2p { identity, address, runtime } => runtime.block_on(async {
                let builder = Client::builder().directory(identity)?.seed(address)?.pinned().retries(0);
                let client = builder.deadline(PATIENCE).build()?;
                let read = client.object_get("objects", &format!("crowd-{number}")).await;
                client.close().await;
                read?;
                Ok(())
            }),
        }
    }
}

fn connected(address: &str) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address.parse()?, PATIENCE).context("connect")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Asks and reads the answer whole; its status.
fn exchange(stream: &mut TcpStream, host: &str, method: &str, path: &str, body: &str) -> anyhow::Result<u16> {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).context("write")?;
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let named = |line: &str| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok();
            let length: usize = head.lines().find_map(named).context("an answer of unknown length")?;
            if body.len() >= length {
                return head.split(' ').nth(1).context("no status")?.parse().context("the status");
            }
        }
        let mut part = [0; 4096];
        let read = stream.read(&mut part).context("read")?;
        if read == 0 || answer.len() > ANSWER_BYTES_MAX {
            bail!("closed after {} bytes of an answer", answer.len());
        }
        answer.extend_from_slice(&part[..read]);
    }
}
