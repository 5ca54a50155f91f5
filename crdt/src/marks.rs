//! Marks on rare branches, to see that some run reaches them.
//!
//! A protection that no test ever enters may as well be wrong. So at the rare branches of the pure crates stands one
//! call, `marks::reached(Mark::…)`, and the simulator's tests say which scenario reached which mark; one that no run
//! reaches fails. Counting is per thread, as simulated worlds are, and only in builds with debug assertions: in all
//! others [`reached`] is nothing, so that the compiler drops it. No decision may ever depend on a mark.

macro_rules! marks {
    ($($variant:ident $name:literal $sentence:literal)*) => {
        /// A rare branch.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mark {
            $(#[doc = $sentence] $variant,)*
        }

        /// Each with its name and what happens there.
        pub const ALL: &[(Mark, &str, &str)] = &[$((Mark::$variant, $name, $sentence),)*];
    };
}

marks! {
    RemovalAhead "removal-ahead" "a removal comes before the edit that it removes"
    RemovalAbsorbed "removal-absorbed" "the edit of a removal that came early arrives"
    JoinRemoves "join-removes" "joining a whole object removes an entry"
    WallBehind "wall-behind" "a stamp counts on because the wall is behind the last one"
    DriftRefused "drift-refused" "a stamp is too far ahead of the wall to be believed"
    ClockDoubted "clock-doubted" "most peers' walls disagree with a node's own"
    ClockAlone "clock-alone" "a node believes its clock because it hears nobody"
    AheadTaken "ahead-taken" "a stamp from the far future is taken in from a peer whose wall is right"
    EditCountsOn "edit-counts-on" "an edit is stamped above its object, which is ahead of the clock"
    LogHeldBack "log-held-back" "a ledger's time does not follow a wall that leaps"
    DoubtedRefused "doubted-refused" "a write is refused because the node's clock is not believed"
    WindowClosed "window-closed" "a link's window is full"
    WindowGivenUp "window-given-up" "a batch was never acknowledged: its link's window is given up"
    DuplicateAppend "duplicate-append" "an idempotency key is met again in the log"
    ConditionFailed "condition-failed" "the condition of an append does not hold in the log"
    SegmentSealed "segment-sealed" "a segment of a ledger is sealed"
    NodeRemoved "node-removed" "a node is taken off its region's roster"
    IntervalHeld "interval-held" "an interval comes that is held already"
    IntervalOwn "interval-own" "a node's own former edits come back to it"
    GapRefused "gap-refused" "an interval is refused that does not connect to what is held"
    LogTrimmed "log-trimmed" "deltas are dropped because every node has them"
    LogCut "log-cut" "deltas are dropped because there are too many"
    IntervalsOverlap "intervals-overlap" "intervals that overlap are joined into one"
    PartitionServed "partition-served" "a partition is sent as whole objects because its deltas are not kept"
    PartitionPulled "partition-pulled" "a partition that came as whole objects is whole"
    RollbackNoticed "rollback-noticed" "a node notices that its disk is older than what it acknowledged"
    DiskFullRefused "disk-full-refused" "a write is refused because the disk is full"
    SessionWaited "session-waited" "a read waits for what its session has seen"
    BarrierFailed "barrier-failed" "a leader asks a majority whether it leads, and hears nothing"
    ProposalRefused "proposal-refused" "a proposal surely did not enter the log"
    ProposalUnknown "proposal-unknown" "nobody knows whether a proposal entered the log"
    QueueReleased "queue-released" "a leader that leads no more hands on what it had not proposed"
    TailDistrusted "tail-distrusted" "a ledger's tail does not verify, and its source is left"
    TailGap "tail-gap" "a ledger's tail begins behind what is held"
    SourceStalled "source-stalled" "a mirror leaves a source that has stalled"
    RequestExpired "request-expired" "a request waited for longer than it may"
    EditOfNothing "edit-of-nothing" "an edit finds nothing to remove, and nothing is written"
    JoinCaughtUp "join-caught-up" "a node whose disk was new holds what its peers held when it joined"
    JoinReadPassed "join-read-passed" "a node that is catching up hands a read on, or back"
    HeadAttested "head-attested" "a node signs because a node of its region has asked the other regions"
    RetiredTold "retired-told" "a node that was taken off is told so by a peer"
    RetiredVotes "retired-votes" "a node that was taken off the roster goes on because its vote still counts"
    RemovalRefused "removal-refused" "a removal is refused that would leave a region without a majority"
    NameHeld "name-held" "a node is not registered because another one answers under its name"
    KeyExpired "key-expired" "an idempotency key is met again whose time is over, and whose row is still there"
    KeyForgotten "key-forgotten" "an idempotency key's row is dropped because its time is over"
    KeyRowSpared "key-row-spared" "an idempotency key bears a later number than the one that is forgotten"
    KeysFull "keys-full" "an append is refused because too many idempotency keys are remembered"
    RequestsFull "requests-full" "a request is refused because too many wait"
    DiskBehind "disk-behind" "a write is refused because the disk is behind by too many bytes"
    MessagePassedOver "message-passed-over" "what a peer sends is not taken in because the disk is behind"
    MarksUnderWay "marks-under-way" "a mark of the clock goes to the disk while others are on their way there"
    EntryFull "entry-full" "a log entry takes no further command"
    EntryAhead "entry-ahead" "a log entry is proposed while others are under way"
    ProposalsFull "proposals-full" "as many proposals are under way as may be"
    MessageFull "message-full" "not all that is due to a peer fits into one message of deltas"
    DeltaRowsContinued "delta-rows-continued" "an interval's rows are read on after a full read"
    PageContinued "page-continued" "a later page of a partition is served"
    PullContinued "pull-continued" "a later page of a partition is taken in"
    PullElsewhere "pull-elsewhere" "a page comes from another peer than the one that is pulled from"
    PullAbandoned "pull-abandoned" "a pull of a partition is given up between two pages"
    VectorsChunked "vectors-chunked" "vectors of more partitions differ than fit into one message"
    LackedForgotten "lacked-forgotten" "more gaps of a peer are found than are remembered"
    TrimCut "trim-cut" "as many delta rows were dropped at one tick as may be"
    TrimContinued "trim-continued" "a look over the delta log goes on at the next tick"
    DirtyOverflow "dirty-overflow" "more is to be pushed over a link than is told apart"
    TailCut "tail-cut" "a ledger's tail ends before what is held does"
    FollowerWaits "follower-waits" "a follower's window is full"
    NoteForgotten "note-forgotten" "a verified checkpoint is forgotten for later ones"
    RecordReread "record-reread" "a record that is not kept in memory is read from the log"
    LatestForgotten "latest-forgotten" "latest versions of keys are forgotten for those asked later"
    TreeLevelStored "tree-level-stored" "a node of the tree beyond the first stored level is written"
    TreeLevelRead "tree-level-read" "a node of the tree beyond the first stored level is read"
    MetadataChunked "metadata-chunked" "entries of the metadata do not fit into one message of repair"
    SummaryChunked "summary-chunked" "a bucket of the metadata does not fit into one summary"
    AnswerCut "answer-cut" "a message of repair calls for more metadata than it gets"
    RumorFull "rumor-full" "fresh metadata does not fit into one rumor"
}

/// This branch was reached, on this thread.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn reached(_: Mark) {}

#[cfg(debug_assertions)]
pub use counted::{reached, take};

#[cfg(debug_assertions)]
mod counted {
    use std::cell::RefCell;

    use super::{ALL, Mark};

    thread_local! {
        static REACHED: RefCell<[u64; ALL.len()]> = const { RefCell::new([0; ALL.len()]) };
    }

    /// This branch was reached, on this thread.
    pub fn reached(mark: Mark) {
        REACHED.with_borrow_mut(|reached| reached[mark as usize] += 1);
    }

    /// The marks that this thread reached since it was asked last, with how often.
    #[must_use]
    pub fn take() -> Vec<(Mark, u64)> {
        let counts = REACHED.replace([0; ALL.len()]);
        ALL.iter().map(|(mark, ..)| (*mark, counts[*mark as usize])).filter(|(_, count)| *count > 0).collect()
    }
}
