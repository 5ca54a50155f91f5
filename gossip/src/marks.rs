//! Rare branches of gossip: see [`trine_probe::marks`].

trine_probe::marks! {
    WindowClosed "window-closed" "a link's window is full"
    WindowGivenUp "window-given-up" "a batch was never acknowledged: its link's window is given up"
    DirtyOverflow "dirty-overflow" "more is to be pushed over a link than is told apart"
    MetadataChunked "metadata-chunked" "entries of the metadata do not fit into one message of repair"
    SummaryChunked "summary-chunked" "a bucket of the metadata does not fit into one summary"
    AnswerCut "answer-cut" "a message of repair calls for more metadata than it gets"
    RumorFull "rumor-full" "fresh metadata does not fit into one rumor"
}
