//! How many cases the random tests take: few on every build, as many as a person has time for when asked.
//!
//! `TRINE_CRDT_CASES=1000000 cargo test -p trine-crdt --test it -- random::joins` hunts.

use proptest::test_runner::Config;

/// This many cases, unless `TRINE_CRDT_CASES` says otherwise.
#[expect(clippy::disallowed_methods, reason = "a person says how long to hunt")]
pub fn cases(usually: u32) -> Config {
    let asked = std::env::var("TRINE_CRDT_CASES").ok();
    let asked = asked.map(|text| text.parse().unwrap_or_else(|_| panic!("TRINE_CRDT_CASES={text}")));
    let cases = asked.unwrap_or(usually);
    // What a case may be passed over for grows with them.
    let max_global_rejects = cases.max(1024);
    Config { cases, max_global_rejects, failure_persistence: None, ..Config::default() }
}
