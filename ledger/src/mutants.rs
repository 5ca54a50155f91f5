//! Deliberate defects of the ledger: see [`trine_probe::mutants`].

trine_probe::mutants! {
    ForgetIdempotency "forget-idempotency-keys" "a second append of one idempotency key is a second record"
    ConditionIgnored "condition-ignored" "an append stands although its condition fails"
    GapInIndex "gap-in-record-index" "a record's index is one too high"
    SegmentByFraming "segment-by-framing" "a segment's identity depends on how its records came"
    LeafAsNode "leaf-as-node" "leaves are hashed as inner nodes are"
    ProofOfAnyLength "proof-of-any-length" "a proof holds that ends below the root"
    AnyPastExtended "any-past-extended" "a consistency proof holds that does not end at the older root"
}
