//! Programs whose reader goes away, whose terminal closes, whose output goes to a full disk: real processes, real streams.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use trine_cli::exit::Exit;
use trine_cli::session_file::SessionFile;
use trine_client::Session;

use crate::bad_region::{PATIENCE, Region, free_ports, try_http};

fn trine(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trine"));
    command.args(words).stdin(Stdio::null());
    command
}

/// A stream that nobody reads.
fn gone() -> OwnedFd {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    for words in [&["version"][..], &["--help"], &["ledger", "--help"], &["completion", "bash"], &["--version"]] {
        let output = trine(words).stdout(gone()).output().unwrap();
        assert_eq!((output.status.code(), said(&output)), (Some(141), String::new()), "{words:?}");
    }
    // Nobody is there to be told what went wrong, and it is no panic.
    let failing: [&[&str]; 3] = [&["config", "validate", "/nowhere"], &["fly"], &["ledger", "get"]];
    for words in failing {
        let status = trine(words).stdout(gone()).stderr(gone()).status().unwrap();
        assert_eq!(status.code(), Some(2), "{words:?}");
    }
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure_in_words() {
    for words in [&["version"][..], &["--help"]] {
        let output = trine(words).stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(said(&output).contains("cannot write to standard output: No space left on device"), "{output:?}");
    }
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("log.key");
    let output = trine(&["tls", "log-key", "--out", key.to_str().unwrap()]).stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert!(said(&output).contains("what was asked for is done ("), "{output:?}");
    assert!(key.exists());
}

#[test]
fn an_append_is_told_apart_from_what_fails_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::started(&directory.path().join("cluster"), &[]);
    let cluster = region.directory.display().to_string();
    let ask = |words: &[&str]| trine(&[&["--cluster", &cluster], words].concat());
    // A session file that cannot be written is found before anything is asked.
    let nowhere = directory.path().join("nowhere/session").display().to_string();
    let output = ask(&["--session", &nowhere, "ledger", "append", "k", "v"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(said(&output).contains("nothing was asked"), "{output:?}");
    let output = ask(&["-q", "ledger", "history", "k"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{output:?}");
    // A result that reaches nobody: the version is told all the same, and the code says that it is done.
    let output = ask(&["ledger", "append", "k", "v"]).stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert!(said(&output).contains("us-east-1/0"), "{output:?}");
    let status = ask(&["status"]).stdout(gone()).stderr(gone()).status().unwrap();
    assert_eq!(status.code(), Some(141));
    let status = ask(&["status"]).stdout(Stdio::null()).stderr(gone()).status().unwrap();
    assert!(status.code() != Some(101), "{status}");
    // With everything in order the session goes on.
    let session = directory.path().join("session");
    for key in ["a", "b"] {
        let words = ["--session", session.to_str().unwrap(), "ledger", "append", key, "v"];
        assert_eq!(ask(&words).output().unwrap().status.code(), Some(0));
    }
    assert!(std::fs::read_to_string(&session).unwrap().trim().parse::<Session>().is_ok());
}

#[test]
fn a_session_that_could_not_be_written_leaves_the_old_one_and_says_that_all_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let (file, session) = SessionFile::open(&inner.join("session")).unwrap();
    file.save(&session).unwrap();
    std::fs::remove_dir_all(&inner).unwrap();
    let failure = file.save(&session).unwrap_err();
    assert_eq!(failure.exit, Exit::DoneUntold);
    assert!(failure.what.starts_with("it is done, but"), "{failure}");
}

/// Whether a node answers this with yes.
fn says(port: u16, path: &str) -> bool {
    try_http(&format!("127.0.0.1:{port}"), "GET", path, &[], b"").is_some_and(|answer| answer.status == 200)
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

/// A cluster of one node by `trine up`, whose streams nobody reads.
fn up(directory: &Path, hangup: &str) -> (Child, u16) {
    let port = free_ports(3);
    let data = directory.join("cluster").display().to_string();
    let port_text = port.to_string();
    // The shell decides about SIGHUP, as a terminal's shell and `nohup` do; these tests may run under the latter.
    let script = format!("{hangup} exec \"$0\" \"$@\"");
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP", "sh", "-c", &script, env!("CARGO_BIN_EXE_trine")]);
    command.args(["up", "--regions", "1", "--nodes", "1"]);
    command.args(["--data", &data, "--port", &port_text]).env("XDG_STATE_HOME", directory);
    let child = command.stdin(Stdio::null()).stdout(gone()).stderr(gone()).spawn().unwrap();
    until("the node serves", || says(port, "/readyz"));
    (child, port)
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

#[test]
fn a_terminal_that_closes_ends_the_nodes_in_order_unless_it_was_to_be_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let (mut child, port) = up(&directory.path().join("ended"), "");
    signal(&child, Signal::SIGHUP);
    assert!(child.wait().unwrap().success());
    assert!(!says(port, "/readyz"));
    let log = directory.path().join("ended/cluster/nodes/us-east-1-a/node.log");
    assert!(std::fs::read_to_string(log).unwrap().contains("stopped"), "the node ended in order");

    let (mut child, port) = up(&directory.path().join("kept"), "trap '' HUP;");
    signal(&child, Signal::SIGHUP);
    // An ignored signal leaves no trace to wait for; that it is ignored does.
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & 1, 1, "SIGHUP is the first signal: {ignored}");
    assert!(says(port, "/readyz"));
    signal(&child, Signal::SIGTERM);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_node_whose_log_has_no_reader_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::prepared(&directory.path().join("cluster"), &[]);
    let port: u16 = region.node(0).http.rsplit_once(':').unwrap().1.parse().unwrap();
    let mut command = trine(&["node", "--config", region.node(0).config.to_str().unwrap()]);
    let mut child = command.env("RUST_LOG", "debug").stdout(gone()).stderr(gone()).spawn().unwrap();
    until("the node answers", || says(port, "/healthz"));
    signal(&child, Signal::SIGTERM);
    assert!(child.wait().unwrap().success());
}
