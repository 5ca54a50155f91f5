//! Deliberate defects, to see that the checkers see them.
//!
//! A checker that never found anything may be blind. So the product can be broken on purpose: at the one spot where a
//! protection lives stands one question, `mutants::is(Mutant::…)`, and whoever starts a program chooses one defect by its
//! name. Names and answers exist only in builds with the feature `mutants`, which no manifest enables. In all others
//! [`is`] is the constant `false`, so that the compiler drops what stands behind it; that no name is in such a binary is
//! checked by `chaos/scripts/mutants-absent.sh`.
//!
//! They stand here because every crate of ours sees this one. Nothing here reads an environment: a program tells what
//! is chosen, once, before it starts anything; who tells nothing, as the tests of the pure crates, has what the variable
//! `TRINE_MUTANT` named when this was built.
//! `trine-chaos mutants` runs those that the simulator can see; docs/testing.md says which test saw which of the others.

macro_rules! mutants {
    ($($variant:ident $name:literal $defect:literal)*) => {
        /// A deliberate defect.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub enum Mutant {
            $(#[doc = $defect] $variant,)*
        }

        /// Each with its name and what is wrong with it.
        #[cfg(feature = "mutants")]
        pub const ALL: &[(Mutant, &str, &str)] = &[$((Mutant::$variant, $name, $defect),)*];
    };
}

// The names are read by `chaos/scripts/mutants-absent.sh`: one a line, after its variant.
mutants! {
    SpeakBeforePersisting "speak-before-persisting" "replies and messages leave before what they reveal is on disk"
    VectorBeforeDelta "vector-before-delta" "what is held of a writer is written, and told, before its deltas are"
    PositionBeforeRows "position-before-rows" "the ledger's position is written before the rows of its entries"
    ForgetClockMark "forget-clock-mark" "the clock forgets its high-water mark over a restart"
    StampByWallAlone "stamp-by-wall-alone" "a stamp follows the wall even where it steps back"
    AcceptAnyDrift "accept-any-drift" "stamps from the far future are believed"
    ClockAlwaysBelieved "clock-always-believed" "a node takes writes whatever its peers' walls show"
    AheadNeverTaken "ahead-never-taken" "what is stamped ahead is held for as long, though its sender's clock is right"
    EditBelowSeen "edit-below-seen" "an edit may be stamped below what its object has seen"
    DropDelta "drop-one-delta-in-a-thousand" "one delta in a thousand is acknowledged and not applied"
    ApplyDeltaTwice "apply-delta-twice" "a delta that was applied before is applied again"
    AcceptGap "accept-gap-in-intervals" "an interval is taken that does not connect to what is held"
    ReuseWriter "reuse-writer-after-restart" "an incarnation is that of the node's last start, and so are its dots"
    RollbackUnnoticed "rollback-unnoticed" "a disk older than what it acknowledged goes on"
    CollectDeltasEarly "collect-deltas-too-early" "deltas that are not kept any more count as sent"
    CollectTombstonesEarly "collect-tombstones-too-early" "an object that is empty forgets what it removed"
    ForgetRemovalsAhead "forget-removals-ahead" "a removal is forgotten when it comes before the edit that it removes"
    RemoveForgetsDots "remove-forgets-dots" "a removal does not name what other writers added"
    JoinResurrects "join-resurrects" "joining a whole object brings removed entries back"
    CoalesceResurrects "coalesce-resurrects" "of overlapping intervals the earlier one's entries stay"
    RegisterByArrival "register-by-arrival" "of concurrent writes to a register the last to arrive stands"
    DigestNotUpdated "digest-not-updated" "a partition's digest keeps the object that was overwritten"
    NeverRepair "never-repair" "what a peer lacks is not sent again"
    RegionMajorityOfOne "region-majority-of-one" "durability `region` waits for nobody"
    IgnoreSession "ignore-session-token" "a read does not wait for what its session has seen"
    ReadWithoutBarrier "read-without-barrier" "a leader answers regional reads without asking a majority whether it leads"
    ProposeAgainAfterUnknown "propose-again-after-unknown" "an append whose fate is unknown is proposed again"
    ForgetIdempotency "forget-idempotency-keys" "a second append of one idempotency key is a second record"
    ConditionIgnored "condition-ignored" "an append stands although its condition fails"
    GapInIndex "gap-in-record-index" "a record's index is one too high"
    MirrorTrusts "mirror-trusts-its-source" "a tail counts although its checkpoint does not prove it"
    TailFromWrongIndex "tail-from-wrong-index" "a tail's records are kept from where it begins, not from where it is new"
    RetiredGoesOn "retired-node-goes-on" "a node that was taken off the roster goes on"
    RetiredStopsAtOnce "retired-stops-at-once" "a node that was taken off the roster stops though its vote still counts"
    RemovalUnjudged "removal-unjudged" "a node is taken away though the others could commit nothing then"
    NameTaken "name-taken" "a node takes the name of one that answers"
    StoreAnswersBeforeSync "store-answers-before-sync" "rows are reported durable before they are synced"
    FloorIgnored "floor-of-rows-ignored" "a database that lost synced rows is opened"
    RowChecksumIgnored "row-checksum-ignored" "a row whose checksum does not match is read"
    LogAnswersBeforeSync "log-answers-before-sync" "log entries are reported durable before they are synced"
    SyncErrorIgnored "sync-error-ignored" "a sync of the log that failed counts as done"
    ShortLogAccepted "short-log-accepted" "a log that ends before its floor is opened"
    VoteBeforeSync "vote-before-sync" "a vote is given before it is on disk"
    DirectoryUnsynced "directory-entry-not-synced" "the name of a new file of the log is not synced"
    ApplyBeforeDurable "apply-before-durable" "entries are applied before they are on the node's own disk"
    DamageCutOff "damage-cut-off" "damage in the last file of the log counts as its torn end"
    FullDiskBelieved "full-disk-believed" "a write of the log that found the disk full counts as done"
    PrefixNotKept "prefix-not-kept" "a prefix of the log that was installed is applied and not kept"
    MembershipForgotten "membership-forgotten" "a group starts without the membership that it had applied"
    VotersWithoutMajority "voters-without-majority" "membership changes though a majority of the voters is silent"
    FullLeaderStays "full-leader-stays" "a leader whose disk is full goes on leading"
    ClockWraps "clock-wraps" "the clock begins anew behind the last stamp there is"
    SegmentByFraming "segment-by-framing" "a segment's identity depends on how its records came"
    LeafAsNode "leaf-as-node" "leaves are hashed as inner nodes are"
    ProofOfAnyLength "proof-of-any-length" "a proof holds that ends below the root"
    AnyPastExtended "any-past-extended" "a consistency proof holds that does not end at the older root"
    WindowWithoutEnd "window-without-end" "a link sends on whatever is under way already"
    WaitingWithoutEnd "waiting-without-end" "any number of requests may wait"
    SenselessIntervals "senseless-intervals" "an interval is taken whose deltas lie outside of it"
    MessageHalts "message-halts" "a message that cannot be taken in halts its receiver"
    LengthBelieved "length-believed" "a frame may be as long as it says"
    CountAllocated "count-allocated" "memory is taken for a count before what it counts has come"
    SentTwice "sent-twice" "what is under way is sent again"
    TimeoutRefuses "timeout-told-as-refusal" "a write whose time is over is told as not done"
    LeaderRemembered "first-leader-remembered" "a node keeps to the leader that it heard of first"
    NewsLeftToRepair "news-left-to-repair" "new deltas are not pushed: rounds of repair bring them"
    ForkIgnored "fork-ignored" "a checkpoint that contradicts what is held is passed over"
    SignWithoutAsking "sign-without-asking" "a region signs before it has asked what others hold of its ledger"
    OwnHeadSuppressed "own-head-suppressed" "a head below what others hold of the ledger is told to nobody"
    RestoredVoterVotes "restored-voter-votes" "a voter whose disk went back votes before it has all that it acknowledged"
    BellSilent "bell-silent" "the driver is not woken when a batch is on disk"
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
    SessionDropsNewest "session-drops-newest" "a session that is full forgets its newest write, not its oldest"
    Unanswered "expired-unanswered" "a request whose time is over gets no answer"
    StatusLeads "status-leads-itself" "a node's status names itself as its region's leader"
    StatusSumless "status-without-sums" "a node's status tells of all objects the same digest"
}

