//! The founding document.

use trine_ledger::Genesis;

use crate::fixture::{CA, genesis, key};
use crate::target::{Memory, Sample, Target, Verdict};

/// `Genesis::open`: what is believed is what the CA signed.
pub const TARGET: Target = Target { name: "genesis", run, samples, memory: Memory::OURS };

fn run(bytes: &[u8]) -> Verdict {
    let signer = Genesis::signer(bytes);
    let Ok(opened) = Genesis::open(bytes, &key(CA).verifying_key()) else { return Verdict::Refused };
    assert_eq!(opened, genesis(), "a genesis was believed that nobody signed");
    assert_eq!(signer.ok(), Some(key(CA).verifying_key()));
    Verdict::Accepted
}

fn samples() -> Vec<Sample> {
    let document = String::from_utf8(genesis().sign(&key(CA)).expect("it founds a cluster").to_vec()).expect("JSON");
    let other = genesis().sign(&key(2)).expect("it founds a cluster");
    let value: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    let with = |field: &str, text: &str| {
        let mut value = value.clone();
        value[field] = text.into();
        value.to_string()
    };
    let text = document.trim_end();
    let mut samples = vec![
        Sample::valid("document", &document),
        Sample::valid("on-one-line", value.to_string()),
        Sample::hostile("another-ca", other),
        Sample::hostile("another-payload", with("payload", "e30=")),
        Sample::hostile("another-signature", with("signature", &"A".repeat(86))),
        Sample::hostile("an-empty-signature", with("signature", "")),
        Sample::hostile("another-format", document.replacen("1", "2", 1)),
        Sample::hostile("a-format-of-2-64", document.replacen(": 1,", ": 18446744073709551616,", 1)),
        Sample::hostile("a-field-more", document.replacen('{', "{\"more\": 1,", 1)),
        Sample::hostile("a-field-twice", document.replacen('{', "{\"format\": 1,", 1)),
        Sample::hostile("lists-in-lists", "[".repeat(4096)),
        Sample::hostile("objects-in-objects", "{\"format\":".repeat(400)),
        Sample::hostile("a-number-without-end", "{\"format\": ".to_owned() + &"9".repeat(4000) + "}"),
        Sample::hostile("followed", format!("{document}0")),
    ];
    samples.push(Sample::hostile("cut", &text[..text.len() - 1]));
    samples
}
