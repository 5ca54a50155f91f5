//! Keys as text.

use trine_identity::key::{Key, pem};

use crate::target::{Memory, Sample, Target, Verdict};

/// `Key::from_pem`: a key that is read is written as one that reads the same.
pub const TARGET: Target = Target { name: "pem", run, samples, memory: Memory::SERDE };

fn run(bytes: &[u8]) -> Verdict {
    let Some(key) = Key::from_pem(bytes) else { return Verdict::Refused };
    let again = Key::from_pem(key.pem().as_bytes()).expect("what was written is readable");
    assert_eq!(again.seed(), key.seed());
    Verdict::Accepted
}

fn samples() -> Vec<Sample> {
    let key = Key::from_seed([7; 32]);
    let text = key.pem();
    let hostile = |name: &str, text: &str| Sample::hostile(name, text);
    vec![
        Sample::valid("key", &text),
        Sample::valid("key-behind-words", format!("this is a key\n{text}")),
        hostile("nothing", ""),
        hostile("cut", &text[..text.len() / 2]),
        hostile("no-end", &text[..text.len() - 10]),
        hostile("another-label", &text.replace("PRIVATE", "PUBLIC")),
        hostile("a-certificate", &pem("CERTIFICATE", b"certificate")),
        hostile("no-pkcs8", &pem("PRIVATE KEY", b"a key")),
        hostile("too-short", &pem("PRIVATE KEY", &key.pkcs8().secret_pkcs8_der()[..20])),
        hostile("not-base64", "-----BEGIN PRIVATE KEY-----\n\u{fffd}\u{fffd}\u{fffd}\n-----END PRIVATE KEY-----\n"),
        hostile("one-long-line", &format!("-----BEGIN PRIVATE KEY-----\n{}\n", "A".repeat(20_000))),
        hostile("begun-again-and-again", &"-----BEGIN PRIVATE KEY-----\n".repeat(500)),
    ]
}
