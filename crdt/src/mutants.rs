//! Deliberate defects of values: see [`trine_probe::mutants`].

trine_probe::mutants! {
    StampByWallAlone "stamp-by-wall-alone" "a stamp follows the wall even where it steps back"
    AcceptAnyDrift "accept-any-drift" "stamps from the far future are believed"
    ApplyDeltaTwice "apply-delta-twice" "a delta that was applied before is applied again"
    CollectTombstonesEarly "collect-tombstones-too-early" "an object that is empty forgets what it removed"
    ForgetRemovalsAhead "forget-removals-ahead" "a removal is forgotten when it comes before the edit that it removes"
    RemoveForgetsDots "remove-forgets-dots" "a removal does not name what other writers added"
    JoinResurrects "join-resurrects" "joining a whole object brings removed entries back"
    CoalesceResurrects "coalesce-resurrects" "of overlapping intervals the earlier one's entries stay"
    RegisterByArrival "register-by-arrival" "of concurrent writes to a register the last to arrive stands"
    ClockWraps "clock-wraps" "the clock begins anew behind the last stamp there is"
    LengthBelieved "length-believed" "a frame may be as long as it says"
    CountAllocated "count-allocated" "memory is taken for a count before what it counts has come"
}
