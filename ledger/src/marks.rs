//! Rare branches of the ledger: see [`trine_probe::marks`].

trine_probe::marks! {
    DuplicateAppend "duplicate-append" "an idempotency key is met again in the log"
    ConditionFailed "condition-failed" "the condition of an append does not hold in the log"
    SegmentSealed "segment-sealed" "a segment of a ledger is sealed"
    NodeRemoved "node-removed" "a node is taken off its region's roster"
    KeyExpired "key-expired" "an idempotency key is met again whose time is over, and whose row is still there"
    KeyForgotten "key-forgotten" "an idempotency key's row is dropped because its time is over"
    KeysFull "keys-full" "an append is refused because too many idempotency keys are remembered"
}
