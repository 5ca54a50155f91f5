//! Deliberate defects of gossip: see [`trine_probe::mutants`].

trine_probe::mutants! {
    WindowWithoutEnd "window-without-end" "a link sends on whatever is under way already"
    SentTwice "sent-twice" "what is under way is sent again"
}
