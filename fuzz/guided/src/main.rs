//! One target under libFuzzer, chosen by `TRINE_FUZZ_TARGET`.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use trine_fuzz::{TARGETS, Target};

static CHOSEN: OnceLock<&Target> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("TRINE_FUZZ_TARGET").expect("TRINE_FUZZ_TARGET names the target");
        let target = TARGETS.iter().find(|target| target.name == name).expect("there is such a target");
        CHOSEN.get_or_init(|| target);
    },
    |bytes: &[u8]| {
        let target = CHOSEN.get().expect("chosen at the start");
        (target.run)(bytes);
    }
);
