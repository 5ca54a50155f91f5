//! The arena on real processes: an ocean between the regions, a cut, a heal, and what the disks hold afterwards.
//!
//! Each test runs `trine-chaos` in a network namespace of its own where that is allowed, so that arenas of other
//! programs on this machine are not in the way. Where no namespace or TUN device can be had, it says so and passes.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// How long anything that is waited for may take; generous, because a test machine is busy.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// One-way delays that the arena has by itself, in milliseconds.
const DELAYS_MS: [(&str, &str, u64); 3] =
    [("us-east-1", "eu-west-1", 38), ("eu-west-1", "ap-southeast-1", 80), ("us-east-1", "ap-southeast-1", 110)];

/// The right to run an arena: arenas are heavy, so that one test at a time has one.
pub struct Ground {
    _alone: MutexGuard<'static, ()>,
}

impl Ground {
    /// None, with the reason printed, where this machine cannot run arenas or the daemon was not built.
    pub fn find() -> Option<Self> {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let trine = Path::new(env!("CARGO_BIN_EXE_trine-chaos")).with_file_name("trine");
        if !trine.is_file() {
            println!("passed over: {} is not built; test with --workspace", trine.display());
            return None;
        }
        // The test's own thread leaves the machine's network; without the right to, `trine-chaos` finds its own way.
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            println!("no network namespace of the test's own: {error}");
        }
        let ground = Self { _alone: alone };
        let probe = ground.chaos(&["probe", "--pings", "1", "--flood", "0", "-o", "json"]);
        let said = String::from_utf8_lossy(&probe.stderr);
        if probe.stdout.is_empty() && ["namespace", "/dev/net/tun"].iter().any(|what| said.contains(what)) {
            println!("passed over: this machine cannot run an arena: {said}");
            return None;
        }
        Some(ground)
    }

    /// `trine-chaos` with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trine-chaos"));
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn chaos(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs it, and reads the JSON that it prints.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.chaos(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{said}"))
    }
}

/// `trine-chaos up` until it is interrupted or dropped.
struct Up<'a> {
    ground: &'a Ground,
    process: Child,
    /// What it says has a reader as long as it runs.
    _said: BufReader<ChildStderr>,
    data: String,
    trine: PathBuf,
}

