//! Nodes whose log lines are read badly, or by nobody; and what is in them.

use std::io::Read as _;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::bad_region::{PATIENCE, Region, try_http};

/// A node alone, and who reads its lines.
fn started(region: &Region, filter: &str) -> (Child, ChildStderr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trine"));
    command.arg("node").arg("--config").arg(&region.node(0).config).env("RUST_LOG", filter);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let reader = child.stderr.take().unwrap();
    (child, reader)
}

fn lives(region: &Region) -> bool {
    try_http(&region.node(0).http, "GET", "/healthz", &[], b"").is_some_and(|answer| answer.status == 200)
}

/// Waits until something holds; kills the node when it does not.
fn until(child: &mut Child, what: &str, mut holds: impl FnMut(&mut Child) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds(child) {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("{what} does not come true");
        }
    }
}

/// Asks the node to end; its exit code.
fn stopped(child: &mut Child) -> Option<i32> {
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let mut code = None;
    until(child, "an orderly end", |child| {
        let ended = child.try_wait().unwrap();
        code = ended.and_then(|status| status.code());
        ended.is_some()
    });
    code
}

#[test]
fn a_node_whose_lines_nobody_reads_any_more_goes_on_and_stops_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::prepared(&directory.path().join("cluster"), &[]);
    let (mut child, mut reader) = started(&region, "trace");
    until(&mut child, "an answer", |_| lives(&region));
    let mut some = [0; 64];
    reader.read_exact(&mut some).unwrap();
    drop(reader);
    // Each of these is told, to nobody.
    (0..100).for_each(|_| assert!(lives(&region)));
    assert_eq!(stopped(&mut child), Some(0));
}

#[test]
fn a_node_whose_lines_are_not_taken_goes_on_and_stops_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::prepared(&directory.path().join("cluster"), &[]);
    let (mut child, reader) = started(&region, "trace");
    until(&mut child, "an answer", |_| lives(&region));
    // The pipe has long been full, and what waits before it, too.
    until(&mut child, "lines that are dropped", |_| {
        let figures = try_http(&region.node(0).http, "GET", "/metrics", &[], b"").map(|answer| answer.body);
        figures.is_some_and(|text| text.contains("trine_log_lines_dropped_total"))
    });
    (0..100).for_each(|_| assert!(lives(&region)));
    assert_eq!(stopped(&mut child), Some(0));
    drop(reader);
}

#[test]
fn an_orderly_stop_and_start_is_no_error_and_a_dead_peer_is_told_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut region = Region::started(&directory.path().join("cluster"), &[]);
    region.is_well("before");
    for at in 0..3 {
        region.stop(at);
        region.start(at);
        region.ready(at);
    }
    region.is_well("after");
    region.stop(2);
    // Its peers try again and again, and say so once.
    let silent = |region: &Region, at: usize| region.figure(at, "trine_raft_peer_failures_total", "us-east-1-c");
    let deadline = Instant::now() + PATIENCE;
    let of_it = |region: &Region, at: usize, words: &str| {
        region.log(at).lines().filter(|line| line.contains("us-east-1-c") && line.contains(words)).count()
    };
    let told = |region: &Region, at: usize| of_it(region, at, "does not answer");
    while (0..2).map(|at| silent(&region, at)).fold(0.0, f64::max) < 30.0 || told(&region, 0) + told(&region, 1) == 0 {
        assert!(Instant::now() < deadline, "{}\n{}", region.log(0), region.log(1));
    }
    assert!((0..2).all(|at| told(&region, at) <= 2), "once each time that it was down");
    assert!((0..2).all(|at| of_it(&region, at, "") <= 12), "{}\n{}", region.log(0), region.log(1));
    for at in 0..2 {
        region.stop(at);
    }
    for at in 0..3 {
        let log = region.log(at);
        let errors: Vec<&str> = log.lines().filter(|line| line.contains(" ERROR ")).collect();
        assert!(errors.is_empty(), "node {at}: {errors:#?}");
    }
}
