//! Clients that write and read through all nodes, and notice what is wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::nodes::{http, next};

/// How many objects and records are written, each again and again; values fill some tables.
const KEYS: u64 = 60;
const VALUE_BYTES: usize = 2048;
const PAUSE: Duration = Duration::from_millis(15);

/// What is known of one key: the numbers of the last write that was acknowledged and of the last that was tried.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    acknowledged: u64,
    tried: u64,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    known: Mutex<BTreeMap<String, Known>>,
    wrong: Mutex<Vec<String>>,
    writes: AtomicU64,
    reads: AtomicU64,
}

/// The clients; stopped when this is dropped.
pub struct Load {
    nodes: Vec<String>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

fn value(number: u64) -> String {
    format!("{number:08};").repeat(VALUE_BYTES / 9)
}

/// The number that a value bears; none when it is no value of ours, whole.
fn number(text: &str) -> Option<u64> {
    let numbers = text.match_indices(';').filter_map(|(at, _)| text.get(at.checked_sub(8)?..at)?.parse().ok());
    let number = numbers.into_iter().next()?;
    text.contains(&value(number)).then_some(number)
}

impl Load {
    pub fn start(nodes: Vec<String>) -> Self {
        let shared = Arc::new(Shared::default());
        let writer = {
            let (nodes, shared) = (nodes.clone(), Arc::clone(&shared));
            std::thread::spawn(move || write(&nodes, &shared))
        };
        let reader = {
            let (nodes, shared) = (nodes.clone(), Arc::clone(&shared));
            std::thread::spawn(move || read(&nodes, &shared))
        };
        Self { nodes, shared, threads: vec![writer, reader] }
    }

    pub fn wrong(&self) -> Vec<String> {
        self.shared.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops writing and reads every key at every node until it is as it must be; writes and reads so far.
    pub fn check_all(&self, bound: Duration) -> (u64, u64) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let known = self.shared.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let deadline = Instant::now() + bound;
        for (path, known) in &known {
            for node in &self.nodes {
                while let Some(what) = look(&self.shared, node, path, known.acknowledged, known.tried) {
                    if Instant::now() > deadline {
                        self.shared.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(what);
                        break;
                    }
                }
            }
        }
        (self.shared.writes.load(Ordering::Relaxed), self.shared.reads.load(Ordering::Relaxed))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

fn write(nodes: &[String], shared: &Shared) {
    let mut chance = 77;
    for number in 1.. {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let (key, node) = (next(&mut chance) % KEYS, (next(&mut chance) % nodes.len() as u64) as usize);
        let object = number % 2 == 0;
        let path =
            if object { format!("/api/v1/objects/objects/o{key}") } else { format!("/api/v1/ledger/default/r{key}") };
        let (method, body) = match object {
            true => ("POST", serde_json::json!({ "op": "set", "value": value(number) }).to_string()),
            false => ("PUT", value(number)),
        };
        shared.known.lock().unwrap_or_else(PoisonError::into_inner).entry(path.clone()).or_default().tried = number;
        if let Some((200..300, _)) = http(&nodes[node], method, &path, &body) {
            shared.writes.fetch_add(1, Ordering::Relaxed);
            shared.known.lock().unwrap_or_else(PoisonError::into_inner).entry(path).or_default().acknowledged = number;
        }
        std::thread::sleep(PAUSE);
    }
}

fn read(nodes: &[String], shared: &Shared) {
    let mut chance = 99;
    while !shared.stop.load(Ordering::Relaxed) {
        let known = shared.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let node = &nodes[(next(&mut chance) % nodes.len() as u64) as usize];
        let at = usize::try_from(next(&mut chance)).unwrap_or_default() % known.len().max(1);
        if let Some((path, _)) = known.iter().nth(at) {
            let answer = http(node, "GET", path, "");
            shared.reads.fetch_add(1, Ordering::Relaxed);
            // One that lags shows an older value; never one that nobody wrote, or a part of one.
            let now =
                shared.known.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied().unwrap_or_default();
            if let Some((200, body)) = answer
                && number(&body).is_none_or(|number| number > now.tried)
            {
                let what = format!("{path} at {node}: {}", body.get(..200).unwrap_or(&body));
                shared.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(what);
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// What is wrong with a key at a node; none when it shows what was acknowledged last, or what was tried after that.
fn look(shared: &Shared, node: &str, path: &str, acknowledged: u64, tried: u64) -> Option<String> {
    shared.reads.fetch_add(1, Ordering::Relaxed);
    match http(node, "GET", path, "") {
        Some((200, body)) => match number(&body) {
            Some(number) if (acknowledged..=tried).contains(&number) => None,
            other => Some(format!("{path} at {node}: write {other:?}, acknowledged {acknowledged}, tried {tried}")),
        },
        Some((404, _)) if acknowledged == 0 => None,
        other => Some(format!("{path} at {node}: {other:?}")),
    }
}
