//! A node's configuration: files, flags, variables of the environment.

use std::io::Write as _;

use trine_node::config::load::load_from;

use crate::target::{Memory, Sample, Target, Verdict};

/// Behind a selector: a file; lines of `section.field=value`, as flags; lines of `NAME=value`, as variables.
pub const TARGET: Target = Target { name: "config", run, samples, memory: Memory::SERDE };

fn run(bytes: &[u8]) -> Verdict {
    let Some((selector, rest)) = bytes.split_first() else { return Verdict::Refused };
    let pairs = || {
        let text = std::str::from_utf8(rest).ok()?;
        text.lines().map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
    };
    let whole = [("node.name", "us-east-1-a"), ("node.region", "us-east-1")];
    let whole = || whole.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let loaded = match selector {
        0 => {
            let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
            file.write_all(rest).expect("a file can be written");
            load_from(&[file.path().to_owned()], [], &whole())
        }
        1 => {
            let Some(flags): Option<Vec<(String, String)>> = pairs() else { return Verdict::Refused };
            load_from(&[], [], &[whole(), flags].concat())
        }
        2 => {
            let Some(variables): Option<Vec<(String, String)>> = pairs() else { return Verdict::Refused };
            load_from(&[], variables, &whole())
        }
        _ => return Verdict::Refused,
    };
    match loaded {
        Ok(loaded) => {
            assert!(loaded.values.iter().all(|value| !value.source.is_empty()), "a value from nowhere");
            Verdict::Accepted
        }
        Err(error) => {
            assert!(!error.to_string().is_empty(), "refused without a reason");
            Verdict::Refused
        }
    }
}

fn samples() -> Vec<Sample> {
    let file = |name: &str, text: &str| Sample::hostile(name, text).behind(0);
    let nested = format!("{}1{}", "[".repeat(2000), "]".repeat(2000));
    vec![
        Sample::valid("file-empty", "").behind(0),
        Sample::valid("file-of-three", "[storage]\ncache = \"16MiB\"\n[node]\nname = \"eu-west-1-a\"\n").behind(0),
        Sample::valid("flags-none", "").behind(1),
        Sample::valid("flags-two", "storage.cache=16MiB\nnode.name=eu-west-1-b").behind(1),
        Sample::valid("variables-two", "TRINE_STORAGE__CACHE=16MiB\nHOME=/root").behind(2),
        file("file-unknown-section", "[storrage]\ncache = 1\n"),
        file("file-unknown-key", "[storage]\ncash = \"1MiB\"\n"),
        file("file-wrong-type", "[storage]\ncache = [1, 2]\n"),
        file("file-twice", "[node]\nname = \"a\"\nname = \"b\"\n"),
        file("file-not-toml", "\0\u{1}\u{2}"),
        file("file-nested", &format!("[storage]\ncache = {nested}\n")),
        file("file-a-size-of-all", "[storage]\ncache = \"99999999999999999999GiB\"\n"),
        file("file-a-size-that-overflows", "[storage]\ncache = \"18446744073709551615GiB\"\n"),
        file("file-not-ended", "[storage]\ncache = \"16MiB"),
        Sample::hostile("file-not-utf-8", b"[node]\nname = \"\xff\xfe\"\n").behind(0),
        Sample::hostile("flags-without-a-value", "storage.cache").behind(1),
        Sample::hostile("flags-unknown", "storage.cash=1").behind(1),
        Sample::hostile("flags-a-negative-size", "storage.cache=-1MiB").behind(1),
        Sample::hostile("flags-not-utf-8", b"a.b=\xff").behind(1),
    ]
}
