//! Histories survive being written down.

use super::*;
use crate::check::story::{Story, stamp};

fn history() -> History {
    let mut story = Story::default();
    story.append("k", "v\"1").at(0, 1);
    story.call("k", Action::Versions).session(1).lists(&[(0, "v\"1")]);
    story.edit("set-0", Edit::Add("a".to_owned())).during(30, 60).unknown();
    story.edit("set-0", Edit::Add("b".to_owned())).session(2).during(70, 80).stamped(stamp(9));
    story.read("set-0").shows(View::Set(["b".to_owned()].into()));
    story.edit("map-0", Edit::Field("f".to_owned(), Box::new(Edit::Set("x".to_owned())))).fail();
    story.call("k", Action::Latest).but(|call| call.returned_ns = None).unknown();
    story.told().history
}

#[test]
fn json_lines_read_back_as_they_were() {
    let history = history();
    let mut bytes = Vec::new();
    history.write_json(&mut bytes).expect("memory is written");
    assert_eq!(History::read_json(&bytes[..]).expect("its own lines"), history);
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), history.calls().len());
    bytes.extend_from_slice(b"{}\n");
    let error = History::read_json(&bytes[..]).expect_err("that is no call");
    assert!(error.to_string().contains("line 8"), "{error:#}");
}

fn edn(form: Form<'_>) -> String {
    let mut bytes = Vec::new();
    history().write_edn(form, &mut bytes).expect("memory is written");
    String::from_utf8(bytes).expect("EDN is text")
}

#[test]
fn edn_is_what_jepsen_reads() {
    let plain = edn(Form::Plain);
    let lines: Vec<&str> = plain.lines().collect();
    assert_eq!(lines[0], r#"{:index 0, :time 10, :process 0, :type :invoke, :f :append, :value ["k" "v\"1"]}"#);
    assert_eq!(
        lines[1],
        r#"{:index 1, :time 15, :process 0, :type :ok, :f :append, :value ["k" "v\"1" "us-east-1" 0]}"#
    );
    // The client whose add is of unknown fate is another process from then on.
    assert!(plain.contains(r#":process 0, :type :info, :f :add, :value ["set-0" "a"]"#), "{plain}");
    assert!(plain.contains(r#":process 1, :type :ok, :f :read, :value ["set-0" #{"b"}]"#), "{plain}");
    assert_eq!(lines.len(), 13, "a call that was never answered has no second line: {plain}");
}

#[test]
fn edn_for_elle_has_only_what_elle_judges() {
    let elle = edn(Form::ListAppend("us-east-1"));
    let lines: Vec<&str> = elle.lines().collect();
    assert!(lines[1].ends_with(r#":type :ok, :f :txn, :value [[:append "k" "v\"1"]]}"#), "{elle}");
    assert!(lines[3].ends_with(r#":type :ok, :f :txn, :value [[:r "k" ["v\"1"]]]}"#), "{elle}");
    assert_eq!(lines.len(), 4, "{elle}");
    let set = edn(Form::SetFull("set-0"));
    assert!(set.contains(r#":type :ok, :f :read, :value #{"b"}}"#), "{set}");
    assert_eq!(set.lines().count(), 6, "{set}");
}

#[test]
fn a_session_that_forgot_does_not_cover() {
    let known = |at: &str, seq| Known { positions: [(at.to_owned(), seq)].into(), ..Known::default() };
    assert!(known("p w", 3).covers(&known("p w", 2)));
    assert!(!known("p w", 1).covers(&known("p w", 2)));
    assert!(!known("p x", 9).covers(&known("p w", 2)));
    assert!(known("p w", 1).covers(&Known::default()));
}