impl<'a> Up<'a> {
    /// Starts one node in each of three regions and waits until they serve.
    fn start(ground: &'a Ground, directory: &Path) -> Self {
        let data = directory.join("arena").display().to_string();
        let patience = PATIENCE.as_secs().to_string();
        let arguments = ["up", "--nodes", "1", "--patience", &patience, "--data", &data];
        let mut process = ground.command(&arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = Vec::new();
        let mut reader = BufReader::new(process.stderr.take().unwrap());
        for line in reader.by_ref().lines().map_while(Result::ok) {
            said.push(line);
            if said.last().is_some_and(|line| line.contains("Ctrl-C ends everything")) {
                let trine = Path::new(env!("CARGO_BIN_EXE_trine-chaos")).with_file_name("trine");
                return Self { ground, process, _said: reader, data, trine };
            }
        }
        let ended = process.wait().unwrap();
        panic!("the arena ended before its nodes were ready: {ended}\n{}", said.join("\n"));
    }

    fn done(&self, arguments: &[&str]) {
        let output = self.ground.chaos(&[arguments, &["--data", &self.data]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn status(&self) -> Value {
        self.ground.json(&["status", "-o", "json", "--data", &self.data])
    }

    /// What a client says in a region, asked where clients are.
    fn client(&self, region: &str, arguments: &[&str]) -> Output {
        let trine = self.trine.display().to_string();
        let inside = ["exec", "_client", "--data", &self.data, "--", &trine, "--cluster", &self.data, "-q"];
        self.ground.chaos(&[&inside[..], &["--region", region], arguments].concat())
    }

    /// Asks until the answer is this one.
    fn comes_to(&self, region: &str, arguments: &[&str], wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = self.client(region, arguments);
            if output.status.success() && String::from_utf8_lossy(&output.stdout).trim() == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "{region} {arguments:?}: not {wanted:?} but {output:?}");
        }
    }

    fn interrupt(mut self) {
        kill(Pid::from_raw(i32::try_from(self.process.id()).unwrap()), Signal::SIGINT).unwrap();
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        // Its nodes die with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn packets_are_never_early_and_never_cross_a_cut() {
    let Some(ground) = Ground::find() else { return };
    let report = ground.json(&["probe", "--pings", "20", "--flood", "0", "-o", "json"]);
    let trips = report["round_trips"].as_array().unwrap();
    for (a, b, delay_ms) in DELAYS_MS {
        for (from, to) in [(a, b), (b, a)] {
            let trip = trips.iter().find(|trip| trip["from"] == from && trip["to"] == to).unwrap();
            assert_eq!(trip["expected_ms"].as_f64().unwrap().round() as u64, 2 * delay_ms, "{from} to {to}");
            assert_eq!(trip["early"], 0, "{trip}");
            println!("{from} to {to}: {} of {} back, {} us late", trip["back"], trip["sent"], trip["late_p50_us"]);
        }
    }
    assert!(trips.iter().any(|trip| trip["back"].as_u64().unwrap() > 0), "nothing came back");
    assert_eq!(report["crossed_cut"], 0);
    println!("after the heal {} of 10 crossed", report["crossed_heal"]);
}

#[test]
fn a_region_that_was_cut_off_takes_writes_and_agrees_after_the_heal() {
    let Some(ground) = Ground::find() else { return };
    let directory = tempfile::tempdir().unwrap();
    let up = Up::start(&ground, directory.path());

    let status = up.status();
    let nodes = status["nodes"].as_array().unwrap();
    assert!(nodes.len() == 3 && nodes.iter().all(|node| node["ready"] == true), "{status}");
    for (a, b, delay_ms) in DELAYS_MS {
        let links = status["links"].as_array().unwrap();
        let link = links.iter().find(|link| link["from"] == a && link["to"] == b).unwrap();
        assert_eq!(link["shape"]["delay"]["nanos"], delay_ms * 1_000_000, "{link}");
    }
    assert_eq!(status["cuts"].as_array().unwrap().len(), 0);

    up.done(&["split", "eu-west-1"]);
    let cut = &up.status()["cuts"][0];
    assert_eq!(cut["places"][0], "eu-west-1");
    // Both sides go on writing, and neither hears of the other's.
    assert!(up.client("eu-west-1", &["ledger", "append", "made-in", "europe"]).status.success());
    assert!(up.client("eu-west-1", &["object", "incr", "visits", "10"]).status.success());
    assert!(up.client("us-east-1", &["object", "incr", "visits"]).status.success());
    up.comes_to("eu-west-1", &["object", "get", "visits"], "10");
    up.comes_to("us-east-1", &["object", "get", "visits"], "1");

    up.done(&["heal"]);
    assert_eq!(up.status()["cuts"].as_array().unwrap().len(), 0);
    for region in ["us-east-1", "eu-west-1", "ap-southeast-1"] {
        up.comes_to(region, &["object", "get", "visits"], "11");
        up.comes_to(region, &["ledger", "get", "made-in"], "europe");
    }

    let data = up.data.clone();
    up.interrupt();
    let report = ground.json(&["digest", "-o", "json", &data]);
    assert_eq!(report["objects_equal"], true, "{report}");
    assert_eq!(report["ledgers_equal"], true, "{report}");
    assert_eq!(report["nodes"].as_object().unwrap().len(), 3);
    for holding in report["nodes"].as_object().unwrap().values() {
        let counts: Vec<u64> =
            holding["objects"].as_object().unwrap().values().map(|sum| sum["count"].as_u64().unwrap()).collect();
        assert_eq!(counts, [1], "{report}");
        assert_eq!(holding["ledgers"]["eu-west-1"]["size"], 1, "{report}");
    }
}
