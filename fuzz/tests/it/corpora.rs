//! Every committed input: valid ones are accepted, hostile ones are refused, and none costs more than it may.

use std::collections::BTreeMap;

use trine_fuzz::{TARGETS, Target, Verdict, corpus};

use crate::memory;

fn check(target: &Target, name: &str, bytes: &[u8]) -> Verdict {
    // What a target makes once and keeps is not the input's.
    let _ = (target.run)(&[]);
    let (most, verdict) = memory::most(|| (target.run)(bytes));
    let bound = target.memory.bound(bytes.len());
    assert!(most <= bound, "{}/{name}: {} bytes made it hold {most}; {bound} are allowed", target.name, bytes.len());
    verdict
}

#[test]
fn valid_inputs_are_accepted_and_hostile_ones_refused() {
    let mut wrong = Vec::new();
    for target in TARGETS {
        for sample in corpus::read(target).expect("every target has a corpus") {
            let verdict = check(target, &sample.name, &sample.bytes);
            let expected = match sample.name.split('-').next() {
                Some("valid") => Some(Verdict::Accepted),
                Some("hostile") => Some(Verdict::Refused),
                Some("found") => None,
                _ => panic!("{}/{}: a name says valid, hostile or found", target.name, sample.name),
            };
            if expected.is_some_and(|expected| expected != verdict) {
                wrong.push(format!("{}/{}: {verdict:?}", target.name, sample.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A format that changes makes this fail, and that is the moment to ask whether old bytes are still read.
#[test]
fn corpora_hold_what_the_encoders_write() {
    for target in TARGETS {
        let committed: BTreeMap<String, Vec<u8>> =
            corpus::read(target).expect("every target has a corpus").into_iter().map(|s| (s.name, s.bytes)).collect();
        let samples = (target.samples)();
        assert!(samples.iter().any(|sample| sample.name.starts_with("valid-")), "{} accepts nothing", target.name);
        assert!(samples.iter().any(|sample| sample.name.starts_with("hostile-")), "{} refuses nothing", target.name);
        for sample in &samples {
            let known = committed.get(&sample.name) == Some(&sample.bytes);
            assert!(known, "{}/{} is not what is made now: `trine-fuzz samples`", target.name, sample.name);
        }
        let made = committed.keys().filter(|name| !name.starts_with("found-")).count();
        assert_eq!(made, samples.len(), "{} has samples twice, or ones that nobody makes", target.name);
    }
}
