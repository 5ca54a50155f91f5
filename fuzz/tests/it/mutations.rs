//! Thousands of changed inputs from a fixed seed: no panic, no proof of what is not, and no memory beyond what is allowed.

use trine_fuzz::mutate::{Chance, mutate};
use trine_fuzz::{TARGETS, Verdict, corpus};

use crate::memory;

/// How many inputs each target gets here; a search by coverage takes millions.
const INPUTS: usize = 2000;
/// The longest of them, in bytes.
const INPUT_BYTES_MAX: usize = 64 * 1024;

#[test]
fn changed_inputs_do_no_harm() {
    for target in TARGETS {
        let corpus = corpus::read(target).expect("every target has a corpus");
        let mut chance = Chance::new(7);
        let (mut accepted, mut most_of_all, started) = (0, 0, std::time::Instant::now());
        for number in 0..INPUTS {
            let (one, other) = (chance.below(corpus.len()), chance.below(corpus.len()));
            let input = mutate(&mut chance, &corpus[one].bytes, &corpus[other].bytes, INPUT_BYTES_MAX);
            let (most, verdict) = memory::most(|| (target.run)(&input));
            accepted += usize::from(verdict == Verdict::Accepted);
            most_of_all = most_of_all.max(most);
            let bound = target.memory.bound(input.len());
            assert!(most <= bound, "{} {number}: {} bytes made it hold {most}: {input:?}", target.name, input.len());
        }
        let took = started.elapsed();
        println!("{:16} {accepted:5} accepted, at most {most_of_all} bytes held, {took:?}", target.name);
    }
}
