//! Debian's `Packages` files, as the registry reads them.

use trine_examples::registry::release::releases;

use crate::target::{Memory, Sample, Target, Verdict};

/// A file of stanzas: whatever is wrong is told with its line, and nothing is gathered beyond its bound.
pub const TARGET: Target = Target { name: "packages", run, samples, memory: Memory::SERDE };

fn run(bytes: &[u8]) -> Verdict {
    let (mut read, mut refused) = (0, 0);
    for release in releases(bytes) {
        match release {
            Ok(release) => {
                assert!(!release.key().is_empty() && release.key().len() <= 1024, "a key that no ledger takes");
                read += 1;
            }
            Err(error) => {
                assert!(!error.to_string().is_empty(), "refused without a reason");
                refused += 1;
            }
        }
    }
    if read > 0 && refused == 0 { Verdict::Accepted } else { Verdict::Refused }
}

fn samples() -> Vec<Sample> {
    let sum = "5f".repeat(32);
    let stanza = |package: &str| {
        format!(
            "Package: {package}\nVersion: 1:2.0-3+b1\nArchitecture: amd64\nFilename: pool/a.deb\nSize: 12\n\
             SHA256: {sum}\nDescription: one line\n and another\n .\n"
        )
    };
    let (one, two) = (stanza("7zip"), format!("{}\n{}", stanza("aa"), stanza("bb")));
    let hostile = |name: &str, text: &str| Sample::hostile(name, text);
    vec![
        Sample::valid("one", &one),
        Sample::valid("two", &two),
        hostile("nothing", ""),
        hostile("begins-with-a-space", &format!(" x\n{one}")),
        hostile("no-field", &format!("{one}words without a colon\n")),
        hostile("a-field-twice", &format!("{one}Package: again\n")),
        hostile("no-checksum", &one.replace("SHA256", "MD5sum")),
        hostile("checksum-too-short", &one.replace(&sum, "5f")),
        hostile("name-that-climbs", &one.replace("7zip", "../../etc")),
        hostile("line-without-end", &format!("Package: {}", "a".repeat(70_000))),
        hostile("stanza-without-end", &"X-F: y\n".repeat(9_000)),
        Sample::hostile("not-utf-8", b"Package: \xff\xfe\n"),
        Sample::hostile("zeros", [0; 512]),
    ]
}
