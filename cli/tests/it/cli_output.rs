//! What the command line says, to people and to programs.

use clap::{CommandFactory as _, Parser as _};
use expect_test::{Expect, expect};
use trine_cli::args::Format;
use trine_cli::connect::address;
use trine_cli::exit::{Exit, Failure};
use trine_cli::output::{Output, pairs, table};
use trine_cli::{Cli, yaml};
use trine_client::ClientError;
use trine_protocol::{Conflict, Missing, RequestError};

fn check(failure: impl Into<Failure>, exit: Exit, expected: Expect) {
    let failure = failure.into();
    expected.assert_eq(&failure.to_string());
    assert_eq!(failure.exit, exit);
}

#[test]
fn failures_say_what_happened_and_what_to_do() {
    let what = |text: &str| text.to_owned();
    check(
        RequestError::NotFound { what: Missing::Key { key: what("order-17") } },
        Exit::NotFound,
        expect!["error: key order-17 not found"],
    );
    check(
        RequestError::Forbidden { what: what("this needs the role admin, and yours is reader") },
        Exit::Refused,
        expect![[r#"
            error: refused: this needs the role admin, and yours is reader
              hint: use an identity with a larger role: --identity DIR; `trine tls client` issues one"#]],
    );
    check(
        RequestError::from(Conflict::Version { region: "us-east-1".parse().expect("a name"), latest: Some(3) }),
        Exit::Conflict,
        expect![[r#"
            error: conflict: the key's latest version in us-east-1 is record 3
              hint: read the key again and decide on what stands there now"#]],
    );
    check(
        RequestError::from(Conflict::IdempotencyKey { region: "us-east-1".parse().expect("a name"), index: 3 }),
        Exit::Conflict,
        expect!["error: conflict: the idempotency key stands for another append, record 3 of us-east-1"],
    );
    check(
        RequestError::Ambiguous {
            what: what("several namespaces are named audit; use an id: us-east-1/17, eu-west-1/3"),
        },
        Exit::Conflict,
        expect![[r#"
            error: several namespaces are named audit; use an id: us-east-1/17, eu-west-1/3
              hint: `trine namespace list` shows names and ids; `trine namespace rename ID NAME` gives one another name"#]],
    );
    check(
        RequestError::NotEmpty { what: what("namespace us-east-1/17 holds 3 objects") },
        Exit::Refused,
        expect!["error: refused: namespace us-east-1/17 holds 3 objects"],
    );
    check(
        RequestError::WrongKind { actual: what("set"), asked: what("counter") },
        Exit::Conflict,
        expect![[r#"
            error: the object is a set, not a counter
              hint: an object keeps the kind of its first change: use another key"#]],
    );
    check(
        RequestError::Unavailable { what: what("no leader") },
        Exit::Unhealthy,
        expect![[r#"
            error: unavailable: no leader
              hint: `trine status` shows which nodes serve"#]],
    );
    check(
        RequestError::Unknown,
        Exit::TimedOut,
        expect![[r#"
            error: no answer in time; it may have been done or may yet be
              hint: read before writing again, or raise --timeout"#]],
    );
    check(
        ClientError::Unreachable { what: what("127.0.0.1:1: connection refused") },
        Exit::Unhealthy,
        expect![[r#"
            error: no node could be reached: 127.0.0.1:1: connection refused
              hint: start a cluster here with `trine up`, or name a node with --endpoint HOST:PORT"#]],
    );
    check(
        ClientError::TimedOut { deadline: std::time::Duration::from_secs(10), writes: true },
        Exit::TimedOut,
        expect![[r#"
            error: no answer within 10s; it may have been done or may yet be
              hint: `trine status` shows which nodes serve; --timeout tries longer"#]],
    );
    check(
        ClientError::TimedOut { deadline: std::time::Duration::from_secs(10), writes: false },
        Exit::TimedOut,
        expect![[r#"
            error: no answer within 10s
              hint: `trine status` shows which nodes serve; --timeout tries longer"#]],
    );
    check(
        ClientError::TooShort { deadline: std::time::Duration::from_millis(1) },
        Exit::TimedOut,
        expect![[r#"
            error: no node was reached within 1ms; nothing was done
              hint: --timeout tries longer"#]],
    );
    check(
        ClientError::RegionUnreachable {
            region: "eu-west-1".parse().expect("a name"),
            what: what("127.0.0.1:1: refused"),
        },
        Exit::Unhealthy,
        expect![[r#"
            error: no node of eu-west-1 could be reached, and nothing was written elsewhere: 127.0.0.1:1: refused
              hint: `trine status` shows which nodes serve; without --region the nearest one takes the write"#]],
    );
}

#[test]
fn one_result_in_three_formats() {
    let value = serde_json::json!({
        "nodes": [{ "id": "0000000000000005", "ready": true, "tags": [], "note": "yes" }, { "id": "a", "ready": false }],
        "next": null,
        "text": "two\nlines: and # more",
    });
    let people =
        table(&["id", "ready"], [vec!["0000000000000005".into(), "yes".into()], vec!["a".into(), "no".into()]]);
    let output = Output::new(&value, people).ids(["0000000000000005", "a"]);
    let text = |format, quiet| String::from_utf8(output.rendered(format, quiet)).expect("text");
    expect![[r#"
        ID                READY
        0000000000000005  yes
        a                 no
    "#]]
    .assert_eq(&text(Format::Table, false));
    assert_eq!(text(Format::Table, true), "0000000000000005\na\n");
    let back: serde_json::Value = serde_json::from_str(&text(Format::Json, false)).expect("JSON");
    assert_eq!(back, value);
    expect![[r#"
        next: null
        nodes:
          - id: "0000000000000005"
            note: "yes"
            ready: true
            tags: []
          - id: a
            ready: false
        text: "two\nlines: and # more"
    "#]]
    .assert_eq(&text(Format::Yaml, false));
    assert_eq!(yaml::write(&serde_json::json!([])), "[]\n");
    expect![[r#"
        name   a
        value  first
               second"#]]
    .assert_eq(&pairs(&[("name", "a".into()), ("value", "first\nsecond".into())]));
}

#[test]
fn what_a_terminal_would_obey_is_shown_and_not_done() {
    let evil = "\u{1b}[2Jred\u{7}\r\n\u{9b}31m\u{202e}txt";
    let table = table(&["key", "value"], [vec![evil.to_owned(), "v".to_owned()]]);
    expect![[r"
        KEY                                        VALUE
        \u{1b}[2Jred\u{7}\r\n\u{9b}31m\u{202e}txt  v"]]
    .assert_eq(&table);
    assert_eq!(pairs(&[("value", evil.into())]).matches(char::is_control).collect::<String>(), "\n");
    // Asked for the bytes, one gets the bytes.
    let output = Output::new(&evil, table).value(evil.as_bytes());
    assert_eq!(output.rendered(Format::Table, true), evil.as_bytes());
    for format in [Format::Json, Format::Yaml] {
        let text = String::from_utf8(output.rendered(format, false)).expect("text");
        assert!(!text.trim_end().chars().any(char::is_control), "{text:?}");
        assert_eq!(serde_json::from_str::<String>(&text).expect("a string of JSON"), evil);
    }
}

#[test]
fn yaml_holds_no_character_that_yaml_does_not_allow() {
    // YAML 1.2.2, 5.1: what may stand in a stream as it is; and what ends lines or marks byte order besides.
    let printable = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let breaks = ['\u{85}', '\u{2028}', '\u{2029}', '\u{feff}'];
    for c in (0..=0x0001_0000).filter_map(char::from_u32) {
        let text = yaml::write(&serde_json::json!({ c.to_string(): c.to_string() }));
        assert!(text.chars().all(|c| printable(c) && !breaks.contains(&c)), "U+{:04X}: {text:?}", u32::from(c));
    }
}

#[test]
fn one_long_key_makes_its_own_row_long() {
    let long = "k".repeat(1000);
    let rows = ["a", &long, "b", "cc"].map(|key| vec![key.to_owned(), "v".to_owned()]);
    let text = table(&["key", "value"], rows);
    let lengths: Vec<usize> = text.lines().map(str::len).collect();
    assert_eq!(lengths, [10, 6, 1003, 6, 6], "{text}");
    // Cells that are all long have a column all the same.
    let rows = [64, 60, 64].map(|length| vec!["p".repeat(length), "v".to_owned()]);
    assert!(table(&["key", "value"], rows).lines().skip(1).all(|line| line.len() == 67));
}

#[test]
fn usage_stands_in_the_order_that_is_read() {
    let mut command = Cli::command();
    let mut usage = |words: &[&str]| {
        let mut found = &mut command;
        for word in words {
            found = found.find_subcommand_mut(word).expect("a command");
        }
        found.render_usage().to_string()
    };
    for words in [["ledger", "append"], ["object", "set"], ["object", "put"], ["object", "add"], ["object", "remove"]] {
        let usage = usage(&words);
        let (key, value) = (usage.find("<KEY>").expect("a key"), usage.find("VALUE").expect("a value"));
        assert!(key < value, "{usage}");
    }
}

#[test]
fn an_endpoint_is_an_address_of_any_kind() {
    assert_eq!(address("127.0.0.1:7421", None).expect("an address"), "/ip4/127.0.0.1/tcp/7421");
    assert_eq!(address("[::1]:7421", None).expect("an address"), "/ip6/::1/tcp/7421");
    assert_eq!(address("/ip4/10.0.0.1/tcp/1", None).expect("a multiaddr"), "/ip4/10.0.0.1/tcp/1");
    for wrong in ["us-east-1-a", "host:port", ":1", "http://127.0.0.1:7420"] {
        let failure = address(wrong, None).expect_err("no address");
        assert_eq!(failure.exit, Exit::Usage, "{wrong}");
        assert!(failure.hint.is_some_and(|hint| hint.contains("HOST:PORT")));
    }
}

#[test]
fn what_is_typed_wrongly_is_refused_before_anything_is_asked() {
    let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(|_| ());
    for right in [
        "trine ledger append key value",
        "trine ledger append key --file x -o json",
        "trine ledger append key -- --file=x",
        "trine object set k -- -5",
        "trine ledger append key -",
        "trine ledger get key --consistency bounded=500ms --format yaml",
        "trine ledger get --at us-east-1/17",
        "trine object incr visits -5 --durability regions=2",
        "trine object set k v --field a --field b --dry-run",
        "trine nodes remove us-east-1-a --yes --timeout 2m",
        "trine bench append --clients 1,64,256 --value 256B --seconds 10",
        "trine bench object --edit set,incr,add --durability local,region",
        "trine bench read --objects --consistency eventual,session",
        "trine tls node us-east-1-a --region us-east-1 --out x",
    ] {
        assert!(parse(right).is_ok(), "{right}: {:?}", parse(right).err().map(|error| error.to_string()));
    }
    for wrong in [
        "trine ledger append key",
        "trine ledger append key value --file x",
        "trine ledger append key --fil=x",
        "trine object set k -5",
        "trine object add k --durabilty=local",
        "trine ledger append key value --if-absent --if-match 3",
        "trine ledger get",
        "trine ledger get key --at us-east-1/17",
        "trine ledger get --at 17",
        "trine ledger get key --consistency strong",
        "trine object set k v --durability most",
        "trine object incr k many",
        "trine ledger range --limit 0",
        "trine status --timeout soon",
        "trine --region US-EAST status",
        "trine fly",
    ] {
        assert_eq!(parse(wrong).expect_err(wrong).exit_code(), 2, "{wrong}");
    }
}

#[test]
fn a_variable_that_is_set_to_nothing_says_nothing() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_trine"));
    for name in ["TRINE_CLUSTER", "TRINE_ENDPOINT", "TRINE_IDENTITY", "TRINE_REGION", "TRINE_SESSION"] {
        command.env(name, "");
    }
    let output = command.arg("version").output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn an_append_offers_no_less_than_a_region() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_trine"));
    let output = command.args(["ledger", "append", "k", "v", "--durability", "local"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("durability local is for objects"), "{output:?}");
}
