//! Names, ids, stamps, levels and sessions as text, and ids as the beginnings of row keys.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use trine_client::Session;
use trine_crdt::{NamespaceId, NodeId, PartitionId, RegionId, Timestamp, WriterId};
use trine_protocol::session::Position;
use trine_protocol::{Consistency, Durability, SessionToken};

use crate::fixture::{at, partition, region, writer};
use crate::target::{Memory, Sample, Target, Verdict};

/// Texts from command lines, headers, paths and other nodes: what is read is written, and written it is read again.
pub const TARGET: Target = Target { name: "names", run, samples, memory: Memory::SERDE };

fn run(bytes: &[u8]) -> Verdict {
    let Some((selector, rest)) = bytes.split_first() else { return Verdict::Refused };
    if *selector == 9 {
        return Verdict::of(read_key(rest));
    }
    let Ok(text) = std::str::from_utf8(rest) else { return Verdict::Refused };
    Verdict::of(match selector {
        0 => one_way::<RegionId>(text),
        1 => one_way::<NodeId>(text),
        2 => one_way::<WriterId>(text),
        3 => one_way::<Timestamp>(text),
        4 => again::<NamespaceId>(text),
        5 => again::<Consistency>(text),
        6 => again::<Durability>(text),
        7 => session(text),
        _ => None,
    })
}

/// A name that can be written in one way only, but for the case of its letters.
fn one_way<T: FromStr + Display + PartialEq + Debug>(text: &str) -> Option<()> {
    again::<T>(text)?;
    let value = text.parse::<T>().ok()?;
    assert_eq!(value.to_string(), text.to_ascii_lowercase(), "a name has two spellings");
    Some(())
}

fn again<T: FromStr + Display + PartialEq + Debug>(text: &str) -> Option<()> {
    let value = text.parse::<T>().ok()?;
    assert_eq!(value.to_string().parse::<T>().ok().as_ref(), Some(&value), "a name changed on its way through text");
    Some(())
}

fn session(text: &str) -> Option<()> {
    let session = text.parse::<Session>().ok()?;
    let written = session.to_string();
    assert_eq!(written.parse::<Session>().ok()?.token(), session.token());
    let mut merged = session.token();
    merged.merge(&token());
    assert!(merged.positions.len() <= session.token().positions.len().max(16) + 1);
    Some(())
}

fn read_key(bytes: &[u8]) -> Option<()> {
    let (partition, rest) = PartitionId::read_key(bytes)?;
    let mut key = Vec::new();
    partition.write_key(&mut key);
    assert_eq!([&key, rest].concat(), bytes, "an id has two keys");
    Some(())
}

fn token() -> SessionToken {
    let mut token = SessionToken::default();
    token.see_ledger(&region(), 42);
    token.see_position(Position { partition: partition(), writer: writer(3), seq: u64::MAX });
    token
}

fn samples() -> Vec<Sample> {
    let valid = |selector: u8, name: &str, text: &str| Sample::valid(name, text).behind(selector);
    let hostile = |selector: u8, name: &str, text: &str| Sample::hostile(name, text).behind(selector);
    let mut key = Vec::new();
    partition().write_key(&mut key);
    vec![
        valid(0, "region", "us-east-1"),
        valid(0, "region-of-the-genesis", "_"),
        hostile(0, "region-above", "../us-east-1"),
        hostile(0, "region-with-nul", "us-east-1\0"),
        hostile(0, "region-in-capitals", "US-EAST-1"),
        hostile(0, "region-long", &"a".repeat(4096)),
        hostile(0, "region-empty", ""),
        valid(1, "node", &NodeId(u64::MAX).to_string()),
        hostile(1, "node-short", "ff"),
        hostile(1, "node-in-two-bytes-a-letter", "ÄÄÄÄÄÄÄÄ"),
        valid(2, "writer", &writer(9).to_string()),
        hostile(2, "writer-long", &"0".repeat(4096)),
        valid(3, "stamp", &at(1).to_string()),
        valid(3, "stamp-at-the-end", &Timestamp { time: u64::MAX, writer: writer(255) }.to_string()),
        valid(4, "namespace", &NamespaceId { region: region(), index: u64::MAX }.to_string()),
        hostile(4, "namespace-beyond-64-bits", "us-east-1/18446744073709551616"),
        hostile(4, "namespace-with-sign", "us-east-1/+1"),
        valid(5, "bounded", "bounded=500ms"),
        hostile(5, "bounded-beyond-time", "bounded=18446744073709551615m"),
        hostile(5, "bounded-by-nothing", "bounded="),
        hostile(5, "bounded-in-arabic-digits", "bounded=\u{661}s"),
        valid(6, "regions", "regions=2"),
        hostile(6, "regions-beyond-16-bits", "regions=65536"),
        valid(7, "session", &Session::from(token()).to_string()),
        hostile(7, "session-odd", "a"),
        hostile(7, "session-of-nothing", ""),
        hostile(7, "session-long", &"00".repeat(8192)),
        Sample::valid("key", &key).behind(9),
        Sample::hostile("key-short", &key[..key.len() - 1]).behind(9),
        Sample::hostile("key-without-end", [b'a'; 300]).behind(9),
    ]
}
