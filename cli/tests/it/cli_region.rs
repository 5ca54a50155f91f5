//! The command line against a real region, as a newcomer types it.

use std::process::Output;

use trine_identity::Ca;
use trine_protocol::Role;

use crate::bad_region::Region;

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_region_or_a_port_that_is_not_meant_is_named_and_nothing_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::started(&directory.path().join("cluster"), &[]);
    let writes: [&[&str]; 4] = [
        &["ledger", "append", "k", "v"],
        &["ledger", "append", "k", "v", "--dry-run"],
        &["object", "incr", "k"],
        &["namespace", "create", "n", "--kind", "ledger"],
    ];
    for words in writes {
        let (code, text) = said(&region.trine(&[&["--region", "us-eat-1"], words].concat()));
        assert_eq!(code, Some(2), "{words:?}: {text}");
        assert!(text.contains("did you mean `us-east-1`?"), "{words:?}: {text}");
    }
    assert_eq!(region.trine(&["ledger", "range", "-q"]).stdout, b"");
    let (code, text) = said(&region.trine(&["manifest", "show", "us-eat-1"]));
    assert_eq!((code, text.contains("region us-eat-1 not found")), (Some(3), true), "{text}");
    // The port that everybody knows is the one of HTTP.
    let (code, text) = said(&region.trine(&["--endpoint", &region.node(0).http, "status"]));
    assert_eq!((code, text.contains("speaks HTTP")), (Some(4), true), "{text}");
}

#[test]
fn a_reader_gets_what_proofs_are_verified_with() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::started(&directory.path().join("cluster"), &[]);
    let at = |name: &str| directory.path().join(name).display().to_string();
    region.ca().issue_client(Role::Reader, "ada").unwrap().write(&directory.path().join("ada")).unwrap();
    assert!(region.trine(&["ledger", "append", "k", "v"]).status.success());
    let ada = |words: &[&str]| region.trine(&[&["--identity", &at("ada")], words].concat());
    assert_eq!(said(&ada(&["ledger", "append", "k", "v"])).0, Some(5), "a reader writes nothing");
    assert!(ada(&["ledger", "get", "k", "--proof", &at("proof")]).status.success());
    let (code, text) = said(&ada(&["ledger", "verify", &at("proof")]));
    assert_eq!((code, text.contains("trine ledger genesis")), (Some(2), true), "{text}");
    assert_eq!(said(&ada(&["ledger", "genesis", "--out", &at("ada/genesis.json")])).0, Some(0));
    assert_eq!(said(&ada(&["ledger", "verify", &at("proof")])).0, Some(0));
    // Another authority has not signed it.
    Ca::create(&directory.path().join("stranger")).unwrap();
    let words = ["ledger", "genesis", "--ca", &at("stranger/ca.crt")];
    assert_eq!(said(&ada(&words)).0, Some(1));
    // Certificates issued from the cluster's own authority bring it along.
    let ca = region.directory.join("ca").display().to_string();
    assert!(region.trine(&["tls", "client", "bob", "--ca", &ca, "--out", &at("bob")]).status.success());
    assert_eq!(said(&region.trine(&["--identity", &at("bob"), "ledger", "verify", &at("proof")])).0, Some(0));
}

#[test]
fn a_bench_writes_into_namespaces_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let region = Region::started(&directory.path().join("cluster"), &[]);
    let done = |words: &[&str]| {
        let output = region.trine(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for _ in 0..2 {
        let (_, said) = done(&["bench", "append", "--clients", "2", "--seconds", "1"]);
        assert!(said.contains("records stay for ever"), "{said}");
        done(&["bench", "object", "--clients", "2", "--seconds", "1", "--durability", "local"]);
    }
    let all = ["bench", "object", "--edit", "set,incr,add", "--clients", "2", "--seconds", "1", "-o", "json"];
    let (edits, _) = done(&all);
    assert_eq!(edits.matches("\"errors\": 0").count(), 3, "{edits}");
    for of in [&["eventual,regional"][..], &["eventual,session", "--objects"]] {
        let read = ["bench", "read", "--keys", "10", "--clients", "2", "--seconds", "1", "-o", "json", "--consistency"];
        let (reads, _) = done(&[&read[..], of].concat());
        assert_eq!(reads.matches("\"errors\": 0").count(), 2, "{reads}");
    }
    done(&["bench", "load", "--objects", "20", "--clients", "2"]);
    let (list, _) = done(&["namespace", "list"]);
    assert_eq!(list.matches("bench-records").count() + list.matches("bench-objects").count(), 2, "{list}");
    for words in [["ledger", "range", "-q"], ["object", "list", "-q"]] {
        assert_eq!(done(&words).0, "", "{words:?}");
    }
    let (loaded, _) = done(&["object", "list", "-q", "-n", "bench-objects", "--prefix", "load/"]);
    assert_eq!(loaded.lines().count(), 20);
}

#[test]
fn a_write_goes_to_the_region_that_was_named_or_nowhere_and_a_read_says_where_it_went() {
    let directory = tempfile::tempdir().unwrap();
    let mut cluster = Region::prepared_as(&directory.path().join("cluster"), (2, 1), &[]).all_ready();
    cluster.is_well("both");
    let east = ["--region", "us-east-1"];
    assert_eq!(said(&cluster.trine(&[&east[..], &["ledger", "append", "here", "v"]].concat())).0, Some(0));
    cluster.stop(1);
    let west = ["--region", "eu-west-1", "--timeout", "4s"];
    for words in [&["ledger", "append", "there", "v"][..], &["object", "incr", "counter", "--durability", "local"]] {
        let (code, text) = said(&cluster.trine(&[&west[..], words].concat()));
        assert_eq!(code, Some(4), "{words:?}: {text}");
        assert!(text.contains("no node of eu-west-1 could be reached"), "{words:?}: {text}");
    }
    let read = |region: &[&str], key: &str| said(&cluster.trine(&[region, &["ledger", "get", key]].concat()));
    let (code, text) = read(&west, "here");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("no node of eu-west-1 was reached: us-east-1-a of us-east-1 has answered"), "{text}");
    assert_eq!(read(&east, "there").0, Some(3), "nothing was written elsewhere");
}
