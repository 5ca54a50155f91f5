//! A real cluster by `trine up`: ready, written to, stopped, started again, a node killed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const NODES: u16 = 3;

/// `trine up` until it is interrupted or dropped.
struct Up {
    process: Child,
    pids: Vec<i32>,
}

impl Up {
    /// Starts it and waits until it says that all nodes are ready.
    fn start(directory: &Path, port: u16) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_trine"))
            .args(["up", "--regions", "1", "--nodes", &NODES.to_string(), "--port", &port.to_string(), "--data"])
            .arg(directory.join("cluster"))
            .env("XDG_STATE_HOME", directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let rows = lines.map(|line| line.unwrap()).filter(|line| line.contains("us-east-1-")).take(usize::from(NODES));
        let pids: Vec<i32> = rows.map(|row| row.split_whitespace().last().unwrap().parse().unwrap()).collect();
        assert_eq!(pids.len(), usize::from(NODES), "`trine up` ended before its nodes were ready");
        Self { process, pids }
    }

    fn interrupt(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        kill(pid, Signal::SIGINT).unwrap();
        assert!(self.process.wait().unwrap().success());
        for pid in &self.pids {
            assert!(!Path::new(&format!("/proc/{pid}")).exists(), "node {pid} outlived the interrupt");
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Its nodes notice and end by themselves.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The first of this many free ports in a row.
fn free_ports(count: u16) -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let start = 20_000 + u16::try_from(std::process::id() % 8_000).unwrap();
    (start..32_000).step_by(usize::from(count)).find(|first| (*first..first + count).all(free)).expect("free ports")
}

fn http(port: u16, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn a_cluster_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let port = free_ports(3 * NODES);
    let nodes: Vec<u16> = (0..NODES).map(|node| port + 3 * node).collect();

    let up = Up::start(directory.path(), port);
    let (status, answer) = http(nodes[1], "PUT", "/api/v1/ledger/default/order-17", "paid");
    assert!((200..300).contains(&status), "{answer}");
    let (status, answer) = http(nodes[2], "POST", "/api/v1/objects/objects/visits", r#"{"op":"increment","by":3}"#);
    assert_eq!(status, 200, "{answer}");
    up.interrupt();

    let up = Up::start(directory.path(), port);
    for node in &nodes {
        assert_eq!(http(*node, "GET", "/api/v1/ledger/default/order-17", ""), (200, "paid".to_owned()));
    }
    let (_, answer) = http(nodes[2], "GET", "/api/v1/objects/objects/visits", "");
    assert!(answer.contains(r#""total":3"#), "{answer}");

    // Acknowledged at level `region`, it survives the loss of the node that took it; repair brings it to whoever lacks it.
    kill(Pid::from_raw(up.pids[2]), Signal::SIGKILL).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !http(nodes[0], "GET", "/api/v1/objects/objects/visits", "").1.contains(r#""total":3"#) {
        assert!(Instant::now() < deadline, "the increment is lost");
    }
    up.interrupt();
}
