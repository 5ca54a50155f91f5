//! Deliberate defects of placement: see [`trine_probe::mutants`].

trine_probe::mutants! {
    VotersWithoutMajority "voters-without-majority" "membership changes though a majority of the voters is silent"
}
