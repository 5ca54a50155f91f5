//! Input as people and tools write it, and input that must be refused with the line where it is wrong.

use std::io::Cursor;

use trine_examples::registry::limits::{LINE_BYTES_MAX, STANZA_BYTES_MAX};
use trine_examples::registry::release::{Release, releases};
use trine_examples::registry::stanza::{Stanza, Stanzas};

const SHA256: &str = "5b72d419dc0fdaaf3765268e9b5edba6f545cd63f926d3c4d807fc3e33b86cdd";

fn stanzas(text: &str) -> Vec<Stanza> {
    Stanzas::new(Cursor::new(text.to_owned())).collect::<Result<_, _>>().expect("the input is well-formed")
}

fn refusal(text: impl Into<Vec<u8>>) -> String {
    let mut read = releases(Cursor::new(text.into()));
    let error = read.by_ref().find_map(Result::err).expect("the input is refused").to_string();
    assert!(read.next().is_none(), "nothing follows an error");
    error
}

fn hello() -> String {
    format!("Package: hello\nVersion: 2.10-3\nArchitecture: amd64\nSize: 53044\nSHA256: {SHA256}\n")
}

#[test]
fn a_folded_field_goes_on_and_a_dot_stands_for_an_empty_line() {
    let read = stanzas("Package: hello\nDescription: says hello\n in two lines\n .\n\tand a paragraph\nSize: 1\n");
    assert_eq!(read[0].get("description"), Some("says hello\nin two lines\n\nand a paragraph"));
    assert_eq!(read[0].get("SIZE"), Some("1"));
    assert_eq!(read[0].get("Section"), None);
}

#[test]
fn any_number_of_blank_lines_separates_stanzas_and_the_last_needs_no_newline() {
    let read = stanzas("\n\nPackage: a\n\n \n\t\nPackage: b\r\nSize: 2\r\n\nPackage: c");
    let names: Vec<_> = read.iter().map(|stanza| (stanza.line, stanza.get("Package").unwrap_or_default())).collect();
    assert_eq!(names, [(3, "a"), (7, "b"), (10, "c")]);
    assert_eq!(read[1].text, "Package: b\nSize: 2\n");
    assert!(stanzas("").is_empty() && stanzas("\n\n").is_empty());
}

#[test]
fn a_release_keeps_its_stanza_and_tells_the_ledger_what_matters() {
    let text = format!("{}Section: devel\nHomepage: https://example.org/a:b\n", hello());
    let read: Vec<Release> = releases(Cursor::new(text.clone())).collect::<Result<_, _>>().expect("well-formed");
    assert_eq!(read[0].key(), "hello/2.10-3");
    assert_eq!(read[0].text, text);
    let metadata: Vec<_> = read[0].metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(metadata, [("architecture", "amd64"), ("section", "devel"), ("sha256", SHA256), ("size", "53044")]);
}

#[test]
fn each_missing_field_is_named_with_the_stanza_that_lacks_it() {
    for field in ["Package", "Version", "Architecture", "Size", "SHA256"] {
        let lacking: String =
            hello().lines().filter(|line| !line.starts_with(field)).map(|l| format!("{l}\n")).collect();
        let text = format!("{}\n{lacking}", hello());
        assert_eq!(refusal(text), format!("the stanza at line 7 has no {field}"));
    }
}

#[test]
fn fields_of_the_wrong_form_are_shown() {
    let with = |field: &str, value: &str| {
        let line = |line: &str| match line.split_once(':') {
            Some((name, _)) if name == field => format!("{name}: {value}\n"),
            _ => format!("{line}\n"),
        };
        refusal(hello().lines().map(line).collect::<String>())
    };
    assert_eq!(with("Package", "Hello World"), "the stanza at line 1: `Hello World` is no Package");
    assert_eq!(with("Package", "a/b"), "the stanza at line 1: `a/b` is no Package");
    assert_eq!(with("Version", "latest"), "the stanza at line 1: `latest` is no Version");
    assert_eq!(with("Size", "-1"), "the stanza at line 1: `-1` is no Size");
    assert_eq!(with("SHA256", "5b72"), "the stanza at line 1: `5b72` is no SHA256");
    assert_eq!(with("SHA256", ""), "the stanza at line 1: `` is no SHA256");
}

#[test]
fn lines_that_are_no_fields_are_refused_where_they_stand() {
    let after = |line: &str| refusal(format!("{}\n{line}\n", hello()));
    assert_eq!(after(" folded"), "line 7 goes on with a field, but none precedes it in its stanza");
    assert_eq!(after("no colon"), "line 7 is no field such as `Package: hello`");
    assert_eq!(after("two words: x"), "line 7 is no field such as `Package: hello`");
    assert_eq!(after(": x"), "line 7 is no field such as `Package: hello`");
    assert_eq!(after("# remark: x"), "line 7 is no field such as `Package: hello`");
    assert_eq!(after("Size: 1\nsize: 2"), "line 8 gives size a second time in its stanza");
    assert_eq!(refusal(b"Package: caf\xe9\n".to_vec()), "line 1 is not UTF-8");
}

#[test]
fn endless_lines_and_stanzas_are_refused_at_their_bound() {
    let line = format!("Package: {}", "x".repeat(LINE_BYTES_MAX));
    assert_eq!(refusal(line), format!("line 1: more than {LINE_BYTES_MAX} bytes in one line"));
    let folded = format!(" {}\n", "x".repeat(LINE_BYTES_MAX / 2));
    let lines = STANZA_BYTES_MAX / folded.len() + 1;
    let stanza = format!("Package: hello\n{}", folded.repeat(lines + 2));
    assert_eq!(refusal(stanza), format!("line {}: more than {STANZA_BYTES_MAX} bytes in one stanza", lines + 1));
}
