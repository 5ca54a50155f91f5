//! A node of the real binary on a forgetful disk: what it acknowledged is there after a loss of power.

use std::path::Path;
use std::process::Command;

/// Where one of these is what failed, the system has no such thing, and there is nothing to test.
const IMPOSSIBLE: [&str; 4] = ["forgetful disk", "cannot make network namespaces", "/dev/net/tun", "network namespace"];

#[test]
fn what_a_node_acknowledged_survives_the_loss_of_power() {
    let program = Path::new(env!("CARGO_BIN_EXE_trine-chaos"));
    let trine = program.with_file_name("trine");
    if !trine.is_file() {
        println!("passed over: {} was not built (build the whole workspace)", trine.display());
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    // One node: nobody else could give back what it forgot. Its first start is within the test, when most names are new.
    let output = Command::new(program)
        .args(["rounds", "--power", "--regions", "1", "--nodes", "1", "--clients", "2", "--patience", "300"])
        .args(["--rounds", "2", "--all-rounds", "1", "--before", "700ms", "--down", "1ms", "--data"])
        .arg(directory.path().join("arena"))
        .output()
        .expect("the program runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() && IMPOSSIBLE.iter().any(|what| said.contains(what)) {
        println!("passed over: {said}");
        return;
    }
    assert!(output.status.success(), "{said}");
    println!("{said}");
}
