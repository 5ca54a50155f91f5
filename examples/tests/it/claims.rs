//! What a log of acknowledgements claims, and which answers of a region keep it.

use bytes::Bytes;
use trine_client::ClientError;
use trine_examples::registry::log::{Entry, Position, Step, Writer, read, undecided};
use trine_examples::registry::verify::{Claim, PackageClaim, Verdict, claims};
use trine_protocol::{RequestError, View};

fn entry(version: &str, record: Step, versions: Step, latest: Step, downloads: Step) -> Entry {
    let position = record.acknowledged().then(|| Position {
        region: "eu-west-1".to_owned(),
        index: 7,
        timestamp: "0".to_owned(),
        leaf: "00".repeat(32),
        duplicate: false,
    });
    Entry {
        package: "hello".to_owned(),
        version: version.to_owned(),
        sha256: "ab".repeat(32),
        asked: "eu-west-1".to_owned(),
        begun_unix_ms: 1,
        ended_unix_ms: 2,
        record,
        position,
        versions,
        latest,
        downloads,
    }
}

fn unknown() -> Step {
    Step::Unknown { why: "no answer".to_owned() }
}

fn only_package(entries: &[Entry]) -> PackageClaim {
    let package = claims(entries).expect("the log is whole").into_iter().find_map(|claim| match claim {
        Claim::Package(package) => Some(package),
        Claim::Record(_) => None,
    });
    package.expect("something of the package was acknowledged")
}

fn set(versions: &[&'static str]) -> Option<View> {
    Some(View::Set(versions.iter().map(|version| Bytes::from_static(version.as_bytes())).collect()))
}

fn latest(version: &str) -> Option<View> {
    Some(View::Register(format!(r#"{{"version":"{version}","region":"eu-west-1","index":7}}"#).into()))
}

#[test]
fn only_what_was_acknowledged_is_claimed() {
    let acknowledged = Step::Acknowledged;
    let nothing = entry("1", unknown(), Step::NotTried, Step::NotTried, Step::NotTried);
    assert_eq!(claims(std::slice::from_ref(&nothing)).expect("the log is whole"), []);
    let record = entry("2", acknowledged.clone(), unknown(), unknown(), unknown());
    let claimed = claims(&[nothing.clone(), record]).expect("the log is whole");
    assert!(matches!(&claimed[..], [Claim::Record(record)] if record.key == "hello/2" && record.index == 7));
    let both = entry("3", acknowledged.clone(), acknowledged.clone(), unknown(), acknowledged);
    let package = only_package(&[nothing, both]);
    assert_eq!(package.versions.into_iter().collect::<Vec<_>>(), ["3"]);
    assert!(!package.latest);
    assert_eq!(package.downloads, 1);
}

#[test]
fn a_region_keeps_a_package_only_with_all_of_its_objects() {
    let whole = |version| {
        let done = Step::Acknowledged;
        entry(version, done.clone(), done.clone(), done.clone(), done)
    };
    let package = only_package(&[whole("1"), whole("2")]);
    let keeps = |versions, latest, downloads| package.judge(versions, latest, downloads);
    assert_eq!(keeps(set(&["1", "2"]), latest("2"), Some(View::Counter(2))), Verdict::Kept);
    // Others may publish and fetch as well; then there is more, which is no loss.
    assert_eq!(keeps(set(&["0", "1", "2"]), latest("1"), Some(View::Counter(9))), Verdict::Kept);
    let lost = [
        keeps(set(&["2"]), latest("2"), Some(View::Counter(2))),
        keeps(None, latest("2"), Some(View::Counter(2))),
        keeps(set(&["1", "2"]), latest("3"), Some(View::Counter(2))),
        keeps(set(&["1", "2"]), None, Some(View::Counter(2))),
        keeps(set(&["1", "2"]), latest("2"), Some(View::Counter(1))),
        keeps(set(&["1", "2"]), latest("2"), None),
    ];
    assert!(lost.iter().all(|verdict| matches!(verdict, Verdict::Missing(_))), "{lost:?}");
    let wrong = [
        keeps(Some(View::Counter(2)), latest("2"), Some(View::Counter(2))),
        keeps(set(&["1", "2"]), set(&["2"]), Some(View::Counter(2))),
        keeps(set(&["1", "2"]), Some(View::Register(Bytes::from_static(b"2"))), Some(View::Counter(2))),
        keeps(set(&["1", "2"]), latest("2"), latest("2")),
    ];
    assert!(wrong.iter().all(|verdict| matches!(verdict, Verdict::Unproven(_))), "{wrong:?}");
}

#[test]
fn the_latest_release_may_be_one_whose_fate_is_unknown() {
    let done = Step::Acknowledged;
    let first = entry("1", done.clone(), done.clone(), done.clone(), done.clone());
    let second = entry("2", done.clone(), done.clone(), unknown(), done);
    let package = only_package(&[first, second]);
    for version in ["1", "2"] {
        assert_eq!(package.judge(set(&["1", "2"]), latest(version), Some(View::Counter(2))), Verdict::Kept);
    }
}

#[test]
fn a_failure_that_may_have_written_is_unknown() {
    let deadline = std::time::Duration::from_secs(1);
    assert!(undecided(&ClientError::TimedOut { deadline, writes: true }));
    assert!(undecided(&ClientError::Lost));
    assert!(undecided(&ClientError::Request(RequestError::Unknown)));
    assert!(!undecided(&ClientError::Request(RequestError::DiskFull)));
    assert!(!undecided(&ClientError::TooShort { deadline }));
    assert!(!undecided(&ClientError::Unreachable { what: "nobody answers".to_owned() }));
}

#[test]
fn a_log_reads_as_it_was_written_and_is_never_overwritten() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("acknowledged.jsonl");
    let written = vec![
        entry("1", Step::Acknowledged, unknown(), Step::Acknowledged, Step::Refused { why: "full".to_owned() }),
        entry("2", unknown(), Step::NotTried, Step::NotTried, Step::NotTried),
    ];
    let mut log = Writer::create(&path).expect("a new file");
    written.iter().for_each(|entry| log.write(entry).expect("there is room"));
    log.finish().expect("there is room");
    assert_eq!(read(&path).expect("the log is whole"), written);
    let again = Writer::create(&path).expect_err("the file is there").to_string();
    assert!(again.ends_with("is there already: a log is never overwritten"), "{again}");
    std::fs::write(&path, "{}\n").expect("there is room");
    let damaged = format!("{:#}", read(&path).expect_err("a line is no entry"));
    assert!(damaged.contains("line 1"), "{damaged}");
}
