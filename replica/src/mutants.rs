//! Deliberate defects of the replica: see [`trine_probe::mutants`].

use trine_probe::mutants::Defects;

trine_probe::mutants! {
    SpeakBeforePersisting "speak-before-persisting" "replies and messages leave before what they reveal is on disk"
    VectorBeforeDelta "vector-before-delta" "what is held of a writer is written, and told, before its deltas are"
    PositionBeforeRows "position-before-rows" "the ledger's position is written before the rows of its entries"
    ForgetClockMark "forget-clock-mark" "the clock forgets its high-water mark over a restart"
    ClockAlwaysBelieved "clock-always-believed" "a node takes writes whatever its peers' walls show"
    AheadNeverTaken "ahead-never-taken" "what is stamped ahead is held for as long, though its sender's clock is right"
    EditBelowSeen "edit-below-seen" "an edit may be stamped below what its object has seen"
    DropDelta "drop-one-delta-in-a-thousand" "one delta in a thousand is acknowledged and not applied"
    AcceptGap "accept-gap-in-intervals" "an interval is taken that does not connect to what is held"
    ReuseWriter "reuse-writer-after-restart" "an incarnation is that of the node's last start, and so are its dots"
    RollbackUnnoticed "rollback-unnoticed" "a disk older than what it acknowledged goes on"
    CollectDeltasEarly "collect-deltas-too-early" "deltas that are not kept any more count as sent"
    DigestNotUpdated "digest-not-updated" "a partition's digest keeps the object that was overwritten"
    NeverRepair "never-repair" "what a peer lacks is not sent again"
    RegionMajorityOfOne "region-majority-of-one" "durability `region` waits for nobody"
    IgnoreSession "ignore-session-token" "a read does not wait for what its session has seen"
    ReadWithoutBarrier "read-without-barrier" "a leader answers regional reads without asking a majority whether it leads"
    ProposeAgainAfterUnknown "propose-again-after-unknown" "an append whose fate is unknown is proposed again"
    MirrorTrusts "mirror-trusts-its-source" "a tail counts although its checkpoint does not prove it"
    TailFromWrongIndex "tail-from-wrong-index" "a tail's records are kept from where it begins, not from where it is new"
    RetiredGoesOn "retired-node-goes-on" "a node that was taken off the roster goes on"
    RetiredStopsAtOnce "retired-stops-at-once" "a node that was taken off the roster stops though its vote still counts"
    RemovalUnjudged "removal-unjudged" "a node is taken away though the others could commit nothing then"
    NameTaken "name-taken" "a node takes the name of one that answers"
    WaitingWithoutEnd "waiting-without-end" "any number of requests may wait"
    SenselessIntervals "senseless-intervals" "an interval is taken whose deltas lie outside of it"
    MessageHalts "message-halts" "a message that cannot be taken in halts its receiver"
    TimeoutRefuses "timeout-told-as-refusal" "a write whose time is over is told as not done"
    LeaderRemembered "first-leader-remembered" "a node keeps to the leader that it heard of first"
    NewsLeftToRepair "news-left-to-repair" "new deltas are not pushed: rounds of repair bring them"
    ForkIgnored "fork-ignored" "a checkpoint that contradicts what is held is passed over"
    SignWithoutAsking "sign-without-asking" "a region signs before it has asked what others hold of its ledger"
    OwnHeadSuppressed "own-head-suppressed" "a head below what others hold of the ledger is told to nobody"
    PageVectorOfNow "page-vector-of-now" "a later page of a partition tells what is held now, not what was at the first"
    PageSkips "page-skips-what-begins-alike" "a page begins behind all keys that begin with the last one"
    PageCountsEarly "page-counts-early" "what a pulled partition's sender holds counts after the first page"
    KeyRowDropped "later-key-dropped" "an idempotency key that was used again is forgotten with its first use"
    KeyForAnother "key-for-another" "an append is told that it is done where its key stands for another one"
    LevelUnstored "tree-level-unstored" "of the tree's levels beyond the first stored one none is stored"
    HeadEpochBelieved "head-epoch-believed" "a head may bear any epoch"
    MirrorStill "mirror-moves-no-clock" "a mirrored tail does not move the clock"
    MirrorAnyDrift "mirror-any-drift" "a mirrored tail is taken in however far ahead it is stamped"
    MarkEarly "mark-believed-early" "a clock's mark counts as durable with the batch before its own"
    HaveUnsynced "have-before-disk" "a node says that it has deltas before they are on its disk"
    HaveTwice "have-counted-twice" "a node that says twice that it has a write counts as two"
    LatestStale "latest-stale" "a key's latest version that was kept for long is not brought up to date"
    Unanswered "expired-unanswered" "a request whose time is over gets no answer"
    StatusLeads "status-leads-itself" "a node's status names itself as its region's leader"
    StatusSumless "status-without-sums" "a node's status tells of all objects the same digest"
}

/// Those of this crate and of all that it rests on.
pub const CORE: &[Defects] = &[
    trine_crdt::mutants::ALL,
    trine_ledger::mutants::ALL,
    trine_gossip::mutants::ALL,
    trine_placement::mutants::ALL,
    trine_protocol::mutants::ALL,
    ALL,
];
