//! The operating guide's commands, run as they stand there.
//!
//! A block's info string says how: `sh run` is a script that must succeed, `sh background` has a long-running command a
//! line, `sh await` is asked until it succeeds. All other blocks are prose. Only the ports are changed, because a test
//! must not claim the default ones.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const GUIDE: &str = include_str!("../../../docs/operating.md");
/// Ports that the guide's cluster takes.
const PORTS: u16 = 12;
/// The first of the ports that the guide names.
const PORT_NAMED: u16 = 7420;
/// How long a condition is awaited.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a block is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Run,
    Background,
    Await,
}

/// The guide's blocks that are carried out, in order.
fn blocks() -> Vec<(Kind, String)> {
    let mut blocks = Vec::new();
    let mut lines = GUIDE.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let kind = match info {
            "sh run" => Kind::Run,
            "sh background" => Kind::Background,
            "sh await" => Kind::Await,
            "" | "toml" | "yaml" => continue,
            other => panic!("a block is neither prose nor one that is carried out: `{other}`"),
        };
        blocks.push((kind, body.join("\n")));
    }
    blocks
}

/// The guide's processes; they end with it.
struct Background(Vec<Child>);

impl Drop for Background {
    fn drop(&mut self) {
        for process in &self.0 {
            let _ = kill(Pid::from_raw(i32::try_from(process.id()).expect("a process id")), Signal::SIGTERM);
        }
        for process in &mut self.0 {
            let _ = process.wait();
        }
    }
}

fn shell(script: &str, directory: &Path) -> Command {
    let binaries = Path::new(env!("CARGO_BIN_EXE_trine")).parent().expect("it stands in a directory");
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(directory);
    command.env("PATH", path).env("XDG_STATE_HOME", directory).env("HOME", directory).stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_guides_commands_do_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let first = free_ports();
    let mut background = Background(Vec::new());
    for (kind, block) in blocks() {
        let mut block = block.replace("trine up --prepare", &format!("trine up --prepare --port {first}"));
        for offset in 0..PORTS {
            block =
                block.replace(&format!("127.0.0.1:{}", PORT_NAMED + offset), &format!("127.0.0.1:{}", first + offset));
        }
        match kind {
            Kind::Run => {
                let output = shell(&block, directory.path()).output().unwrap();
                assert!(output.status.success(), "{block}\n{}", said(&output));
            }
            Kind::Background => {
                for line in block.lines() {
                    let log =
                        std::fs::File::create(directory.path().join(format!("{}.log", background.0.len()))).unwrap();
                    let started = shell(&format!("exec {line}"), directory.path()).stderr(log).spawn().unwrap();
                    background.0.push(started);
                }
            }
            Kind::Await => {
                let deadline = Instant::now() + PATIENCE;
                loop {
                    let output = shell(&block, directory.path()).output().unwrap();
                    if output.status.success() {
                        break;
                    }
                    assert!(Instant::now() < deadline, "{block}\n{}", said(&output));
                }
            }
        }
    }
    assert!(!background.0.is_empty(), "the guide starts nodes");
}

/// The first of this many free ports in a row.
fn free_ports() -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let start = 32_000 + u16::try_from(std::process::id() % 400).unwrap() * PORTS;
    (start..40_000).step_by(usize::from(PORTS)).find(|first| (*first..first + PORTS).all(free)).expect("free ports")
}
