//! Rows as they are stored, groups of them in the journal, and the small files beside them.

use bytes::Bytes;
use trine_journal::rows::{Encoder, decode};
use trine_journal::textfile;
use trine_node::store::row;

use crate::target::{Memory, Sample, Target, Verdict};

/// Behind a selector: a stored row of a known key; a file of lines with a checksum; a group of rows.
pub const TARGET: Target = Target { name: "node_files", run, samples, memory: Memory::OURS };

const KEY: &[u8] = b"o/key";

fn run(bytes: &[u8]) -> Verdict {
    let Some((selector, rest)) = bytes.split_first() else { return Verdict::Refused };
    match selector {
        0 => {
            let stored = Bytes::copy_from_slice(rest);
            let Ok(value) = row::open("rows", KEY, &stored) else { return Verdict::Refused };
            assert_eq!(row::seal(KEY, &value), stored, "a row has a second form");
            assert!(row::open("rows", b"o/other", &stored).is_err(), "a row was believed under another key");
            Verdict::Accepted
        }
        1 => {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let path = directory.path().join("floor");
            std::fs::write(&path, rest).expect("a file can be written");
            match textfile::read(&path).expect("a file can be read") {
                textfile::Contents::Lines(_) => Verdict::Accepted,
                textfile::Contents::Absent | textfile::Contents::Damaged => Verdict::Refused,
            }
        }
        2 => {
            let Ok(rows) = decode(rest) else { return Verdict::Refused };
            let mut again = Encoder::default();
            rows.iter().for_each(|(key, value)| again.add(key, value.as_deref()));
            assert_eq!(decode(&again.finish()), Ok(rows), "rows are read as others");
            Verdict::Accepted
        }
        _ => Verdict::Refused,
    }
}

fn samples() -> Vec<Sample> {
    let row = row::seal(KEY, b"a value");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("floor");
    textfile::replace(&path, &[("number", "17"), ("name", "us-east-1-a")]).expect("a file can be written");
    let lines = std::fs::read(&path).expect("a file can be read");
    let mut samples: Vec<Sample> = Sample::broken("row", &row).into_iter().map(|sample| sample.behind(0)).collect();
    samples.push(Sample::valid("row", &row).behind(0));
    samples.push(Sample::valid("row-of-nothing", row::seal(KEY, b"")).behind(0));
    samples.push(Sample::hostile("row-of-another-key", row::seal(b"o/other", b"a value")).behind(0));
    samples.extend(Sample::broken("file", &lines).into_iter().map(|sample| sample.behind(1)));
    samples.push(Sample::valid("file", &lines).behind(1));
    samples.push(Sample::hostile("file-that-is-no-text", [0xff; 64]).behind(1));
    samples.push(Sample::hostile("file-of-a-checksum-alone", "checksum 0\n").behind(1));
    let mut group = Encoder::default();
    group.add(KEY, Some(b"a value"));
    group.add(b"v/place", None);
    samples.push(Sample::valid("group", group.finish()).behind(2));
    samples.push(Sample::valid("group-of-nothing", Encoder::default().finish()).behind(2));
    samples.push(Sample::hostile("group-that-promises-too-much", u32::MAX.to_le_bytes()).behind(2));
    samples.push(Sample::hostile("group-that-is-cut", [9, 0, 0, 0, 0x10, b'k']).behind(2));
    samples
}