/// Whether this defect was chosen: never, without the feature `mutants`.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
#[must_use]
pub const fn is(_: Mutant) -> bool {
    false
}

#[cfg(feature = "mutants")]
pub use chosen::{choose, chosen, is, name, reached};

#[cfg(feature = "mutants")]
mod chosen {
    use std::sync::Once;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    use super::{ALL, Mutant};

    /// What whoever tells nothing has: what was named when this was built.
    const BUILT_WITH: Option<&str> = option_env!("TRINE_MUTANT");

    /// The chosen one's place in [`ALL`], counted from 1; 0: none.
    static CHOSEN: AtomicUsize = AtomicUsize::new(0);
    static REACHED: AtomicU64 = AtomicU64::new(0);
    /// Done when a defect, or none, has been chosen.
    static TOLD: Once = Once::new();

    /// Whether this defect was chosen. Being asked about the chosen one is counted.
    #[must_use]
    pub fn is(mutant: Mutant) -> bool {
        TOLD.call_once(|| set(BUILT_WITH).expect("a mutant's name"));
        let chosen = CHOSEN.load(Ordering::Relaxed) == mutant as usize + 1;
        if chosen {
            REACHED.fetch_add(1, Ordering::Relaxed);
        }
        chosen
    }

    /// Chooses a defect by its name, in place of any other; none: the product is whole.
    ///
    /// # Errors
    /// All names, when there is none such.
    pub fn choose(name: Option<&str>) -> Result<(), String> {
        TOLD.call_once(|| {});
        set(name)
    }

    fn set(name: Option<&str>) -> Result<(), String> {
        let place = match name {
            None => 0,
            Some(name) => match ALL.iter().position(|(_, known, _)| *known == name) {
                Some(place) => place + 1,
                None => {
                    let known: Vec<&str> = ALL.iter().map(|(_, known, _)| *known).collect();
                    return Err(format!("no mutant `{name}`; there are: {}", known.join(", ")));
                }
            },
        };
        CHOSEN.store(place, Ordering::Relaxed);
        REACHED.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// The chosen defect.
    #[must_use]
    pub fn chosen() -> Option<Mutant> {
        ALL.get(CHOSEN.load(Ordering::Relaxed).checked_sub(1)?).map(|(mutant, ..)| *mutant)
    }

    /// A defect's name.
    #[must_use]
    pub fn name(mutant: Mutant) -> &'static str {
        ALL[mutant as usize].1
    }

    /// How often the chosen defect's spot was reached since it was chosen: one that no run reaches shows nothing.
    #[must_use]
    pub fn reached() -> u64 {
        REACHED.load(Ordering::Relaxed)
    }
}
