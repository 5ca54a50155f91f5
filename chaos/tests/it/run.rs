//! Plans on real processes: one that holds, with its report, and one that cannot be carried out.

use std::path::Path;

use serde_json::Value;

use super::arena::{Ground, PATIENCE};

const SMALL: &str = r#"
name = "small"
shows = "A region is cut off and a node is killed, and nothing is lost."
duration = "5s"
topology = { regions = 3, nodes = 1 }

[workload]
rate_per_s = 30

[[faults]]
at = "1s"
for = "2s"
kind = "split"
target = "eu-west-1"

[[faults]]
at = "2s"
for = "1s"
kind = "kill"
target = "us-east-1-a"

[[faults]]
at = "1s"
for = "2s"
kind = "split"
target = "clients of ap-southeast-1"

[bounds]
converge_within = "2m"
answer_within = "2m"
"#;

/// Runs a plan in a directory; the exit code and the report, when there is one.
fn run(ground: &Ground, directory: &Path, plan: &str) -> (Option<i32>, Option<Value>, String) {
    let place = |name: &str| directory.join(name).display().to_string();
    std::fs::write(directory.join("plan.toml"), plan).unwrap();
    let patience = PATIENCE.as_secs().to_string();
    let (file, data, report) = (place("plan.toml"), place("data"), place("report"));
    let arguments = ["run", &file, "--data", &data, "--report", &report, "--patience", &patience, "-o", "json"];
    let output = ground.chaos(&arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), serde_json::from_slice(&output.stdout).ok(), said)
}

fn lines(directory: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(directory.join("report/runs.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_plan_on_real_processes_ends_with_a_verdict_and_a_report() {
    let Some(ground) = Ground::find() else { return };
    let directory = tempfile::tempdir().unwrap();
    let (code, report, said) = run(&ground, directory.path(), SMALL);
    let report = report.unwrap_or_else(|| panic!("no report: {said}"));
    assert_eq!((code, &report["verdict"]), (Some(0), &Value::from("held")), "{:#}\n{said}", report["checks"]);
    let kinds: Vec<&str> =
        report["faults"].as_array().unwrap().iter().map(|fault| fault["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["split", "split", "kill"]);
    assert!(report["faults"].as_array().unwrap().iter().all(|fault| fault["until_ns"].is_u64()), "all are over");
    assert!(report["figures"]["ok"].as_u64().unwrap() > 0, "{}", report["figures"]);
    for region in ["us-east-1", "eu-west-1", "ap-southeast-1"] {
        assert!(!report["regions"][region].as_array().unwrap().is_empty(), "nobody asked in {region}");
        let lags = report["lags"][region].as_array().unwrap();
        assert!(lags.iter().any(|lag| lag["behind_ns"].is_u64()), "nobody looked in {region}");
    }
    let page = std::fs::read_to_string(directory.path().join("report/small-1/report.html")).unwrap();
    assert!(page.contains("split eu-west-1") && page.ends_with("</html>\n"));
    assert!(!directory.path().join("data/small-1").exists(), "what held leaves nothing behind");
    for file in ["report.json", "report.html", "history.jsonl", "history.edn"] {
        let length = std::fs::metadata(directory.path().join("report/small-1").join(file)).map(|file| file.len());
        assert!(length.is_ok_and(|length| length > 0), "{file}");
    }

    let all = lines(directory.path());
    assert!(all.len() == 1 && all[0]["plan"] == "small" && all[0]["verdict"] == "held", "{all:?}");
    let table = ground.chaos(&["table", &directory.path().join("report").display().to_string()]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("| small | real | 1 | 1 | held |"), "{table:?}");
}

#[test]
fn what_real_processes_cannot_do_is_refused_and_not_passed_over() {
    let Some(ground) = Ground::find() else { return };
    let directory = tempfile::tempdir().unwrap();
    let simulated = "\n[[faults]]\nat = \"1s\"\nkind = \"proposals\"\ntarget = \"all\"\nshare = 0.5\n";
    let (code, report, said) = run(&ground, directory.path(), &format!("{SMALL}{simulated}"));
    assert_eq!((code, report), (Some(2), None));
    assert!(said.contains("`proposals`"), "{said}");
    let (code, report, said) = run(&ground, directory.path(), &SMALL.replace("at = \"1s\"", "at = \"1h\""));
    assert_eq!((code, report), (Some(2), None));
    assert!(said.contains("`1h` is no time"), "{said}");
    let all = lines(directory.path());
    assert!(all.len() == 1 && all[0]["verdict"] == "could-not-run", "{all:?}");
}
