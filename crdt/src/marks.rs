//! Rare branches of values: see [`trine_probe::marks`].

trine_probe::marks! {
    RemovalAhead "removal-ahead" "a removal comes before the edit that it removes"
    RemovalAbsorbed "removal-absorbed" "the edit of a removal that came early arrives"
    JoinRemoves "join-removes" "joining a whole object removes an entry"
    WallBehind "wall-behind" "a stamp counts on because the wall is behind the last one"
    DriftRefused "drift-refused" "a stamp is too far ahead of the wall to be believed"
}
