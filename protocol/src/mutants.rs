//! Deliberate defects of the conversation: see [`trine_probe::mutants`].

trine_probe::mutants! {
    SessionDropsNewest "session-drops-newest" "a session that is full forgets its newest write, not its oldest"
}
