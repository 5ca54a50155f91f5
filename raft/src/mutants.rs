//! Deliberate defects of the agreement: see [`trine_probe::mutants`].

trine_probe::mutants! {
    of a program;
    VoteBeforeSync "vote-before-sync" "a vote is given before it is on disk"
    ApplyBeforeDurable "apply-before-durable" "entries are applied before they are on the node's own disk"
    PrefixNotKept "prefix-not-kept" "a prefix of the log that was installed is applied and not kept"
    MembershipForgotten "membership-forgotten" "a group starts without the membership that it had applied"
    RestoredVoterVotes "restored-voter-votes" "a voter whose disk went back votes before it has all that it acknowledged"
}
